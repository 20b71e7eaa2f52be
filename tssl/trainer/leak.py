"""Neurons that learn how fast they forget."""

import torch
from torch import Tensor

from tssl.graph import Node
from tssl.neurons import Lif
from tssl.trainer.neuron import Activity, Neurons, Trace, over_time
from tssl.trainer.rule import Rule
from tssl.trainer.weights import Weights

__all__ = ["first_leak", "leaky", "trained_neuron"]


def first_leak(node: Node) -> Tensor:
    """Return the parameter from which the training of a leak begins, ``(1,)``."""
    if node.neuron is None:
        raise TypeError(f"layer {node.name}: a {node.kind} has no neurons")
    return torch.tensor([node.neuron.leak_parameter], dtype=torch.float32)


def trained_neuron(node: Node, weights: Weights) -> Lif:
    """Return a layer's neuron as it is now, its leak trained so far."""
    if node.neuron is None:
        raise TypeError(f"layer {node.name}: a {node.kind} has no neurons")
    if "leak" not in node.parameters:
        return node.neuron
    return node.neuron.with_leak(float(weights[node.parameters["leak"].name].detach()))


def leaky(
    current: Tensor, neurons: Neurons, share: Tensor, rule: Rule, activity: Activity
) -> Trace:
    r"""Run neurons whose membrane moves by a trained share towards what arrives.

    .. math:: u_t = v_{t-1} + \omega (I_t - v_{t-1}), \qquad
        \frac{\partial L}{\partial \omega} = \sum_t e_t (I_t - v_{t-1})

    with the rule's error :math:`e` at the weighted current :math:`\omega I`.

    Parameters
    ----------
    current
        See :class:`tssl.trainer.rule.Rule`.
    neurons
        With the membrane's time constant :math:`1 / \omega`.
    share
        :math:`\omega`, ``(1,)``.

    Notes
    -----
    Rules know a leak as a number, so the neurons run twice: first for the potentials
    :math:`v_{t-1}`, then with a current to which :math:`(\omega_0 - \omega) v_{t-1}` is added,
    where :math:`\omega_0` is the value of :math:`\omega`. That is zero, and its derivative is the
    leak's.
    """
    current = over_time(current, neurons) * share
    own = None if neurons.feedback is None else neurons.feedback * share
    neurons = neurons._replace(constant_steps=0, feedback=own)
    with torch.no_grad():
        recording = neurons._replace(record=True, pool=None)
        trace = rule(current, recording, Activity())
    before = torch.zeros_like(current)
    before[1:] = (trace.voltage * (1 - trace.spikes))[:-1]
    return rule(current + (share.detach() - share) * before, neurons, activity)
