"""Networks that are no chains, for the engine's benchmark: every kind of connection and layer.

Weights are random, and thresholds fitted, as in ``cases.py``. Lava builds such networks from its
own processes, with relays where paths differ in length.
"""

from dataclasses import replace

import numpy as np
from cases import TSSL, Case, fitted, pixels

from tssl.chip import (
    Connection,
    ConvSynapses,
    CubaNeuron,
    DenseSynapses,
    IntArray,
    Layer,
    conv_layer,
    dense_layer,
)
from tssl.geometry import Geometry

STEPS = 16
STATELESS = CubaNeuron(current_decay=4096, voltage_decay=4096, threshold=1)
"""Fires where its sum of the step exceeds 1: the gates of an export, whose weights are 2 and -2."""
MAPS = (8, 14, 14)


def branches() -> Case:
    """Return a block whose output and input add up: one pair of weights on two connections."""
    first, second, _ = _block(np.random.default_rng(11))
    last = dense_layer(name="out", source="b", weight=_weights(12, 10, 8 * 14 * 14), neuron=TSSL)
    both = (*last.connections, replace(last.connections[0], source="a"))
    return _case("branches", [first, second, replace(last, connections=both)])


def gates() -> Case:
    """Return the same block with a gate: spikes of the input where the block is silent."""
    first, second, gate = _block(np.random.default_rng(11))
    last = dense_layer(name="out", source="g", weight=_weights(12, 10, 8 * 14 * 14), neuron=TSSL)
    return _case("gates", [first, second, gate, last])


def recurrent() -> Case:
    """Return 200 neurons that receive each other's spikes a step later."""
    layer = dense_layer(name="d", source="input", weight=_weights(13, 200, 784), neuron=TSSL)
    own = Connection(source="d", synapses=DenseSynapses(weight=_weights(14, 200, 200)))
    layer = replace(layer, connections=(*layer.connections, own))
    return _case("recurrent", [layer, _output(200)])


def delays() -> Case:
    """Return 200 neurons behind synapses that hold spikes for 0 to 3 steps."""
    delay = np.random.default_rng(15).integers(0, 4, (200, 784))
    synapses = DenseSynapses(weight=_weights(13, 200, 784), delay=delay)
    connections = (Connection(source="input", synapses=synapses),)
    return _case("delays", [Layer(name="d", neuron=TSSL, connections=connections), _output(200)])


def _block(rng: np.random.Generator) -> tuple[Layer, Layer, Layer]:
    """Return two convolutions, one behind the other, and a gate of both."""
    first = conv_layer(
        name="a", source="input", neuron=TSSL, map_shape=(1, 28, 28), padding=(2, 2),
        stride=(2, 2), weight=2 * rng.integers(-60, 61, (8, 1, 5, 5)),
    )  # fmt: skip
    second = conv_layer(
        name="b", source="a", neuron=TSSL, map_shape=MAPS, padding=(1, 1),
        weight=2 * rng.integers(-60, 61, (8, 8, 3, 3)),
    )  # fmt: skip
    connections = tuple(
        Connection(
            source=source,
            synapses=ConvSynapses(
                weight=np.full((8, 1, 1, 1), weight),
                map_shape=MAPS,
                geometry=Geometry(kernel=(1, 1), groups=8),
            ),
        )
        for source, weight in (("a", 2), ("b", -2))
    )
    return first, second, Layer(name="g", neuron=STATELESS, connections=connections)


def _output(inputs: int) -> Layer:
    return dense_layer(name="out", source="d", weight=_weights(16, 10, inputs), neuron=TSSL)


def _weights(seed: int, *shape: int) -> IntArray:
    return 2 * np.random.default_rng(seed).integers(-60, 61, shape)


def _case(title: str, layers: list[Layer]) -> Case:
    source = (1, 28, 28) if title in ("branches", "gates") else (784,)
    network = fitted(title, source, layers, pixels(784))
    return Case(title, network, None, STEPS, pixels(784), 12, 4_000, None)
