"""Each kind of chip by its own rule, and what a report refuses to say."""

import json
from pathlib import Path

import numpy as np
import pytest

import tssl.hw_profiles
from tests.hw_profiles.networks import counts, dense, distinct
from tssl.chip import ChipNetwork, CubaNeuron, InputLayer, conv_layer, dense_layer
from tssl.errors import CapacityError, RangeError, UnsupportedLayerError
from tssl.hw_profiles import CostOptions, check_limits, estimate, load_profile, map_to_cores
from tssl.hw_profiles.cost.executions import RULES
from tssl.hw_profiles.cost.reference import macs, network_macs
from tssl.hw_profiles.profile.executions import EXECUTIONS

FOLDER = Path(tssl.hw_profiles.__file__).parent
LEAKY = CubaNeuron(current_decay=4096, voltage_decay=1024, threshold=64)
PLAIN = CubaNeuron(current_decay=4096, voltage_decay=0, threshold=64)
CUBA = CubaNeuron(current_decay=1000, voltage_decay=1024, threshold=64)


def small(neuron=LEAKY, inputs=4, outputs=3, weight=1):
    layer = dense_layer(
        name="d", source="input", weight=np.full((outputs, inputs), weight), neuron=neuron
    )
    return ChipNetwork(name="small", input=InputLayer(shape=(inputs,)), layers=(layer,))


def price(name, network, done=None, **options):
    """Price two steps of six operations, two active updates and one spike each."""
    profile = load_profile(name)
    if done is None:
        done = counts(network, operations=[6], active=[2], spikes=[1], time_steps=2)
    mapping = map_to_cores(profile, network)
    return estimate(profile, network, done, mapping, CostOptions(**options))


def test_every_kind_of_execution_has_a_rule():
    assert RULES.keys() == EXECUTIONS.keys()


def test_a_tick_lasts_as_long_as_it_lasts():
    costs = price("spinnaker2", small())
    assert costs.step_time.value == 1e-3
    assert costs.latency.value == pytest.approx(3e-3)  # two steps and one of depth
    assert costs.warnings == ()
    dynamic = 12 * 450e-12 + 6 * 2.19e-9
    assert costs.by_part["dynamic"].value == pytest.approx(dynamic)
    assert costs.by_part["static"].value == pytest.approx(0.25 * 3e-3)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("loihi2", "This chip computes them"),
        ("spinnaker2", "computes others (it has software neurons with a state of float32"),
        ("odin", "computes others (what this chip computes instead is not stated)"),
    ],
)
def test_a_report_says_whose_integers_were_counted(name, said):
    (sentence,) = [
        each.statement
        for each in price(name, small()).assumptions
        if "come from Loihi's integers" in each.statement
    ]
    assert said in sentence


def test_a_load_that_misses_its_tick_is_flagged():
    network = small()
    done = counts(network, operations=[20000], active=[3], spikes=[1], time_steps=2)
    costs = price("spinnaker2", network, done)
    (warning,) = costs.warnings
    assert "misses its tick: in 2 of 3 steps" in warning
    assert costs.latency.value == pytest.approx(2 * 20000 * 84.4e-9 + 1e-3)


def test_events_need_no_steps():
    costs = price("odin", small())
    assert costs.step_time is None
    assert costs.latency.value == pytest.approx(12 * 26.7e-9)
    watts = 27.3e-6 + 1.78e-12 * 75e6
    assert costs.by_part["static"].value == pytest.approx(watts * costs.latency.value)
    assert costs.by_part["dynamic"].value == pytest.approx(12 * 8.43e-12)
    assert costs.throughput.value == pytest.approx(1 / (12 * 26.7e-9))


def test_events_pass_idle_layers_too():
    network = dense(4, 3, 3)
    done = counts(network, operations=[60, 6], active=[2, 2], spikes=[1, 1])
    costs = price("speck", network, done)
    assert costs.latency.value == pytest.approx(60 * 33.3e-9 + 2 * 0.373e-6)


def test_silence_takes_no_time_and_has_no_rate():
    network = dense(4, 3, 3)
    done = counts(network, operations=[0, 0], active=[0, 0], spikes=[0, 0])
    costs = price("speck", network, done)
    assert costs.throughput is None
    assert costs.latency.value > 0  # the layers still pass the silence on


def test_a_missing_price_is_refused_and_time_still_given():
    costs = price("speck", small(PLAIN))
    assert costs.total is None
    assert [gap.what for gap in costs.gaps] == ["dynamic energy", "static energy"]
    assert "energy.synaptic_operation" in costs.gaps[0].reason
    assert costs.by_part == {}
    assert costs.latency is not None
    document = json.loads(json.dumps(costs.document()))
    assert document["total"] is None
    assert document["gaps"][0]["what"] == "dynamic energy"


def test_without_a_time_there_is_no_static_energy():
    costs = price("xylo", small())
    assert costs.latency is costs.throughput is costs.static_in_stream is None
    assert {gap.what for gap in costs.gaps} == {"dynamic energy", "time", "static energy"}


def test_a_processor_multiplies_whether_there_are_spikes_or_not():
    network = dense(784, 128, 10)
    done = counts(network, operations=[1, 1], active=[1, 1], spikes=[1, 1], time_steps=5)
    costs = price("desktop-cpu", network, done)
    once = 784 * 128 + 128 * 10
    assert costs.total.value == pytest.approx(5 * (once + 2 * 138) * 8.6e-9)
    assert costs.mapping == ()
    assert costs.energy_model == "all_in"
    (ann,) = costs.ann
    assert ann.operations == once
    assert ann.energy.value == pytest.approx(once * 8.6e-9)
    assert costs.latency is None


def test_a_measured_device_has_a_time():
    costs = price("jetson-orin", dense(784, 10), counts(
        dense(784, 10), operations=[1], active=[1], spikes=[1], time_steps=4))  # fmt: skip
    assert costs.latency.value == pytest.approx(4 * (7840 + 20) * 0.2357e-9)
    assert costs.ann[0].latency.value == pytest.approx(7840 * 0.2357e-9)


def test_arithmetic_alone_is_driven_by_events():
    costs = price("cmos45", dense(4, 3))
    assert costs.total.value == pytest.approx(12 * 0.1e-12 + 6 * 6.4e-12)
    assert costs.total.kind == "proxy"
    assert costs.ann[0].energy.value == pytest.approx(12 * 0.23e-12)


def test_the_network_without_spikes_on_the_chip_itself():
    network = dense(784, 10)
    done = counts(network, operations=[1], active=[1], spikes=[1], time_steps=8)
    here, there = price("loihi2", network, done).ann
    assert (here.profile, there.profile) == ("loihi2", "jetson-orin")
    assert here.is_upper_bound
    latency = 7840 * 1.02e-9 + 200e-9  # one step of input, one of depth
    dynamic = 7840 * 23.6e-12 + 10 * (81 + 1.7) * 1e-12
    assert here.latency.value == pytest.approx(latency)
    assert here.energy.value == pytest.approx(dynamic + 0.232 * latency)
    assert [ann.profile for ann in price("loihi1", network, done).ann] == ["jetson-orin"]


def test_a_merged_pool_is_multiplied_once():
    kernel = np.arange(1, 19).reshape(1, 2, 3, 3).repeat(2, axis=2).repeat(2, axis=3)
    conv = conv_layer(
        name="c", source="input", weight=kernel, neuron=LEAKY, map_shape=(2, 8, 8),
        stride=(2, 2), padding=(2, 2),
    )  # fmt: skip
    assert macs(conv) == conv.neurons * 2 * 9
    plain = conv_layer(
        name="c", source="input", weight=distinct(1, 18).reshape(1, 2, 3, 3), neuron=LEAKY,
        map_shape=(2, 8, 8), stride=(2, 2),
    )  # fmt: skip
    assert macs(plain) == plain.neurons * 18
    pooled = dense_layer(
        name="d", source="input", weight=distinct(5, 6).repeat(4, axis=1), neuron=LEAKY
    )
    assert macs(pooled) == 5 * 6
    loop = dense_layer(
        name="r", source="input", weight=distinct(5, 6), neuron=LEAKY,
        recurrent_weight=distinct(5, 5),
    )  # fmt: skip
    assert macs(loop) == 5 * (6 + 5)
    assert network_macs(dense(3, 4, 5)) == 12 + 20


def test_the_host_counts_only_on_request():
    network = dense(784, 10)
    done = counts(network, operations=[10], active=[1], spikes=[1], time_steps=4, input_spikes=784)
    plain, whole = (price("loihi2", network, done, io=io) for io in (False, True))
    assert plain.step_time.value == pytest.approx(200e-9)
    assert whole.step_time.value == pytest.approx(784 * 6.25e-9)
    assert [gap.what for gap in whole.gaps] == ["input and output"]
    one = price("loihi1", network, done, io=True)
    assert one.by_part["io"].value == pytest.approx(0.065 * one.latency.value)


@pytest.mark.parametrize(
    ("name", "network", "words"),
    [
        ("akida", small(), "neurons with memory"),
        ("speck", small(CUBA), "synaptic current"),
        ("speck", small(LEAKY), "without leak"),
        ("truenorth", small(CUBA), "synaptic current"),
        ("odin", small(CUBA), "synaptic current"),
        ("xylo", small(CUBA), "subtracts the threshold"),
    ],
)
def test_neurons_that_a_chip_does_not_have(name, network, words):
    with pytest.raises(UnsupportedLayerError, match=words) as caught:
        check_limits(load_profile(name), network, None)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "network", "words"),
    [
        ("odin", small(weight=40), "weight 40"),
        ("truenorth", small(inputs=300), "300 synapses per neuron, at most 256"),
        ("truenorth", small(outputs=300), "300 targets of one input, at most 256"),
        ("speck", small(PLAIN, inputs=40000), "40000 inputs, at most 32768"),
    ],
)
def test_numbers_that_a_chip_has_no_room_for(name, network, words):
    with pytest.raises(RangeError, match=words):
        check_limits(load_profile(name), network, (0, 1))


def test_a_neuron_of_truenorth_has_four_weights():
    layer = dense_layer(name="d", source="input", weight=distinct(2, 5), neuron=LEAKY)
    network = ChipNetwork(name="n", input=InputLayer(shape=(5,)), layers=(layer,))
    with pytest.raises(RangeError, match="5 different weights at one neuron, at most 4"):
        check_limits(load_profile("truenorth"), network, None)
    check_limits(load_profile("truenorth"), small(), None)


def test_layers_that_share_a_core_fit_together_or_not_at_all():
    network = dense(50, 100, 100)
    mapped = map_to_cores(load_profile("odin"), network)
    assert [entry.cores for entry in mapped] == [1, 1]
    done = counts(network, operations=[6, 6], active=[2, 2], spikes=[1, 1])
    assert price("odin", network, done).cores == 1
    with pytest.raises(CapacityError, match="need neurons for 300 together"):
        map_to_cores(load_profile("odin"), dense(50, 100, 200))


def test_conventional_devices_take_any_network():
    check_limits(load_profile("desktop-cpu"), small(CUBA, weight=10**6), (0, 10**6))
    assert map_to_cores(load_profile("desktop-cpu"), small()) == []


def test_a_profile_of_ones_own(tmp_path):
    text = (FOLDER / "odin.toml").read_text(encoding="utf-8")
    path = tmp_path / "mine.toml"
    path.write_text(text.replace("value = 8.43e-12", "value = 1e-12"), encoding="utf-8")
    assert price(path, small()).by_part["dynamic"].value == pytest.approx(12e-12)
