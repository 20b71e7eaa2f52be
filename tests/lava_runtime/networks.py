"""Small random networks of every kind that netx holds, and lava-dl's own files."""

import importlib.metadata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.layers import reconnected
from tssl.chip import (
    INTEGRATOR,
    ChipNetwork,
    CubaNeuron,
    InputLayer,
    IntArray,
    Layer,
    conv_layer,
    dense_layer,
)

NEURON = CubaNeuron(current_decay=1300, voltage_decay=700, threshold=120)
EAGER = CubaNeuron(current_decay=4096, voltage_decay=300, threshold=40)


def weights(rng: np.random.Generator, *shape: int) -> IntArray:
    """Both signs, odd values too."""
    values = rng.integers(-50, 56, shape)
    values.flat[:2] = (-31, 57)
    return values


def dense_net(rng: np.random.Generator) -> ChipNetwork:
    first = dense_layer(
        name="a", source="input", weight=weights(rng, 12, 9), neuron=NEURON,
        bias=rng.integers(-20, 60, 12),
    )  # fmt: skip
    second = dense_layer(name="b", source="a", weight=weights(rng, 8, 12), neuron=EAGER)
    third = dense_layer(
        name="c", source="b", weight=weights(rng, 4, 8), neuron=NEURON, bias=rng.integers(0, 9, 4)
    )
    return ChipNetwork(name="dense", input=InputLayer(shape=(9,)), layers=(first, second, third))


def conv_net(rng: np.random.Generator) -> ChipNetwork:
    first = conv_layer(
        name="c1", source="input", weight=weights(rng, 4, 2, 3, 3), neuron=NEURON,
        map_shape=(2, 7, 6), padding=(1, 0), bias=rng.integers(-10, 40, 4),
    )  # fmt: skip
    second = conv_layer(
        name="c2", source="c1", weight=weights(rng, 6, 2, 2, 3), neuron=EAGER,
        map_shape=(4, 7, 4), stride=(2, 1), dilation=(2, 1), groups=2,
    )  # fmt: skip
    third = dense_layer(
        name="out", source="c2", weight=weights(rng, 3, second.neurons), neuron=INTEGRATOR
    )
    layers = (first, second, third)
    return ChipNetwork(name="conv", input=InputLayer(shape=(2, 7, 6)), layers=layers)


def delayed_net(rng: np.random.Generator) -> ChipNetwork:
    """Biases fire before any input arrives, through delays that outlast the samples."""
    first = dense_layer(
        name="a", source="input", weight=weights(rng, 10, 6), neuron=EAGER,
        delay=rng.integers(0, 7, (10, 6)), bias=rng.integers(0, 90, 10),
    )  # fmt: skip
    second = dense_layer(
        name="b", source="a", weight=weights(rng, 7, 10), neuron=NEURON,
        delay=rng.integers(0, 9, (7, 10)),
    )  # fmt: skip
    third = dense_layer(
        name="c", source="b", weight=weights(rng, 5, 7), neuron=EAGER, bias=rng.integers(0, 60, 5)
    )
    return ChipNetwork(name="delayed", input=InputLayer(shape=(6,)), layers=(first, second, third))


def recurrent_net(rng: np.random.Generator) -> ChipNetwork:
    first = dense_layer(
        name="a", source="input", weight=weights(rng, 9, 6), neuron=NEURON,
        bias=rng.integers(0, 50, 9),
    )  # fmt: skip
    second = dense_layer(
        name="r", source="a", weight=weights(rng, 8, 9), neuron=EAGER,
        recurrent_weight=weights(rng, 8, 8), bias=rng.integers(0, 50, 8),
    )  # fmt: skip
    third = dense_layer(name="c", source="r", weight=weights(rng, 4, 8), neuron=NEURON)
    layers = (first, second, third)
    return ChipNetwork(name="recurrent", input=InputLayer(shape=(6,)), layers=layers)


def block_net(rng: np.random.Generator) -> ChipNetwork:
    """Input neurons driven by their biases, in a feature map."""
    first = conv_layer(
        name="c1", source="input", weight=weights(rng, 3, 2, 3, 3), neuron=NEURON,
        map_shape=(2, 5, 4), bias=rng.integers(0, 30, 3),
    )  # fmt: skip
    second = dense_layer(name="d", source="c1", weight=weights(rng, 5, first.neurons), neuron=EAGER)
    block = InputLayer(shape=(2, 5, 4), neuron=EAGER)
    return ChipNetwork(name="block", input=block, layers=(first, second))


def block_recurrent_net(rng: np.random.Generator) -> ChipNetwork:
    """Input neurons before delays and recurrence."""
    layers = recurrent_net(rng).layers
    first = dense_layer(
        name="a", source="input", weight=layers[0].synapses.weight, neuron=NEURON,
        bias=layers[0].bias, delay=rng.integers(0, 4, layers[0].synapses.weight.shape),
    )  # fmt: skip
    block = InputLayer(shape=(6,), neuron=EAGER)
    return ChipNetwork(name="block_recurrent", input=block, layers=(first, *layers[1:]))


def conv_recurrent_net(rng: np.random.Generator) -> ChipNetwork:
    """Memory in synapses of two kinds: each must be cleared before the next sample."""
    first, second = conv_net(rng).layers[:2]
    last = dense_layer(
        name="r", source="c2", weight=weights(rng, 5, second.neurons), neuron=EAGER,
        recurrent_weight=weights(rng, 5, 5),
    )  # fmt: skip
    layers = (first, second, last)
    return ChipNetwork(name="conv_recurrent", input=InputLayer(shape=(2, 7, 6)), layers=layers)


def block_conv_delayed_net(rng: np.random.Generator) -> ChipNetwork:
    """Input neurons, a convolution with biases, delays."""
    block = block_net(rng)
    first, second = block.layers
    delayed = reconnected(second, delay=rng.integers(0, 5, second.synapses.weight.shape))
    return replace(block, name="block_conv_delayed", layers=(first, delayed))


def mixed_net(rng: np.random.Generator) -> ChipNetwork:
    """One to four layers of any kinds that may follow each other, with any input."""
    shape: tuple[int, ...] = tuple(int(size) for size in rng.integers((1, 3, 3), (3, 6, 6)))
    if rng.random() < 0.2:
        shape = (int(rng.integers(2, 8)),)
    block = InputLayer(shape=shape, neuron=drawn_neuron(rng) if rng.random() < 0.4 else None)
    layers: list[Layer] = []
    for position in range(rng.integers(1, 5)):
        source = layers[-1].name if layers else "input"
        shape = layers[-1].output_shape if layers else shape
        layer = drawn_layer(rng, f"layer{position}", source, shape)
        if rng.random() < 0.3:
            each = replace(layer.neuron, threshold=rng.integers(20, 120, layer.neurons))
            layer = replace(layer, neuron=each)
        layers.append(layer)
    return ChipNetwork(name="mixed", input=block, layers=tuple(layers))


def drawn_layer(rng: np.random.Generator, name: str, source: str, shape: tuple[int, ...]) -> Layer:
    """A convolution, dense, delayed or recurrent layer that reads ``shape``."""
    fields: dict[str, Any] = {"name": name, "source": source, "neuron": drawn_neuron(rng)}
    outputs, inputs = int(rng.integers(2, 9)), int(np.prod(shape))
    if rng.random() < 0.6:
        fields["bias"] = rng.integers(-20, 50, outputs)
    if len(shape) == 3 and rng.random() < 0.6:
        kernel = tuple(int(rng.integers(1, min(3, size) + 1)) for size in shape[1:])
        return conv_layer(
            weight=weights(rng, outputs, shape[0], *kernel), map_shape=(shape[0], *shape[1:]),
            stride=(int(rng.integers(1, 3)), 1), padding=(0, int(rng.integers(0, 2))), **fields,
        )  # fmt: skip
    fields["weight"] = weights(rng, outputs, inputs)
    kind = rng.integers(3)
    if kind == 0:
        return dense_layer(recurrent_weight=weights(rng, outputs, outputs), **fields)
    delay = rng.integers(0, rng.integers(2, 12), (outputs, inputs)) if kind == 1 else None
    return dense_layer(delay=delay, **fields)


def drawn_neuron(rng: np.random.Generator) -> CubaNeuron:
    return CubaNeuron(
        current_decay=int(rng.choice([0, 900, 2000, 4096])),
        voltage_decay=int(rng.choice([0, 500, 4096])),
        threshold=int(rng.integers(20, 120)),
    )


MAKERS: tuple[Callable[[np.random.Generator], ChipNetwork], ...] = (
    dense_net,
    conv_net,
    delayed_net,
    recurrent_net,
    block_net,
    block_recurrent_net,
    conv_recurrent_net,
    block_conv_delayed_net,
)


def lava_file(name: str) -> Path:
    """Return a file among the tests that lava-dl's wheel brings along, or skip."""
    try:
        distribution = importlib.metadata.distribution("lava-dl")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("lava-dl is not installed: run `tssl lava install`")
    path = Path(str(distribution.locate_file(f"tests/lava/lib/dl/netx/{name}")))
    if not path.exists():
        pytest.skip(f"this lava-dl does not ship {path}")
    return path
