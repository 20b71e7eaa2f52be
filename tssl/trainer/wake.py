"""No layer starts silent: larger initial weights where nothing would fire."""

import torch
from torch import Tensor

from tssl.graph import NORM
from tssl.trainer.network import SpikingNetwork

_GROWTH = 1.25
_MOST_STEPS = 20
"""Up to 69 times the weights; who stays silent then is inhibited, and not too weak."""


@torch.no_grad()
def wake_silent_layers(network: SpikingNetwork, inputs: Tensor, smallest_rate: float) -> None:
    """Scale weights up, front to back, until every layer fires often enough.

    The network runs as in training, dropout included. A layer that no scale wakes keeps its
    weights.

    Parameters
    ----------
    inputs
        Some samples, as the network takes them.
    smallest_rate
        In spikes per neuron and step.
    """
    network.follows_batches = False
    for name in network(inputs).activity:
        parameters = network.graph[name].parameters
        if not parameters or NORM[0] in parameters:  # larger weights would make no difference
            continue
        weight = network.weights[parameters["weight"].name]
        initial = weight.clone()
        for _ in range(_MOST_STEPS):
            if _rate(network, inputs, name) >= smallest_rate:
                break
            weight.mul_(_GROWTH)
        else:
            weight.copy_(initial)
    network.follows_batches = True


def _rate(network: SpikingNetwork, inputs: Tensor, layer: str) -> float:
    activity = network(inputs).activity[layer]
    return float(activity.spikes) / activity.neuron_steps
