"""Counting right answers in one pass, beside the read-out that says what they are."""

import numpy as np
import pytest

from tssl.chip import CLASS
from tssl.trainer.answer_kernels import right_classes


@pytest.mark.parametrize("share", [0.05, 0.3])
@pytest.mark.parametrize("kind", [np.float32, np.uint8])
def test_right_classes_are_those_of_the_read_out(
    rng: np.random.Generator, share: float, kind: type
) -> None:
    """Many classes tie, and many samples fire nothing; a potential that is no number is first."""
    spikes = (rng.random((5, 600, 4)) < share).astype(kind)
    potential = rng.integers(-2, 3, (600, 4)).astype(np.float32)
    potential[::7, 2] = np.nan
    potential[::21, 1:] = np.nan
    answers = CLASS.answers(spikes.transpose(1, 0, 2).astype(np.uint8), potential)
    for label in range(4):  # every answer of every sample counts once
        labels = np.full(600, label)
        assert right_classes(spikes, potential, labels) == (answers == label).sum()
    labels = rng.integers(0, 4, 600)
    assert right_classes(spikes, potential, labels) == (answers == labels).sum()


def test_an_empty_batch_has_no_right_answers() -> None:
    nothing = np.zeros((0, 4), np.float32)
    assert right_classes(np.zeros((5, 0, 4), np.float32), nothing, np.zeros(0, np.int64)) == 0
