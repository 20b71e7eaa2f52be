"""The chains of the engine's benchmark, and what they are fed; ``graph_cases.py`` has the rest.

784-400-400-10 and the convolutional network have random weights, since no trained ones come
with the package; their thresholds are then chosen so that each layer fires as often as those
of trained networks do (``RATE``). mnist.net and both PilotNets are lava-dl's own, shipped in
its wheel; one of them has sigma-delta neurons.
"""

import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tssl import datasets, netx
from tssl.chip import ChipNetwork, CubaNeuron, InputLayer, IntArray, Layer, conv_layer, dense_layer
from tssl.engine import Compiled
from tssl.errors import TsslError

RATE = 0.12
"""Spikes per neuron and step: the trained digits network of the README fires at 15 %."""
LIT = 0.5
"""Share of pixels that are not background, as in Fashion-MNIST's 50 %."""
CALIBRATION = 8
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Where this project's machines keep data sets; elsewhere MNIST is downloaded."""

Maker = Callable[[int], IntArray]


class Case(NamedTuple):
    """A network, its input, and how much of it to measure."""

    title: str
    network: ChipNetwork
    path: Path | None
    """The file that Lava reads; None when the benchmark writes it."""
    time_steps: int
    inputs: Maker
    """Makes ``(1, samples, inputs)`` integers for so many samples."""
    lava_samples: int
    engine_samples: int
    target: int | None
    """Times Lava's rate that issues 7 and 16 ask for; None where nothing was asked."""


def mlp() -> Case:
    """784-400-400-10 of the TSSL-BP paper, graded pixels at every step."""
    rng = np.random.default_rng(1)
    sizes = (784, 400, 400, 10)
    layers, source = [], "input"
    for index in range(3):
        weight = 2 * rng.integers(-60, 61, (sizes[index + 1], sizes[index]))
        layers.append(dense_layer(name=f"d{index}", source=source, weight=weight, neuron=TSSL))
        source = f"d{index}"
    network = fitted("784-400-400-10", (784,), layers, pixels(784))
    return Case(network.name, network, None, 5, pixels(784), 400, 20_000, 280)


def fashion_cnn() -> Case:
    """32C5-P2-64C5-P2-1024-10 as it is exported: pooling merged into the next weights."""
    rng = np.random.default_rng(2)

    def kernels(*shape: int, pool: int = 1) -> IntArray:
        weight = 2 * rng.integers(-60, 61, shape)
        return weight.repeat(pool, axis=2).repeat(pool, axis=3)

    first = conv_layer(
        name="c1", source="input", neuron=TSSL, map_shape=(1, 28, 28), padding=(2, 2),
        weight=kernels(32, 1, 5, 5),
    )  # fmt: skip
    second = conv_layer(
        name="c2", source="c1", neuron=TSSL, map_shape=(32, 28, 28), padding=(4, 4),
        stride=(2, 2), weight=kernels(64, 32, 5, 5, pool=2),
    )  # fmt: skip
    spread = kernels(1024, 64, 7, 7, pool=2).reshape(1024, -1)
    third = dense_layer(name="d3", source="c2", neuron=TSSL, weight=spread)
    fourth = dense_layer(
        name="d4", source="d3", neuron=TSSL, weight=kernels(10, 1024, 1, 1)[..., 0, 0]
    )
    layers = [first, second, third, fourth]
    network = fitted("32C5-P2-64C5-P2-1024-10", (1, 28, 28), layers, pixels(784))
    return Case(network.name, network, None, 5, pixels(784), 8, 400, 200)


def mnist() -> Case:
    """lava-dl's mnist.net, 784-512-512-10, pixels as biases of input neurons.

    The file says ``76 x + 64``; with ``x`` in -1...1 the background stays silent.
    """
    path = lava_file("mnist.net")

    def inputs(samples: int) -> IntArray:
        images = digits(samples)
        return np.rint(76 * (images / 127.5 - 1) + 64).astype(np.int64)[None]

    return Case("mnist.net", netx.read(path), path, 16, inputs, 60, 5_000, 140)


def pilotnet() -> Case:
    """lava-dl's pilotnet_lif, the stored frame moved sideways by a pixel per sample."""
    path = lava_file("gts/pilotnet_lif/network.net")
    frame = np.load(lava_file("gts/pilotnet_lif/image.npy")).astype(np.int64)

    def inputs(samples: int) -> IntArray:
        moved = [np.roll(frame, shift, axis=0).transpose().reshape(-1) for shift in range(samples)]
        return np.array(moved)[None]

    return Case("pilotnet_lif", netx.read(path), path, 16, inputs, 4, 48, 90)


def pilotnet_sdnn() -> Case:
    """lava-dl's pilotnet_sdnn: films of 16 frames, the stored frame a pixel further in each.

    The whole picture moves, so that about as many pixels change as in a drive, and more than in
    front of a camera that stands still.
    """
    path = lava_file("gts/pilotnet_sdnn/network.net")
    frame = np.load(lava_file("gts/pilotnet_sdnn/input.npy"))[..., 0].astype(np.int64)
    steps = 16

    def inputs(samples: int) -> IntArray:
        moved = [
            [
                np.roll(frame, shift + step, axis=0).transpose().reshape(-1)
                for shift in range(samples)
            ]
            for step in range(steps)
        ]
        return np.array(moved)

    return Case("pilotnet_sdnn", netx.read(path), path, steps, inputs, 6, 96, 90)


TSSL = CubaNeuron(current_decay=1365, voltage_decay=819, threshold=0)
"""tau_s = 3, tau_m = 5, as in the paper; the threshold is fitted."""


def fitted(name: str, shape: tuple[int, ...], layers: list[Layer], inputs: Maker) -> ChipNetwork:
    """Return the network with thresholds at which every layer of its neuron fires at ``RATE``."""
    source = InputLayer(shape=shape)
    train, done = inputs(CALIBRATION), []
    for layer in layers:
        done.append(layer)
        if layer.neuron != TSSL:  # a gate, whose threshold says what it computes
            continue
        low, high = 0, 1 << 17
        while high - low > 1:
            middle = (low + high) // 2
            done[-1] = with_threshold(layer, middle)
            network = ChipNetwork(name=name, input=source, layers=tuple(done))
            fires = Compiled(network).run(train, 5).trains[layer.name].mean() > RATE
            low, high = (middle, high) if fires else (low, middle)
        done[-1] = with_threshold(layer, high)
    return ChipNetwork(name=name, input=source, layers=tuple(done))


def with_threshold(layer: Layer, threshold: int) -> Layer:
    """Return the layer with another threshold."""
    fields = {name: getattr(layer, name) for name in layer.__dataclass_fields__}
    neuron = CubaNeuron(
        current_decay=layer.neuron.current_decay,
        voltage_decay=layer.neuron.voltage_decay,
        threshold=threshold,
    )
    return type(layer)(**{**fields, "neuron": neuron})


def pixels(size: int) -> Maker:
    """Return a maker of images as the recipes encode them, -3...22; background is -3, not 0."""

    def make(samples: int) -> IntArray:
        rng = np.random.default_rng(samples)
        lit = rng.random((1, samples, size)) < LIT
        return np.where(lit, rng.integers(-2, 23, lit.shape), -3)

    return make


def digits(samples: int) -> IntArray:
    """Return images of MNIST, or of noise with as many lit pixels where there is none."""
    try:
        images = datasets.load(
            "mnist", "test", data_dir=DATA if DATA.is_dir() else None
        ).inputs.reshape(-1, 784)
    except TsslError:
        rng = np.random.default_rng(3)
        images = rng.integers(1, 256, (1000, 784)) * (rng.random((1000, 784)) < 0.19)
    return images[np.arange(samples) % len(images)].astype(np.int64)


def lava_file(name: str) -> Path:
    """Return a file among the tests that lava-dl's wheel brings along."""
    distribution = importlib.metadata.distribution("lava-dl")
    return Path(str(distribution.locate_file(f"tests/lava/lib/dl/netx/{name}")))


CASES: dict[str, Callable[[], Case]] = {
    "mlp": mlp,
    "mnist": mnist,
    "cnn": fashion_cnn,
    "pilotnet": pilotnet,
    "pilotnet-sdnn": pilotnet_sdnn,
}
"""By the names that the command line takes."""
