"""Networks of known size for the tests of mapping and cost; no two inputs have equal weights."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from tssl.chip import ChipNetwork, CubaNeuron, InputLayer, conv_layer, dense_layer
from tssl.results import OpCounts

NEURON = CubaNeuron(current_decay=4096, voltage_decay=1024, threshold=64)


def distinct(outputs, inputs):
    """Return dense weights of 8 bits or more, of which no two columns are equal."""
    return np.tile(np.arange(128, 128 + inputs), (outputs, 1))


def dense(*sizes, name="dense"):
    """Return a chain of dense layers, sizes[0] being the inputs."""
    layers = [
        dense_layer(
            name=f"dense{index}",
            source="input" if index == 1 else f"dense{index - 1}",
            weight=distinct(outputs, inputs),
            neuron=NEURON,
        )
        for index, (inputs, outputs) in enumerate(pairwise(sizes), 1)
    ]
    return ChipNetwork(name=name, input=InputLayer(shape=(sizes[0],)), layers=tuple(layers))


def recurrent(neurons, *after, inputs=4):
    """Return a recurrent layer of so many neurons, with dense layers behind it."""
    chain = dense(inputs, neurons, *after, name="recurrent")
    first = dense_layer(
        name="dense1",
        source="input",
        weight=distinct(neurons, inputs),
        recurrent_weight=distinct(neurons, neurons),
        neuron=NEURON,
    )
    return replace(chain, layers=(first, *chain.layers[1:]))


def pilotnet():
    """Return a network with the shapes of lava-dl's PilotNet with LIF neurons."""
    maps = [  # channels, stride, padding
        (24, (2, 2), (0, 0)),
        (36, (2, 2), (0, 0)),
        (48, (2, 2), (0, 0)),
        (64, (2, 1), (1, 0)),
        (64, (1, 1), (0, 0)),
    ]
    layers, shape, source = [], (3, 66, 200), "input"
    for index, (channels, stride, padding) in enumerate(maps, 1):
        layer = conv_layer(
            name=f"conv{index}",
            source=source,
            weight=np.full((channels, shape[0], 3, 3), 127),
            neuron=NEURON,
            map_shape=shape,
            stride=stride,
            padding=padding,
        )
        layers.append(layer)
        shape, source = layer.output_shape, layer.name
    tail = dense(2560, 100, 50, 10, 1).layers
    sources = [source, *(layer.name for layer in tail)]
    layers += [
        dense_layer(name=layer.name, source=before, weight=layer.synapses.weight, neuron=NEURON)
        for layer, before in zip(tail, sources, strict=False)
    ]
    block = InputLayer(shape=(3, 66, 200), neuron=NEURON)
    return ChipNetwork(name="pilotnet", input=block, layers=tuple(layers))


def counts(network, *, operations, active, spikes, time_steps=1, samples=1, input_spikes=0):
    """Return counts that are the same at every step, given per sample and step."""
    total = {"synaptic_operations": operations, "active_updates": active, "spikes": spikes}
    arrays = {
        name: np.repeat(np.array(values)[:, None] * samples, time_steps, axis=1)
        for name, values in total.items()
    }
    return OpCounts(
        samples=samples,
        layers=tuple(layer.name for layer in network.layers),
        neurons=np.array([layer.neurons for layer in network.layers]),
        input_spikes=np.full(time_steps, input_spikes * samples),
        **arrays,
    )
