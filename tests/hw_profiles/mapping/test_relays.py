"""Relays among counts, cores and costs, against a residual network counted by hand."""

from dataclasses import replace

import numpy as np
import pytest

from tests.graphs import graph_inputs, graph_net, sew_net
from tests.lava_runtime.networks import MAKERS
from tssl.chip import (
    ChipNetwork,
    CubaNeuron,
    InputLayer,
    Layer,
    conv_layer,
    dense_layer,
    is_relay,
    with_relays,
)
from tssl.engine import OperationCounter, run_chunk
from tssl.errors import DataError
from tssl.hw_profiles import estimate, load_profile, map_to_cores, relayed_counts
from tssl.hw_profiles.mapping.placement import cores_of, edges_between
from tssl.results import OpCounts

FIRES = CubaNeuron(current_decay=4096, voltage_decay=4096, threshold=1)


def counted(network: ChipNetwork, train: np.ndarray, steps: int) -> OpCounts:
    return OperationCounter(network).count(train, run_chunk(network, train, steps))


def residual() -> ChipNetwork:
    """a hears the input, b hears a, c hears b and a, d hears c and a; all copy their sums."""

    def layer(name: str, *sources: str) -> Layer:
        parts = [dense_layer(name=name, source=of, weight=2 * np.eye(3), neuron=FIRES)
                 for of in sources]  # fmt: skip
        connections = tuple(each for part in parts for each in part.connections)
        return replace(parts[0], connections=connections)

    layers = layer("a", "input"), layer("b", "a"), layer("c", "b", "a"), layer("d", "c", "a")
    return ChipNetwork(name="residual", input=InputLayer(shape=(3,)), layers=layers)


def test_a_residual_network_by_hand():
    """Every layer fires what enters: 2 spikes, then none, then 3; a relay passes on what a did."""
    network = residual()
    relayed = with_relays(network)
    train = np.array([[[1, 1, 0]], [[0, 0, 0]], [[1, 1, 1]]])
    counts = relayed_counts(network, relayed, counted(network, train, 3))
    assert counts.layers == ("a", "b", "relay1_of_a", "c", "relay2_of_a", "d")
    assert counts.neurons.tolist() == [3] * 6
    assert counts.spikes.tolist() == [[2, 0, 3]] * 6
    assert counts.active_updates.tolist() == [[2, 0, 3]] * 6
    one, two = [2, 0, 3], [4, 0, 6]
    assert counts.synaptic_operations.tolist() == [one, one, one, two, one, two]
    zeros = [[2 * n for n in row] for row in (one, one, [0, 0, 0], two, [0, 0, 0], two)]
    assert counts.stored_zeros.tolist() == zeros


def test_what_it_costs_by_hand():
    network, profile = residual(), load_profile("loihi2")
    train = np.array([[[1, 1, 0]], [[0, 0, 0]], [[1, 1, 1]]])
    mapping = map_to_cores(profile, network)
    names = {entry.layer: entry.relay_of for entry in mapping}
    assert names == {
        "a": None, "b": None, "relay1_of_a": "a", "c": None, "relay2_of_a": "relay1_of_a", "d": None
    }  # fmt: skip
    assert [(entry.neurons, entry.cores) for entry in mapping] == [(3, 1)] * 6
    costs = estimate(profile, network, counted(network, train, 3), mapping)
    amounts = {term.name: term.operations for term in costs.energy if term.layer == "relay2_of_a"}
    assert amounts["synaptic operations"] == amounts["active neuron updates"] == 5
    assert amounts["inactive neuron updates"] == 3 * 3 - 5
    assert costs.cores == 6
    # a sends to b and its relay, that to c and the next, all others to one core
    assert costs.traffic.messages == 5 * (2 + 1 + 2 + 1 + 1)
    assert {load.layer for load in costs.loads} == set(names)


@pytest.mark.parametrize("seed", range(30))
def test_counts_follow_from_the_sources(seed: int):
    """The relays themselves, run and counted like any layer, say the same."""
    rng = np.random.default_rng(seed)
    network = graph_net(rng)
    train = graph_inputs(rng, network, 6, 3)
    relayed = with_relays(network)
    ours = relayed_counts(network, relayed, counted(network, train, 6))
    theirs = counted(relayed, train, 6)
    assert ours.layers == theirs.layers
    for field in ("neurons", "synaptic_operations", "active_updates", "spikes", "input_spikes",
                  "stored_zeros"):  # fmt: skip
        assert np.array_equal(getattr(ours, field), getattr(theirs, field)), field


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_a_chain_keeps_its_figures(rng, maker):
    network = maker(rng)
    assert not any(is_relay(layer) for layer in network.layers)
    counts = counted(network, np.zeros((1, 1, network.input.neurons), int), 4)
    again = relayed_counts(network, with_relays(network), counts)
    assert again.layers == counts.layers
    assert np.array_equal(again.synaptic_operations, counts.synaptic_operations)


def test_counts_of_another_network_are_refused(rng):
    network, counts = sew_net(rng), counted(residual(), np.ones((1, 1, 3), int), 2)
    with pytest.raises(DataError, match="network sew has conv1, conv2, conv3"):
        relayed_counts(network, network, counts)


def test_a_conventional_device_has_none():
    network = residual()
    counts = counted(network, np.ones((1, 1, 3), int), 2)
    profile = load_profile("jetson-orin")
    costs = estimate(profile, network, counts, map_to_cores(profile, network))
    assert {term.layer for term in costs.energy} <= {"a", "b", "c", "d", None}


def test_relays_of_large_maps_spread_evenly_and_hear_only_what_they_repeat():
    """Eight maps of 64 x 64, more than a core of Loihi 2 holds."""

    def conv(name: str, source: str, channels: int) -> Layer:
        return conv_layer(
            name=name, source=source, neuron=FIRES, map_shape=(channels, 64, 64),
            weight=np.full((8, channels, 1, 1), 2),
        )  # fmt: skip

    third = conv("c", "b", 8)
    both = (*third.connections, *conv("c", "a", 8).connections)
    layers = conv("a", "input", 1), conv("b", "a", 8), replace(third, connections=both)
    network = ChipNetwork(name="n", input=InputLayer(shape=(1, 64, 64)), layers=layers)
    profile, relayed = load_profile("loihi2"), with_relays(network)
    mapping = map_to_cores(profile, network)
    (relay,) = (entry for entry in mapping if entry.relay_of == "a")
    most = int(profile.figures.neurons_per_core.value)
    assert relay.neurons == 8 * 64 * 64
    assert relay.cores >= relay.neurons / most
    cores = cores_of(relayed, mapping)
    sent = 0.0
    for edge in edges_between(relayed, cores):
        if cores[edge.target].layer == relay.layer:
            sent += edge.share * len(cores[edge.source].neurons)
    assert sent == pytest.approx(relay.neurons)  # each spike goes to one core of the relay
