"""TSSL-BP: the error travels through inter- and intra-neuron spike-time dependencies."""

from typing import Any

import torch
from torch import Tensor

from tssl.trainer.neuron import Trace, lif_forward, psp

_LARGEST_SLOPE = 8.0
"""Bound of 1/δ, the sensitivity of a spike time to the membrane potential."""

_SURROGATE_WIDTH = 0.2
_SURROGATE_CLIP = 8.0


def tssl_bp(current: Tensor, *, tau_m: float, tau_s: float, threshold: float) -> Tensor:
    r"""Return the post-synaptic potentials of spiking neurons, differentiable by TSSL-BP.

    With :math:`g = \partial L / \partial a`, :math:`r = 1 - 1/\tau_s`,
    :math:`\delta_t = u_t - v_{t-1}` and :math:`\varphi = \mathrm{clamp}(1/\delta, 0, 8)`, the
    error at the input current is computed in one pass backwards in time:

    .. math::
        A_t &= g_t/\tau_s + r A_{t+1} \\
        D_t &= s_t \varphi_t (A_t + u_t D_{t+1}/\tau_m)
               + (1 - s_t)(1 - 1/\tau_m) D_{t+1} \\
        e_t &= D_t \text{ where } a_t \ge 1/(4\tau_s), \text{ else }
               A_t\, z/(0.2 (1+z)^2), \quad z = e^{\mathrm{clamp}((\vartheta - u_t)/0.2, -8, 8)}

    The last case is the official code's warm-up for neurons without recent spikes; it never
    enters the carry :math:`D`.

    Parameters
    ----------
    current
        Weighted input, ``(time, batch, *features)``.
    tau_m, tau_s
        Time constants of membrane and synapse in time steps.
    threshold
        Firing threshold.

    Returns
    -------
    psp
        Same shape as ``current``.

    References
    ----------
    .. [1] W. Zhang and P. Li, Temporal Spike Sequence Learning via Backpropagation for Deep
       Spiking Neural Networks, NeurIPS 2020; the O(T) form equals the official code
       (stonezwr/TSSL-BP, December 2020) to rounding.
    """
    return tssl_bp_trace(current, tau_m=tau_m, tau_s=tau_s, threshold=threshold).psp


def tssl_bp_trace(current: Tensor, *, tau_m: float, tau_s: float, threshold: float) -> Trace:
    """Return the whole trace of :func:`tssl_bp`; only its ``psp`` carries a gradient."""
    return Trace(*_TsslBp.apply(current, tau_m, tau_s, threshold))


class _TsslBp(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context has no public type
        current: Tensor,
        tau_m: float,
        tau_s: float,
        threshold: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        trace = lif_forward(current, tau_m=tau_m, tau_s=tau_s, threshold=threshold)
        ctx.save_for_backward(trace.voltage)  # everything else follows from it
        ctx.constants = tau_m, tau_s, threshold
        ctx.mark_non_differentiable(trace.spikes, trace.voltage)
        return trace.psp, trace.spikes, trace.voltage

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:  # noqa: ANN401
        (voltage,) = ctx.saved_tensors
        tau_m, tau_s, threshold = ctx.constants
        spikes = (voltage > threshold).to(voltage.dtype)
        slope = _spike_slope(voltage, spikes, tau_m)
        error, carry = _adjoint(gradients[0], voltage, spikes * slope, spikes, tau_m, tau_s)
        silent = psp(spikes, tau_s=tau_s) < 1 / (4 * tau_s)
        return torch.where(silent, error * _surrogate(voltage, threshold), carry), None, None, None


def _spike_slope(voltage: Tensor, spikes: Tensor, tau_m: float) -> Tensor:
    """Return φ from the increments δ; meaningful where there is a spike."""
    before = torch.zeros_like(voltage)
    before[1:] = (voltage * (1 - spikes))[:-1]
    # clamp also catches an increment of exactly zero, which only happens without a spike
    return (1 / (voltage - before)).clamp(0, _LARGEST_SLOPE)


def _adjoint(
    gradient: Tensor, voltage: Tensor, slope: Tensor, spikes: Tensor, tau_m: float, tau_s: float
) -> tuple[Tensor, Tensor]:
    """Return A and D of :func:`tssl_bp`; ``slope`` is zero where there is no spike."""
    filtered, carry = torch.zeros_like(gradient[0]), torch.zeros_like(gradient[0])
    errors, carries = torch.empty_like(gradient), torch.empty_like(gradient)
    leak = (1 - spikes) * (1 - 1 / tau_m)
    for step in reversed(range(len(gradient))):
        filtered = gradient[step] / tau_s + (1 - 1 / tau_s) * filtered
        carry = slope[step] * (filtered + voltage[step] * carry / tau_m) + leak[step] * carry
        errors[step], carries[step] = filtered, carry
    return errors, carries


def _surrogate(voltage: Tensor, threshold: float) -> Tensor:
    """Return the derivative of a sigmoid of width 0.2 around the threshold."""
    distance = (threshold - voltage) / _SURROGATE_WIDTH
    z = distance.clamp(-_SURROGATE_CLIP, _SURROGATE_CLIP).exp()
    return z / (_SURROGATE_WIDTH * (1 + z) ** 2)
