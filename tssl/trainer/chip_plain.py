"""The chip's neurons in plain PyTorch, for devices that the compiled loops do not run on.

The integers are those of :mod:`tssl.trainer.chip_kernels`, bit for bit, on any device.
"""

from typing import Any

import torch
from torch import Tensor

from tssl.chip.numbers import (
    ACTIVATION_SHIFT,
    BIAS_SHIFT,
    DECAY_BITS,
    DECAY_ONE,
    STATE_LIMIT,
)
from tssl.trainer.chip_kernels import ChipConstants
from tssl.trainer.neuron import Activity, Neurons, collected, psp
from tssl.trainer.recurrence import Gradient, plain_errors

__all__ = ["PlainNeurons", "lacks_loops", "round_weights", "step", "to_bias"]


def lacks_loops(tensor: Tensor) -> bool:
    """Return whether the compiled loops cannot take this tensor."""
    return tensor.device.type != "cpu"


def round_weights(
    weight: Tensor, factors: tuple[float, float, float, float], step: int, largest: int
) -> tuple[Tensor, Tensor]:
    """Return integers and what they stand for; see :func:`chip_kernels.round_weights`."""
    gain, quantum, inverse_tau, scale = factors
    scaled = weight.detach().double() * gain * quantum * inverse_tau * scale
    rounded = (torch.round(scaled / step) * step).clamp(-largest, largest)
    return rounded.float(), (rounded / (gain * quantum * inverse_tau * scale)).float()


def step(
    arriving: Tensor, bias: Tensor | int, constants: ChipConstants, state: tuple[Tensor, Tensor]
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Advance CUBA neurons by one step.

    Parameters
    ----------
    arriving
        ``(batch, ...)``, whole numbers.
    bias
        Mantissas as 64-bit integers that broadcast to ``arriving``.
    state
        Synaptic current, and membrane potential after the reset, as 64-bit integers.

    Returns
    -------
    potential
        Before the reset, 64-bit integers.
    state
        After it.
    """
    u = _decayed(state[0], constants.current_decay) + (arriving.long() << ACTIVATION_SHIFT)
    u = torch.where(u > STATE_LIMIT, u - 2 * STATE_LIMIT, u)
    u = torch.where(u <= -STATE_LIMIT, u + 2 * STATE_LIMIT, u)
    v = _decayed(state[1], constants.voltage_decay) + u + (bias << BIAS_SHIFT)
    v = v.clamp(1 - STATE_LIMIT, STATE_LIMIT - 1)
    return v, (u, v * (v <= constants.threshold))


def _decayed(state: Tensor, decay: int) -> Tensor:
    """Multiply by 1 - decay / DECAY_ONE, rounding towards zero."""
    product = state * (DECAY_ONE - decay)
    return (product + ((product >> 63) & (DECAY_ONE - 1))) >> DECAY_BITS


class PlainNeurons(torch.autograd.Function):
    """Neurons that do not hear each other; the pool behind them is none of theirs."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context has no public type
        activation: Tensor,
        bias: Tensor | None,
        mantissas: Tensor | int,
        constants: ChipConstants,
        settings: tuple[Neurons, Gradient, float],
        activity: Activity,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return post-synaptic potentials, counts, spikes and potentials before the reset.

        Parameters
        ----------
        activation
            ``(time or 1, batch, ...)``, whole numbers.
        bias
            As trained, for its error; ``mantissas`` are what :func:`step` takes.
        settings
            The neurons, the gradient, and the unit of the chip's potential in theirs.
        """
        neurons, gradient, unit = settings
        steps = neurons.constant_steps or len(activation)
        rest = torch.zeros_like(activation[0], dtype=torch.int64)
        state, potentials = (rest, rest), []
        for t in range(steps):
            arriving = activation[min(t, len(activation) - 1)]
            potential, state = step(arriving, mantissas, constants, state)
            potentials.append(potential)
        whole = torch.stack(potentials)
        fired = (whole > constants.threshold).to(activation.dtype)
        count = fired.sum()
        activity.spikes = activity.spikes + count
        voltage = whole.to(activation.dtype)
        ctx.save_for_backward(fired, voltage)
        ctx.settings = neurons, gradient.settled(count, voltage.numel()), unit
        ctx.activity = activity
        ctx.kind = None if bias is None else bias.dtype
        counts = fired.clone()
        ctx.mark_non_differentiable(counts, fired, voltage)
        return psp(fired, tau_s=neurons.tau_s), counts, fired, voltage

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Return the errors at current and biases."""
        fired, whole = ctx.saved_tensors
        neurons, gradient, unit = ctx.settings
        errors, falls_back = plain_errors(gradients[0], whole * unit, fired, neurons, gradient)
        ctx.activity.fallbacks = ctx.activity.fallbacks + falls_back.sum()
        arrived = collected(errors, neurons)
        return arrived, to_bias(arrived, ctx), None, None, None, None


def to_bias(error: Tensor, ctx: Any) -> Tensor | None:  # noqa: ANN401
    """Return the error at biases, the second input of a function, from that at the current."""
    if not ctx.needs_input_grad[1]:
        return None
    other_axes = [axis for axis in range(error.dim()) if axis != 2]
    return error.sum(other_axes).to(ctx.kind)
