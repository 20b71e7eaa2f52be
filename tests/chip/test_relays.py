"""Relays: all paths equally long, and no spike of the network changed."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graphs import graph_inputs, graph_net, sew_net
from tests.lava_runtime.networks import MAKERS
from tssl.chip import INPUT, ChipNetwork, InputLayer, Layer, depths, storage_problem, with_relays
from tssl.engine import run_chunk


def names(network: ChipNetwork) -> list[str]:
    return [layer.name for layer in network.layers]


def test_depth_is_the_longest_way(rng):
    assert depths(sew_net(rng)) == {"input": 0, "conv1": 1, "conv2": 2, "conv3": 3}


def test_a_relay_stands_in_the_shorter_path(rng):
    relayed = with_relays(sew_net(rng))
    assert names(relayed) == ["conv1", "conv2", "relay1_of_conv1", "conv3"]
    sources = {layer.name: [each.source for each in layer.arriving] for layer in relayed.layers}
    assert sources["relay1_of_conv1"] == ["conv1"]
    assert sources["conv3"] == ["conv2", "relay1_of_conv1"]


@given(seed=st.integers(0, 2**32))
def test_no_spike_changes_and_all_sources_are_equally_deep(seed: int):
    rng = np.random.default_rng(seed)
    network = graph_net(rng)
    train = graph_inputs(rng, network, 6, 2)
    relayed = with_relays(network)
    depth = depths(relayed)
    from_outside = {INPUT} if network.input.neuron is None else set()
    for layer in relayed.layers:
        sources = {each.source for each in layer.arriving} - from_outside
        assert {depth[source] for source in sources} <= {depth[layer.name] - 1}
    before, after = (run_chunk(each, train, 6) for each in (network, relayed))
    for name, spikes in before.trains.items():
        assert np.array_equal(after.trains[name], spikes)
    assert np.array_equal(after.output_potential, before.output_potential)
    assert relayed.output.name == network.output.name


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_a_chain_needs_none(rng, maker):
    network = maker(rng)
    assert with_relays(network) is network


def test_readers_share_relays(dense: Callable[..., Layer]):
    """c and d are one and two steps too far from a; both take the first relay."""
    a, b = dense(4, 3, name="a"), dense(3, 3, name="b", source="a")
    c, d = (
        replace(
            dense(3, 3, name=name, source=source),
            connections=tuple(
                each for of in (source, "a") for each in dense(3, 3, source=of).connections
            ),
        )
        for name, source in (("c", "b"), ("d", "c"))
    )
    network = ChipNetwork(name="n", input=InputLayer(shape=(4,)), layers=(a, b, c, d))
    relayed = with_relays(network)
    assert names(relayed) == ["a", "b", "relay1_of_a", "c", "relay2_of_a", "d"]


def test_a_name_that_is_taken_is_left_alone(rng):
    network = sew_net(rng)
    first, second, third = network.layers
    taken = replace(second, name="relay1_of_conv1")
    moved = (replace(third.connections[0], source=taken.name), third.connections[1])
    network = replace(network, layers=(first, taken, replace(third, connections=moved)))
    assert names(with_relays(network))[2] == "relay1_of_conv1_"


def beside_the_input(rng, dense: Callable[..., Layer]) -> ChipNetwork:
    first, second = dense(5, 4, name="a"), dense(4, 3, name="b", source="a")
    both = (*second.connections, *dense(5, 3).connections)
    layers = (first, replace(second, connections=both))
    return ChipNetwork(name="n", input=InputLayer(shape=(5,)), layers=layers)


def test_input_is_repeated_by_who_sends_it(rng, dense: Callable[..., Layer], neuron):
    network = beside_the_input(rng, dense)
    assert with_relays(network) is network
    block = replace(network, input=InputLayer(shape=(5,), neuron=neuron))
    assert names(with_relays(block)) == ["a", "relay1_of_input", "b"]


def test_what_a_relay_costs(rng):
    """One neuron and one synapse for each neuron of its source, whatever the shape."""
    relay = with_relays(sew_net(rng)).layers[2]
    (connection,) = relay.connections
    assert relay.neurons == connection.synapses.inputs == 4 * 6 * 5
    assert (connection.synapses.fan_out() == 1).all()
    assert (connection.synapses.stored() == 1).all()
    assert storage_problem(connection.synapses.weight) is None
