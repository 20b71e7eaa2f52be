"""Our integers against PilotNet's recorded ones, which lava-dl ships for its sigma-delta form.

lava-dl compares some of them with Loihi 2 hardware (``test_hdf5_nx.py``); here all are compared.
Nothing is ever put to rest, and every layer works a step behind the one before it: biases act
before the first message arrives. ``sigma*.npy`` hold 20 steps driven by the messages of
``act0.npy``, ``output.npy`` nine steps driven by the frame in ``input.npy``.
"""

from typing import NamedTuple

import numpy as np
import pytest

from tests.hw_profiles.validation import SMALL_SDNN_OPERATIONS
from tests.lava_runtime.networks import lava_file
from tssl import netx
from tssl.chip import ChipNetwork, IntArray

FOLDER = "gts/pilotnet_sdnn"


class Moment(NamedTuple):
    """What all layers did at a step, and what had arrived at them by then."""

    sent: list[IntArray]
    arrived: list[IntArray]


def in_order(values: IntArray) -> IntArray:
    """Turn Lava's (W, H, C, time) into ``(time, neurons)``, neurons in (C, H, W) order."""
    return values.transpose().reshape(values.shape[-1], -1).astype(np.int64)


def stored(name: str) -> IntArray:
    return in_order(np.load(lava_file(f"{FOLDER}/{name}.npy")))


def moments(network: ChipNetwork, messages: IntArray) -> list[Moment]:
    """Step all layers together on messages ``(time, inputs)``, as the chip does."""
    states = [layer.neuron.rest((1, layer.neurons)) for layer in network.layers]
    waiting = [np.zeros((1, layer.synapses.inputs), np.int64) for layer in network.layers]
    found = []
    for message in messages:
        sent, arrived = [message[None]], []
        for index, layer in enumerate(network.layers):
            activation = layer.synapses.sums(waiting[index][None], 1)[0]
            out, states[index] = layer.neuron.step(states[index], activation, layer.bias)
            sent.append(out)
            arrived.append(layer.neuron.seen(states[index]).current[0])
        waiting = sent[:-1]
        found.append(Moment([each[0] for each in sent], arrived))
    return found


def encoded(network: ChipNetwork, frame: IntArray, steps: int) -> IntArray:
    """Return the messages of the input for a frame that stays the same."""
    neuron = network.input.neuron
    assert neuron is not None
    return neuron.run(frame[None], 0, steps).spikes[:, 0].astype(np.int64)


def test_the_output_of_nine_steps():
    network = netx.read(lava_file(f"{FOLDER}/network.net"))
    messages = encoded(network, stored("input"), 9)
    assert np.array_equal(messages[0], stored("act0")[0])
    output = np.array([moment.sent[-1] for moment in moments(network, messages)])
    assert np.array_equal(output, stored("output"))


def test_operations_of_a_film_are_those_of_the_validation_table():
    """No film is published: the stored frame, a pixel further at each of 16 steps."""
    network = netx.read(lava_file(f"{FOLDER}/network.net"))
    frame = np.load(lava_file(f"{FOLDER}/input.npy"))[..., 0]
    film = np.stack([np.roll(frame, step, axis=0) for step in range(16)], axis=-1)
    neuron = network.input.neuron
    assert neuron is not None
    sent = neuron.run(in_order(film)[:, None], 0, 16).spikes
    done = []
    for layer in network.layers:
        done.append((np.count_nonzero(sent, axis=1) @ layer.synapses.fan_out())[1:].mean())
        activation = layer.synapses.sums(sent.astype(np.int64), 16)
        sent = layer.neuron.run(activation, layer.bias, 16).spikes
    assert np.round(done).tolist() == SMALL_SDNN_OPERATIONS


@pytest.mark.parametrize(
    ("net", "suffix", "layers"), [("network", "", 2), ("square_network", "_square", 4)]
)
def test_what_arrived_in_every_layer_at_every_step(net: str, suffix: str, layers: int):
    network = netx.read(lava_file(f"{FOLDER}/{net}.net"))
    _, height, width = network.input.shape
    messages = in_order(np.load(lava_file(f"{FOLDER}/act0.npy"))[:width, :height])
    found = moments(network, messages)
    compared = 0
    for index in range(layers):
        theirs = stored(f"sigma{index + 1}{suffix}")
        ours = np.array([moment.arrived[index] for moment in found])
        assert np.array_equal(ours, theirs)
        compared += theirs.size
    assert compared == {"": 497_280, "_square": 183_760}[suffix]
