"""The same network on conventional devices, and without spikes.

Run step by step, a spiking network costs a conventional device all its multiply-accumulates
at every time step, spikes or not, and two more per neuron for the decays of current and
membrane potential. The same network without spikes (8-bit weights and activations, a
threshold instead of a neuron) is one pass of them.
"""

import numpy as np

from tssl.chip import ChipNetwork, Layer
from tssl.hw_profiles.cost.work import LayerWork
from tssl.results import OpCounts

_PER_UPDATE = 2
_GRADED_BITS = 8


def macs(layer: Layer) -> int:
    """Return the multiply-accumulates of one pass through a layer, zero weights included.

    Notes
    -----
    A pool that was merged into the weights (inputs with equal weights) is done once, by
    additions, on a conventional device: those additions are not counted.
    """
    own = len(layer.own) * layer.neurons**2
    return own + sum(
        each.synapses.outputs * each.synapses.distinct_weights() for each in layer.arriving
    )


def network_macs(network: ChipNetwork) -> int:
    """Return the multiply-accumulates of one pass through a network."""
    return sum(macs(layer) for layer in network.layers)


def step_by_step(network: ChipNetwork, work: LayerWork) -> float:
    """Return the multiply-accumulates of a layer of a spiking network per inference."""
    layers = {layer.name: layer for layer in network.layers}
    once = macs(layers[work.layer]) if work.layer in layers else 0
    return len(work.operations) * (once + _PER_UPDATE * work.neurons)


def frames_of(network: ChipNetwork, counts: OpCounts) -> int:
    """Return how many passes a network without spikes takes for a sample.

    One, whatever the steps in which spikes come; but of a film, of which sigma-delta neurons send
    what changes, one for each step at which something does.
    """
    if not any(layer.neuron.graded for layer in network.layers):
        return 1
    return max(1, int(np.count_nonzero(counts.input_spikes)))


def passes(network: ChipNetwork, frames: int) -> OpCounts:
    """Return the counts of the network without spikes on a neuromorphic chip, a pass a step.

    Every activation is one graded spike and none is zero: an upper bound, as sparse
    activations are cheaper.
    """
    layers = network.layers
    operations = [
        sum(int(each.synapses.fan_out().sum()) for each in layer.arriving) for layer in layers
    ]
    neurons = np.array([layer.neurons for layer in layers])
    return OpCounts(
        samples=1,
        layers=tuple(layer.name for layer in layers),
        neurons=neurons,
        synaptic_operations=np.tile(np.array(operations)[:, None], frames),
        active_updates=np.tile(neurons[:, None], frames),
        spikes=np.tile(neurons[:, None], frames),
        input_spikes=np.full(frames, network.input.neurons),
    )


def carries_activations(graded_spike_bits: float) -> bool:
    """Return whether a spike holds an 8-bit activation."""
    return graded_spike_bits >= _GRADED_BITS
