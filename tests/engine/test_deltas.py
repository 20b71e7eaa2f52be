"""The compiled loops of sigma-delta neurons against ``tssl.chip``, which an oracle judges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lava_runtime import test_sigma_delta as networks
from tssl.chip import (
    INPUT,
    ChipNetwork,
    DeltaNeuron,
    InputLayer,
    IntArray,
    Layer,
    SigmaDeltaNeuron,
    SigmaNeuron,
    Train,
    conv_layer,
    dense_layer,
)
from tssl.engine import Compiled, deltas
from tssl.engine.events import Fired, rows_of
from tssl.errors import RangeError
from tssl.results import Recording

STEPS = 5


def by_the_hub(network: ChipNetwork, train: IntArray, steps: int) -> dict[str, Train]:
    """Return what all layers send, computed by ``tssl.chip`` alone."""
    trains: dict[str, Train] = {INPUT: train}
    if network.input.neuron is not None:
        trains[INPUT] = network.input.neuron.run(*network.input.driven(train), steps).spikes
    for layer in network.layers:
        trains[layer.name] = layer.run(trains, steps).spikes
    return trains


def assert_equal(network: ChipNetwork, train: IntArray, steps: int) -> Recording:
    found, expected = Compiled(network).run(train, steps), by_the_hub(network, train, steps)
    for name, sent in found.trains.items():
        assert sent.dtype == expected[name].dtype
        assert np.array_equal(sent, expected[name]), name
    return found


@pytest.mark.parametrize("make", networks.MAKERS)
def test_whole_networks(rng: np.random.Generator, make):
    network = make(rng)
    train = networks.video(rng, network, 5, STEPS)
    found = assert_equal(network, train, STEPS)
    assert all(sent.any() for sent in found.trains.values())
    assert np.array_equal(
        found.output_potential,
        network.output.neuron.seen(
            network.output.run({INPUT: train, **found.trains}, STEPS).state
        ).potential,
    )


def test_a_picture_that_stands_still(rng: np.random.Generator):
    network = networks.conv(rng)
    found = assert_equal(network, networks.video(rng, network, 2, 1), STEPS)
    assert found.trains["input"][0].any()
    assert not found.trains["input"][1:].any()


def used(layer: Layer, train: IntArray, steps: int) -> bool:
    """Compare one layer with the hub; return whether the kernels computed it."""
    room = Fired.room(train.shape[1], steps, layer.neurons, np.int32)
    runner = deltas.run_sigma if isinstance(layer.neuron, SigmaNeuron) else deltas.run_sigma_delta
    sources = {INPUT: np.ascontiguousarray(train.transpose(1, 0, 2), np.int32)}
    if not runner(layer, rows_of(layer), sources, room):
        return False
    run = layer.run({INPUT: train}, steps)
    assert np.array_equal(room.spikes.transpose(1, 0, 2), run.spikes)
    current, potential = layer.neuron.seen(run.state)
    assert np.array_equal(room.current, current)
    assert np.array_equal(room.potential, potential)
    return True


@given(st.integers(-3, 2**19 - 1), st.integers(0, 2**20), st.integers(0, 2**32 - 1))
def test_sums_of_a_convolution_wrap_at_24_bits(threshold: int, size: int, seed: int):
    rng = np.random.default_rng(seed)
    layer = conv_layer(
        name="c", source=INPUT, weight=rng.integers(-4000, 4000, (2, 1, 2, 2)), map_shape=(1, 3, 3),
        neuron=SigmaDeltaNeuron(threshold=threshold), bias=rng.integers(-(2**17), 2**17, 2),
    )  # fmt: skip
    train = rng.integers(-size - 1, size + 1, (STEPS, 2, 9))
    try:
        layer.run({INPUT: train}, STEPS)
    except RangeError:
        with pytest.raises(RangeError, match=r"^layer c: a message of -?\d+ does not fit 16 bits"):
            used(layer, train, STEPS)
        return
    assert used(layer, train, STEPS)


def test_values_wrap_at_32_bits():
    neuron = SigmaNeuron()
    layer = dense_layer(name="d", source=INPUT, weight=[[255], [-255]], neuron=neuron)
    train = np.full((300, 1, 1), 1 << 22) >> 1
    assert used(layer, train, 300)
    assert np.ptp(layer.run({INPUT: train}, 300).spikes.astype(np.int64)) > 2**31


def test_a_dense_sum_that_might_overflow_is_left_to_the_hub():
    weight = np.full((1, 600), 254)
    weight[0, 0] = -2
    layer = dense_layer(name="d", source=INPUT, weight=weight, neuron=SigmaDeltaNeuron(threshold=0))
    assert not used(layer, np.full((1, 1, 600), 1 << 14), 1)
    network = ChipNetwork(name="n", input=InputLayer(shape=(600,)), layers=(layer,))
    with pytest.raises(RangeError, match=r"layer d: a weighted input sum of .* overflows 32 bits"):
        Compiled(network).run(np.full((1, 1, 600), 1 << 14), 1)


def test_changes_of_the_input_that_do_not_fit_are_refused(rng: np.random.Generator):
    network = networks.dense(rng)
    neuron = network.input.neuron
    assert isinstance(neuron, DeltaNeuron)
    with pytest.raises(RangeError, match=r"^layer input: a message of 32768 does not fit 16 bits"):
        Compiled(network).run(np.full((1, 1, 5), 512), 2)
