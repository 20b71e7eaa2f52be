"""What the cores of a network do in an inference."""

import numpy as np

from tests.hw_profiles.networks import NEURON, counts, distinct
from tssl.chip import ChipNetwork, Connection, DenseSynapses, InputLayer, Layer
from tssl.hw_profiles import load_profile, map_to_cores
from tssl.hw_profiles.cost.work import inference_of


def listening(name, **sources):
    connections = [
        Connection(source=source, synapses=DenseSynapses(weight=distinct(4, inputs)))
        for source, inputs in sources.items()
    ]
    return Layer(name=name, connections=tuple(connections), neuron=NEURON)


def test_messages_of_all_sources_reach_a_core():
    layers = listening("a", input=8), listening("b", input=8), listening("sum", a=4, b=4)
    network = ChipNetwork(name="branches", input=InputLayer(shape=(8,)), layers=layers)
    done = counts(network, operations=[1, 1, 1], active=[1, 1, 1], spikes=[3, 2, 1], time_steps=2)
    profile = load_profile("loihi2")
    found = inference_of(profile, network, done, map_to_cores(profile, network))
    arriving = {layer.layer: layer.arriving for layer in found.work}
    assert np.array_equal(arriving["sum"], [3 + 2, 3 + 2])
    assert not arriving["a"].any()
