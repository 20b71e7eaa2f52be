"""Energy and time by hand, on chips whose steps end at a barrier."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.graphs import sew_net
from tests.hw_profiles.networks import counts, dense
from tests.hw_profiles.validation import pilotnet_sdnn, sigma_delta_counts
from tests.layers import reconnected
from tssl.chip import NEVER, ChipNetwork, InputLayer, SigmaDeltaNeuron, dense_layer
from tssl.errors import DataError
from tssl.hw_profiles import estimate, load_profile, map_to_cores
from tssl.hw_profiles.calibration.amounts import amounts_of


def report(profile_name, network, done):
    profile = load_profile(profile_name)
    return estimate(profile, network, done, map_to_cores(profile, network))


def by_hand(profile_name):
    """4 inputs, 3 neurons, 2 steps, 10 samples; per step 6 operations, 2 active, 1 spike."""
    network = dense(4, 3)
    done = counts(
        network, operations=[6], active=[2], spikes=[1], time_steps=2, samples=10, input_spikes=2
    )
    return report(profile_name, network, done)


def test_energy_by_hand():
    costs = by_hand("loihi1")
    dynamic = 12 * 23.6e-12 + 4 * 81e-12 + 2 * 72.8e-12 + 2 * 1.7e-12
    assert costs.by_part["dynamic"].value == pytest.approx(dynamic)
    low = 12 * 17.3e-12 + 4 * 72.8e-12 + 2 * 51.2e-12 + 2 * 1.7e-12
    high = 12 * 35.5e-12 + 4 * 142.1e-12 + 2 * 81e-12 + 2 * 111e-12
    assert costs.by_part["dynamic"].low == pytest.approx(low)
    assert costs.by_part["dynamic"].high == pytest.approx(high)
    assert {term.name: term.operations for term in costs.energy if term.layer} == {
        "synaptic operations": 12,
        "active neuron updates": 4,
        "inactive neuron updates": 2,
        "spikes": 2,
    }


def of_values(profile_name):
    """The same with neurons that are programs."""
    network = dense(4, 3)
    layers = tuple(replace(each, neuron=SigmaDeltaNeuron(threshold=1)) for each in network.layers)
    done = counts(network, operations=[6], active=[2], spikes=[1], time_steps=2)
    return report(profile_name, replace(network, layers=layers), done)


def test_a_programmed_neuron_costs_the_same_whether_or_not_it_is_reached():
    costs = of_values("loihi2")
    dynamic = 12 * 23.6e-12 + 2 * 3 * 236e-12 + 2 * 1.7e-12
    assert costs.by_part["dynamic"].value == pytest.approx(dynamic)
    assert costs.step_time.value == pytest.approx(200e-9)  # the barrier; updates take 3 * 10.2 ns
    assert "programmed neuron updates" in {term.name for term in costs.energy}


def test_without_such_a_price_it_costs_what_others_cost():
    costs = of_values("spinnaker2")
    assert {term.name: term.operations for term in costs.energy if term.layer} == {
        "synaptic operations": 12,
        "active neuron updates": 4,
        "inactive neuron updates": 2,
    }


def test_the_price_is_listed_where_it_is_paid():
    for costs, there in ((of_values("loihi2"), True), (by_hand("loihi2"), False)):
        names = {item.statement for item in costs.assumptions}
        assert ("energy: neuron update programmed" in names) == there


def test_a_calibration_counts_them():
    network = pilotnet_sdnn()
    done = amounts_of(load_profile("loihi2"), network, sigma_delta_counts())
    assert done.energy["neuron_update_programmed"] == 118909
    assert "neuron_update_active" not in done.energy


def test_time_by_hand_with_an_added_barrier():
    costs = by_hand("loihi1")
    step = max(6 * 3.5e-9, 2 * 8.4e-9 + 1 * 5.3e-9)  # the updates: 22.1 ns
    assert step == pytest.approx(22.1e-9)
    assert costs.step_time.value == pytest.approx(step + 465e-9)
    assert costs.latency.value == pytest.approx(2 * step + 3 * 465e-9)  # one more step of delay
    assert costs.throughput.value == pytest.approx(1 / (2 * (step + 465e-9)))
    assert costs.by_part["static"].value == pytest.approx(0.1044 * costs.latency.value)
    assert costs.static_in_stream.value == pytest.approx(0.1044 * 2 * (step + 465e-9))


def test_time_by_hand_with_a_folded_barrier():
    costs = by_hand("loihi2")
    assert costs.step_time.value == pytest.approx(200e-9)  # 11 ns of work vanish in the barrier
    assert costs.latency.value == pytest.approx(3 * 200e-9)
    assert costs.step_time.high == pytest.approx(465e-9)


def test_work_is_spread_over_the_cores_of_a_layer_and_the_slowest_layer_counts():
    network = dense(784, 128, 10)
    done = counts(network, operations=[90000, 20000], active=[128, 10], spikes=[1, 1])
    costs = report("loihi2", network, done)
    fullest = 90000 * 43 / 128  # three cores of 43, 43 and 42 neurons
    assert costs.step_time.value == pytest.approx(fullest * 1.02e-9)
    assert costs.latency.value == pytest.approx((fullest + 20000) * 1.02e-9 + 200e-9)
    busy = [load.seconds for load in costs.loads]
    assert busy == pytest.approx([fullest * 1.02e-9] * 2 + [90000 * 42 / 128 * 1.02e-9, 20.4e-6])


def test_layers_of_a_stream_overlap_with_their_shift():
    network = dense(784, 10, 10)
    done = counts(network, operations=[0, 0], active=[0, 0], spikes=[0, 0], time_steps=4)
    done.synaptic_operations[:] = [[9000, 0, 0, 0], [0, 5000, 0, 0]]
    costs = report("loihi2", network, done)
    quiet = 200e-9
    # layer 1 works in step 1, layer 2 (two steps deep) in step 3: never together
    assert costs.latency.value == pytest.approx(14000 * 1.02e-9 + 4 * quiet)
    assert 1 / costs.throughput.value == pytest.approx(14000 * 1.02e-9 + 2 * quiet)


@pytest.mark.parametrize("name", ["loihi1", "loihi2", "kapoho-point", "hala-point"])
def test_terms_add_up_and_bands_enclose(name):
    network = dense(784, 128, 64, 10)
    done = counts(
        network, operations=[9000, 900, 90], active=[128, 60, 10], spikes=[9, 8, 7], time_steps=3
    )
    costs = report(name, network, done)
    total = sum(term.joules for term in costs.energy)
    for table in (costs.by_part, costs.by_name):
        assert sum(sum_.value for sum_ in table.values()) == pytest.approx(total)
    assert sum(of.value for of in costs.by_layer.values()) == pytest.approx(
        costs.by_part["dynamic"].value
    )
    assert costs.total.value == pytest.approx(total)
    for quantity in (costs.total, costs.latency, costs.throughput, *costs.by_part.values()):
        assert 0 < quantity.low < quantity.value < quantity.high
        assert quantity.kind in ("simulated", "estimate", "derived")
    assert "io" not in costs.by_part
    assert json.loads(json.dumps(costs.document()))["schema_version"] == 1


def test_kinds_are_never_firmer_than_what_they_are_made_of():
    assert by_hand("loihi1").by_part["dynamic"].kind == "simulated"
    assert by_hand("loihi1").total.kind == "estimate"  # static power
    assert by_hand("loihi2").by_part["dynamic"].kind == "estimate"


def test_every_price_and_every_rule_is_listed():
    costs = by_hand("loihi2")
    listed = {item.statement for item in costs.assumptions if item.quantity is not None}
    assert len(listed) == 12
    assert all(item.source and item.kind for item in costs.assumptions)
    text = " ".join(item.statement for item in costs.assumptions)
    assert "Not included: input and output" in text
    assert "from outside" in text


def test_a_stream_on_loihi2_must_reset_at_powers_of_two():
    network = dense(4, 3)
    done = counts(network, operations=[6], active=[2], spikes=[1], time_steps=5)
    (line,) = resets(report("loihi2", network, done))
    assert "a sample takes 8 steps, not 5" in line
    assert "The 3 idle steps" in line
    assert resets(by_hand("loihi2")) == resets(report("loihi1", network, done)) == []


def resets(costs):
    return [item.statement for item in costs.assumptions if "resets" in item.statement]


def test_idle_steps_until_the_reset_are_part_of_a_stream():
    network = dense(4, 3)
    done = counts(network, operations=[1000], active=[2], spikes=[1], time_steps=5)
    costs = report("loihi2", network, done)
    period = 5 * 1.02e-6 + 3 * 200e-9  # 5.7 microseconds
    assert costs.throughput.value == pytest.approx(1 / period)
    assert costs.step_time.value == pytest.approx(period / 8)
    power = load_profile("loihi2").energy.static_power_per_chip.value
    assert costs.static_in_stream.value == pytest.approx(power * period)
    assert costs.latency.value == pytest.approx(5 * 1.02e-6 + 200e-9)  # no reset, no idling
    assert "3 of them idle" in costs.throughput.source
    free = report("loihi1", network, done)
    assert 1 / free.throughput.value == pytest.approx(5 * (1000 * 3.5e-9 + 465e-9))
    assert "idle" not in free.throughput.source


def test_deeper_layers_work_in_the_idle_steps():
    network = dense(4, 3, 3)
    done = counts(network, operations=[1000, 1000], active=[2, 2], spikes=[1, 1], time_steps=5)
    costs = report("loihi2", network, done)
    # steps 1 to 5 and 2 to 6 of 8: six with work, two without
    assert 1 / costs.throughput.value == pytest.approx(6 * 1.02e-6 + 2 * 200e-9)


def test_relays_are_an_assumption_where_paths_differ_in_length(rng):
    def relays(profile, network):
        layers = len(network.layers)
        done = counts(network, operations=[6] * layers, active=[2] * layers, spikes=[1] * layers)
        items = report(profile, network, done).assumptions
        return [item.statement for item in items if "Paths to a layer" in item.statement]

    (statement,) = relays("loihi2", sew_net(rng))  # conv1 has 4 maps of 6 x 5
    assert "relays, 120 neurons, repeat spikes" in statement
    assert relays("loihi2", dense(4, 3, 3)) == []


def test_reading_potentials_is_an_assumption_where_the_output_never_fires():
    def reads(network):
        done = counts(network, operations=[6] * 2, active=[2] * 2, spikes=[1] * 2)
        items = report("loihi2", network, done).assumptions
        return [item.statement for item in items if "host reads" in item.statement]

    fires = dense(4, 3, 2)
    first, last = fires.layers
    read = replace(last, neuron=replace(last.neuron, threshold=NEVER))
    (statement,) = reads(replace(fires, layers=(first, read)))
    assert "potentials of 2 output neurons after each sample" in statement
    assert reads(fires) == []


def test_shared_synapse_lists_are_an_assumption_where_they_matter():
    def shares(network):
        done = counts(network, operations=[6], active=[2], spikes=[1])
        items = report("loihi2", network, done).assumptions
        return [item.kind for item in items if "share a synapse list" in item.statement]

    plain = dense(784, 128)
    layer = reconnected(
        plain.layers[0], weight=np.repeat(plain.layers[0].synapses.weight, 4, axis=1)
    )
    assert shares(replace(plain, input=InputLayer(shape=(3136,)), layers=(layer,))) == ["estimate"]
    assert shares(plain) == []


def test_counts_of_another_network_are_refused():
    done = counts(dense(4, 3), operations=[6], active=[2], spikes=[1])
    with pytest.raises(DataError, match="dense1, dense2"):
        report("loihi2", dense(4, 3, 2), done)
    with pytest.raises(DataError, match="run this network"):
        report("loihi2", dense(4, 5), done)


def test_a_layer_beside_the_chain_has_the_depth_of_its_source():
    layers = dense(4, 3, 3).layers
    side = dense_layer(
        name="side", source="dense1", weight=np.ones((2, 3), np.int64), neuron=layers[0].neuron
    )
    network = ChipNetwork(name="fork", input=InputLayer(shape=(4,)), layers=(*layers, side))
    done = counts(network, operations=[1, 1, 1], active=[0, 0, 0], spikes=[0, 0, 0])
    assert report("loihi2", network, done).latency.value == pytest.approx(3 * 200e-9)
