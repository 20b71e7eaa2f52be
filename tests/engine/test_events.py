"""The compiled kernels against the plain meaning of ``tssl.chip``, integer for integer."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tssl.chip import (
    Connection,
    ConvSynapses,
    CubaNeuron,
    DenseSynapses,
    Layer,
    Run,
    conv_layer,
    cuba_run,
    dense_layer,
)
from tssl.engine.events import (
    Fired,
    active_neurons,
    rows_of,
    run_biases,
    run_events,
    run_layer,
    run_sums,
)
from tssl.geometry import Geometry, Shape

STEPS = 5
NEVER = CubaNeuron(current_decay=0, voltage_decay=0, threshold=131_072)

decays = st.sampled_from([0, 1, 819, 1365, 2048, 4095, 4096])
thresholds = st.sampled_from([-200_000, -1, 0, 1, 40, 900, 131_071, 131_072, 1 << 24])
neurons = st.builds(CubaNeuron, current_decay=decays, voltage_decay=decays, threshold=thresholds)
seeds = st.integers(0, 2**32 - 1)


def biases(rng: np.random.Generator, size: int) -> np.ndarray:
    return rng.integers(-(1 << 15), 1 << 15, size) if rng.random() < 0.5 else np.zeros(size)


@st.composite
def dense_layers(draw: Any) -> Layer:
    rng = np.random.default_rng(draw(seeds))
    largest, most_inputs = draw(st.sampled_from([(1, 40), (3, 40), (254, 40), (3000, 12)]))
    shape = draw(st.integers(1, 40)), draw(st.integers(1, most_inputs))
    weight = rng.integers(-largest, largest + 1, shape) * (rng.random(shape) < 0.9)
    return dense_layer(
        name="d", source="input", weight=weight, neuron=draw(neurons), bias=biases(rng, shape[0])
    )


@st.composite
def conv_layers(draw: Any) -> Layer:
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
    return conv_layer(
        name="c", source="input", weight=weight, neuron=draw(neurons),
        map_shape=(channels, *size), stride=stride, padding=padding, dilation=dilation,
        groups=groups, bias=biases(rng, len(weight)),
    )  # fmt: skip


def trains(rng: np.random.Generator, layer: Layer, kind: str) -> np.ndarray:
    """Return ``(samples, time or 1, inputs)``."""
    if kind == "spikes":
        return (rng.random((3, STEPS, layer.synapses.inputs)) < 0.4).astype(np.uint8)
    steps = 1 if kind == "static" else STEPS
    return rng.integers(-3, 4, (3, steps, layer.synapses.inputs))  # few enough to stay in 32 bits


def fired_by(layer: Layer, train: np.ndarray, steps: int = STEPS) -> Fired | None:
    (synapses,) = rows_of(layer)
    fired = Fired.room(len(train), steps, layer.neurons)
    return fired if run_events(layer.neuron, synapses, train, fired) else None


def assert_same(layer: Layer, train: np.ndarray) -> None:
    time_first = train.transpose(1, 0, 2)
    fired = fired_by(layer, train)
    expected = layer.run({layer.source: time_first}, STEPS)
    assert fired is not None
    assert_equal(fired, expected)
    without_state = Fired.room(len(train), STEPS, layer.neurons, state=False)
    (synapses,) = rows_of(layer)
    assert run_events(layer.neuron, synapses, train, without_state)
    np.testing.assert_array_equal(without_state.spikes, fired.spikes)
    active = active_neurons([synapses], [train], fired.spikes)
    reached = layer.synapses.reached(time_first) | (expected.spikes != 0)
    np.testing.assert_array_equal(active, reached.sum(axis=(1, 2)))


def assert_equal(fired: Fired, expected: Run) -> None:
    np.testing.assert_array_equal(fired.spikes.transpose(1, 0, 2), expected.spikes)
    np.testing.assert_array_equal(fired.current, expected.state.current)
    np.testing.assert_array_equal(fired.potential, expected.state.potential)


@settings(max_examples=60)
@given(dense_layers(), seeds, st.sampled_from(["spikes", "static", "graded"]))
def test_dense_layers_equal_the_hub(layer: Layer, seed: int, kind: str) -> None:
    assert_same(layer, trains(np.random.default_rng(seed), layer, kind))


@settings(max_examples=100)
@given(conv_layers(), seeds, st.sampled_from(["spikes", "static", "graded"]))
def test_convolutions_equal_the_hub(layer: Layer, seed: int, kind: str) -> None:
    assert_same(layer, trains(np.random.default_rng(seed), layer, kind))


@given(neurons, seeds)
def test_neurons_driven_by_biases_equal_the_hub(neuron: CubaNeuron, seed: int) -> None:
    bias = np.random.default_rng(seed).integers(-3000, 3000, (4, 7))
    fired = Fired.room(4, STEPS, 7)
    assert run_biases(neuron, bias, fired)
    assert_equal(fired, cuba_run(neuron, np.zeros((1, 4, 7), np.int64), bias, STEPS))


def one_neuron(weight: int, **neuron: int) -> Layer:
    parameters = {"current_decay": 0, "voltage_decay": 0, "threshold": 131_072, **neuron}
    return dense_layer(
        name="d", source="input", weight=np.array([[weight]]), neuron=CubaNeuron(**parameters)
    )


def test_the_current_wraps_and_the_potential_saturates() -> None:
    layer = one_neuron(4_095)
    train = np.full((1, 1, 1), 32)  # 131,040 at every step: the current wraps at the second
    assert_same(layer, train)
    assert fired_by(layer, train, 2).current.item() == 2 * 64 * 131_040 - (1 << 24)


def test_graded_spikes_too_large_for_16_bits() -> None:
    assert_same(one_neuron(1), np.full((1, 1, 1), 1 << 16))


def test_eight_rows_of_the_largest_weight_fit() -> None:
    """Eight times 4095 is summed in 16 bits, and so is its negative."""
    for sign in (1, -1):
        layer = dense_layer(
            name="d", source="input", weight=np.full((3, 17), sign * 4_095), neuron=NEVER
        )
        assert_same(layer, np.ones((2, STEPS, 17), np.uint8))


@pytest.mark.parametrize(
    ("weight", "value"),
    [(4_095, 33), (4_096, 1), (4_095, 1 << 20)],
    ids=["an activation that could wrap twice", "a weight too wide", "a sum beyond 32 bits"],
)
def test_what_might_leave_32_bits_is_not_run(weight: int, value: int) -> None:
    assert fired_by(one_neuron(weight), np.full((1, 1, 1), value), 1) is None


def test_biases_that_could_wrap_twice_are_not_run() -> None:
    room = Fired.room(1, 1, 1)
    assert not run_biases(NEVER, np.array([[(1 << 17) + 1]]), room)
    assert run_biases(NEVER, np.array([[1 << 17]]), room)


@settings(max_examples=40)
@given(neurons, seeds, st.sampled_from([1, STEPS]), st.sampled_from([3, 400, 131_072]))
def test_sums_of_any_origin(neuron, seed, steps, largest):
    rng = np.random.default_rng(seed)
    sums = rng.integers(-largest, largest + 1, (3, steps, 7))
    bias = biases(rng, 7).astype(np.int64)
    fired = Fired.room(3, STEPS, 7)
    assert run_sums(neuron, bias, sums, fired)
    assert_equal(fired, cuba_run(neuron, sums.transpose(1, 0, 2), bias, STEPS))


def test_sums_that_need_more_than_32_bits_are_left_to_others():
    neuron = CubaNeuron(current_decay=1, voltage_decay=1, threshold=1)
    fired, bias = Fired.room(1, 2, 1), np.zeros(1, np.int64)
    assert run_sums(neuron, bias, np.full((1, 2, 1), 131_072), fired)
    assert not run_sums(neuron, bias, np.full((1, 2, 1), 131_073), fired)
    assert not run_sums(neuron, bias + 131_073, np.zeros((1, 2, 1), np.int64), fired)


# --- several sources ------------------------------------------------------------------------


def windows_onto(rng: np.random.Generator, output: Shape) -> ConvSynapses:
    """Return a convolution of any windows that leads to maps of this shape."""
    channels, *size = output
    groups = int(rng.choice([n for n in (1, 2, 3) if channels % n == 0]))
    kernel, stride, dilation = rng.integers(1, 4, (3, 2))
    span = dilation * (kernel - 1) + 1
    padding = np.minimum(rng.integers(0, 3, 2), (span - 1) // 2)
    extra = rng.integers(0, stride)  # less than another window
    rows, columns = (np.array(size) - 1) * stride + span - 2 * padding + extra
    inputs = int(rng.integers(1, 4))
    weight = rng.integers(-20, 21, (channels, inputs, *kernel)) * rng.integers(0, 2)
    weight.flat[0] = 1
    windows = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    return ConvSynapses(
        weight=weight,
        map_shape=(groups * inputs, int(rows), int(columns)),
        geometry=Geometry(
            **{name: tuple(pair.tolist()) for name, pair in windows.items()}, groups=groups
        ),
    )


@st.composite
def merging_layers(draw: Any) -> Layer:
    """Return a layer of two to four sources, dense ones and windows in any mixture."""
    rng = np.random.default_rng(draw(seeds))
    output = tuple(rng.integers(1, 7, 3).tolist())
    synapses = [windows_onto(rng, output)] if rng.random() < 0.8 else []
    while len(synapses) < 2 or rng.random() < 0.4:
        size = int(np.prod(output)), int(rng.integers(1, 30))
        weight = rng.integers(-9, 10, size) * rng.integers(0, 2, size)
        synapses += [
            windows_onto(rng, output) if rng.random() < 0.6 else DenseSynapses(weight=weight)
        ]
    connections = tuple(Connection(source=f"s{i}", synapses=s) for i, s in enumerate(synapses))
    bias = biases(rng, int(np.prod(output)))
    return Layer(name="m", connections=connections, neuron=draw(neurons), bias=bias)


@settings(max_examples=100)
@given(merging_layers(), seeds)
def test_several_sources(layer, seed):
    """Spikes, graded input and input that never changes, in any mixture."""
    rng = np.random.default_rng(seed)
    sources = {}
    for each in layer.connections:
        steps = int(rng.choice([1, STEPS]))
        spikes = rng.integers(0, 2, (3, STEPS, each.synapses.inputs)).astype(np.uint8)
        graded = rng.integers(-3, 4, (3, steps, each.synapses.inputs)).astype(np.int32)
        sources[each.source] = graded if rng.random() < 0.5 else spikes * (rng.random() < 0.9)
    rows, fired = rows_of(layer), Fired.room(3, STEPS, layer.neurons)
    assert run_layer(layer, rows, sources, fired)
    late = {name: train.transpose(1, 0, 2) for name, train in sources.items()}
    assert_equal(fired, layer.run(late, STEPS))
    reached = np.zeros((STEPS, 3, layer.neurons), bool)
    for each in layer.connections:
        reached |= each.synapses.reached(late[each.source])
    active = (reached | (fired.spikes.transpose(1, 0, 2) != 0)).sum(axis=(1, 2))
    assert active_neurons(rows, list(sources.values()), fired.spikes).tolist() == active.tolist()


def test_a_convolution_that_wraps_before_it_is_added_is_left_to_others():
    """One of two sums is beyond 24 bits; together they are small."""

    def pixel(weight: int) -> ConvSynapses:
        return ConvSynapses(
            weight=[[[[weight]]]], map_shape=(1, 1, 1), geometry=Geometry(kernel=(1, 1))
        )

    layer = Layer(
        name="m", neuron=CubaNeuron(current_decay=4096, voltage_decay=4096, threshold=9),
        connections=(Connection(source="a", synapses=pixel(1000)),
                     Connection(source="b", synapses=pixel(-1000))),
    )  # fmt: skip
    rows, fired = rows_of(layer), Fired.room(1, 1, 1)
    for value, fits in ((4000, True), (8500, False)):
        sources = {name: np.full((1, 1, 1), value, np.int32) for name in "ab"}
        assert run_layer(layer, rows, sources, fired) is fits
        assert layer.activation(sources, 1).tolist() == [[[0]]]
