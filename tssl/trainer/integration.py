"""Neurons that never fire: what they send on is their potential, a linear map of the current."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tssl.trainer.neuron import Neurons, Trace, collected, over_time
from tssl.trainer.tape import apply

__all__ = ["integrated", "taken_back"]


def integrated(current: Tensor, neurons: Neurons) -> Trace:
    r"""Run neurons that never fire from rest; ``psp`` is their potential, with its gradient.

    .. math:: v_t = (1 - 1/\tau_m)\, v_{t-1} + I_t, \qquad
        \frac{\partial L}{\partial I_t} = D_t = g_t + (1 - 1/\tau_m)\, D_{t+1}

    with :math:`g = \partial L / \partial v`. Nothing here is a surrogate.

    Parameters
    ----------
    current
        Weighted input :math:`I`, ``(time, batch, *features)``; see ``Neurons.constant_steps``.
    """
    return Trace(*apply(_Integrated, current, neurons))


class _Integrated(torch.autograd.Function):
    """:func:`integrated`, with a backward pass that a tape can call."""

    @staticmethod
    def forward(ctx: Any, current: Tensor, neurons: Neurons) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401
        ctx.neurons = neurons
        potential = _added_up(over_time(current, neurons), neurons.tau_m)
        spikes, shown = torch.zeros_like(potential), potential.clone()
        ctx.mark_non_differentiable(spikes, shown)
        return potential, spikes, shown

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return collected(taken_back(errors[0], ctx.neurons.tau_m), ctx.neurons), None


def taken_back(errors: Tensor, tau_m: float) -> Tensor:
    """Return the errors at the current from those at the potential, ``(time, ...)``."""
    return _added_up(errors.flip(0), tau_m).flip(0)


def _added_up(values: Tensor, tau_m: float) -> Tensor:
    """Return what a membrane makes of values ``(time, ...)``."""
    kept = 1 - 1 / tau_m
    found = [values[0]]
    for value in values[1:]:
        found.append(kept * found[-1] + value)
    return torch.stack(found)
