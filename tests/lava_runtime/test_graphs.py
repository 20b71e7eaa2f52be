"""Networks that are no chains, built from Lava's own processes, against our engine."""

from dataclasses import replace

import numpy as np
import pytest

from tests.graphs import graph_inputs, graph_net, sew_net, skipped_input_net
from tests.lava_runtime.networks import MAKERS, NEURON, weights
from tests.lava_runtime.test_lava_sim import assert_same, inputs, run_all
from tssl import netx
from tssl.chip import (
    ChipNetwork,
    Connection,
    DenseSynapses,
    InputLayer,
    Layer,
    dense_layer,
    with_relays,
)
from tssl.engine import OperationCounter, run_chunk
from tssl.errors import UnsupportedLayerError
from tssl.hw_profiles import relayed_counts
from tssl.lava_runtime import lava_sim
from tssl.lava_runtime.lava_sim import LavaSim
from tssl.lava_runtime.loihi2 import Loihi2
from tssl.proof.compare import first_difference

pytestmark = pytest.mark.lava


def beside(rng: np.random.Generator, network: ChipNetwork) -> ChipNetwork:
    """Return a chain with a layer at its side that nobody listens to; it is then a graph."""
    first, *others = network.layers
    side = dense_layer(
        name="side", source=first.name, weight=weights(rng, 3, first.neurons), neuron=NEURON
    )
    return replace(network, layers=(first, side, *others))


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_a_chain_built_in_both_ways_does_the_same(rng, maker):
    """Graded input, biases, delays, recurrence, input neurons; lava-dl builds one of them."""
    chain = maker(rng)
    graph = beside(rng, chain)
    assert not netx.is_graph(chain)
    assert netx.is_graph(graph)
    train = inputs(rng, chain, 7, 4)
    by_lava_dl, by_us = (run_all(LavaSim(), each, train, 7) for each in (chain, graph))
    assert by_us.trains.keys() - by_lava_dl.trains.keys() == {"side"}
    for name, spikes in by_lava_dl.trains.items():
        assert np.array_equal(by_us.trains[name], spikes), name
    assert np.array_equal(by_us.output_potential, by_lava_dl.output_potential)
    assert any(spikes.any() for spikes in by_lava_dl.trains.values())


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("maker", [sew_net, skipped_input_net])
def test_a_residual_block(rng, workers, maker):
    """conv3 hears conv2 and conv1 through the same weights; samples follow like beads."""
    network = maker(rng)
    train = rng.integers(0, 2, (8, 5, 60))
    recording = run_all(LavaSim(workers=workers), network, train, 8)
    assert set(recording.trains) == {"conv1", "conv2", "conv3"}
    assert_same(network, train, 8, recording)


def test_relays_of_the_network_itself_are_recorded_and_counted(rng):
    plain = sew_net(rng)
    network = with_relays(plain)
    train = rng.integers(0, 2, (6, 2, 60))
    recording = run_all(LavaSim(), network, train, 6)
    assert "relay1_of_conv1" in recording.trains
    assert_same(network, train, 6, recording)
    theirs = OperationCounter(network).count(train, recording)
    counts = OperationCounter(plain).count(train, run_chunk(plain, train, 6))
    ours = relayed_counts(plain, network, counts)
    for field in ("spikes", "synaptic_operations", "active_updates", "neurons"):
        assert np.array_equal(getattr(ours, field), getattr(theirs, field)), field


def test_the_output_need_not_be_the_deepest_layer(rng, monkeypatch):
    """Its potential is that after the last step of the sample, not of the run.

    Nothing is read before the deepest layer is done, however soon somebody looks.
    """
    monkeypatch.setattr(lava_sim, "_POLL_SECONDS", 0.0)
    network = sew_net(rng)
    early = dense_layer(
        name="early", source="conv1", weight=weights(rng, 4, 120), neuron=NEURON,
        bias=rng.integers(5, 30, 4),
    )  # fmt: skip
    network = replace(network, layers=(*network.layers, early))
    train = rng.integers(0, 2, (5, 3, 60))
    assert_same(network, train, 5, run_all(LavaSim(), network, train, 5))


def test_random_graphs(request):
    draws = request.config.getoption("--lava-draws")
    fired = set()
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        network = graph_net(rng)
        train = graph_inputs(rng, network, 6, 3)
        recording = run_all(LavaSim(), network, train, 6)
        expected = run_chunk(network, train, 6)
        difference = first_difference(network, expected, recording)
        assert difference is None, f"seed {seed}: {difference}"
        fired |= {seed for spikes in expected.trains.values() if 0 < spikes.mean() < 1}
    assert 2 * len(fired) > draws


def ladder(rng: np.random.Generator, *, delayed: bool) -> ChipNetwork:
    """A layer that hears the input, one that hears both, and one that hears all three."""
    layers: list[Layer] = []
    for name, size in (("a", 6), ("b", 4), ("c", 3)):
        heard = [("input", 5), *((each.name, each.neurons) for each in layers)]
        parts = [
            DenseSynapses(
                weight=weights(rng, size, inputs),
                delay=rng.integers(0, 4, (size, inputs)) if delayed else None,
            )
            for _, inputs in heard
        ]
        connections = [
            Connection(source=source, synapses=part)
            for (source, _), part in zip(heard, parts, strict=True)
        ]
        layers.append(Layer(name=name, connections=tuple(connections), neuron=NEURON))
    return ChipNetwork(name="ladder", input=InputLayer(shape=(5,)), layers=tuple(layers))


@pytest.mark.parametrize("delayed", [False, True])
@pytest.mark.parametrize("steps", [1, 9])
def test_graded_input_beside_deeper_layers(rng, steps, delayed):
    """It is sent again, one and two steps later, to who needs it then."""
    network, graded = ladder(rng, delayed=delayed), rng.integers(-4, 9, (steps, 4, 5))
    recording = run_all(LavaSim(), network, graded, 9)
    assert_same(network, graded, 9, recording)
    assert all(0 < recording.trains[name].mean() < 1 for name in "abc")


def test_a_board_takes_chains_only(rng):
    with pytest.raises(UnsupportedLayerError, match="network sew: only chains run on a board"):
        list(Loihi2().run(sew_net(rng), np.zeros((1, 1, 60), int), 4, lambda _: None))
