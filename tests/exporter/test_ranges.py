"""Peaks as counted by hand, and bounds that no input exceeds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tssl.chip import STATE_LIMIT, CubaNeuron, Layer, conv_layer, dense_layer
from tssl.exporter.ranges import Ranges, current_bound, observe

SILENT = CubaNeuron(current_decay=2048, voltage_decay=1024, threshold=131072)


def observed(layer: Layer, train: np.ndarray, steps: int, span: tuple[int, int]) -> Ranges:
    return observe(layer, {layer.source: train}, steps, {layer.source: span})


def line(weight: list[list[int]], neuron: CubaNeuron = SILENT, **fields: object) -> Layer:
    return dense_layer(name="d", source="input", weight=np.array(weight), neuron=neuron, **fields)


def test_peaks_by_hand():
    """Negative peaks count too; the input is the same at all three steps."""
    layer = line([[10, -20], [1, 0]])
    ranges = observed(layer, np.array([[[1, 3]]]), 3, (0, 3))
    # activation -50: current 64 * (-50) * (1, 1.5, 1.75)
    currents = [-3200, -4800, -5600]
    voltages = [-3200, -2400 - 4800, -5400 - 5600]
    assert (ranges.current, ranges.potential) == (-currents[-1], -voltages[-1])
    assert not ranges.spikes.any()
    assert ranges.spikes.shape == (3, 1, 2)
    # worst: three times -20, or once 10 three times; -60 * 64 * 1.75
    assert ranges.current_bound == 6720
    assert not ranges.can_wrap


def test_peaks_are_taken_before_the_reset_and_the_wrap():
    neuron = CubaNeuron(current_decay=4096, voltage_decay=0, threshold=10)
    layer = line([[100]], neuron)
    ranges = observed(layer, np.array([[[1]], [[2000]], [[0]]]), 3, (0, 2000))
    assert ranges.current == 2000 * 100 * 64 > STATE_LIMIT
    assert ranges.spikes[0].all()
    assert ranges.current_bound == ranges.current
    assert ranges.can_wrap
    assert ranges.headroom_bits == pytest.approx(np.log2(STATE_LIMIT / 12_800_000))


def test_voltage_before_it_saturates():
    neuron = CubaNeuron(current_decay=0, voltage_decay=0, threshold=131072)
    ranges = observed(line([[1000]], neuron), np.full((1, 1, 1), 60), 2, (0, 60))
    # 3.84e6, then 3.84e6 + 7.68e6, which saturates
    assert (ranges.current, ranges.potential) == (7_680_000, 11_520_000)
    assert ranges.potential_headroom_bits < 0 < ranges.headroom_bits


def test_biases_count_in_the_voltage():
    ranges = observed(line([[0]], bias=np.array([50])), np.zeros((1, 1, 1), int), 1, (0, 1))
    assert (ranges.current, ranges.potential, ranges.current_bound) == (0, 3200, 0)
    assert ranges.headroom_bits == 23


def test_the_slowest_decay_bounds_neurons_that_differ():
    neuron = CubaNeuron(current_decay=(4096, 2048), voltage_decay=0, threshold=131072)
    assert current_bound(line([[1], [4]], neuron), 2, {"input": (0, 1)}) == 4 * 64 * 1.5


def test_bounds_by_hand():
    layer = line([[3, -5, 2], [-1, -1, -1]])
    assert current_bound(layer, 1, {"input": (0, 1)}) == 5 * 64
    assert current_bound(layer, 1, {"input": (0, 2)}) == 10 * 64
    assert current_bound(layer, 1, {"input": (-1, 1)}) == 10 * 64
    assert (
        current_bound(layer, 1, {"input": (2, 3)}) == 15 * 64
    )  # an input may also be 0: nothing arrives
    assert current_bound(layer, 2, {"input": (0, 1)}) == 5 * 64 * 1.5
    keeper = line([[3]], CubaNeuron(current_decay=0, voltage_decay=0, threshold=1))
    assert current_bound(keeper, 10, {"input": (0, 1)}) == 3 * 64 * 10


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    neuron = CubaNeuron(current_decay=draw(st.integers(0, 4096)), voltage_decay=500, threshold=2000)
    largest = draw(st.sampled_from([3, 254]))
    kind = draw(st.sampled_from(["dense", "recurrent", "conv"]))
    if kind == "dense":
        return line(rng.integers(-largest, largest, (3, 8)).tolist(), neuron)
    if kind == "recurrent":
        return dense_layer(
            name="r", source="input", weight=rng.integers(-largest, largest, (3, 8)),
            neuron=neuron, recurrent_weight=rng.integers(-largest, largest, (3, 3)),
        )  # fmt: skip
    return conv_layer(
        name="c", source="input", weight=rng.integers(-largest, largest, (2, 2, 2, 2)),
        neuron=neuron, map_shape=(2, 2, 2), padding=draw(st.sampled_from([(0, 0), (1, 0)])),
    )  # fmt: skip


@given(
    layer=layers(),
    steps=st.integers(1, 6),
    span=st.tuples(st.integers(-60, 0), st.integers(0, 60)),
    seed=st.integers(0, 2**32),
)
def test_no_input_exceeds_the_bound(layer, steps, span, seed):
    """Random inputs, and the very one that pushes hardest."""
    rng = np.random.default_rng(seed)
    train = rng.integers(span[0], span[1] + 1, (steps, 6, layer.synapses.inputs))
    train[:, :3] = np.where(rng.random((1, 3, layer.synapses.inputs)) < 0.5, *span)
    if layer.synapses.geometry is None:
        train[:, 3] = np.where(layer.synapses.weight[0] > 0, span[1], span[0])
        train[:, 4] = np.where(layer.synapses.weight[0] > 0, span[0], span[1])
    ranges: Ranges = observed(layer, train, steps, span)
    assert ranges.current <= ranges.current_bound
    assert np.array_equal(ranges.spikes, layer.run({layer.source: train}, steps).spikes)


@given(seed=st.integers(0, 2**32), steps=st.integers(1, 6))
def test_the_bound_is_tight_without_decay(seed, steps):
    weight = np.random.default_rng(seed).integers(-254, 255, (1, 5))
    neuron = CubaNeuron(current_decay=0, voltage_decay=0, threshold=131072)
    layer = line(weight.tolist(), neuron)
    pushing = [(weight > 0) * 9, (weight < 0) * 9]
    peaks = [observed(layer, train[None], steps, (0, 9)).current for train in pushing]
    assert max(peaks) == current_bound(layer, steps, {"input": (0, 9)})
