"""What chips of other integers are said to compute otherwise, and what they are refused."""

import numpy as np
import pytest

from tests.hw_profiles.networks import counts, dense, distinct
from tssl.chip import ChipNetwork, CubaNeuron, InputLayer, SigmaDeltaNeuron, dense_layer
from tssl.errors import TsslError
from tssl.hw_profiles import check_limits, estimate, load_profile, map_to_cores
from tssl.hw_profiles.mapping.arithmetic import differences


def network(**neurons):
    """Return a chain of dense layers, four inputs each, of these neurons by name."""
    layers, source = [], "input"
    for name, neuron in neurons.items():
        weight = distinct(4, 4)
        layers.append(dense_layer(name=name, source=source, weight=weight, neuron=neuron))
        source = name
    return ChipNetwork(name="n", input=InputLayer(shape=(4,)), layers=tuple(layers))


def cuba(current=4096, voltage=0, threshold=64):
    return CubaNeuron(current_decay=current, voltage_decay=voltage, threshold=threshold)


def said(profile, chain):
    return {str(each) for each in differences(load_profile(profile), chain)}


MIXED = network(
    sums=cuba(), halves=cuba(voltage=2048), thirds=cuba(current=1365), high=cuba(threshold=600)
)


@pytest.mark.parametrize("name", ["loihi1", "loihi2", "kapoho-point", "hala-point"])
def test_loihi_computes_what_was_counted(name):
    assert said(name, MIXED) == set()


def test_floats_differ_where_something_decays():
    """What keeps all or nothing of a state is the same in whole numbers and in floats."""
    (line,) = said("spinnaker2", MIXED)
    assert line.startswith("halves, thirds: states decay in floating point")


def test_shifted_bits_have_halves_and_no_thirds():
    lines = said("xylo", MIXED)
    assert len(lines) == 3
    assert any(line.startswith("thirds: states decay by other shares") for line in lines)
    assert any(line.startswith("halves: states decay by shifting bits") for line in lines)
    assert any(line.startswith("high: states have 16 bits") for line in lines)


def test_the_16_bits_of_a_state():
    """32767 is the most: a threshold of 511 stands for 32704, one of 512 for 32768."""
    edge = network(below=cuba(threshold=511), above=cuba(threshold=512))
    assert [line.split(":")[0] for line in said("speck", edge)] == ["above"]


def test_delays_of_which_nothing_is_known():
    layer = dense_layer(
        name="late", source="input", weight=distinct(2, 3), neuron=cuba(), delay=np.full((2, 3), 4)
    )
    late = ChipNetwork(name="n", input=InputLayer(shape=(3,)), layers=(layer,))
    assert "late: whether its synapses have delays is not stated." in said("spinnaker2", late)
    assert said("spinnaker1", late) == set()  # its profile has a limit, which is checked


def test_a_report_says_it_layer_by_layer():
    chain = dense(4, 3, 2)
    done = counts(chain, operations=[6, 2], active=[2, 1], spikes=[1, 1])
    profile = load_profile("spinnaker2")
    costs = estimate(profile, chain, done, map_to_cores(profile, chain))
    lines = [each.statement for each in costs.assumptions if "otherwise" in each.statement]
    assert lines == [
        "Computed otherwise in dense1, dense2: states decay in floating point, and not rounded "
        "toward zero to whole numbers."
    ]


VALUES = network(told=SigmaDeltaNeuron(threshold=1))


@pytest.mark.parametrize("name", ["loihi1", "xylo", "speck", "truenorth", "odin", "akida"])
def test_sigma_delta_layers_are_refused_without_a_program(name):
    with pytest.raises(TsslError, match=r"^layer told: has sigma-delta neurons, .* has none; use"):
        check_limits(load_profile(name), VALUES, None)


@pytest.mark.parametrize("name", ["spinnaker1", "spinnaker2"])
def test_software_may_have_them_and_is_said_to_be_other_software(name):
    check_limits(load_profile(name), VALUES, None)
    assert any(
        line.startswith("told: sigma-delta neurons would be soft") for line in said(name, VALUES)
    )


def test_messages_need_their_bits():
    profile = load_profile("spinnaker2")
    bits = profile.figures.graded_spike_bits.model_copy(update={"value": 8.0})
    figures = profile.figures.model_copy(update={"graded_spike_bits": bits})
    with pytest.raises(TsslError, match="layer told: sends messages of 16 bits, spikes have 8"):
        check_limits(profile.model_copy(update={"figures": figures}), VALUES, None)
