"""From pixels to network input, and how pictures are varied."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.trainer import tiny
from tssl.chip import Encoding
from tssl.recipe import AugmentationSpec
from tssl.trainer.sample_kernels import BYTES, looked_up
from tssl.trainer.samples import Samples, augmented

ENCODING = Encoding(offset=2.0, gain=0.5, quantum=0.25)


def samples() -> Samples:
    return Samples.encoded(tiny.dataset(), np.arange(10, 30), ENCODING, "cpu")


def test_input_is_the_chips_integers_times_their_quantum() -> None:
    (inputs, labels), *_ = samples().batches(np.array([3, 0, 7]), 3)
    chosen = tiny.dataset().inputs[[13, 10, 17]]
    expected = ENCODING.integers(chosen) * ENCODING.quantum
    assert inputs.dtype == torch.float32
    assert np.array_equal(inputs.numpy(), expected)
    assert labels.tolist() == tiny.dataset().labels[[13, 10, 17]].tolist()


def test_batches_cover_the_order() -> None:
    sizes = [len(labels) for _, labels in samples().batches(np.arange(20), 8)]
    assert sizes == [8, 8, 4]


def test_events_are_time_first() -> None:
    frames = np.zeros((2, 7, 1, 4, 4), np.uint8)
    frames[1, 3, 0, 2, 1] = 2
    inputs = samples().encode(frames)
    assert inputs.shape == (7, 2, 1, 4, 4)
    assert float(inputs[3, 1, 0, 2, 1]) == 0
    assert float(inputs[0, 0, 0, 0, 0]) == -0.25


@pytest.mark.parametrize("frames", [(), (3,)])
def test_moved_pictures_are_windows_of_the_padded_one(frames: tuple[int, ...]) -> None:
    """A bright pixel in the middle lands everywhere within reach, in all frames at once."""
    pixels = np.zeros((400, *frames, 1, 5, 5), np.uint8)
    pixels[..., 2, 2] = 9
    moved = augmented(pixels, AugmentationSpec(crop_padding=2), np.random.default_rng(0))
    assert moved.shape == pixels.shape
    assert np.array_equal(moved.sum(axis=(-2, -1)), np.full((400, *frames, 1), 9))
    if frames:
        assert (moved == moved[:, :1]).all()
    assert (moved.reshape(400, -1, 5, 5)[:, 0] > 0).any(axis=0).all()


def test_every_second_picture_is_mirrored() -> None:
    pixels = np.random.default_rng(0).integers(0, 99, (1000, 1, 3, 4)).astype(np.uint8)
    before = pixels.copy()
    flipped = augmented(pixels, AugmentationSpec(flip=True), np.random.default_rng(1))
    mirrored = (flipped == pixels[..., ::-1]).all(axis=(1, 2, 3))
    kept = (flipped == pixels).all(axis=(1, 2, 3))
    assert (mirrored | kept).all()
    assert 400 < mirrored.sum() < 600
    assert np.array_equal(pixels, before)


def test_no_augmentation_touches_nothing() -> None:
    pixels = tiny.dataset().inputs
    assert augmented(pixels, AugmentationSpec(), np.random.default_rng(0)) is pixels


def test_bytes_by_a_table_are_numpys() -> None:
    """Of pictures that lie in memory as they come, and of mirrored ones."""
    rng = np.random.default_rng(4)
    table = rng.random(BYTES, np.float32)
    pixels = rng.integers(0, 256, (3, 2, 5, 7), np.uint8)
    for each in (pixels, pixels[..., ::-1]):
        assert np.array_equal(looked_up(each, table), table[each])


@pytest.mark.parametrize("kind", ["plain", "turned", "few values"])
def test_a_batch_is_its_pixels_encoded(kind: str) -> None:
    """Also of pictures that the compiled loop does not know."""
    dataset = tiny.dataset()
    pictures = np.asarray(dataset.inputs)
    if kind == "plain":
        dataset = replace(dataset, full_scale=BYTES - 1)
    elif kind == "turned":
        dataset = replace(dataset, inputs=np.asfortranarray(pictures), full_scale=BYTES - 1)
    samples = Samples.encoded(dataset, np.arange(5, 40), ENCODING, "cpu")
    order = np.array([30, 0, 7, 7])
    inputs, targets = samples.batch(order)
    expected = ENCODING.integers(pictures[5:40][order]) * ENCODING.quantum
    assert np.array_equal(inputs.numpy(), expected)
    assert targets.tolist() == dataset.labels[5:40][order].tolist()
