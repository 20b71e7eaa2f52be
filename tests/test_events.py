"""The compiled kernels against the plain meaning of ``tssl.chip``, integer for integer."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tssl.chip import ConvLayer, CubaNeuron, DenseLayer, Layer
from tssl.events import reached_neurons, run_events, run_sums, synapses_of

STEPS = 5

decays = st.sampled_from([0, 1, 819, 1365, 2048, 4095, 4096])
thresholds = st.sampled_from([-200_000, -1, 0, 1, 40, 900, 131_071, 131_072, 1 << 24])
neurons = st.builds(CubaNeuron, current_decay=decays, voltage_decay=decays, threshold=thresholds)
seeds = st.integers(0, 2**32 - 1)


def biases(rng: np.random.Generator, size: int) -> np.ndarray:
    return rng.integers(-(1 << 15), 1 << 15, size) if rng.random() < 0.5 else np.zeros(size)


@st.composite
def dense_layers(draw: Any) -> DenseLayer:
    rng = np.random.default_rng(draw(seeds))
    largest, most_inputs = draw(st.sampled_from([(1, 40), (3, 40), (254, 40), (3000, 12)]))
    shape = draw(st.integers(1, 40)), draw(st.integers(1, most_inputs))
    weight = rng.integers(-largest, largest + 1, shape) * (rng.random(shape) < 0.9)
    return DenseLayer(
        name="d", source="input", weight=weight, neuron=draw(neurons), bias=biases(rng, shape[0])
    )


@st.composite
def conv_layers(draw: Any) -> ConvLayer:
    rng = np.random.default_rng(draw(seeds))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel, stride, dilation = draw(pairs), draw(pairs), draw(pairs)
    padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    size = [
        max(1, dilated * (taps - 1) + 1 - 2 * pad) + draw(st.integers(0, 5))
        for dilated, taps, pad in zip(dilation, kernel, padding, strict=True)
    ]
    channels = groups * draw(st.integers(1, 3))
    weight = rng.integers(-20, 21, (groups * draw(st.integers(1, 3)), channels // groups, *kernel))
    weight[rng.random(weight.shape) < 0.2] = 0
    weight.flat[0] = 1
    return ConvLayer(
        name="c", source="input", weight=weight, neuron=draw(neurons),
        map_shape=(channels, *size), stride=stride, padding=padding, dilation=dilation,
        groups=groups, bias=biases(rng, len(weight)),
    )  # fmt: skip


def trains(rng: np.random.Generator, layer: Layer, kind: str) -> np.ndarray:
    """Return ``(samples, time or 1, inputs)``."""
    if kind == "spikes":
        return (rng.random((3, STEPS, layer.inputs)) < 0.4).astype(np.uint8)
    steps = 1 if kind == "static" else STEPS
    return rng.integers(-3, 4, (3, steps, layer.inputs))  # few enough to stay in 32 bits


def assert_same(layer: Layer, train: np.ndarray) -> None:
    synapses = synapses_of(layer)
    assert synapses is not None
    time_first = train.transpose(1, 0, 2)
    fired = run_events(layer, synapses, train, STEPS)
    expected = layer.run(time_first, STEPS)
    assert fired is not None
    np.testing.assert_array_equal(fired.spikes.transpose(1, 0, 2), expected.spikes)
    np.testing.assert_array_equal(fired.current, expected.state.current)
    np.testing.assert_array_equal(fired.voltage, expected.state.voltage)
    reached = reached_neurons(synapses.present, train).transpose(1, 0, 2)
    np.testing.assert_array_equal(reached != 0, layer.reached(time_first))


@settings(max_examples=60)
@given(dense_layers(), seeds, st.sampled_from(["spikes", "static", "graded"]))
def test_dense_layers_equal_the_hub(layer: DenseLayer, seed: int, kind: str) -> None:
    assert_same(layer, trains(np.random.default_rng(seed), layer, kind))


@settings(max_examples=100)
@given(conv_layers(), seeds, st.sampled_from(["spikes", "static", "graded"]))
def test_convolutions_equal_the_hub(layer: ConvLayer, seed: int, kind: str) -> None:
    assert_same(layer, trains(np.random.default_rng(seed), layer, kind))


@given(dense_layers(), seeds)
def test_constant_sums_equal_the_hub(layer: DenseLayer, seed: int) -> None:
    train = np.random.default_rng(seed).integers(-3, 4, (1, 4, layer.inputs))
    fired = run_sums(layer, layer.activation(train, STEPS)[0], STEPS)
    expected = layer.run(train, STEPS)
    assert fired is not None
    np.testing.assert_array_equal(fired.spikes.transpose(1, 0, 2), expected.spikes)
    np.testing.assert_array_equal(fired.current, expected.state.current)
    np.testing.assert_array_equal(fired.voltage, expected.state.voltage)


def one_neuron(weight: int, **neuron: int) -> DenseLayer:
    parameters = {"current_decay": 0, "voltage_decay": 0, "threshold": 131_072, **neuron}
    return DenseLayer(
        name="d", source="input", weight=np.array([[weight]]), neuron=CubaNeuron(**parameters)
    )


def test_the_current_wraps_and_the_potential_saturates() -> None:
    layer = one_neuron(16_383)
    train = np.full((1, 1, 1), 8)  # 131,064 at every step: the current wraps at the second
    assert_same(layer, train)
    fired = run_events(layer, synapses_of(layer), train, 2)
    assert fired.current.item() == 2 * 64 * 131_064 - (1 << 24)


@pytest.mark.parametrize(
    ("weight", "value"),
    [(16_383, 9), (16_384, 1), (16_383, 1 << 20)],
    ids=["an activation that could wrap twice", "a weight too wide", "a sum beyond 32 bits"],
)
def test_what_might_leave_32_bits_is_not_run(weight: int, value: int) -> None:
    layer = one_neuron(weight)
    assert run_events(layer, synapses_of(layer), np.full((1, 1, 1), value), 1) is None


def test_sums_that_could_wrap_twice_are_not_run() -> None:
    layer = one_neuron(1)
    assert run_sums(layer, np.array([[(1 << 17) + 1]]), 1) is None
    assert run_sums(layer, np.array([[1 << 17]]), 1) is not None
