"""Sigma-delta networks on Lava's simulator and on our engine: every value at every step."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.lava_runtime.networks import EAGER, NEURON, lava_file, weights
from tests.lava_runtime.test_lava_sim import run_all
from tests.trainer import test_sigma_delta as trained
from tssl import netx
from tssl.chip import (
    ChipNetwork,
    DeltaNeuron,
    InputLayer,
    IntArray,
    Layer,
    SigmaDeltaNeuron,
    SigmaNeuron,
    conv_layer,
    dense_layer,
)
from tssl.engine import Compiled
from tssl.errors import UnsupportedLayerError
from tssl.lava_runtime.lava_sim import LavaSim, run_workers
from tssl.lava_runtime.process import WorkerSettings
from tssl.lava_runtime.worker.failures import HardwareError
from tssl.lava_runtime.worker.neurons import kind_of
from tssl.lava_runtime.worker.simulation import check_resets
from tssl.proof import compare, first_difference

pytestmark = pytest.mark.lava

HIDDEN = SigmaDeltaNeuron(threshold=1)
FINE = SigmaDeltaNeuron(threshold=0)


def dense(rng: np.random.Generator) -> ChipNetwork:
    layers = (
        dense_layer(
            name="a", source="input", weight=weights(rng, 7, 5), neuron=HIDDEN,
            bias=rng.integers(-9, 9, 7),
        ),
        dense_layer(name="b", source="a", weight=weights(rng, 6, 7), neuron=FINE),
        dense_layer(name="c", source="b", weight=weights(rng, 3, 6), neuron=SigmaNeuron()),
    )  # fmt: skip
    block = InputLayer(shape=(5,), neuron=DeltaNeuron(threshold=2))
    return ChipNetwork(name="dense", input=block, layers=layers)


def conv(rng: np.random.Generator) -> ChipNetwork:
    first = conv_layer(
        name="c1", source="input", weight=weights(rng, 4, 2, 3, 3), neuron=HIDDEN,
        map_shape=(2, 7, 6), padding=(1, 0), bias=rng.integers(-10, 40, 4),
    )  # fmt: skip
    second = conv_layer(
        name="c2", source="c1", weight=weights(rng, 6, 2, 2, 3) // 8, neuron=FINE,
        map_shape=(4, 7, 4), stride=(2, 1), dilation=(2, 1), groups=2,
    )  # fmt: skip
    third = dense_layer(
        name="out", source="c2", weight=weights(rng, 3, second.neurons) // 4, neuron=HIDDEN
    )
    block = InputLayer(shape=(2, 7, 6), neuron=DeltaNeuron(threshold=0))
    return ChipNetwork(name="conv", input=block, layers=(first, second, third))


def no_input_neurons(rng: np.random.Generator) -> ChipNetwork:
    layers = dense(rng).layers
    return ChipNetwork(name="bare", input=InputLayer(shape=(5,)), layers=layers)


def spikes_at_the_end(rng: np.random.Generator) -> ChipNetwork:
    first, *_ = dense(rng).layers
    last = dense_layer(name="b", source="a", weight=weights(rng, 4, 7), neuron=NEURON)
    block = InputLayer(shape=(5,), neuron=DeltaNeuron(threshold=0))
    return ChipNetwork(name="mixed", input=block, layers=(first, last))


def spikes_at_the_beginning(rng: np.random.Generator) -> ChipNetwork:
    first = dense_layer(name="a", source="input", weight=weights(rng, 7, 5), neuron=EAGER)
    _, *others = dense(rng).layers
    return ChipNetwork(name="mixed", input=InputLayer(shape=(5,)), layers=(first, *others))


def delayed(rng: np.random.Generator) -> ChipNetwork:
    layers = (
        dense_layer(
            name="a", source="input", weight=weights(rng, 7, 5), neuron=HIDDEN,
            delay=rng.integers(0, 4, (7, 5)), bias=rng.integers(-9, 9, 7),
        ),
        dense_layer(name="b", source="a", weight=weights(rng, 6, 7), neuron=FINE),
    )  # fmt: skip
    block = InputLayer(shape=(5,), neuron=DeltaNeuron(threshold=2))
    return ChipNetwork(name="delayed", input=block, layers=layers)


def recurrent(rng: np.random.Generator) -> ChipNetwork:
    first = dense_layer(
        name="a", source="input", weight=weights(rng, 7, 5) // 4, neuron=HIDDEN,
        recurrent_weight=weights(rng, 7, 7) // 4,
    )  # fmt: skip
    block = InputLayer(shape=(5,), neuron=DeltaNeuron(threshold=0))
    return ChipNetwork(name="recurrent", input=block, layers=(first,))


def recurrent_from_outside(rng: np.random.Generator) -> ChipNetwork:
    return ChipNetwork(name="bare", input=InputLayer(shape=(5,)), layers=recurrent(rng).layers)


MAKERS: list[Callable[[np.random.Generator], ChipNetwork]] = [
    dense, conv, no_input_neurons, spikes_at_the_end, spikes_at_the_beginning, delayed, recurrent,
    recurrent_from_outside,
]  # fmt: skip


def video(rng: np.random.Generator, network: ChipNetwork, samples: int, steps: int) -> IntArray:
    """Return frames that change here and there; spikes where the first layer takes such."""
    if not network.layers[0].neuron.graded:
        return rng.integers(0, 2, (steps, samples, network.input.neurons))
    unit = 64 if network.input.neuron is None else 1  # of messages, or of numbers
    changes = unit * rng.integers(-9, 10, (steps, samples, network.input.neurons))
    return np.cumsum(changes * (rng.random(changes.shape) < 0.4), axis=0)


@pytest.mark.parametrize("make", MAKERS)
def test_engine_and_lava_agree(rng: np.random.Generator, make, tmp_path: Path):
    network = make(rng)
    path = tmp_path / "n.net"
    netx.write(path, network)
    assert netx.read(path).digest == network.digest
    train = video(rng, network, 3, 7)
    names = network.graded
    ours = Compiled(network, names).run(train, 7)
    theirs = run_all(LavaSim(net_path=path, states=names), network, train, 7)
    assert first_difference(network, ours, theirs) is None
    assert all(sent.any() for sent in ours.trains.values())
    assert sum(row.compared for row in compare(network, ours, theirs)) > 300


@pytest.mark.parametrize("name", ["network", "square_network"])
def test_pilotnet(name: str):
    path = lava_file(f"gts/pilotnet_sdnn/{name}.net")
    network = netx.read(path)
    frame = np.load(lava_file("gts/pilotnet_sdnn/input.npy"))[..., 0]
    _, height, width = network.input.shape
    image = frame[:width, :height].transpose().reshape(1, 1, -1).astype(np.int64)
    train = np.concatenate([image, image // 2, -image, image, image, image - 1], axis=0)
    names = network.graded
    ours = Compiled(network, names).run(train, len(train))
    theirs = run_all(LavaSim(net_path=path, states=names), network, train, len(train))
    assert first_difference(network, ours, theirs) is None
    assert (np.count_nonzero(ours.trains["conv1"], axis=(1, 2)) > 0).tolist() == [True] * 4 + [
        False,
        True,
    ]


def test_spikes_into_a_recurrence_of_messages(rng: np.random.Generator, tmp_path: Path):
    """Lava's recurrent synapses have the message bits of the input."""
    network = recurrent_from_outside(rng)
    train = rng.integers(0, 2, (7, 2, 5))
    names = network.graded
    ours = Compiled(network, names).run(train, 7)
    theirs = run_all(LavaSim(states=names), network, train, 7)
    assert first_difference(network, ours, theirs) is None
    first = dense_layer(name="s", source="input", weight=weights(rng, 5, 5), neuron=EAGER)
    behind = replace(network.layers[0], connections=(
        replace(network.layers[0].connections[0], source="s"), *network.layers[0].own
    ))  # fmt: skip
    with pytest.raises(UnsupportedLayerError, match="layer a: its own messages come back beside"):
        netx.write(tmp_path / "n.net", replace(network, layers=(first, behind)))


def shown(layer: Layer, train: IntArray) -> IntArray:
    """Return what a single layer of sigma neurons shows, the same on the engine and on Lava."""
    block = InputLayer(shape=layer.synapses.input_shape)
    network = ChipNetwork(name="wide", input=block, layers=(layer,))
    ours = Compiled(network).run(train, len(train))
    theirs = run_all(LavaSim(), network, train, len(train))
    assert first_difference(network, ours, theirs) is None
    return ours.trains[layer.name].astype(np.int64)


def test_sums_of_a_convolution_wrap_at_24_bits(rng: np.random.Generator):
    weight = rng.integers(-4000, 4000, (3, 2, 3, 3))
    layer = conv_layer(
        name="c", source="input", weight=weight, map_shape=(2, 5, 4), neuron=SigmaNeuron()
    )
    train = rng.integers(0, 1 << 15, (6, 2, 40))
    windows = np.lib.stride_tricks.sliding_window_view(
        train.reshape(6, 2, 2, 5, 4), (3, 3), axis=(3, 4)
    )
    exact = np.einsum("tbchwij,ocij->tbohw", windows, weight).reshape(6, 2, -1)
    assert np.abs(exact).max() > 2**23
    wrapped = (exact + 2**23) % 2**24 - 2**23
    assert np.array_equal(shown(layer, train), np.cumsum(wrapped, axis=0))


def test_what_has_arrived_wraps_at_32_bits(rng: np.random.Generator):
    weight = np.array([[254] * 40, [-2] * 40])
    layer = dense_layer(name="d", source="input", weight=weight, neuron=SigmaNeuron())
    train = rng.integers(1 << 15, 1 << 16, (9, 2, 40))
    exact = np.cumsum(train @ weight.T, axis=0)
    assert np.abs(exact).max() > 2**31
    assert np.array_equal(shown(layer, train), (exact + 2**31) % 2**32 - 2**31)


@pytest.mark.parametrize("layers", [(trained.DENSE, trained.LAST), (trained.CONV, trained.LAST)])
def test_trained_networks(layers):
    _, quantized, calibration = trained.exported(trained.recipe(*layers))
    network, names = quantized.network, quantized.network.graded
    train = calibration[:, :5]
    ours = Compiled(network, names).run(train, trained.STEPS)
    theirs = run_all(LavaSim(states=names), network, train, trained.STEPS)
    assert first_difference(network, ours, theirs) is None
    assert all(sent.any() for sent in ours.trains.values())


def test_the_worker_refuses_a_board_too():
    with pytest.raises(HardwareError, match="neurons of type SigmaDelta run on Lava's simulator"):
        check_resets([type("LIFReset", (), {})(), type("SigmaDelta", (), {})()])
    with pytest.raises(TypeError, match="neurons of type RF are not known; known are LIF,"):
        kind_of(type("RF", (), {})())


def test_a_board_is_refused(rng: np.random.Generator):
    network = dense(rng)
    settings = WorkerSettings(hardware=True)
    with pytest.raises(UnsupportedLayerError, match="sigma-delta neurons run on Lava's simulator"):
        next(run_workers(settings, network, video(rng, network, 1, 3), 3, lambda _: None))
