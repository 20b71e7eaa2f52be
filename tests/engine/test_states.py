"""Currents and potentials at every step, against the equations in Python's own integers."""

import numpy as np
import pytest

from tests.graphs import graph_inputs, graph_net, sew_net
from tests.lava_runtime.networks import MAKERS, dense_net
from tests.lava_runtime.test_lava_sim import inputs, run_all
from tssl.chip import INPUT, ChipNetwork, IntArray, Layer
from tssl.engine import Engine
from tssl.results import Recording, States


def every_layer(network: ChipNetwork) -> frozenset[str]:
    block = [] if network.input.neuron is None else [INPUT]
    return frozenset([*block, *(layer.name for layer in network.layers)])


def toward_zero(value: int, decay: int) -> int:
    kept = abs(value) * (4096 - decay) // 4096
    return kept if value >= 0 else -kept


def by_hand(layer: Layer, train: IntArray) -> States:
    """Run a dense layer without delays on ``(time, samples, inputs)``, neuron by neuron."""
    weight, neuron = layer.synapses.weight, layer.neuron
    states = np.zeros((2, len(train), train.shape[1], layer.neurons), np.int64)
    for sample in range(train.shape[1]):
        for n in range(layer.neurons):
            u = v = 0
            for step, spikes in enumerate(train[:, sample]):
                arriving = sum(int(w) * int(s) for w, s in zip(weight[n], spikes, strict=True))
                u = toward_zero(u, neuron.current_decay) + 64 * arriving
                v = toward_zero(v, neuron.voltage_decay) + u + 64 * int(layer.bias[n])
                v = 0 if v > 64 * neuron.threshold else v
                states[:, step, sample, n] = u, v
    return States(*states)


def test_states_are_those_of_the_equations(rng):
    network = dense_net(rng)
    train = inputs(rng, network, 9, 3)
    recording = run_all(Engine(every_layer(network)), network, train, 9)
    arriving = np.broadcast_to(train, (9, *train.shape[1:]))
    for layer in network.layers:
        expected = by_hand(layer, arriving)
        for ours, theirs in zip(recording.states[layer.name], expected, strict=True):
            assert theirs.any()
            assert np.array_equal(ours, theirs), layer.name
        arriving = recording.trains[layer.name]
    assert np.array_equal(recording.states["c"].potential[-1], recording.output_potential)


def test_nobody_asked(rng):
    network = dense_net(rng)
    assert not run_all(Engine(), network, inputs(rng, network, 9, 3), 9).states


def assert_states_agree(network: ChipNetwork, ours: Recording, lava: Recording) -> None:
    assert ours.states.keys() == lava.states.keys() == every_layer(network)
    for name, states in ours.states.items():
        for quantity, left, right in zip(States._fields, states, lava.states[name], strict=True):
            assert np.array_equal(left, right), (name, quantity)
        fired = ours.trains[name].astype(bool)
        assert not states.potential[fired].any()
    assert any(states.current.any() for states in ours.states.values())


@pytest.mark.lava
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_lava_has_the_same_states(rng, maker):
    from tssl.lava_runtime.lava_sim import LavaSim

    network = maker(rng)
    train, states = inputs(rng, network, 7, 4), every_layer(network)
    lava = run_all(LavaSim(states=states), network, train, 7)
    assert_states_agree(network, run_all(Engine(states), network, train, 7), lava)


@pytest.mark.lava
@pytest.mark.parametrize("seed", range(4))
def test_lava_has_the_same_states_of_graphs(seed):
    from tssl.lava_runtime.lava_sim import LavaSim

    rng = np.random.default_rng(seed)
    network = graph_net(rng) if seed else sew_net(rng)
    train, states = graph_inputs(rng, network, 6, 3), every_layer(network)
    lava = run_all(LavaSim(states=states, workers=2), network, train, 6)
    assert_states_agree(network, run_all(Engine(states), network, train, 6), lava)
