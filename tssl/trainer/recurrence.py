"""One layer of neurons, forward by its equations and backward by a rule's.

Every rule with errors that travel back through time neuron by neuron is a setting of the same
recurrence; see :class:`Gradient`. Single precision on a CPU goes through
:mod:`tssl.trainer.kernels`, on a GPU through :mod:`tssl.trainer.gpu_kernels` where Triton is
installed, anything else through the plain PyTorch code below.
"""

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from shutil import which
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.grad import conv2d_weight

from tssl.neurons import membrane_step
from tssl.trainer import kernels
from tssl.trainer.neuron import (
    Activity,
    Neurons,
    Trace,
    lif_forward,
    over_time,
    pool_fits,
    psp,
    static_psp,
    sum_pool,
)
from tssl.trainer.slopes import SURROGATES, sigmoid

__all__ = [
    "Gradient", "RecurrenceRule", "plain_errors", "recurrent_errors", "spiking", "to_feedback",
]  # fmt: skip

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


class RecurrenceRule:
    """A learning rule that is a setting of the recurrence.

    Parameters
    ----------
    gradient
        Gives the setting for a layer's neurons.
    """

    def __init__(self, gradient: Callable[[Neurons], Gradient]) -> None:
        self.gradient = gradient

    def __call__(self, current: Tensor, neurons: Neurons, activity: Activity) -> Trace:
        """See :class:`tssl.trainer.rule.Rule`."""
        return spiking(current, neurons, self.gradient(neurons), activity)


def spiking(current: Tensor, neurons: Neurons, gradient: Gradient, activity: Activity) -> Trace:
    """Run a layer of neurons; ``psp`` carries the gradient."""
    activity.neuron_steps += (neurons.constant_steps or len(current)) * current[0].numel()
    if gradient.has_kernels and _is_compiled(current, neurons):
        return Trace(*_Compiled.apply(current, neurons, gradient, activity))
    if neurons.feedback is not None:
        current = over_time(current, neurons)
        result = _Recurrent.apply(current, neurons.feedback, neurons, gradient, activity)
    elif gradient.has_kernels and _is_fused(current):
        if neurons.pool is not None and pool_fits(current.shape[-2:], neurons.pool):
            return Trace(*_Fused.apply(current, neurons, gradient, activity))
        unpooled = neurons._replace(pool=None)
        result = _Fused.apply(current, unpooled, gradient, activity)
    else:
        result = _Plain.apply(over_time(current, neurons), neurons, gradient, activity)
    potential, spikes, voltage = result
    if not neurons.record:
        spikes = voltage = current.new_empty(0)
    return Trace(sum_pool(potential, neurons.pool), spikes, voltage)


class _Plain(torch.autograd.Function):
    """The definition, step by step, in any precision on any device."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context has no public type
        current: Tensor,
        neurons: Neurons,
        gradient: Gradient,
        activity: Activity,
    ) -> tuple[Tensor, Tensor, Tensor]:
        trace = lif_forward(
            current, tau_m=neurons.tau_m, tau_s=neurons.tau_s, threshold=neurons.threshold
        )
        count = trace.spikes.sum()
        activity.spikes = activity.spikes + count
        ctx.save_for_backward(trace.voltage)  # everything else follows from it
        ctx.settings = neurons, gradient.settled(count, current.numel()), activity
        ctx.mark_non_differentiable(trace.spikes, trace.voltage)
        return trace.psp, trace.spikes, trace.voltage

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        (voltage,) = ctx.saved_tensors
        neurons, gradient, activity = ctx.settings
        spikes = (voltage > neurons.threshold).to(voltage.dtype)
        errors, falls_back = plain_errors(gradients[0], voltage, spikes, neurons, gradient)
        activity.fallbacks = activity.fallbacks + falls_back.sum()
        return errors, None, None, None


def plain_errors(
    coming: Tensor, voltage: Tensor, spikes: Tensor, neurons: Neurons, gradient: Gradient
) -> tuple[Tensor, Tensor]:
    """Return the errors at the current ``(time, ...)``, and where the surrogate took over.

    Parameters
    ----------
    coming
        The errors at the post-synaptic potentials.
    voltage, spikes
        What the neurons did; the potential is that before a possible reset.
    """
    surrogate = gradient.surrogate(voltage, neurons.threshold)
    slope = spikes * _spike_slope(voltage, spikes) if gradient.spike_time else surrogate
    error, carry = _adjoint(coming, voltage, slope, spikes, neurons, gradient.reset)
    falls_back = psp(spikes, tau_s=neurons.tau_s) < gradient.fallback_below
    return torch.where(falls_back, error * surrogate, carry), falls_back


class _Recurrent(torch.autograd.Function):
    r"""Neurons ``(time, batch, ...)`` that see each other's potentials one step later.

    The current is :math:`I_t + R\,a_{t-1}`, so the error at the potentials is :math:`g_t +
    R^\top e_{t+1}`, and :math:`\partial L/\partial R = \sum_t e_t a_{t-1}^\top`. Of maps, R is a
    convolution of the same shape.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        current: Tensor,
        feedback: Tensor,
        neurons: Neurons,
        gradient: Gradient,
        activity: Activity,
    ) -> tuple[Tensor, Tensor, Tensor]:
        potential, after_reset = torch.zeros_like(current[0]), torch.zeros_like(current[0])
        potentials, fired, voltages = (torch.empty_like(current) for _ in range(3))
        for t in range(len(current)):
            voltages[t], fired[t], after_reset = membrane_step(
                after_reset,
                current[t] + _fed_back(potential, feedback),
                tau_m=neurons.tau_m,
                threshold=neurons.threshold,
            )
            potential = (1 - 1 / neurons.tau_s) * potential + fired[t] / neurons.tau_s
            potentials[t] = potential
        count = fired.sum()
        activity.spikes = activity.spikes + count
        ctx.save_for_backward(voltages, potentials, feedback)
        ctx.settings = neurons, gradient.settled(count, current.numel()), activity
        ctx.mark_non_differentiable(fired, voltages)
        return potentials, fired, voltages

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        voltage, potential, feedback = ctx.saved_tensors
        neurons, gradient, activity = ctx.settings
        spikes = (voltage > neurons.threshold).to(voltage.dtype)
        errors, falls_back = recurrent_errors(
            gradients[0], voltage, potential, spikes, feedback, neurons, gradient
        )
        activity.fallbacks = activity.fallbacks + falls_back
        own = to_feedback(errors, potential, feedback)
        return errors, own, None, None, None


def recurrent_errors(
    coming: Tensor,
    voltage: Tensor,
    potential: Tensor,
    spikes: Tensor,
    feedback: Tensor,
    neurons: Neurons,
    gradient: Gradient,
) -> tuple[Tensor, Tensor]:
    """Return the errors at the current of neurons that hear each other, and the fallbacks.

    Parameters
    ----------
    coming
        The errors that reach their post-synaptic ``potential`` from other layers.
    voltage
        Of the membrane, before a possible reset.
    feedback
        Weights of their own potentials, one step later.
    """
    surrogate = gradient.surrogate(voltage, neurons.threshold)
    slope = spikes * _spike_slope(voltage, spikes) if gradient.spike_time else surrogate
    falls_back = potential < gradient.fallback_below
    filtered, carry = torch.zeros_like(voltage[0]), torch.zeros_like(voltage[0])
    errors = torch.zeros_like(voltage)
    for t in reversed(range(len(voltage))):
        arriving = coming[t]
        if t + 1 < len(voltage):
            arriving = arriving + _fed_back_adjoint(errors[t + 1], feedback)
        filtered = arriving / neurons.tau_s + (1 - 1 / neurons.tau_s) * filtered
        leak = (1 - spikes[t]) * (1 - 1 / neurons.tau_m)
        carry = slope[t] * (filtered + gradient.reset * voltage[t] * carry) + leak * carry
        errors[t] = torch.where(falls_back[t], filtered * surrogate[t], carry)
    return errors, falls_back.sum()


def _fed_back(potential: Tensor, feedback: Tensor) -> Tensor:
    """Weight the potentials ``(batch, ...)`` of a layer's own neurons."""
    if feedback.dim() == 2:
        return F.linear(potential, feedback)
    return F.conv2d(potential, feedback, padding=feedback.shape[2] // 2)


def _fed_back_adjoint(error: Tensor, feedback: Tensor) -> Tensor:
    """Return the error at the potentials of :func:`_fed_back`."""
    if feedback.dim() == 2:
        return error @ feedback
    return F.conv_transpose2d(error, feedback, padding=feedback.shape[2] // 2)


def to_feedback(errors: Tensor, potentials: Tensor, feedback: Tensor) -> Tensor:
    """Return the errors at the weights of :func:`recurrent_errors`, over steps and samples."""
    errors, potentials = errors[1:], potentials[:-1]
    if feedback.dim() == 2:
        return torch.einsum("tbi,tbj->ij", errors, potentials)
    return conv2d_weight(
        potentials.flatten(0, 1),
        list(feedback.shape),
        errors.flatten(0, 1),
        padding=feedback.shape[2] // 2,
    )


def _spike_slope(voltage: Tensor, spikes: Tensor) -> Tensor:
    """Return clamp(1/δ, 0, 8); meaningful where there is a spike."""
    before = torch.zeros_like(voltage)
    before[1:] = (voltage * (1 - spikes))[:-1]
    # clamp also catches an increment of exactly zero, which only happens without a spike
    return (1 / (voltage - before)).clamp(0, _STEEPEST)


def _adjoint(
    gradient: Tensor, voltage: Tensor, slope: Tensor, spikes: Tensor, neurons: Neurons, reset: float
) -> tuple[Tensor, Tensor]:
    """Return A and D of :class:`Gradient`."""
    filtered, carry = torch.zeros_like(gradient[0]), torch.zeros_like(gradient[0])
    errors, carries = torch.empty_like(gradient), torch.empty_like(gradient)
    leak = (1 - spikes) * (1 - 1 / neurons.tau_m)
    for step in reversed(range(len(gradient))):
        filtered = gradient[step] / neurons.tau_s + (1 - 1 / neurons.tau_s) * filtered
        carry = slope[step] * (filtered + reset * voltage[step] * carry) + leak[step] * carry
        errors[step], carries[step] = filtered, carry
    return errors, carries


class _Compiled(torch.autograd.Function):
    """The same through :mod:`tssl.trainer.kernels`, time course and pool included."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        current: Tensor,
        neurons: Neurons,
        gradient: Gradient,
        activity: Activity,
    ) -> tuple[Tensor, Tensor, Tensor]:
        steps, shape = neurons.constant_steps or len(current), current.shape[1:]
        potential = empty(current, steps, neurons.pooled(shape))
        recorded = steps if neurons.record else 0
        spikes, voltage = (empty(current, recorded, shape) for _ in range(2))
        response = constant_response(steps, neurons.synapse if neurons.constant_steps else None)
        window = memory_window(current, steps, neurons)
        count = kernels.forward(
            flat(current), response, gradient.constants(neurons), window,
            flat(potential), flat(spikes), flat(voltage),
        )  # fmt: skip
        activity.spikes += count
        ctx.save_for_backward(current)
        settled = gradient.settled(count, steps * current[0].numel())
        ctx.settings = response, settled.constants(neurons), window, activity
        ctx.mark_non_differentiable(spikes, voltage)
        return potential, spikes, voltage

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        (current,) = ctx.saved_tensors
        response, constants, window, activity = ctx.settings
        error = empty(current, len(current), current.shape[1:])
        activity.fallbacks += kernels.backward(
            flat(current), response, flat(gradients[0]), constants, window, flat(error)
        )
        return error, None, None, None


class _Fused(torch.autograd.Function):
    """The same through :mod:`tssl.trainer.gpu_kernels`, time course included."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        current: Tensor,
        neurons: Neurons,
        gradient: Gradient,
        activity: Activity,
    ) -> tuple[Tensor, Tensor, Tensor]:
        steps, shape = neurons.constant_steps or len(current), current.shape[1:]
        potential = empty(current, steps, neurons.pooled(shape))
        voltage = empty(current, steps, shape)
        constant = neurons.synapse if neurons.constant_steps else None
        response = _device_response(steps, constant, current.device)
        constants = gradient.constants(neurons)
        given = rows(current), response, constants, *_windows(neurons, shape)
        count = _kernels(neurons).forward(*given, rows(potential), rows(voltage))
        activity.spikes = activity.spikes + count
        fired = (voltage > neurons.threshold).to(voltage) if neurons.record else voltage[:0]
        recorded = voltage if neurons.record else voltage[:0]
        ctx.save_for_backward(voltage)  # everything else follows from it
        settled = gradient.settled(count, voltage.numel())
        ctx.settings = neurons, settled.constants(neurons), response, len(current), activity
        ctx.mark_non_differentiable(fired, recorded)
        return potential, fired, recorded

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        (voltage,) = ctx.saved_tensors
        neurons, constants, response, steps, activity = ctx.settings
        error = empty(voltage, steps, voltage.shape[1:])
        given = rows(voltage), response, rows(gradients[0]), constants
        windows = _windows(neurons, voltage.shape[1:])
        fallbacks = _kernels(neurons).backward(*given, *windows, rows(error))
        activity.fallbacks = activity.fallbacks + fallbacks
        return error, None, None, None


def _kernels(neurons: Neurons) -> Any:  # noqa: ANN401 - one of two modules
    """Return the kernels for neurons with or without a pool; they need Triton."""
    from tssl.trainer import gpu_kernels, gpu_pools

    return gpu_kernels if neurons.pool is None else gpu_pools


def _windows(neurons: Neurons, shape: Sequence[int]) -> tuple[Any, ...]:
    """Return what the kernels are told about a pool behind neurons ``(batch, C, H, W)``, if any."""
    if neurons.pool is None:
        return ()
    from tssl.trainer.gpu_pools import Windows

    (height, width), (_, channels, _, across) = neurons.pool.kernel, shape
    return (Windows(height, width, across, channels, float(neurons.pool.gain)),)


@lru_cache
def _device_response(steps: int, tau_s: float | None, device: torch.device) -> Tensor:
    """Return :func:`constant_response` where it is needed, sent there once."""
    return torch.from_numpy(constant_response(steps, tau_s)).to(device)


def memory_window(current: Tensor, steps: int, neurons: Neurons) -> kernels.Window:
    """Return how the kernels walk through the neurons of a current ``(time, ...)``."""
    if neurons.pool is None:
        return kernels.plain_window(steps)
    (rows, columns), (_, channels, _, width) = neurons.pool.kernel, current.shape[1:]
    gain = float(neurons.pool.gain)
    return kernels.Window(rows * width * channels, rows, columns, channels, gain)


@lru_cache
def constant_response(steps: int, tau_s: float | None) -> NDArray[Any]:
    """Return the factors of the current over time; all one when it has its own time axis."""
    ones = torch.ones(steps)
    course = ones if tau_s is None else static_psp(steps, tau_s=tau_s, like=ones)
    factors: NDArray[Any] = course.numpy()
    return factors


def _is_compiled(current: Tensor, neurons: Neurons) -> bool:
    if (
        neurons.feedback is not None
        or current.device.type != "cpu"
        or current.dtype != torch.float32
        or not current.numel()
    ):
        return False
    return neurons.pool is None or pool_fits(current.shape[-2:], neurons.pool)


def _is_fused(current: Tensor) -> bool:
    return (
        current.is_cuda
        and current.dtype == torch.float32
        and bool(current.numel())
        and _has_triton()
    )


@lru_cache(maxsize=1)
def _has_triton() -> bool:
    """Return whether Triton is installed, and the C compiler with which it starts kernels."""
    compilers = (os.environ.get("CC"), "cc", "gcc", "clang")
    return find_spec("triton") is not None and any(which(name) for name in compilers if name)


def empty(like: Tensor, steps: int, shape: tuple[int, ...]) -> Tensor:
    """Return an empty tensor ``(steps, *shape)``, channels last if it has images."""
    if len(shape) != 4:
        return like.new_empty((steps, *shape))
    batch, channels, height, width = shape
    return like.new_empty((steps, batch, height, width, channels)).permute(0, 1, 4, 2, 3)


def flat(tensor: Tensor) -> NDArray[Any]:
    """Return what :func:`rows` does as an array."""
    array: NDArray[Any] = rows(tensor.detach()).numpy()
    return array


def rows(tensor: Tensor) -> Tensor:
    """Return a tensor ``(time, ...)`` as ``(time, neurons)``, channels last if it has images.

    A view of what :func:`empty` made, so that it can be filled.
    """
    if tensor.dim() == 5:
        tensor = tensor.permute(0, 1, 3, 4, 2)
    return tensor.flatten(1).contiguous()
