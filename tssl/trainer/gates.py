"""Functions of spikes that neurons without memory compute, and how errors pass them."""

from collections.abc import Callable, Sequence
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from tssl.graph import Node
from tssl.trainer.neuron import Activity, Trace, psp

__all__ = ["gated"]


def gated(node: Node, spikes: Sequence[Tensor], *, tau_s: float, activity: Activity) -> Trace:
    r"""Return what a gate sends; errors pass by the derivative of the function.

    .. math:: A \wedge B = A B, \qquad B \wedge \neg A = (1 - A)\, B, \qquad
        \bigvee_j A_j = \max_j A_j

    Parameters
    ----------
    spikes
        Of each source, ``(time, batch, ...)``, unfiltered.
    tau_s
        Time constant of the synapses that its own spikes reach.
    activity
        Filled.

    Notes
    -----
    ``voltage`` of the result has no elements: the gate has no potential of the trainer's.
    """
    if node.gate is None:
        raise TypeError(f"layer {node.name} is no gate")
    fired = _FUNCTIONS[node.gate.function](node, [_whole(each) for each in spikes])
    activity.neuron_steps += fired.numel()
    activity.spikes = activity.spikes + fired.detach().sum()
    return Trace(psp(fired, tau_s=tau_s), fired.detach(), fired.new_empty(0))


def _whole(spikes: Tensor) -> Tensor:
    """Return zeros and ones for spikes that dropout raised, or that were filtered and recovered.

    Errors pass unchanged.
    """
    return spikes + ((spikes > 0.5).to(spikes) - spikes).detach()


def _and(_: Node, spikes: Sequence[Tensor]) -> Tensor:
    return reduce(torch.mul, spikes)


def _iand(_: Node, spikes: Sequence[Tensor]) -> Tensor:
    silencing, firing = spikes
    return (1 - silencing) * firing


def _or(node: Node, spikes: Sequence[Tensor]) -> Tensor:
    of = node.windows
    steps = [F.max_pool2d(each.flatten(0, 1), of.kernel, of.stride, of.padding) for each in spikes]
    return reduce(torch.maximum, steps).unflatten(0, spikes[0].shape[:2])


_FUNCTIONS: dict[str, Callable[[Node, Sequence[Tensor]], Tensor]] = {
    "and": _and,
    "iand": _iand,
    "or": _or,
}
