"""Where cores lie and how far spikes go, counted by hand."""

import numpy as np
import pytest

from tests.hw_profiles.networks import counts, dense, pilotnet, recurrent
from tssl.hw_profiles import CostOptions, estimate, load_profile, map_to_cores
from tssl.hw_profiles.mapping.placement import (
    Edge,
    by_rule,
    cores_of,
    edges_between,
    hops,
    searched,
)

LOIHI2 = load_profile("loihi2")
HALA = load_profile("hala-point")


def costs(profile, network, done, **options):
    return estimate(profile, network, done, map_to_cores(profile, network), CostOptions(**options))


def test_tiles_follow_the_mesh_in_a_snake():
    slots = by_rule(LOIHI2, 128, shared=False)
    assert slots.column[:8].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert (slots.column[31], slots.row[31]) == (7, 0)
    assert (slots.column[32], slots.row[32]) == (7, 1)  # back again
    assert (slots.column[127], slots.row[127]) == (0, 3)
    steps = np.abs(np.diff(slots.column)) + np.abs(np.diff(slots.row))
    assert steps.max() == 1
    assert len({*zip(slots.core.tolist(), slots.chip.tolist(), strict=True)}) == 128


def test_cores_fill_chip_after_chip():
    slots = by_rule(HALA, 250, shared=False)
    assert np.bincount(slots.chip).tolist() == [122, 122, 6]
    assert slots.core.max() == 121


def test_hops_by_hand():
    slots = by_rule(LOIHI2, 128, shared=False)
    way = hops(slots, [Edge(0, 1, 1.0), Edge(0, 31, 1.0), Edge(0, 127, 1.0), Edge(31, 32, 1.0)])
    assert way.east_west.tolist() == [0, 7, 0, 0]
    assert way.north_south.tolist() == [0, 0, 3, 1]
    assert way.crossings.tolist() == [0, 0, 0, 0]


def test_a_message_to_another_chip_goes_through_the_first_tiles():
    slots = by_rule(HALA, 244, shared=False)
    way = hops(slots, [Edge(31, 122 + 32, 1.0)])
    assert (way.east_west.item(), way.north_south.item(), way.crossings.item()) == (14, 1, 1)


def test_every_neuron_is_on_one_core():
    network = pilotnet()
    cores = cores_of(network, map_to_cores(LOIHI2, network))
    assert len(cores) == 71
    for layer in network.layers:
        held = np.concatenate([core.neurons for core in cores if core.layer == layer.name])
        assert np.sort(held).tolist() == list(range(layer.neurons))


def test_a_convolution_hears_only_the_columns_it_needs():
    network = pilotnet()
    cores = cores_of(network, map_to_cores(LOIHI2, network))
    edges = edges_between(network, cores)
    layers = [core.layer for core in cores]
    first = layers.index("conv2")
    # conv2's first core holds columns 0...3: it reads columns 0...8 of conv1, whose cores hold 4
    heard = {edge.source - layers.index("conv1"): edge.share for edge in edges
             if edge.target == first}  # fmt: skip
    assert heard == {0: 1.0, 1: 1.0, 2: 0.25}
    wide = layers.index("dense1")
    assert sum(edge.share for edge in edges if edge.target == wide) == 2  # both cores of conv5


def test_traffic_and_its_price_by_hand():
    network = dense(784, 300, 10)  # seven cores of 43 or 42 neurons send to the eighth
    done = counts(network, operations=[0, 0], active=[0, 0], spikes=[30, 7], time_steps=2)
    report = costs(LOIHI2, network, done)
    assert [entry.cores for entry in report.mapping] == [7, 1]
    assert report.traffic.messages == pytest.approx(60)
    far = 60 * 4 * 43 / 300  # the first four are one tile further west
    assert report.traffic.hops_east_west == pytest.approx(far)
    assert report.traffic.hops_north_south == report.traffic.chip_crossings == 0
    assert report.by_name["hops east-west"].value == pytest.approx(far * 3e-12)
    by_core = sum(load.joules for load in report.loads)
    assert by_core == pytest.approx(report.by_part["dynamic"].value)


def test_recurrent_spikes_are_messages_to_all_cores_of_their_own_layer():
    network = recurrent(1000, 10)
    done = counts(network, operations=[0, 0], active=[0, 0], spikes=[100, 7])
    report = costs(LOIHI2, network, done)
    (own, after) = (entry.cores for entry in report.mapping)
    assert own > 1
    assert report.traffic.messages == pytest.approx(100 * (own + after))
    places = [core // 4 for core in range(own + 1)]  # four cores a tile, all in one row
    along = sum(abs(here - there) for here in places[:own] for there in places)
    assert own < 32
    assert report.traffic.hops_east_west == pytest.approx(100 / own * along, rel=2e-3)


def test_a_search_is_never_worse_and_says_what_it_did():
    network = pilotnet()
    neurons = [layer.neurons for layer in network.layers]
    done = counts(network, operations=[1000] * 9, active=neurons, spikes=[100] * 9)
    rule, better = (costs(LOIHI2, network, done, search=search).traffic for search in (False, True))
    assert better.messages == pytest.approx(rule.messages)
    assert (
        better.hops_east_west + better.hops_north_south
        < rule.hops_east_west + rule.hops_north_south
    )
    assert "trial swaps" in better.placement


def test_a_search_gives_every_core_its_own_place():
    slots = by_rule(LOIHI2, 40, shared=False)
    edges = [Edge(i, (7 * i) % 40, 1.0) for i in range(40) if i != (7 * i) % 40]
    found = searched(LOIHI2, slots, edges, np.ones(len(edges)))
    assert len(set(found.core.tolist())) == 40
    assert searched(load_profile("spinnaker2"), slots, edges, np.ones(len(edges))) is slots


def test_networks_over_several_chips_are_mapped():
    network = dense(4, 4095 * 130)
    done = counts(network, operations=[9], active=[9], spikes=[9])
    report = costs(load_profile("kapoho-point"), network, done)
    assert (report.cores, report.chips) == (130, 2)
    static = next(term for term in report.energy if term.name == "static power")
    assert static.joules == pytest.approx(2 * 0.232 * report.latency.value)
    # the updates of 4095 neurons take 10.9 us, more than the barrier between chips
    assert report.step_time.low == pytest.approx(4095 * 0.586e-9, rel=0.01)
    small = costs(load_profile("kapoho-point"), dense(4, 3), counts(
        dense(4, 3), operations=[9], active=[3], spikes=[1]))  # fmt: skip
    assert small.step_time.value == pytest.approx(200e-9)  # one chip: its own barrier
