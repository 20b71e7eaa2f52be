"""Two statements of what exported integers mean: PyTorch with pools, and the engine without."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.exporter.networks import LIMITS, checkpoint, conv, dense, pool
from tssl.checkpoint import Checkpoint
from tssl.chip import ChipNetwork, ConvLayer, CubaNeuron, IntArray, Layer
from tssl.exporter import quantize
from tssl.lava_runtime.compare import compare, first_difference
from tssl.lava_runtime.engine import run_chunk
from tssl.trainer.quantized import run_quantized

CNN = [conv(4, 3), pool(2), conv(5, (2, 3)), pool((2, 1)), dense(12), dense(5)]
STEPS = 6


def exported(
    rng: np.random.Generator, layers: list, shape: tuple[int, int, int], **network: float
) -> tuple[Checkpoint, ChipNetwork, IntArray]:
    trained = checkpoint(rng, layers, shape, spread=1.6, time_steps=STEPS, **network)
    train = rng.integers(-4, 17, (1, 6, int(np.prod(shape))))
    return trained, quantize(trained, LIMITS, train, (-4, 16)).network, train


def assert_same(trained: Checkpoint, chip: ChipNetwork, train: IntArray) -> None:
    ours, theirs = run_quantized(trained, chip, train), run_chunk(chip, train, STEPS)
    assert first_difference(chip, ours, theirs) is None
    assert all(row.equal for row in compare(chip, ours, theirs))
    for name, spikes in theirs.trains.items():
        assert ours.trains[name].shape == spikes.shape
    assert theirs.trains[chip.layers[0].name].any()


@pytest.mark.parametrize("shape", [(1, 14, 12), (1, 15, 13), (2, 17, 11), (3, 12, 15)], ids=str)
@pytest.mark.parametrize("taus", [{}, {"tau_s": 2.3, "tau_m": 7.7}, {"tau_s": 1.0}], ids=str)
def test_random_networks(rng, shape, taus):
    """Every spike of every layer, and the final potentials; odd sizes drop edges."""
    trained, chip, train = exported(rng, CNN, shape, **taus)
    spikes = run_chunk(chip, train, STEPS).trains
    assert all(0 < spikes[layer.name].mean() < 1 for layer in chip.layers)
    assert_same(trained, chip, train)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    size=st.tuples(st.integers(13, 18), st.integers(13, 18)),
    windows=st.tuples(st.integers(1, 3), st.integers(1, 2)),
    stride=st.integers(1, 2),
    padded=st.booleans(),
)
def test_any_geometry(seed, size, windows, stride, padded):
    rng = np.random.default_rng(seed)
    layers = [
        conv(3, 2, stride=stride, padding=int(padded)), pool(windows[0]), conv(3, (1, 2)),
        pool((windows[1], 1), gain=0.8), dense(7), dense(3),
    ]  # fmt: skip
    assert_same(*exported(rng, layers, (1, *size)))


@pytest.mark.parametrize(
    "layers",
    [
        [dense(9), dense(4)],
        [pool(2), dense(9), dense(4)],
        [pool(2), pool(3), dense(9), dense(4)],
        [pool(2), pool((1, 2)), conv(3, 2), dense(4)],
        [pool(2), conv(3, 3, padding=1), pool(3), conv(4, 2, padding=(1, 0)), dense(4)],
        [conv(3, 3)],
    ],
)
def test_other_chains(rng, layers):
    assert_same(*exported(rng, layers, (1, 12, 12)))


def test_state_that_wraps_and_saturates(rng):
    """Far beyond what an export allows, both must still compute the same garbage."""
    trained, chip, train = exported(rng, CNN, (1, 14, 12))
    slow = CubaNeuron(current_decay=40, voltage_decay=40, threshold=3000)
    layers = (replace(chip.layers[0], neuron=slow), *chip.layers[1:])
    wild = replace(chip, layers=layers)
    assert_same(trained, wild, train * 400)


def lighter(layer: Layer, spikes: IntArray, train: IntArray, tap: tuple[int, int]) -> Layer:
    """Silence the busiest neuron (or map) where it listens to its busiest input (or map)."""
    weight = layer.weight.copy()
    if isinstance(layer, ConvLayer):
        sender = int(np.argmax(train.reshape(-1, *layer.map_shape).sum(axis=(0, 2, 3))))
        listener = int(np.argmax(spikes.reshape(-1, *layer.output_shape).sum(axis=(0, 2, 3))))
        weight[(listener, sender, *tap)] -= 5000
    else:
        weight[np.argmax(spikes.sum(axis=(0, 1))), np.argmax(train.sum(axis=(0, 1)))] -= 5000
    assert np.count_nonzero(weight != layer.weight) == 1
    return replace(layer, weight=weight)


def damaged(chip: ChipNetwork, position: int, train: IntArray, tap: tuple[int, int]) -> ChipNetwork:
    layers = list(chip.layers)
    spikes = run_chunk(chip, train, STEPS).trains
    layer = layers[position]
    layers[position] = lighter(layer, spikes[layer.name], spikes.get(layer.source, train), tap)
    return replace(chip, layers=tuple(layers))


@pytest.mark.parametrize(
    ("position", "tap"), [(1, (0, 0)), (1, (1, 1)), (1, (3, 5)), (2, (0, 0))], ids=str
)
def test_one_weight_of_a_merged_layer_is_noticed(rng, position, tap):
    """The merged weights of a window must all be the same one."""
    trained, chip, train = exported(rng, CNN, (1, 14, 12))
    wrong = damaged(chip, position, train, tap)
    ours, theirs = run_quantized(trained, wrong, train), run_chunk(wrong, train, STEPS)
    difference = first_difference(wrong, ours, theirs)
    assert difference is not None
    assert difference.layer == wrong.layers[position].name


@pytest.mark.parametrize("position", [0, 1, 2, 3])
def test_one_weight_changed_after_the_export_is_noticed(rng, position):
    """PyTorch runs what was exported, the engine a file that was tampered with."""
    trained, chip, train = exported(rng, CNN, (1, 14, 12))
    wrong = damaged(chip, position, train, (1, 1))
    ours, theirs = run_quantized(trained, chip, train), run_chunk(wrong, train, STEPS)
    difference = first_difference(chip, ours, theirs)
    assert difference is not None
    assert difference.layer == chip.layers[position].name
