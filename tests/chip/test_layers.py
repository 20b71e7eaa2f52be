"""Layers against slow, obvious loops over Python's integers."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.chip.test_cuba import oracle
from tssl.chip import (
    INTEGRATOR,
    Connection,
    CubaNeuron,
    DenseSynapses,
    Layer,
    conv_layer,
    convolution,
    dense_layer,
)
from tssl.errors import RangeError, UnsupportedLayerError

# (inputs, outputs) -> list of (input index, synapse weight, delay) per output neuron
Synapses = list[list[tuple[int, int, int]]]


def dense_synapses(layer: Layer) -> Synapses:
    delay = layer.synapses.delay
    outputs, inputs = layer.synapses.weight.shape
    return [
        [
            (i, int(layer.synapses.weight[o, i]), 0 if delay is None else int(delay[o, i]))
            for i in range(inputs)
        ]
        for o in range(outputs)
    ]


def conv_synapses(layer: Layer) -> Synapses:
    """Return the synapses of a convolution, by the definition of cross-correlation."""
    out_channels, group_channels, height, width = layer.synapses.weight.shape
    _, rows, columns = layer.synapses.map_shape
    _, out_rows, out_columns = layer.output_shape
    per_group = out_channels // layer.synapses.geometry.groups
    result: Synapses = []
    for o, y, x in product(range(out_channels), range(out_rows), range(out_columns)):
        synapses = []
        for c, ky, kx in product(range(group_channels), range(height), range(width)):
            row = (
                y * layer.synapses.geometry.stride[0]
                + ky * layer.synapses.geometry.dilation[0]
                - layer.synapses.geometry.padding[0]
            )
            column = (
                x * layer.synapses.geometry.stride[1]
                + kx * layer.synapses.geometry.dilation[1]
                - layer.synapses.geometry.padding[1]
            )
            channel = (o // per_group) * group_channels + c
            if 0 <= row < rows and 0 <= column < columns:
                index = (channel * rows + row) * columns + column
                synapses.append((index, int(layer.synapses.weight[o, c, ky, kx]), 0))
        result.append(synapses)
    return result


def expected_activation(synapses: Synapses, train: np.ndarray, time_steps: int) -> np.ndarray:
    """Return the weighted sums, ``(time, batch, neurons)``; static trains repeat."""
    batch = train.shape[1]
    sums = np.zeros((time_steps, batch, len(synapses)), np.int64)
    for t, b, o in np.ndindex(sums.shape):
        sums[t, b, o] = sum(
            weight * int(train[t - delay if len(train) > 1 else 0, b, i])
            for i, weight, delay in synapses[o]
            if t - delay >= 0
        )
    return sums


def check_run(layer: Layer, synapses: Synapses, train: np.ndarray, time_steps: int) -> None:
    """Compare spikes and final state of a layer with the neuron's oracle."""
    run = layer.run({layer.source: train}, time_steps)
    sums = expected_activation(synapses, train, time_steps)
    bias = np.broadcast_to(layer.bias, (layer.neurons,))
    own = np.zeros((train.shape[1], layer.neurons), np.int64)
    u, v = np.zeros_like(own), np.zeros_like(own)
    for t in range(time_steps):
        before = own.copy()
        for b, o in np.ndindex(own.shape):
            a = int(sums[t, b, o])
            if layer.own:
                a += sum(
                    int(weight) * int(spike)
                    for weight, spike in zip(
                        layer.own[0].synapses.weight[o], before[b], strict=True
                    )
                )
            own[b, o], u[b, o], v[b, o] = oracle(
                layer.neuron, int(u[b, o]), int(v[b, o]), a, int(bias[o])
            )
        assert np.array_equal(run.spikes[t], own)
    assert np.array_equal(run.state.current, u)
    assert np.array_equal(run.state.potential, v)


def check_fan_out(layer: Layer, synapses: Synapses) -> None:
    expected = [0] * layer.synapses.inputs
    for i, weight, _ in (synapse for one in synapses for synapse in one):
        expected[i] += weight != 0
    assert layer.synapses.fan_out().tolist() == expected


def check_reached(layer: Layer, synapses: Synapses, train: np.ndarray) -> None:
    present = [[(i, int(w != 0), d) for i, w, d in one] for one in synapses]
    expected = expected_activation(present, (train != 0).astype(int), len(train)) > 0
    assert np.array_equal(layer.synapses.reached(train), expected)


def sparse_train(rng: np.random.Generator, shape: tuple[int, ...], largest: int = 1) -> np.ndarray:
    return rng.integers(-largest if largest > 1 else 0, largest + 1, shape) * (
        rng.random(shape) < 0.4
    )


# -------------------------------------------------------------------------------- dense


@pytest.mark.parametrize("largest", [1, 200])
@pytest.mark.parametrize("steps", [1, 7])
def test_dense(dense: Callable[..., Layer], rng: np.random.Generator, largest: int, steps: int):
    layer = dense(6, 5, bias=rng.integers(-5, 30, 5))
    train = sparse_train(rng, (steps, 3, 6), largest)
    assert layer.run({layer.source: train}, 7).spikes.any()
    check_run(layer, dense_synapses(layer), train, 7)
    check_fan_out(layer, dense_synapses(layer))
    check_reached(layer, dense_synapses(layer), train)


@pytest.mark.parametrize("steps", [1, 9])
def test_delayed_dense(dense: Callable[..., Layer], rng: np.random.Generator, steps: int):
    delay = rng.integers(0, 4, (5, 6))
    delay[0, 0] = 62  # longer than the run: never arrives
    layer = dense(6, 5, delay=delay)
    train = sparse_train(rng, (steps, 2, 6), 3)
    assert layer.run({layer.source: train}, 9).spikes.any()
    check_run(layer, dense_synapses(layer), train, 9)
    check_fan_out(layer, dense_synapses(layer))
    if steps > 1:
        check_reached(layer, dense_synapses(layer), train)


def test_a_delay_moves_a_spike_by_its_steps(neuron: CubaNeuron):
    layer = dense_layer(name="d", source="input", neuron=neuron, weight=[[100, -1]], delay=[[3, 0]])
    train = np.zeros((6, 1, 2), np.int64)
    train[1, 0, 0] = 1
    first = int(layer.run({layer.source: train}, 6).spikes[:, 0, 0].argmax())
    assert first == 4


def test_unsigned_spikes_do_not_overflow(neuron: CubaNeuron):
    layer = dense_layer(name="d", source="input", neuron=neuron, weight=np.full((1, 300), 2))
    run = layer.run({layer.source: np.ones((1, 1, 300), np.uint8)}, 1)
    assert run.state.current[0, 0] == 600 * 64


def test_a_sum_beyond_32_bits_is_refused(neuron: CubaNeuron):
    # the sum is shifted by 6 into 32 bits
    layer = dense_layer(name="d", source="input", neuron=neuron, weight=[[254, -256]])
    largest = (2**25 - 1) // 254
    assert layer.run({layer.source: np.array([[[largest, 0]]])}, 1).state.current.size == 1
    with pytest.raises(RangeError, match=r"layer d: a weighted input sum of \d+ overflows 32 bits"):
        layer.run({layer.source: np.array([[[largest + 1, 0]]])}, 1)


def test_small_weights_have_less_room_because_they_are_stored_shifted(neuron: CubaNeuron):
    layer = dense_layer(name="d", source="input", neuron=neuron, weight=[[1, -1]])  # as 128, -128
    assert layer.run({layer.source: np.array([[[2**24 - 1, 0]]])}, 1).state.current.size == 1
    with pytest.raises(RangeError, match="overflows 32 bits"):
        layer.run({layer.source: np.array([[[2**24, 0]]])}, 1)


# ---------------------------------------------------------------------------- recurrent


@pytest.mark.parametrize("steps", [1, 12])
def test_recurrent(rng: np.random.Generator, neuron: CubaNeuron, steps: int):
    layer = dense_layer(
        name="r",
        source="input",
        neuron=neuron,
        weight=rng.integers(-20, 40, (4, 5)),
        recurrent_weight=rng.integers(-60, 61, (4, 4)) * rng.integers(0, 2, (4, 4)),
        bias=rng.integers(0, 9, 4),
    )
    train = sparse_train(rng, (steps, 3, 5))
    assert layer.run({layer.source: train}, 12).spikes.any()
    check_run(layer, dense_synapses(layer), train, 12)
    check_fan_out(layer, dense_synapses(layer))
    check_reached(layer, dense_synapses(layer), train)


def test_recurrent_spikes_arrive_one_step_later():
    neuron = CubaNeuron(current_decay=4096, voltage_decay=4096, threshold=5)
    layer = dense_layer(
        name="r",
        source="input",
        neuron=neuron,
        weight=[[10], [0], [0]],
        recurrent_weight=[[0, 0, 0], [10, 0, 0], [0, 10, 0]],  # 0 drives 1 drives 2
    )
    train = np.zeros((4, 1, 1), np.int64)
    train[0] = 1
    assert layer.run({layer.source: train}, 4).spikes[:, 0].tolist() == [
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
        [0, 0, 0],
    ]


# --------------------------------------------------------------------------------- conv


def conv(seed: int, **geometry: object) -> Layer:
    rng = np.random.default_rng(seed)
    out_channels, in_channels, kernel = (
        geometry.pop(key) for key in ("out_channels", "in_channels", "kernel")
    )
    shape = (out_channels, in_channels // geometry["groups"], *kernel)
    return conv_layer(
        name="c",
        source="input",
        neuron=CubaNeuron(current_decay=1024, voltage_decay=512, threshold=20),
        weight=rng.integers(-30, 31, shape) * rng.integers(0, 2, shape),
        bias=rng.integers(-3, 4, out_channels),
        **geometry,
    )


def pair(low: int, high: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def conv_layers(draw: st.DrawFn) -> Layer:
    groups = draw(st.integers(1, 3))
    kernel, padding, dilation = draw(pair(1, 3)), draw(pair(0, 2)), draw(pair(1, 2))
    size = draw(pair(1, 6))
    for axis in (0, 1):
        assume(size[axis] + 2 * padding[axis] > dilation[axis] * (kernel[axis] - 1))
    in_channels = groups * draw(st.integers(1, 2))
    return conv(
        draw(st.integers(0, 2**16)),
        out_channels=groups * draw(st.integers(1, 2)),
        in_channels=in_channels,
        kernel=kernel,
        map_shape=(in_channels, *size),
        stride=draw(pair(1, 3)),
        padding=padding,
        dilation=dilation,
        groups=groups,
    )


@settings(max_examples=40)
@given(conv_layers(), st.integers(0, 2**16), st.sampled_from([1, 3]), st.sampled_from([1, 40]))
def test_conv_of_any_geometry(layer: Layer, seed: int, steps: int, largest: int):
    train = sparse_train(np.random.default_rng(seed), (steps, 2, layer.synapses.inputs), largest)
    synapses = conv_synapses(layer)
    assert len(synapses) == layer.neurons
    check_run(layer, synapses, train, 3)
    check_fan_out(layer, synapses)
    check_reached(layer, synapses, train)


GEOMETRY = {
    "out_channels": 4,
    "in_channels": 2,
    "kernel": (3, 2),
    "map_shape": (2, 7, 6),
    "stride": (2, 1),
    "padding": (1, 0),
    "dilation": (1, 2),
    "groups": 2,
}


def test_conv_by_hand():
    layer = conv_layer(
        name="c",
        source="input",
        neuron=INTEGRATOR,
        weight=[[[[1, 2], [3, 4]]]],
        map_shape=(1, 2, 3),
        padding=(0, 1),
        stride=(1, 2),
    )
    picture = np.array([[[10, 20, 30, 40, 50, 60]]])  # 10 20 30 over 40 50 60, zeros around
    assert layer.output_shape == (1, 1, 2)
    currents = [10 * 2 + 40 * 4, 20 * 1 + 30 * 2 + 50 * 3 + 60 * 4]
    assert layer.run({layer.source: picture}, 1).state.current.tolist() == [
        [64 * each for each in currents]
    ]


def test_conv_gives_the_same_in_small_slices(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
):
    layer = conv(3, **GEOMETRY)
    train = sparse_train(rng, (5, 3, layer.synapses.inputs), 9)
    whole = layer.run({layer.source: train}, 5)
    monkeypatch.setattr(convolution, "_UNFOLD_BYTES", 1)
    sliced = layer.run({layer.source: train}, 5)
    assert whole.spikes.any()
    assert np.array_equal(whole.spikes, sliced.spikes)
    assert np.array_equal(whole.state, sliced.state)


@pytest.mark.parametrize(("total", "current"), [(2**23 - 1, -64), (2**23, 0), (2**24 + 5, 5 * 64)])
def test_a_convolution_wraps_at_24_bits_before_the_neuron(total: int, current: int):
    neuron = CubaNeuron(current_decay=0, voltage_decay=4096, threshold=131072)
    layer = conv_layer(
        name="c", source="input", neuron=neuron, weight=[[[[1]]]], map_shape=(1, 1, 1)
    )
    state = layer.run({layer.source: np.array([[[total]]])}, 1).state
    kept = (total + 2**23) % 2**24 - 2**23
    assert (state.current[0, 0] - current) % 2**24 == 0
    assert int(state.current[0, 0]) == oracle(neuron, 0, 0, kept)[1]


def test_a_bias_per_channel_becomes_one_per_neuron():
    layer = conv(1, **GEOMETRY)
    per_channel = conv_layer(
        name="c",
        source="input",
        neuron=layer.neuron,
        weight=layer.synapses.weight,
        bias=[1, 2, 3, 4],
        **{key: GEOMETRY[key] for key in ("map_shape", "stride", "padding", "dilation", "groups")},
    )
    positions = layer.output_shape[1] * layer.output_shape[2]
    assert per_channel.bias.tolist() == np.repeat([1, 2, 3, 4], positions).tolist()


# ---------------------------------------------------------------------------- what is kept


def test_arrays_are_copied_in_and_read_only(neuron: CubaNeuron):
    weight, recurrent, bias = np.ones((2, 3)), np.ones((2, 2), np.int32), np.zeros(2, np.int8)
    layer = dense_layer(
        name="r",
        source="input",
        neuron=neuron,
        weight=weight,
        recurrent_weight=recurrent,
        bias=bias,
    )
    delayed = dense_layer(name="d", source="input", neuron=neuron, weight=weight, delay=weight)
    weight[:], recurrent[:], bias[:] = 9, 9, 9
    assert delayed.synapses.delay is not None
    for array in (
        layer.synapses.weight,
        layer.own[0].synapses.weight,
        layer.bias,
        delayed.synapses.weight,
        delayed.synapses.delay,
    ):
        assert array.dtype == np.int64
        assert array.max() <= 1
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 5


def test_fields_cannot_be_changed(dense: Callable[..., Layer]):
    layer = dense(2, 2)
    with pytest.raises(AttributeError):
        layer.synapses.weight = np.zeros((2, 2), np.int64)  # type: ignore[misc]


def test_shapes(dense: Callable[..., Layer]):
    layer = dense(3, 2)
    assert (
        layer.synapses.input_shape,
        layer.output_shape,
        layer.synapses.inputs,
        layer.neurons,
    ) == (
        (3,),
        (2,),
        3,
        2,
    )
    wide = conv(0, **GEOMETRY)
    assert (wide.synapses.input_shape, wide.output_shape) == ((2, 7, 6), (4, 4, 4))
    assert (wide.synapses.inputs, wide.neurons) == (84, 64)


# -------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, -np.inf, 2.0**70])
def test_fractions_and_infinities_are_refused(dense: Callable[..., Layer], value: float):
    for fields in ({"weight": [[1, value]]}, {"bias": [value]}, {"delay": [[value, 1]]}):
        with pytest.raises(RangeError, match="finite whole numbers"):
            dense(2, 1, **fields)


@pytest.mark.parametrize("weight", [[1, 2], [[[1]]], np.zeros((0, 3)), np.zeros((3, 0))])
def test_weights_must_be_a_matrix_with_entries(dense: Callable[..., Layer], weight: object):
    with pytest.raises(UnsupportedLayerError, match="layer dense: weights of shape"):
        dense(1, 1, weight=weight)


@pytest.mark.parametrize("bias", [[1, 2, 3], [[1, 2]], []])
def test_a_bias_must_fit_the_neurons(dense: Callable[..., Layer], bias: object):
    with pytest.raises(UnsupportedLayerError, match=r"bias of shape .*; expected \(2,\)"):
        dense(3, 2, bias=bias)


def test_delays_must_fit_the_weights(dense: Callable[..., Layer]):
    with pytest.raises(UnsupportedLayerError, match=r"delays of shape \(2,\) for weights"):
        dense(3, 2, delay=[1, 2])


@pytest.mark.parametrize(("low", "high"), [(-1, 0), (0, 63)])
def test_delays_must_be_0_to_62(dense: Callable[..., Layer], low: int, high: int):
    with pytest.raises(RangeError, match=rf"delays {low}\.\.{high} are outside 0\.\.62"):
        dense(2, 1, delay=[[low, high]])
    assert dense(2, 1, delay=[[0, 62]]).synapses.delay is not None


@pytest.mark.parametrize("recurrent", [np.ones((2, 3)), np.ones((3, 3)), np.ones(4)])
def test_recurrent_weights_must_be_square(neuron: CubaNeuron, recurrent: np.ndarray):
    with pytest.raises(UnsupportedLayerError, match=r"weights of shape .* expected"):
        dense_layer(
            name="r", source="i", neuron=neuron, weight=np.ones((2, 3)), recurrent_weight=recurrent
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"map_shape": (3, 7, 6)}, "2 groups do not fit an input of 3 channels"),
        ({"out_channels": 3}, "do not fit an input"),
        ({"map_shape": (2, 7, 2)}, r"kernel \(3, 2\) is larger than its input \(2, 7, 2\)"),
        ({"map_shape": (2, 0, 6), "padding": (0, 0)}, "is larger than its input"),
        ({"groups": 0}, "group"),
        ({"groups": -2}, "group"),
        ({"stride": (0, 1)}, "stride"),
        ({"stride": (-1, 1)}, "stride"),
        ({"dilation": (0, 1)}, "dilation"),
        ({"padding": (-1, 0)}, "padding"),
    ],
)
def test_impossible_geometries_are_refused(changes: dict[str, object], message: str):
    fields = {**GEOMETRY, **changes}
    shape = (fields.pop("out_channels"), 1, *fields.pop("kernel"))
    del fields["in_channels"]
    with pytest.raises(UnsupportedLayerError, match=message):
        conv_layer(name="c", source="input", neuron=INTEGRATOR, weight=np.ones(shape), **fields)


# ------------------------------------------------------------------- several connections


def test_what_connections_add_up_to_must_fit_32_bits():
    """Each of them does; Lava's neuron shifts their sum by 6 into 32 bits."""
    most = 2**25 - 1
    half = conv_layer(
        name="s", source="a", weight=[[[[1]]]], map_shape=(1, 1, 1), neuron=INTEGRATOR
    ).connections[0]  # fmt: skip
    several = [Connection(source=name, synapses=half.synapses) for name in "abcde"]
    layer = Layer(name="s", connections=tuple(several), neuron=INTEGRATOR)
    trains = dict.fromkeys("abcd", np.array([[[2**23 - 1]]]))
    fits, over = (most - 4 * (2**23 - 1)), (most + 1 - 4 * (2**23 - 1))
    assert layer.activation({**trains, "e": np.array([[[fits]]])}, 1).tolist() == [[[most]]]
    with pytest.raises(RangeError, match=r"layer s: its connections add up to 33554432, which"):
        layer.activation({**trains, "e": np.array([[[over]]])}, 1)


def test_own_spikes_count_among_what_must_fit():
    """What arrives leaves room for 199 more, and the neuron's own spike weighs 200."""
    synapses, own = DenseSynapses(weight=[[1]]), DenseSynapses(weight=[[200]])
    pairs = ("a", synapses), ("b", synapses), ("s", own)
    layer = Layer(
        name="s",
        connections=tuple(Connection(source=name, synapses=each) for name, each in pairs),
        neuron=CubaNeuron(current_decay=4096, voltage_decay=4096, threshold=-1),
    )
    half = np.full((2, 1, 1), (2**25 - 200) // 2)
    assert len(list(layer.steps({"a": half, "b": half - 1}, 2))) == 2
    with pytest.raises(RangeError, match="layer s: its connections add up to 33554432"):
        list(layer.steps({"a": half, "b": half}, 2))
