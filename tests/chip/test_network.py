"""Whole networks: what chains, what changes the digest, how data enter."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from tests.layers import reconnected
from tssl.chip import (
    INTEGRATOR,
    ChipLimits,
    ChipNetwork,
    ClassReadOut,
    CubaNeuron,
    DeltaNeuron,
    Encoding,
    InputLayer,
    Layer,
    ReadOut,
    SigmaNeuron,
    ValueReadOut,
    conv_layer,
    dense_layer,
)
from tssl.errors import UnsupportedLayerError

NEURON = CubaNeuron(current_decay=100, voltage_decay=200, threshold=30)


def conv(name: str = "conv", source: str = "input") -> Layer:
    return conv_layer(
        name=name,
        source=source,
        neuron=NEURON,
        weight=np.arange(-4, 4).reshape(2, 1, 2, 2),
        map_shape=(1, 3, 4),
        bias=[1, 2],
    )


def recurrent(name: str = "rec", source: str = "conv") -> Layer:
    weight = np.arange(-18, 18).reshape(3, 12)
    return dense_layer(
        name=name, source=source, neuron=NEURON, weight=weight, recurrent_weight=np.eye(3)
    )


def delayed(name: str = "out", source: str = "rec") -> Layer:
    return dense_layer(
        name=name,
        source=source,
        neuron=NEURON,
        weight=[[1, -2, 3], [4, 5, -6]],
        delay=[[0, 1, 2], [0, 0, 0]],
        bias=[3, -3],
    )


def network(*layers: Layer, **fields: object) -> ChipNetwork:
    given = {"name": "net", "input": InputLayer(shape=(1, 3, 4)), **fields}
    return ChipNetwork(layers=layers or (conv(), recurrent(), delayed()), **given)


# ----------------------------------------------------------------------------- chaining


def test_a_chain():
    net = network()
    assert net.is_chain
    assert net.output.name == "out"
    assert net.input.neurons == 12
    assert net.has_memory_in_synapses


def test_a_network_may_branch(dense: Callable[..., Layer]):
    layers = dense(12, 3, name="a"), dense(12, 4, name="b"), dense(3, 2, name="c", source="a")
    net = network(*layers)
    assert not net.is_chain
    assert not net.has_memory_in_synapses


@pytest.mark.parametrize("read_out", [ClassReadOut(4), ValueReadOut((1.0,), (0.0,))])
def test_a_read_out_of_another_size(dense: Callable[..., Layer], read_out: ReadOut):
    with pytest.raises(UnsupportedLayerError, match=r"its read-out .* does not fit 10 outputs"):
        network(dense(12, 10), read_out=read_out)


def test_memory_in_synapses(dense: Callable[..., Layer]):
    assert network(recurrent(source="input")).has_memory_in_synapses
    assert network(dense(12, 2, delay=np.eye(2, 12))).has_memory_in_synapses
    assert not network(dense(12, 2, delay=np.zeros((2, 12)))).has_memory_in_synapses
    assert not network(conv()).has_memory_in_synapses


def test_a_layer_needs_a_source_besides_itself():
    with pytest.raises(UnsupportedLayerError, match="layer a: needs a connection from another"):
        recurrent(name="a", source="a")


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((), "network net: has no layers"),
        ((conv(), recurrent(), delayed(name="conv")), "layer conv: the name appears twice"),
        ((conv(), delayed("input", "conv")), "layer input: the name appears twice"),
        ((recurrent(), conv()), "layer rec: its source 'conv' is not an earlier layer"),
        ((conv(), delayed(source="conv")), r"layer out: expects 3 inputs \(3,\), but conv has 12"),
    ],
)
def test_layers_that_do_not_chain_are_refused(layers: tuple[Layer, ...], message: str):
    with pytest.raises(UnsupportedLayerError, match=message):
        ChipNetwork(name="net", input=InputLayer(shape=(1, 3, 4)), layers=layers)


# ------------------------------------------------------------------------------- digest


def with_synapses(layer: Layer, number: int, **fields: object) -> Layer:
    connections = list(layer.connections)
    synapses = replace(connections[number].synapses, **fields)
    connections[number] = replace(connections[number], synapses=synapses)
    return replace(layer, connections=tuple(connections))


def changed_integers() -> dict[str, ChipNetwork]:
    """Return networks that differ from ``network()`` in one integer each."""
    result = {}
    originals = (conv(), recurrent(), delayed())
    for position, layer in enumerate(originals):

        def with_layer(other: Layer, position: int = position) -> ChipNetwork:
            return network(*originals[:position], other, *originals[position + 1 :])

        for index in range(layer.neurons):
            bias = layer.bias.copy()
            bias[index] += 1
            result[f"{layer.name}.bias{index}"] = with_layer(replace(layer, bias=bias))
        for number, field in product(range(len(layer.connections)), ("weight", "delay")):
            array = getattr(layer.connections[number].synapses, field, None)
            for index in np.ndindex(array.shape) if array is not None else ():
                other = array.copy()
                other[index] += 1
                changed = with_synapses(layer, number, **{field: other})
                result[f"{layer.name}.{number}.{field}{index}"] = with_layer(changed)
        for name in ("current_decay", "voltage_decay", "threshold"):
            neuron = replace(layer.neuron, **{name: getattr(layer.neuron, name) + 1})
            result[f"{layer.name}.{name}"] = with_layer(replace(layer, neuron=neuron))
    return result


def test_every_integer_changes_the_digest():
    digests = {name: net.digest for name, net in changed_integers().items()}
    digests["unchanged"] = network().digest
    assert len(digests) > 80
    assert len(set(digests.values())) == len(digests)
    assert all(len(digest) == 64 for digest in digests.values())


def test_every_neurons_own_number_changes_the_digest():
    """Among so many that numpy would print dots in their place."""
    size = 3000
    digests = set()
    for place in (0, size // 2, size - 1):
        for name in ("current_decay", "voltage_decay", "threshold"):
            values = np.arange(size)
            values[place] += 1
            neuron = replace(recurrent().neuron, **{name: values})
            weight = np.ones((size, 1), int)
            layer = dense_layer(name="d", source="input", weight=weight, neuron=neuron)
            net = ChipNetwork(name="n", input=InputLayer(shape=(1,)), layers=(layer,))
            digests.add(net.digest)
    assert len(digests) == 9


def test_values_for_another_number_of_neurons_are_refused():
    neuron = replace(recurrent().neuron, threshold=(1, 2, 3, 4, 5))
    for layer in (conv(), recurrent(), delayed()):
        with pytest.raises(UnsupportedLayerError, match="decays or thresholds of 5 neurons"):
            replace(layer, neuron=neuron)
    with pytest.raises(UnsupportedLayerError, match="input: decays or thresholds of 5 neurons"):
        InputLayer(shape=(3,), neuron=neuron)


def test_geometry_source_and_input_change_the_digest(dense: Callable[..., Layer]):
    def square(**fields: object) -> ChipNetwork:
        layer = conv_layer(
            name="c",
            source="input",
            neuron=NEURON,
            weight=np.ones((2, 1, 2, 2)),
            **{"map_shape": (2, 4, 4), "groups": 2, **fields},
        )
        shape = layer.synapses.map_shape
        return ChipNetwork(name="net", input=InputLayer(shape=shape), layers=(layer,))

    first, second, third = dense(12, 12, name="a"), dense(12, 12, name="b"), dense(12, 2, name="c")
    networks = [
        square(),
        square(stride=(1, 2)),
        square(stride=(2, 1)),
        square(padding=(1, 0)),
        square(padding=(0, 1)),
        square(dilation=(2, 1)),
        square(dilation=(1, 2)),
        square(map_shape=(1, 4, 4), groups=1),
        square(map_shape=(2, 4, 5)),
        network(conv()),
        network(conv(), input=InputLayer(shape=(1, 3, 4), neuron=NEURON)),
        network(first, second, third),
        network(first, second, reconnected(third, source="a")),
        network(first, second, reconnected(third, source="b")),
    ]
    assert len({net.digest for net in networks}) == len(networks)


def test_what_decides_no_spike_leaves_the_digest():
    encoding = Encoding(offset=0.0, gain=1.0, quantum=1.0)
    other = network(name="other", encoding=encoding, time_steps=9)
    assert other.digest == network().digest


def test_the_type_in_which_integers_are_given_leaves_the_digest():
    layer = delayed()
    for kind in (np.int8, np.int32, np.float32, list):
        weight = (
            layer.synapses.weight.tolist() if kind is list else layer.synapses.weight.astype(kind)
        )
        other = network(conv(), recurrent(), reconnected(layer, weight=weight))
        assert other.digest == network().digest


def test_a_row_and_a_column_of_equal_numbers_differ():
    def digest(kernel: list[list[int]]) -> str:
        layer = conv_layer(
            name="c", source="input", neuron=NEURON, weight=[[kernel]], map_shape=(1, 3, 3)
        )
        return ChipNetwork(name="n", input=InputLayer(shape=(1, 3, 3)), layers=(layer,)).digest

    assert digest([[1, 2]]) != digest([[1], [2]])


def test_limits_by_hand():
    limits = ChipLimits(weight_bits=8, threshold_bits=17, graded_spike_bits=16, max_delay=62)
    assert (limits.largest_weight, limits.weight_step) == (254, 2)
    assert limits.largest_threshold == 131071
    assert limits.largest_graded_spike == 32767
    assert replace(limits, graded_spike_bits=0).largest_graded_spike == 0


def test_groups_are_the_neurons_of_input_and_layers_by_name():
    delta, sigma = DeltaNeuron(threshold=1), SigmaNeuron()
    layer = dense_layer(name="d", source="input", weight=[[1]], neuron=sigma)
    fed = ChipNetwork(name="n", input=InputLayer(shape=(1,), neuron=delta), layers=(layer,))
    assert fed.groups == {"input": delta, "d": sigma}
    assert fed.graded == {"input", "d"}
    plain = replace(fed, input=InputLayer(shape=(1,)), layers=(replace(layer, neuron=INTEGRATOR),))
    assert (plain.groups, plain.graded) == ({"d": INTEGRATOR}, frozenset())
