"""Small random networks in which layers listen to several layers."""

from dataclasses import replace
from typing import Any

import numpy as np

from tests.lava_runtime.networks import EAGER, NEURON, drawn_neuron, weights
from tssl.chip import (
    INPUT,
    ChipNetwork,
    Connection,
    ConvSynapses,
    DenseSynapses,
    InputLayer,
    Layer,
    Synapses,
    conv_layer,
)
from tssl.geometry import Geometry, Shape


def sew_net(rng: np.random.Generator) -> ChipNetwork:
    """The ADD of a spike-element-wise residual block: the same weights on two sources."""
    first = conv_layer(
        name="conv1", source="input", weight=weights(rng, 4, 2, 3, 3), neuron=EAGER,
        map_shape=(2, 6, 5), padding=(1, 1), bias=rng.integers(-10, 40, 4),
    )  # fmt: skip
    second = conv_layer(
        name="conv2", source="conv1", weight=weights(rng, 4, 4, 3, 3), neuron=NEURON,
        map_shape=(4, 6, 5), padding=(1, 1),
    )  # fmt: skip
    third = conv_layer(
        name="conv3", source="conv2", weight=weights(rng, 3, 4, 3, 3), neuron=NEURON,
        map_shape=(4, 6, 5),
    )  # fmt: skip
    both = (*third.connections, replace(third.connections[0], source="conv1"))
    layers = (first, second, replace(third, connections=both))
    return ChipNetwork(name="sew", input=InputLayer(shape=(2, 6, 5)), layers=layers)


def skipped_input_net(rng: np.random.Generator) -> ChipNetwork:
    """Maps that enter twice, a step apart; and a convolution that hears itself."""
    network = sew_net(rng)
    first, second, third = network.layers
    own = DenseSynapses(weight=weights(rng, 120, 120) - 40)
    loop = Connection(source="conv2", synapses=own)
    second = replace(second, connections=(*second.connections, *first.connections, loop))
    return replace(network, name="skipped", layers=(first, second, third))


def graph_net(rng: np.random.Generator) -> ChipNetwork:
    """Two to six layers, each of which listens to any earlier ones, in any way."""
    shape: Shape = tuple(int(size) for size in rng.integers((1, 3, 3), (3, 6, 6)))
    if rng.random() < 0.3:
        shape = (int(rng.integers(2, 8)),)
    block = InputLayer(shape=shape, neuron=drawn_neuron(rng) if rng.random() < 0.4 else None)
    shapes = {INPUT: shape}
    layers: list[Layer] = []
    for position in range(rng.integers(2, 7)):
        layer = graph_layer(rng, f"layer{position}", shapes)
        shapes[layer.name] = layer.output_shape
        layers.append(layer)
    return ChipNetwork(name="graph", input=block, layers=tuple(layers))


def graph_layer(rng: np.random.Generator, name: str, shapes: dict[str, Shape]) -> Layer:
    """A layer that listens to one to three of the given ones, and perhaps to itself."""
    sources = [str(each) for each in rng.choice(list(shapes), rng.integers(1, 4))]
    first = drawn_synapses(rng, shapes[sources[0]])
    connections = [Connection(source=sources[0], synapses=first)]
    for source in sources[1:]:
        same = shapes[source] == first.input_shape and rng.random() < 0.5
        synapses = first if same else dense_synapses(rng, first.outputs, shapes[source])
        connections.append(Connection(source=source, synapses=synapses))
    if rng.random() < 0.3:
        own = DenseSynapses(weight=weights(rng, first.outputs, first.outputs))
        connections.append(Connection(source=name, synapses=own))
    fields: dict[str, Any] = {"name": name, "neuron": drawn_neuron(rng)}
    if rng.random() < 0.3:
        thresholds = tuple(rng.integers(20, 120, first.outputs).tolist())
        fields["neuron"] = replace(fields["neuron"], threshold=thresholds)
    if rng.random() < 0.6:
        fields["bias"] = rng.integers(-20, 50, first.outputs)
    return Layer(connections=tuple(connections), **fields)


def drawn_synapses(rng: np.random.Generator, shape: Shape) -> Synapses:
    outputs = int(rng.integers(2, 7))
    if len(shape) != 3 or rng.random() < 0.3:
        return dense_synapses(rng, outputs, shape)
    kernel = (
        int(rng.integers(1, min(3, shape[1]) + 1)),
        int(rng.integers(1, min(3, shape[2]) + 1)),
    )
    return ConvSynapses(
        weight=weights(rng, outputs, shape[0], *kernel),
        map_shape=(shape[0], shape[1], shape[2]),
        geometry=Geometry(
            kernel=kernel, stride=(int(rng.integers(1, 3)), 1), padding=(0, int(rng.integers(0, 2)))
        ),
    )


def dense_synapses(rng: np.random.Generator, outputs: int, shape: Shape) -> DenseSynapses:
    size = (outputs, int(np.prod(shape)))
    delay = rng.integers(0, rng.integers(2, 9), size) if rng.random() < 0.3 else None
    return DenseSynapses(weight=weights(rng, *size), delay=delay)


def graph_inputs(
    rng: np.random.Generator, network: ChipNetwork, steps: int, samples: int
) -> np.ndarray:
    """Biases for input neurons; for all others zeros and ones, or any integers."""
    neurons = network.input.neurons
    if network.input.neuron is not None:
        return rng.integers(-20, 120, (1, samples, neurons))
    if rng.random() < 0.4:
        return rng.integers(-3, 9, (int(rng.choice([1, steps])), samples, neurons))
    return rng.integers(0, 2, (steps, samples, neurons))
