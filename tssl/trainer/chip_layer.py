"""A layer on the chip's integers: what arrives, the grid of its weights, and exact sums."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from tssl.chip.cuba import NEVER
from tssl.chip.limits import LARGEST_BIAS
from tssl.chip.numbers import (
    FLOAT32_EXACT,
    INT32_LIMIT,
    STATE_LIMIT,
    THRESHOLD_SHIFT,
)
from tssl.errors import TrainingError
from tssl.geometry import Geometry
from tssl.neurons import Lif
from tssl.trainer import chip_kernels, chip_plain, narrow
from tssl.trainer.concat import Places
from tssl.trainer.dropout import staying
from tssl.trainer.linear import tf32, weighted
from tssl.trainer.neuron import Neurons, Pool, constant_over_time
from tssl.trainer.operations import Concatenated, Pooled
from tssl.trainer.recurrence import Gradient
from tssl.trainer.tape import apply

__all__ = [
    "Arrays", "ChipLayer", "Counted", "Counting", "Signal", "Silenced", "added", "behind",
    "concatenated", "exact", "input_signal", "over_time", "pooled", "together",
]  # fmt: skip

_LEVEL = 1 << THRESHOLD_SHIFT
"""Of the membrane potential, for a threshold of one."""


class Counting(NamedTuple):
    """What is counted; the same at every pass."""

    largest: int = 1
    """Bound of the counts, in peaks of the input where they come from there."""
    gain: float = 1.0
    """Of the pools passed, part of potentials but not of counts."""
    quantum: float = 1.0
    """What a count of one stands for, 1 for spikes."""
    lift: float = 1.0
    """What dropout multiplies the rest by, part of potentials but not of counts."""


class Signal(NamedTuple):
    """What arrives on one way from a layer of neurons, through pools or not.

    Arrays are ``(time, batch, ...)``.
    """

    psp: Tensor
    """In trained units; the errors travel along it."""
    counts: Tensor
    """Spikes as the chip counts them, summed where a pool does; a single step of an input that
    stays the same."""
    counting: Counting
    peak: Tensor | None = None
    """Largest count of the input, without axes; None for spikes."""
    constant: int = 0
    """For how many steps ``psp`` too stays the same; 0 for potentials over time."""


class Counted(NamedTuple):
    """Counts that can be weighted as one."""

    counts: Tensor
    counting: Counting
    largest: int
    """Bound of the counts."""


class Arrays(NamedTuple):
    """What a layer has trained, norms and leaks folded in as export does."""

    weight: Tensor
    bias: Tensor | None
    own: Tensor | None
    """Among the neurons themselves, one step later."""


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
    own_geometry: Geometry | None = None
    """Of a convolution among the neurons themselves; None for dense weights."""

    @property
    def unit(self) -> float:
        """Of the chip's potential, in those of the trained network."""
        return 1 / (_LEVEL * self.scale)

    @property
    def constants(self) -> chip_kernels.ChipConstants:
        """What the kernel is told."""
        neurons = self.neurons
        lif = Lif(tau_m=neurons.tau_m, tau_s=neurons.synapse, threshold=neurons.threshold)
        return chip_kernels.ChipConstants(
            current_decay=lif.current_decay,
            voltage_decay=lif.voltage_decay,
            threshold=_LEVEL * (NEVER if lif.never_fires else round(self.scale * lif.threshold)),
            tau_s=float(self.neurons.tau_s),
        )

    def rounded(
        self, weight: Tensor, gain: float = 1.0, quantum: float = 1.0, *, both: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Return the weights as integers, and those in trained units.

        Integers of 8 bits are in steps. Twice the integers unless both are wanted.
        """
        factors = (gain, quantum, 1 / self.neurons.synapse, self.scale)
        if chip_plain.lacks_loops(weight):
            return chip_plain.round_weights(weight, factors, self.weight_step, self.largest_weight)
        kind = torch.int8 if self.is_narrow(weight) else torch.float32
        integers = torch.empty_like(weight, dtype=kind)
        dequantized = torch.empty_like(weight if both else weight[:0], dtype=torch.float32)
        chip_kernels.round_weights(
            _every(weight), factors, self.weight_step, self.largest_weight,
            _every(integers), _every(dequantized),
        )  # fmt: skip
        return integers, dequantized if both else integers

    def is_narrow(self, weight: Tensor) -> bool:
        """Return whether products of weights like these are of integers of 8 bits."""
        steps, rest = divmod(self.largest_weight, self.weight_step)
        fits = steps <= narrow.LARGEST and not rest
        return fits and weight.dim() == 2 and weight.is_cpu and narrow.runs_here()

    def mantissas(self, bias: Tensor | None) -> Tensor:
        """Return biases as whole numbers within the chip's 13 bits; nothing for none."""
        if bias is None:
            return torch.empty(0)
        rounded = torch.round(bias.detach().double() * self.scale)
        return rounded.clamp(-LARGEST_BIAS, LARGEST_BIAS).float()

    def constant(self, bias: Tensor | None, axes: int) -> Tensor | int:
        """Return :meth:`mantissas` as 64-bit integers for currents of so many axes; 0 for none."""
        if bias is None:
            return 0
        return self.mantissas(bias).long().view(-1, *[1] * (axes - 3))

    def bound(self, largest: int, integers: Tensor) -> int:
        """Return what no sum of counts up to ``largest`` exceeds."""
        return self.largest_weight * largest * integers.shape[1:].numel()

    def refusal(self) -> TrainingError:
        """Return the error of sums that single precision does not hold."""
        return TrainingError(
            f"training.forward = 'chip': weighted sums of layer {self.name} exceed 24 bits; "
            "use a smaller encoding.resolution"
        )


def input_signal(inputs: Tensor, psp: Tensor, quantum: float, constant: int) -> Signal:
    """Return the input of the network; ``inputs`` are whole multiples of ``quantum``."""
    counts = torch.div(inputs, quantum).round_()
    if counts.numel():
        smallest, largest = torch.aminmax(counts)
        peak = torch.maximum(-smallest, largest)
    else:
        peak = counts.new_zeros(())
    return Signal(psp, counts, Counting(quantum=quantum), peak, constant)


def over_time(signal: Signal, *, tau_s: float) -> Signal:
    """Return potentials over time of what stays the same, for what acts at every step."""
    if not signal.constant:
        return signal
    potential = constant_over_time(signal.psp, signal.constant, tau_s=tau_s)
    return signal._replace(psp=potential, constant=0)


def pooled(signal: Signal, pool: Pool) -> Signal:
    """Return the signal behind a pool of its own."""
    return signal._replace(
        psp=apply(Pooled, signal.psp, pool),
        counts=apply(Pooled, signal.counts, pool._replace(gain=1.0)),
        counting=behind(signal.counting, pool),
    )


def concatenated(ways: Sequence[Signal], places: Places) -> list[Signal]:
    """Return ways one behind another: as one where a count stands for the same on them.

    Convolutions hand over 24 bits of each connection. Sums of several are as exact as long as they
    stay within these, of which a current has far less room for sums.
    """
    alike: dict[Any, list[int]] = {}
    for number, way in enumerate(ways):
        kind = way.counting[1:], way.constant, way.peak is None
        alike.setdefault(kind, []).append(number)
    return [
        _as_one(
            [ways[number] for number in numbers],
            places._replace(offsets=tuple(places.offsets[number] for number in numbers)),
        )
        for numbers in alike.values()
    ]


def _as_one(ways: Sequence[Signal], places: Places) -> Signal:
    """Return ways of one kind as one; all that come from the input have one peak."""
    bounds: dict[int, int] = {}
    for offset, way in zip(places.offsets, ways, strict=True):
        bounds[offset] = bounds.get(offset, 0) + way.counting.largest
    return ways[0]._replace(
        psp=apply(Concatenated, places, *(way.psp for way in ways)),
        counts=apply(Concatenated, places, *(way.counts for way in ways)),
        counting=ways[0].counting._replace(largest=max(bounds.values())),
    )


def behind(counting: Counting, pool: Pool) -> Counting:
    """Return what is counted behind a pool."""
    gain, largest = counting.gain * pool.gain, counting.largest * pool.kernel[0] * pool.kernel[1]
    return counting._replace(gain=gain, largest=largest)


def _silenced(share: float, noise: torch.Generator, *pairs: Tensor) -> tuple[Tensor, ...]:
    return tuple(torch.mul(*each) for each in zip(pairs, _masks(share, noise, pairs), strict=True))


def _masks(share: float, noise: torch.Generator, pairs: Sequence[Tensor]) -> list[Tensor]:
    stays = staying(pairs[0].shape[1:], share, noise)
    masks = (stays / (1 - share)).to(pairs[0]), stays.to(pairs[1])
    return [masks[place % 2] for place in range(len(pairs))]


class Silenced:
    """Potentials and counts of ways in turn, without a share of the neurons.

    It is the same at all steps. Potentials that stay are lifted so that their mean stays, counts
    are whole numbers and stay what they are. With a tape, all change in place; see
    :class:`tssl.trainer.operations.Dropped`.
    """

    apply = staticmethod(_silenced)

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context has no public type
        share: float,
        noise: torch.Generator,
        *pairs: Tensor,
    ) -> tuple[Tensor, ...]:
        """Return what is left of them."""
        masks = _masks(share, noise, pairs)
        ctx.save_for_backward(masks[0])
        for each, mask in zip(pairs, masks, strict=True):
            each.mul_(mask)
        wanted = ctx.needs_input_grad[2:]
        ctx.mark_non_differentiable(*(each for each, w in zip(pairs, wanted, strict=True) if not w))
        return pairs

    @staticmethod
    def backward(ctx: Any, *errors: Tensor | None) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Return the errors at the potentials."""
        (mask,) = ctx.saved_tensors
        return None, None, *(None if error is None else error.mul_(mask) for error in errors)


def together(ways: Sequence[Counted], weight: Tensor, chip: ChipLayer) -> Iterator[Counted]:
    """Yield ways, some as one: their counts, what they count, and their bound.

    They add up before the product where their weights are the same integers. Each connection that
    is a convolution hands over 24 bits of its own; where they may not do, ways stay apart.
    """
    if len(ways) == 1:
        yield ways[0]
        return
    groups: dict[tuple[float, ...], list[Counted]] = {}
    for way in ways:
        groups.setdefault(way.counting[1:], []).append(way)
    for group in groups.values():
        largest = sum(way.largest for way in group)
        if not _wraps(chip.geometry) or chip.bound(largest, weight) < STATE_LIMIT:
            counts = [way.counts for way in group]
            yield Counted(sum(counts[1:], start=counts[0]), group[0].counting, largest)
        else:
            yield from group


def exact(
    counts: Tensor, integers: Tensor, largest: int, geometry: Geometry | None, chip: ChipLayer
) -> Tensor:
    """Return the weighted sums, exact: in double precision where single might round.

    Of a convolution, 24 bits of them. The libraries of a GPU may compute a convolution by
    transforms, whose sums are not exact in single precision, but within 1/2 in double.
    """
    bound = chip.bound(largest, integers)
    if integers.dtype == torch.int8:
        if (
            geometry is None
            and largest <= narrow.LARGEST
            and bound < INT32_LIMIT
            and counts.numel()
        ):
            return _narrow(counts, integers, bound, chip)
        integers = integers.float() * chip.weight_step
    is_transformed = geometry is not None and chip_plain.lacks_loops(counts)
    if bound < FLOAT32_EXACT and not is_transformed:
        with tf32(allowed=False) if chip_plain.lacks_loops(counts) else nullcontext():
            sums = weighted(counts, integers, geometry)
    else:
        sums = weighted(counts.double(), integers.double(), geometry)
        sums = torch.round(sums) if is_transformed else sums
        if _reaches(sums, FLOAT32_EXACT):
            raise chip.refusal()
    if _wraps(geometry) and bound >= STATE_LIMIT and _reaches(sums, STATE_LIMIT):
        sums = torch.remainder(sums.double() + STATE_LIMIT, 2 * STATE_LIMIT) - STATE_LIMIT
    return sums.float()


def _narrow(counts: Tensor, integers: Tensor, bound: int, chip: ChipLayer) -> Tensor:
    """Return the sums of counts of 8 bits, weighted by integers in steps."""
    rows = counts.to(torch.int8).flatten(0, 1).flatten(1)
    steps = narrow.product(rows, integers)
    if bound >= FLOAT32_EXACT and _reaches(steps, FLOAT32_EXACT // chip.weight_step):
        raise chip.refusal()
    return steps.float().mul_(chip.weight_step).view(*counts.shape[:2], -1)


def _wraps(geometry: Geometry | None) -> bool:
    """Return whether it is a convolution on the chip, too."""
    return geometry is not None and geometry.shares_weights


def added(total: Tensor, more: Tensor, bound: int, chip: ChipLayer) -> Tensor:
    """Return the sum of whole numbers that is at most ``bound``, exact."""
    result = total + more
    if bound >= FLOAT32_EXACT and _reaches(result, FLOAT32_EXACT):
        raise chip.refusal()
    return result


def _reaches(sums: Tensor, limit: int) -> bool:
    return bool(sums.numel()) and float(sums.abs().max()) >= limit


def _every(tensor: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.detach().view(-1).numpy()  # never a copy: results go here
    return array
