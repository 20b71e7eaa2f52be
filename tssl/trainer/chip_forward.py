"""Training on the chip's integers: the forward pass is the chip's, TSSL-BP runs on its record.

The weights stay in floating point and move by small steps; each forward pass rounds them to
the chip's grid. The errors pass the rounding unchanged (straight-through). Spikes, potentials
and predictions are those that the exported network will compute.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tssl.chip.numbers import FLOAT32_EXACT
from tssl.trainer import chip_kernels, chip_plain, kernels, layout
from tssl.trainer.chip_layer import (
    Arrays,
    ChipLayer,
    Counted,
    Counting,
    Signal,
    added,
    behind,
    exact,
    pooled,
    together,
)
from tssl.trainer.chip_plain import to_bias
from tssl.trainer.feedback import Run, recurrent_errors, to_feedback
from tssl.trainer.integration import taken_back
from tssl.trainer.layout import Course, Memory, empty, flat
from tssl.trainer.neuron import Activity, Neurons, Trace, collected, psp
from tssl.trainer.products import Products
from tssl.trainer.tape import apply, kept

__all__ = ["run_layer"]


def run_layer(
    ways: Sequence[Signal], arrays: Arrays, chip: ChipLayer, activity: Activity
) -> tuple[Trace, Signal]:
    """Run a layer on the chip's integers; the trace's potentials are whole numbers.

    Those of neurons that never fire are in trained units, as the loss takes them.

    Parameters
    ----------
    ways
        All constant, or all with potentials over time; what they weigh adds up.
    """
    activation = apply(
        _Weighted, arrays.weight, [way.counting for way in ways], chip,
        *(way.psp for way in ways), *(way.counts for way in ways), *(way.peak for way in ways),
    )  # fmt: skip
    if chip.neurons.never_fires:
        trace = Trace(*apply(_Read, activation, arrays.bias, chip))
        return trace, Signal(trace.psp, trace.spikes, Counting())
    pool, is_plain = chip.neurons.pool, chip_plain.lacks_loops(activation)
    if arrays.own is not None:
        result = apply(_Recurrent, activation, arrays.bias, arrays.own, chip, activity)
    elif is_plain:
        result = _plain(activation, arrays.bias, chip, activity)
    else:
        result = apply(_Neurons, activation, arrays.bias, chip, activity)
    potential, counts, fired, voltage = result
    steps, shape = chip.neurons.constant_steps or len(activation), activation.shape[1:]
    activity.neuron_steps += steps * shape.numel()
    after = Signal(potential, counts, Counting())
    by_loops = pool is not None and arrays.own is None and not is_plain
    if pool is not None and by_loops and chip.neurons.fitted(shape) is chip.neurons:
        after = after._replace(counting=behind(after.counting, pool))
    elif pool is not None:
        after = pooled(after, pool)
    none = potential[:0]
    recorded = (fired.to(potential.dtype), voltage) if chip.neurons.record else (none, none)
    return Trace(after.psp, *recorded), after


def _plain(
    activation: Tensor, bias: Tensor | None, chip: ChipLayer, activity: Activity
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Run neurons that do not hear each other where there are no compiled loops."""
    return chip_plain.PlainNeurons.apply(
        activation,
        bias,
        chip.constant(bias, activation.dim()),
        chip.constants,
        (chip.neurons, chip.gradient, chip.unit),
        activity,
    )


class _Weighted(torch.autograd.Function):
    r"""What arrives on all ways, in integers; errors are those at the trained current.

    .. math:: I = \sum_w W_w a_w

    where :math:`W_w` are the weights as rounded for the gain and the unit of a way.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context has no public type
        weight: Tensor,
        countings: Sequence[Counting],
        chip: ChipLayer,
        *arriving: Tensor | None,
    ) -> Tensor:
        ways = len(countings)
        potentials = [each for each in arriving[:ways] if each is not None]
        # dense layers read no weights on the way back, unless an error goes on to their signal
        both = chip.geometry is not None or any(ctx.needs_input_grad[3 : 3 + ways])
        grids = {
            factors: chip.rounded(weight, *factors, both=both)
            for factors in dict.fromkeys((way.gain, way.quantum) for way in countings)
        }
        total, bound = None, 0
        for counts, counting, largest in together(_counted(countings, arriving), weight, chip):
            integers, _ = grids[counting.gain, counting.quantum]
            sums = exact(counts, integers, largest, chip.geometry, chip)
            sums = sums if counting.lift == 1 else torch.round(sums * counting.lift)
            bound += int(chip.bound(largest, integers) * counting.lift) + 1
            total = sums if total is None else added(total, sums, bound, chip)
        if total is None:
            raise TypeError(f"layer {chip.name}: nothing arrives")
        steps = max(map(len, potentials))
        ctx.save_for_backward(*potentials, *(grid[1] for grid in grids.values()))
        factors = [(way.gain, way.quantum) for way in countings]
        ctx.settings = factors, list(grids), chip, weight.dtype
        return total if len(total) == steps else total.expand(steps, *total.shape[1:])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        factors, grids, chip, kind = ctx.settings
        potentials, rounded = ctx.saved_tensors[: len(factors)], ctx.saved_tensors[len(factors) :]
        wanted = ctx.needs_input_grad[3 : 3 + len(factors)]
        products: dict[Any, Products] = kept(ctx, dict)
        to_psp: dict[Any, Tensor | None] = {}
        to_weight: Tensor | None = None
        for grid, dequantized in zip(grids, rounded, strict=True):
            mine = [each == grid for each in factors]
            together = [p for p, is_mine in zip(potentials, mine, strict=True) if is_mine]
            to_signal = any(w for w, is_mine in zip(wanted, mine, strict=True) if is_mine)
            signal = sum(together[1:], start=together[0])
            if grid not in products:
                products[grid] = Products(signal, dequantized, chip.geometry, to_signal=to_signal)
            to_psp[grid], more = products[grid].backward(grads[0], signal, dequantized)
            to_weight = more if to_weight is None else to_weight + more
        coming = (to_psp[each] if w else None for each, w in zip(factors, wanted, strict=True))
        others = [None] * (2 * len(factors))
        return None if to_weight is None else to_weight.to(kind), None, None, *coming, *others


def _counted(countings: Sequence[Counting], arriving: Sequence[Tensor | None]) -> Sequence[Counted]:
    """Return counts with their bounds, from all potentials, all counts, and all peaks."""
    ways = len(countings)
    each = zip(countings, arriving[ways : 2 * ways], arriving[2 * ways :], strict=True)
    return [
        Counted(counts, counting, counting.largest * (1 if peak is None else int(peak)))
        for counting, counts, peak in each
        if counts is not None
    ]


class _Neurons(torch.autograd.Function):
    """Neurons that do not hear each other, and their pool."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        activation: Tensor,
        bias: Tensor | None,
        chip: ChipLayer,
        activity: Activity,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        course = layout.course(activation.shape, chip.neurons)
        made = kept(ctx, partial(_made, activation, course, chip))
        seen, mantissas = flat(activation), chip.mantissas(bias).numpy()
        count = chip_kernels.chip_forward(
            seen, mantissas, course.steps, made.constants, course.window, *made.results.arrays
        )
        activity.spikes += count
        ctx.save_for_backward(activation)  # everything else follows from it
        settled = chip.gradient.settled(count, course.steps * seen.shape[1])
        ctx.settings = course, chip, mantissas, settled, activity
        ctx.kind = None if bias is None else bias.dtype
        potential, sums, fired, voltage = made.results.tensors
        ctx.mark_non_differentiable(sums, fired, voltage)
        return potential, sums, fired, voltage

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        (activation,) = ctx.saved_tensors
        course, chip, mantissas, gradient, activity = ctx.settings
        made = kept(ctx, partial(_made, activation, course, chip))
        back = made.back if gradient is chip.gradient else gradient.constants(chip.neurons)
        activity.fallbacks += chip_kernels.chip_backward(
            flat(activation), mantissas, made.constants, chip.unit, course.response,
            flat(grads[0]), back, course.window, *made.error.arrays,
        )  # fmt: skip
        (error,) = made.error.tensors
        return error, to_bias(error, ctx), None, None


class _Made(NamedTuple):
    """The memory of what neurons give, and what the loops are told of them."""

    results: Memory
    """Potentials, counts, and if recorded spikes and voltage."""
    error: Memory
    """That at the weighted sums."""
    constants: chip_kernels.ChipConstants
    back: kernels.Constants
    """Of the backward pass, unless a pass has settled on another gradient."""


def _made(activation: Tensor, course: Course, chip: ChipLayer) -> _Made:
    """Return the memory for weighted sums of one shape."""
    shape = activation.shape[1:]
    pooled = course.steps, course.pooled
    recorded = (course.steps, shape) if chip.neurons.record else (0, (0,))
    results = Memory(activation, pooled, pooled, recorded, recorded)
    error = Memory(activation, (len(activation), shape))
    return _Made(results, error, chip.constants, chip.gradient.constants(chip.neurons))


class _Recurrent(torch.autograd.Function):
    """Neurons that hear each other's spikes one step later; see ``feedback.Recurrent``."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        activation: Tensor,
        bias: Tensor | None,
        own: Tensor,
        chip: ChipLayer,
        activity: Activity,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        steps, shape = chip.neurons.constant_steps or len(activation), activation.shape[1:]
        integers, dequantized = chip.rounded(own)
        bound = chip.bound(1, integers) + FLOAT32_EXACT  # what arrives is near it only if graded
        fired, voltage = (empty(activation, steps, shape) for _ in range(2))
        advance = _steps(activation, bias, chip, fired, voltage)
        for t in range(steps):
            arriving = activation[min(t, len(activation) - 1)][None]
            if t:
                heard = exact(fired[t - 1 : t], integers, 1, chip.own_geometry, chip)
                arriving = added(arriving, heard, bound, chip)
            advance(t, arriving)
        count = fired.sum()
        activity.spikes = activity.spikes + count
        potential = psp(fired, tau_s=chip.neurons.tau_s)
        ctx.save_for_backward(fired, voltage, potential, dequantized)
        settled = chip.gradient.settled(count, voltage.numel())
        ctx.settings = chip, settled, activity
        ctx.kind, ctx.own_kind = None if bias is None else bias.dtype, own.dtype
        counts = fired.clone()
        ctx.mark_non_differentiable(counts, fired, voltage)
        return potential, counts, fired, voltage

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        fired, whole, potential, feedback = ctx.saved_tensors
        chip, gradient, activity = ctx.settings
        neurons, voltage = chip.neurons, whole * chip.unit
        errors, falls_back = recurrent_errors(
            grads[0], Run(voltage, potential, fired, feedback, neurons, gradient)
        )
        activity.fallbacks = activity.fallbacks + falls_back
        to_own = to_feedback(errors, potential, feedback)
        arrived = collected(errors, neurons)
        return arrived, to_bias(errors, ctx), to_own.to(ctx.own_kind), None, None


class _Read(torch.autograd.Function):
    """Neurons that never fire; see :mod:`tssl.trainer.integration`."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        activation: Tensor,
        bias: Tensor | None,
        chip: ChipLayer,
    ) -> tuple[Tensor, Tensor, Tensor]:
        steps, shape = chip.neurons.constant_steps or len(activation), activation.shape[1:]
        fired, voltage = (empty(activation, steps, shape) for _ in range(2))
        advance = _steps(activation, bias, chip, fired, voltage)
        for t in range(steps):
            advance(t, activation[min(t, len(activation) - 1)][None])
        ctx.neurons = chip.neurons
        ctx.kind = None if bias is None else bias.dtype
        potential = voltage * chip.unit
        shown = potential.clone()
        ctx.mark_non_differentiable(fired, shown)
        return potential, fired, shown

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        neurons: Neurons = ctx.neurons
        errors = taken_back(grads[0], neurons.tau_m)
        return collected(errors, neurons), to_bias(errors, ctx), None


def _steps(
    activation: Tensor, bias: Tensor | None, chip: ChipLayer, fired: Tensor, voltage: Tensor
) -> Callable[[int, Tensor], None]:
    """Return what does step t with what arrives ``(1, ...)`` and fills both arrays."""
    make = _plain_steps if chip_plain.lacks_loops(activation) else _compiled_steps
    return make(chip, bias, fired, voltage)


def _compiled_steps(
    chip: ChipLayer, bias: Tensor | None, fired: Tensor, voltage: Tensor
) -> Callable[[int, Tensor], None]:
    """See :func:`_steps`."""
    mantissas, constants = chip.mantissas(bias).numpy(), chip.constants
    state = np.zeros((2, fired[0].numel()), np.int32)

    def advance(t: int, arriving: Tensor) -> None:
        chip_kernels.chip_step(
            flat(arriving)[0], mantissas, constants, state,
            flat(fired[t : t + 1])[0], flat(voltage[t : t + 1])[0],
        )  # fmt: skip

    return advance


def _plain_steps(
    chip: ChipLayer, bias: Tensor | None, fired: Tensor, voltage: Tensor
) -> Callable[[int, Tensor], None]:
    """See :func:`_steps`; for where there are no compiled loops."""
    mantissas, constants = chip.constant(bias, fired.dim()), chip.constants
    rest = torch.zeros_like(fired[0], dtype=torch.int64)
    state = rest, rest

    def advance(t: int, arriving: Tensor) -> None:
        nonlocal state
        voltage[t], state = chip_plain.step(arriving[0], mantissas, constants, state)
        fired[t] = voltage[t] > constants.threshold

    return advance
