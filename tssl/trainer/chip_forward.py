"""Training on the chip's integers: the forward pass is the chip's, TSSL-BP runs on its record.

The weights stay in floating point and move by small steps; each forward pass rounds them to
the chip's grid. The errors pass the rounding unchanged (straight-through). Spikes, potentials
and predictions are those that the exported network will compute.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tssl.chip import INPUT
from tssl.errors import TrainingError
from tssl.geometry import Geometry
from tssl.graph import NORM, Graph
from tssl.trainer import chip_kernels
from tssl.trainer.linear import gradients, weighted
from tssl.trainer.neuron import (
    Activity,
    Neurons,
    Pool,
    Trace,
    constant_over_time,
    pool_fits,
    sum_pool,
)
from tssl.trainer.recurrence import Gradient, constant_response, empty, flat, memory_window

_DECAY_ONE = 4096
_SHIFT = 64
_LARGEST_BIAS = 4095
_EXACT = 1 << 24
"""Whole numbers below this, and their sums, are exact in single precision."""


class Signal(NamedTuple):
    """What passes between layers, ``(time, batch, ...)``."""

    psp: Tensor
    """In trained units; the errors travel along it."""
    counts: Tensor
    """Spikes as the chip counts them, summed where a pool does."""
    gain: float
    """Of the pools passed, part of ``psp`` but not of ``counts``."""
    largest: int
    """Bound of the counts."""


class ChipLayer(NamedTuple):
    """A layer with weights and the grid of its integers."""

    name: str
    geometry: Geometry | None
    """Of a convolution; None for dense weights."""
    neurons: Neurons
    gradient: Gradient
    scale: float
    largest_weight: int
    weight_step: int
    quantum: float
    """What a count of one stands for, 1 for spikes."""

    @property
    def unit(self) -> float:
        """Of the chip's potential, in those of the trained network."""
        return 1 / (_SHIFT * self.scale)

    @property
    def constants(self) -> chip_kernels.ChipConstants:
        """What the kernel is told."""
        return chip_kernels.ChipConstants(
            current_decay=round(_DECAY_ONE / self.neurons.synapse),
            voltage_decay=round(_DECAY_ONE / self.neurons.tau_m),
            threshold=_SHIFT * round(self.scale * self.neurons.threshold),
            wraps=self.geometry is not None,
            tau_s=float(self.neurons.tau_s),
        )

    def rounded(self, weight: Tensor, gain: float) -> tuple[Tensor, Tensor]:
        """Return the weights as integers, and those in trained units."""
        integers, dequantized = torch.empty_like(weight), torch.empty_like(weight)
        chip_kernels.round_weights(
            _every(weight), (gain, self.quantum, 1 / self.neurons.synapse, self.scale),
            self.weight_step, self.largest_weight, _every(integers),
            _every(dequantized),
        )  # fmt: skip
        return integers, dequantized

    def mantissas(self, bias: Tensor | None) -> NDArray[np.float32]:
        """Return biases as whole numbers within the chip's 13 bits; nothing for none."""
        if bias is None:
            return np.empty(0, np.float32)
        rounded = torch.round(bias.detach().double() * self.scale)
        return rounded.clamp(-_LARGEST_BIAS, _LARGEST_BIAS).float().numpy()


def input_signal(inputs: Tensor, psp: Tensor, quantum: float) -> Signal:
    """Return the input of the first layer; ``inputs`` are whole multiples of ``quantum``."""
    counts = torch.round(inputs / quantum)
    return Signal(psp, counts, 1.0, int(counts.abs().max()) if counts.numel() else 0)


def over_time(signal: Signal, time_steps: int, *, tau_s: float) -> Signal:
    """Return an input that stays the same as one over time, for what acts at every step."""
    counts = signal.counts.expand(time_steps, *signal.counts.shape[1:])
    return signal._replace(
        psp=constant_over_time(signal.psp, time_steps, tau_s=tau_s), counts=counts
    )


def pooled(signal: Signal, pool: Pool) -> Signal:
    """Return the signal behind a pool of its own."""
    return Signal(
        sum_pool(signal.psp, pool),
        sum_pool(signal.counts, pool._replace(gain=1.0)),
        signal.gain * pool.gain,
        signal.largest * pool.kernel[0] * pool.kernel[1],
    )


def run_layer(
    signal: Signal, weight: Tensor, bias: Tensor | None, chip: ChipLayer, activity: Activity
) -> tuple[Trace, Signal]:
    """Run a layer on the chip's integers; the trace's potentials are whole numbers."""
    psp, counts, fired, voltage = _Layer.apply(
        signal.psp, weight, bias, signal.counts, signal.gain, signal.largest, chip, activity
    )
    activity.neuron_steps += voltage.numel()
    after = Signal(psp, counts, 1.0, 1)
    pool = chip.neurons.pool
    if pool is not None and pool_fits(voltage.shape[-2:], pool):  # the kernel has pooled
        after = Signal(psp, counts, pool.gain, pool.kernel[0] * pool.kernel[1])
    elif pool is not None:
        after = pooled(after, pool)
    recorded = (fired.to(psp.dtype), voltage) if chip.neurons.record else (psp[:0], psp[:0])
    return Trace(after.psp, *recorded), after


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context has no public type
        psp: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        counts: Tensor,
        gain: float,
        largest: int,
        chip: ChipLayer,
        activity: Activity,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        integers, dequantized = chip.rounded(weight, gain)
        activation = _exact(counts, integers, largest, chip)
        steps, shape = chip.neurons.constant_steps or len(counts), activation.shape[1:]
        neurons = chip.neurons
        if neurons.pool is not None and not pool_fits(shape[-2:], neurons.pool):
            neurons = neurons._replace(pool=None)
        window = memory_window(activation, steps, neurons)
        pooled_shape = neurons.pooled(shape)
        potential, sums = (empty(activation, steps, pooled_shape) for _ in range(2))
        voltage = empty(activation, steps, shape)
        fired = torch.empty_like(voltage, dtype=torch.uint8)
        count = chip_kernels.chip_forward(
            flat(activation), chip.mantissas(bias), steps, chip.constants, window,
            flat(potential), flat(sums), flat(fired), flat(voltage),
        )  # fmt: skip
        activity.spikes += count
        ctx.save_for_backward(psp, dequantized, fired, voltage)
        settled = chip.gradient.settled(count, voltage.numel())
        ctx.settings = chip, settled, window, activity
        ctx.mark_non_differentiable(sums, fired, voltage)
        return potential, sums, fired, voltage

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        psp, dequantized, fired, voltage = ctx.saved_tensors
        chip, gradient, window, activity = ctx.settings
        error = empty(voltage, len(psp), voltage.shape[1:])
        steps = len(voltage)
        constant = chip.neurons.synapse if chip.neurons.constant_steps else None
        activity.fallbacks += chip_kernels.chip_backward(
            flat(fired), flat(voltage), chip.unit, constant_response(steps, constant),
            flat(grads[0]), gradient.constants(chip.neurons), window, flat(error),
        )  # fmt: skip
        to_psp, to_weight = gradients(
            error, psp, dequantized, chip.geometry, to_signal=ctx.needs_input_grad[0]
        )
        other_axes = [axis for axis in range(error.dim()) if axis != 2]
        to_bias = error.sum(other_axes) if ctx.needs_input_grad[2] else None
        return to_psp, to_weight, to_bias, None, None, None, None, None


def _exact(counts: Tensor, integers: Tensor, largest: int, chip: ChipLayer) -> Tensor:
    """Return the weighted sums, exact: in double precision where single might round."""
    bound = chip.largest_weight * largest * integers[0].numel()
    if bound < _EXACT:
        return weighted(counts, integers, chip.geometry)
    sums = weighted(counts.double(), integers.double(), chip.geometry)
    if float(sums.abs().max()) >= _EXACT:
        raise TrainingError(
            f"training.forward = 'chip': weighted sums of layer {chip.name} exceed 24 bits; "
            "use a smaller encoding.resolution"
        )
    return sums.float()


def _every(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().view(-1).numpy()  # never a copy: results go here
    return array


def plan_problem(graph: Graph) -> str | None:
    """Return why a network cannot be trained on the chip's integers, or None."""
    before = INPUT
    for node in graph:
        if "recurrent" in node.parameters:
            return f"layer {node.name} is recurrent"
        if node.gate is not None:
            return f"layer {node.name} is a gate of spikes"
        if "leak" in node.parameters:
            return f"layer {node.name} trains its leak"
        if NORM[0] in node.parameters:
            return f"layer {node.name} has a norm"
        if node.sources != (before,):
            return f"layer {node.name} listens to {', '.join(node.sources)}"
        before = node.name
    return None
