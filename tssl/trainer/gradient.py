"""How errors at potentials become errors at currents."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from tssl.trainer import kernels
from tssl.trainer.neuron import Neurons
from tssl.trainer.slopes import SURROGATES, sigmoid

__all__ = ["Gradient", "spike_slope"]

_COMPILED = list(SURROGATES.values())
_STEEPEST = 8.0
"""Bound of 1/δ, the sensitivity of a spike time to the membrane potential."""


class Gradient(NamedTuple):
    r"""How the error at the potentials becomes the error at the current.

    With :math:`g = \partial L / \partial a`, :math:`r = 1 - 1/\tau_s` and
    :math:`\lambda = 1 - 1/\tau_m`:

    .. math::
        A_t &= g_t/\tau_s + r A_{t+1} \\
        D_t &= h_t (A_t + c\, u_t D_{t+1}) + \lambda (1 - s_t) D_{t+1} \\
        e_t &= D_t \text{ where } a_t \ge b, \text{ else } A_t \sigma'(u_t)

    where :math:`\sigma'` is the surrogate.
    """

    spike_time: bool
    """h is :math:`s\\,\\mathrm{clamp}(1/\\delta, 0, 8)` with :math:`\\delta_t = u_t - v_{t-1}`;
    otherwise :math:`\\sigma'(u)`."""
    reset: float
    """c, the part of the reset."""
    fallback_below: float
    """b; nothing is below 0."""
    warm_rate: float = 0.0
    """While fewer spikes per neuron and step than this, b is infinite for the whole layer."""
    surrogate: Callable[[Tensor, float], Tensor] = sigmoid
    """See :mod:`tssl.trainer.slopes`."""

    @property
    def has_kernels(self) -> bool:
        """Whether the compiled loops know it; others go through the plain code."""
        return self.surrogate in _COMPILED

    def constants(self, neurons: Neurons) -> kernels.Constants:
        """Return what the kernels are told."""
        return kernels.Constants(
            tau_m=float(neurons.tau_m),
            tau_s=float(neurons.tau_s),
            threshold=float(neurons.threshold),
            spike_time=self.spike_time,
            reset=self.reset,
            fallback_below=self.fallback_below,
            surrogate=_COMPILED.index(self.surrogate),
        )

    def settled(self, spikes: Tensor | int, neuron_steps: int) -> "Gradient":
        """Return the gradient of a layer that fired so often in this pass."""
        if self.warm_rate and float(spikes) < self.warm_rate * neuron_steps:
            return self._replace(fallback_below=float("inf"))
        return self


def spike_slope(voltage: Tensor, spikes: Tensor) -> Tensor:
    """Return clamp(1/δ, 0, 8); meaningful where there is a spike."""
    before = torch.zeros_like(voltage)
    before[1:] = (voltage * (1 - spikes))[:-1]
    # clamp also catches an increment of exactly zero, which only happens without a spike
    return (1 / (voltage - before)).clamp(0, _STEEPEST)
