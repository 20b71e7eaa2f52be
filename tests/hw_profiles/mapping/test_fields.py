"""Numbers that a chip has no room for are refused with layer, number and limit."""

from dataclasses import replace

import numpy as np
import pytest

from tests.hw_profiles.networks import NEURON, dense
from tssl.chip import INTEGRATOR, ChipNetwork, CubaNeuron, InputLayer, conv_layer, dense_layer
from tssl.errors import RangeError, UnsupportedLayerError
from tssl.hw_profiles import check_limits, load_profile

LOIHI1, LOIHI2 = load_profile("loihi1"), load_profile("loihi2")


def alone(layer):
    return ChipNetwork(
        name="one", input=InputLayer(shape=layer.synapses.input_shape), layers=(layer,)
    )


def weights(*values):
    return alone(dense_layer(name="d", source="input", weight=[values], neuron=NEURON))


def threshold(value):
    return CubaNeuron(current_decay=1, voltage_decay=2, threshold=value)


def shorter_delays(limit):
    """Return a profile whose synapses hold less delay than Lava's."""
    field = LOIHI2.figures.max_delay.model_copy(update={"value": float(limit)})
    figures = LOIHI2.figures.model_copy(update={"max_delay": field})
    return LOIHI2.model_copy(update={"figures": figures})


def refusal(network, profile=LOIHI2, input_range=None):
    with pytest.raises(RangeError) as caught:
        check_limits(profile, network, input_range)
    assert caught.value.exit_code == 3
    return str(caught.value)


@pytest.mark.parametrize("name", ["loihi1", "loihi2", "kapoho-point", "hala-point"])
@pytest.mark.parametrize("row", [(-256, 254), (0, 255), (-255, 0), (1, 2), (0, 0)])
def test_weights_that_exist(name, row):
    check_limits(load_profile(name), weights(*row), None)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ((-258, 254), "layer d: weight -258, only -256..254"),
        ((-2, 255), "layer d: weight 255, only -256..254"),
        ((0, 256), "layer d: weight 256, only -255..255"),
        ((-256, 0), "layer d: weight -256, only -255..255"),
    ],
)
def test_weights_beyond_their_field(row, words):
    assert words in refusal(weights(*row))
    kernel = np.array(row).reshape(1, 1, 1, 2)
    conv = conv_layer(name="d", source="input", weight=kernel, neuron=NEURON, map_shape=(1, 1, 2))
    assert words in refusal(alone(conv))
    recurrent = dense_layer(
        name="d", source="input", weight=[[1], [1]], neuron=NEURON, recurrent_weight=[row, row]
    )
    assert words.replace("weight", "recurrent weight") in refusal(alone(recurrent))


def test_thresholds():
    layer = weights(1, 2).layers[0]
    check_limits(LOIHI2, alone(replace(layer, neuron=threshold(131071))), None)
    text = refusal(alone(replace(layer, neuron=threshold(131073))))
    assert "layer d: threshold 131073, at most 131071" in text
    assert "Intel Loihi 2" in text
    check_limits(LOIHI2, alone(replace(layer, neuron=INTEGRATOR)), None)  # it never fires
    block = InputLayer(shape=(2,), neuron=threshold(200000))
    assert "layer input: threshold 200000" in refusal(replace(alone(layer), input=block))


def test_input_neurons_must_exist_too():
    """Their leak, like that of a layer's neurons, is no number that could be rounded away."""
    leaky = InputLayer(shape=(2,), neuron=threshold(3))
    network = replace(alone(replace(weights(1, 2).layers[0], neuron=INTEGRATOR)), input=leaky)
    check_limits(LOIHI2, network, None)
    chip = LOIHI2.chip.model_copy(update={"neuron": "non-leaky"})
    with pytest.raises(UnsupportedLayerError, match="layer input: has a synaptic current"):
        check_limits(LOIHI2.model_copy(update={"chip": chip}), network, None)


def test_delays():
    weight = np.array([[1, -1]])
    layer = dense_layer(
        name="d", source="input", weight=weight, neuron=NEURON, delay=np.array([[0, 9]])
    )
    check_limits(LOIHI2, alone(layer), None)
    check_limits(shorter_delays(9), alone(layer), None)
    assert "layer d: 9 steps of delay, at most 8" in refusal(alone(layer), shorter_delays(8))


def test_graded_input():
    network = dense(4, 3)
    check_limits(LOIHI1, network, None)
    check_limits(LOIHI1, network, (0, 1))
    check_limits(LOIHI2, network, (-(2**31) + 1, 2**31 - 1))
    assert "input: spikes carry values up to 15, at most 1" in refusal(network, LOIHI1, (0, 15))
    assert "up to 2, at most 1" in refusal(network, LOIHI1, (-3, 2))
    assert "down to -1, at least 0" in refusal(network, LOIHI1, (-1, 1)), "a spike has no sign"
    assert "0 and 1 are spikes on every chip" in refusal(network, LOIHI1, (0, 2))
    block = InputLayer(shape=(4,), neuron=NEURON)  # there the integers are biases
    check_limits(LOIHI1, replace(network, input=block), (0, 15))


def test_the_largest_of_many_thresholds_counts():
    neuron = CubaNeuron(current_decay=1, voltage_decay=2, threshold=(5, 131072, 6))
    layer = dense_layer(name="d", source="input", weight=[[2], [-2], [2]], neuron=neuron)
    assert "layer d: threshold 131072, at most 131071" in refusal(alone(layer))


def test_one_neuron_whose_current_decays_is_enough():
    neuron = CubaNeuron(current_decay=(4096, 77), voltage_decay=0, threshold=5)
    layer = dense_layer(name="d", source="input", weight=[[2], [-2]], neuron=neuron)
    with pytest.raises(UnsupportedLayerError, match="current_decay 77"):
        check_limits(load_profile("truenorth"), alone(layer), None)


@pytest.mark.parametrize("weight", [-(254 << 7), -(100 << 7), -512, -6])
def test_the_only_weight_of_a_convolution_has_an_exponent(weight):
    """Eight bits, and a power of two up to 2^7."""
    network = silenced(weight)
    assert network.output.own[0].synapses.weight_bits <= 9
    check_limits(LOIHI2, network, None)


@pytest.mark.parametrize("weight", [-(258 << 7), -(1 << 16), -1002])
def test_weights_beyond_their_exponent(weight):
    assert "recurrent weight" in refusal(silenced(weight))


def silenced(weight):
    """Return a layer whose neurons each have a synapse to themselves."""
    layer = dense_layer(name="d", source="input", weight=[[4, -2]] * 6, neuron=NEURON)
    own = conv_layer(
        name="own", source="d", weight=[[[[weight]]]], map_shape=(1, 2, 3), neuron=NEURON
    )
    return alone(replace(layer, connections=(*layer.connections, *own.connections)))
