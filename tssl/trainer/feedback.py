"""Layers whose neurons hear each other one step later."""

from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.grad import conv2d_weight

from tssl.neurons import membrane_step
from tssl.trainer import feedback_kernels, layout
from tssl.trainer.gradient import Gradient, spike_slope
from tssl.trainer.layout import empty, flat
from tssl.trainer.neuron import Activity, Neurons

__all__ = ["Recurrent", "Run", "recurrent_errors", "to_feedback"]


class Run(NamedTuple):
    """What neurons did that hear each other, each ``(time, batch, ...)``, and how errors pass."""

    voltage: Tensor
    """Of the membrane, before a possible reset."""
    potential: Tensor
    """Post-synaptic potential of their spikes."""
    spikes: Tensor
    feedback: Tensor
    """Weights of their own potentials, one step later."""
    neurons: Neurons
    gradient: Gradient


class Recurrent(torch.autograd.Function):
    r"""Neurons ``(time, batch, ...)`` that see each other's potentials one step later.

    The current is :math:`I_t + R\,a_{t-1}`, so the error at the potentials is :math:`g_t +
    R^\top e_{t+1}`, and :math:`\partial L/\partial R = \sum_t e_t a_{t-1}^\top`. Of maps, R is a
    convolution of the same shape.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context has no public type
        current: Tensor,
        feedback: Tensor,
        neurons: Neurons,
        gradient: Gradient,
        activity: Activity,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return potentials, spikes and the membrane's potentials before a possible reset."""
        run = _run_by_loops if layout.is_compiled_input(current) else _run
        potentials, fired, voltages = run(current, feedback, neurons)
        count = fired.sum()
        activity.spikes = activity.spikes + count
        ctx.save_for_backward(voltages, potentials, feedback)
        ctx.settings = neurons, gradient.settled(count, current.numel()), activity
        ctx.mark_non_differentiable(fired, voltages)
        return potentials, fired, voltages

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Return the errors at current and feedback."""
        voltage, potential, feedback = ctx.saved_tensors
        neurons, gradient, activity = ctx.settings
        spikes = (voltage > neurons.threshold).to(voltage.dtype)
        run = Run(voltage, potential, spikes, feedback, neurons, gradient)
        errors, falls_back = recurrent_errors(gradients[0], run)
        activity.fallbacks = activity.fallbacks + falls_back
        own = to_feedback(errors, potential, feedback)
        return errors, own, None, None, None


def _run(current: Tensor, feedback: Tensor, neurons: Neurons) -> tuple[Tensor, Tensor, Tensor]:
    """Return potentials, spikes and voltages, step by step: the definition."""
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
    return potentials, fired, voltages


def _run_by_loops(
    current: Tensor, feedback: Tensor, neurons: Neurons
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what :func:`_run` does, all of a step but its product in one loop."""
    potentials, fired, voltages = (empty(current, len(current), current.shape[1:]) for _ in "asu")
    membrane = feedback_kernels.Membrane(neurons.tau_m, neurons.tau_s, neurons.threshold)
    arriving, state = flat(current), feedback_kernels.zeros(2, current[0].numel())
    heard = arriving[0] * 0
    for t, (a, s, u) in enumerate(zip(*map(flat, (potentials, fired, voltages)), strict=True)):
        if t:
            heard = _row(_fed_back(potentials[t - 1], feedback))
        feedback_kernels.step(arriving[t], heard, membrane, state, a, s, u)
    return potentials, fired, voltages


def recurrent_errors(coming: Tensor, run: Run) -> tuple[Tensor, Tensor]:
    """Return the errors at the current of neurons that hear each other, and the fallbacks.

    Parameters
    ----------
    coming
        The errors that reach their post-synaptic potentials from other layers.
    """
    by_loops = run.gradient.has_kernels and layout.is_compiled_input(run.voltage)
    return _errors_by_loops(coming, run) if by_loops else _errors(coming, run)


def _errors(coming: Tensor, run: Run) -> tuple[Tensor, Tensor]:
    """Return the errors step by step: the definition."""
    voltage, potential, spikes, feedback, neurons, gradient = run
    surrogate = gradient.surrogate(voltage, neurons.threshold)
    slope = spikes * spike_slope(voltage, spikes) if gradient.spike_time else surrogate
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


def _errors_by_loops(coming: Tensor, run: Run) -> tuple[Tensor, Tensor]:
    """Return what :func:`_errors` does, all of a step but its product in one loop."""
    voltage, potential, spikes, feedback, neurons, gradient = run
    errors = empty(voltage, len(voltage), voltage.shape[1:])
    constants = gradient.constants(neurons)
    given, u, s, a, out = map(flat, (coming, voltage, spikes, potential, errors))
    state = feedback_kernels.zeros(2, voltage[0].numel())  # A and D
    nothing = state[0].copy()
    falls_back, heard = 0, nothing
    for t in reversed(range(len(voltage))):
        if t + 1 < len(voltage):
            heard = _row(_fed_back_adjoint(errors[t + 1], feedback))
        before = (u[t - 1], s[t - 1]) if t else (nothing, nothing)
        falls_back += feedback_kernels.step_back(
            given[t], heard, constants, state, before, (u[t], s[t], a[t]), out[t]
        )
    return errors, torch.tensor(falls_back)


def _row(tensor: Tensor) -> NDArray[np.float32]:
    """Return a step ``(batch, ...)`` as ``(neurons,)``."""
    row: NDArray[np.float32] = flat(tensor[None])[0]
    return row


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
