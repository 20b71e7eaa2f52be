"""One layer of neurons, forward by its equations and backward by a rule's.

Every rule with errors that travel back through time neuron by neuron is a setting of the same
recurrence; see :class:`Gradient`. Single precision on a CPU goes through
:mod:`tssl.trainer.kernels`, on a GPU through :mod:`tssl.trainer.gpu_kernels` where Triton is
installed, anything else through the plain PyTorch code below.
"""

import os
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from importlib.util import find_spec
from shutil import which
from typing import Any

import torch
from torch import Tensor

from tssl.trainer import kernels, layout
from tssl.trainer.feedback import Recurrent
from tssl.trainer.gradient import Gradient, spike_slope
from tssl.trainer.layout import (
    Memory,
    Seen,
    device_response,
    empty,
    rows,
)
from tssl.trainer.neuron import (
    Activity,
    Neurons,
    Trace,
    lif_forward,
    over_time,
    psp,
    sum_pool,
)
from tssl.trainer.tape import apply, kept

__all__ = ["Gradient", "RecurrenceRule", "plain_errors", "spiking"]


class RecurrenceRule:
    """A learning rule that is a setting of the recurrence.

    Parameters
    ----------
    gradient
        Gives the setting for a layer's neurons, the same at every pass: passes are repeated.
    """

    def __init__(self, gradient: Callable[[Neurons], Gradient]) -> None:
        self.gradient = gradient

    @property
    def has_kernels(self) -> bool:
        """Whether the compiled loops know its surrogate."""
        return self.gradient(Neurons(tau_m=2.0, tau_s=2.0, threshold=1.0)).has_kernels

    def __call__(self, current: Tensor, neurons: Neurons, activity: Activity) -> Trace:
        """See :class:`tssl.trainer.rule.Rule`."""
        return spiking(current, neurons, self.gradient(neurons), activity)


def spiking(current: Tensor, neurons: Neurons, gradient: Gradient, activity: Activity) -> Trace:
    """Run a layer of neurons; ``psp`` carries the gradient."""
    activity.neuron_steps += (neurons.constant_steps or len(current)) * current[0].numel()
    if gradient.has_kernels and _is_compiled(current, neurons):
        return Trace(*apply(_Compiled, current, neurons, gradient, activity))
    if neurons.feedback is not None:
        current = over_time(current, neurons)
        result = Recurrent.apply(current, neurons.feedback, neurons, gradient, activity)
    elif gradient.has_kernels and _is_fused(current):
        fitted = neurons.fitted(current.shape)
        result = _Fused.apply(current, fitted, gradient, activity)
        if fitted.pool is not None:
            return Trace(*result)
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
    slope = spikes * spike_slope(voltage, spikes) if gradient.spike_time else surrogate
    error, carry = _adjoint(coming, voltage, slope, spikes, neurons, gradient.reset)
    falls_back = psp(spikes, tau_s=neurons.tau_s) < gradient.fallback_below
    return torch.where(falls_back, error * surrogate, carry), falls_back


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
        loops = kept(ctx, partial(_Loops, current, neurons, gradient))
        count = loops.forward(current)
        activity.spikes += count
        ctx.save_for_backward(current)
        ctx.settings = neurons, gradient, gradient.settled(count, loops.neuron_steps), activity
        potential, spikes, voltage = loops.results
        ctx.mark_non_differentiable(spikes, voltage)
        return potential, spikes, voltage

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        (current,) = ctx.saved_tensors
        neurons, gradient, settled, activity = ctx.settings
        loops = kept(ctx, partial(_Loops, current, neurons, gradient))
        error, fallbacks = loops.backward(current, gradients[0], settled)
        activity.fallbacks += fallbacks
        return error, None, None, None


class _Loops:
    """The compiled loops for currents of one shape, with the memory of their results."""

    def __init__(self, current: Tensor, neurons: Neurons, gradient: Gradient) -> None:
        self._course = layout.course(current.shape, neurons)
        self._neurons, self._gradient = neurons, gradient
        self._constants = gradient.constants(neurons)
        steps, shape = self._course.steps, current.shape[1:]
        self.neuron_steps = steps * shape.numel()
        recorded = (steps, shape) if neurons.record else (0, (0,))
        self._results = Memory(current, (steps, self._course.pooled), recorded, recorded)
        self._errors = Memory(current, (len(current), shape))
        self._current, self._coming = Seen(layout.flat), Seen(layout.flat)

    @property
    def results(self) -> tuple[Tensor, ...]:
        """Potentials, and if recorded spikes and voltage."""
        return self._results.tensors

    def forward(self, current: Tensor) -> int:
        """Fill the results; return how often neurons fired."""
        seen, course = self._current.of(current), self._course
        return kernels.forward(
            seen, course.response, self._constants, course.window, *self._results.arrays
        )

    def backward(self, current: Tensor, coming: Tensor, gradient: Gradient) -> tuple[Tensor, int]:
        """Return the error at the current, and how often the surrogate took over."""
        course, errors = self._course, self._errors
        constants = self._constants
        if gradient is not self._gradient:
            constants = gradient.constants(self._neurons)
        fallbacks = kernels.backward(
            self._current.of(current), course.response, self._coming.of(coming), constants,
            course.window, *errors.arrays,
        )  # fmt: skip
        return errors.tensors[0], fallbacks


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
        response = device_response(steps, constant, current.device)
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


def _is_compiled(current: Tensor, neurons: Neurons) -> bool:
    if neurons.feedback is not None or not layout.is_compiled_input(current):
        return False
    return neurons.fitted(current.shape) is neurons


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
