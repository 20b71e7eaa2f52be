"""A layer on the chip's integers: what arrives, the grid of its weights, and exact sums."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from tssl.errors import TrainingError
from tssl.geometry import Geometry
from tssl.trainer import chip_kernels, chip_plain
from tssl.trainer.linear import tf32, weighted
from tssl.trainer.neuron import Neurons, Pool, constant_over_time, sum_pool
from tssl.trainer.operations import Pooled
from tssl.trainer.recurrence import Gradient
from tssl.trainer.tape import apply

__all__ = [
    "EXACT", "Arrays", "ChipLayer", "Signal", "added", "exact", "input_signal", "over_time",
    "pooled", "together",
]  # fmt: skip

_DECAY_ONE = 4096
_SHIFT = 64
_LARGEST_BIAS = 4095
EXACT = 1 << 24
"""Whole numbers below this, and their sums, are exact in single precision."""
_LIMIT = 1 << 23
"""A convolution hands over 24 bits, the sign included."""


class Signal(NamedTuple):
    """What arrives on one way from a layer of neurons, through pools or not.

    Arrays are ``(time, batch, ...)``.
    """

    psp: Tensor
    """In trained units; the errors travel along it."""
    counts: Tensor
    """Spikes as the chip counts them, summed where a pool does; a single step of an input that
    stays the same."""
    largest: int
    """Bound of the counts."""
    gain: float = 1.0
    """Of the pools passed, part of ``psp`` but not of ``counts``."""
    quantum: float = 1.0
    """What a count of one stands for, 1 for spikes."""
    lift: float = 1.0
    """What dropout multiplies the rest by, part of ``psp`` but not of ``counts``."""
    constant: int = 0
    """For how many steps ``psp`` too stays the same; 0 for potentials over time."""


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
        return 1 / (_SHIFT * self.scale)

    @property
    def constants(self) -> chip_kernels.ChipConstants:
        """What the kernel is told."""
        return chip_kernels.ChipConstants(
            current_decay=round(_DECAY_ONE / self.neurons.synapse),
            voltage_decay=round(_DECAY_ONE / self.neurons.tau_m),
            threshold=_SHIFT * round(self.scale * self.neurons.threshold),
            tau_s=float(self.neurons.tau_s),
        )

    def rounded(
        self, weight: Tensor, gain: float = 1.0, quantum: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Return the weights as integers, and those in trained units."""
        factors = (gain, quantum, 1 / self.neurons.synapse, self.scale)
        if chip_plain.is_needed(weight):
            return chip_plain.round_weights(weight, factors, self.weight_step, self.largest_weight)
        integers, dequantized = (torch.empty_like(weight, dtype=torch.float32) for _ in range(2))
        chip_kernels.round_weights(
            _every(weight), factors, self.weight_step, self.largest_weight,
            _every(integers), _every(dequantized),
        )  # fmt: skip
        return integers, dequantized

    def mantissas(self, bias: Tensor | None) -> Tensor:
        """Return biases as whole numbers within the chip's 13 bits; nothing for none."""
        if bias is None:
            return torch.empty(0)
        rounded = torch.round(bias.detach().double() * self.scale)
        return rounded.clamp(-_LARGEST_BIAS, _LARGEST_BIAS).float()

    def constant(self, bias: Tensor | None, axes: int) -> Tensor | int:
        """Return :meth:`mantissas` as 64-bit integers for currents of so many axes; 0 for none."""
        if bias is None:
            return 0
        return self.mantissas(bias).long().view(-1, *[1] * (axes - 3))

    def bound(self, largest: int, integers: Tensor) -> int:
        """Return what no sum of counts up to ``largest`` exceeds."""
        return self.largest_weight * largest * integers[0].numel()

    def refusal(self) -> TrainingError:
        """Return the error of sums that single precision does not hold."""
        return TrainingError(
            f"training.forward = 'chip': weighted sums of layer {self.name} exceed 24 bits; "
            "use a smaller encoding.resolution"
        )


def input_signal(inputs: Tensor, psp: Tensor, quantum: float, constant: int) -> Signal:
    """Return the input of the network; ``inputs`` are whole multiples of ``quantum``."""
    counts = torch.round(inputs / quantum)
    largest = int(counts.abs().max()) if counts.numel() else 0
    return Signal(psp, counts, largest, quantum=quantum, constant=constant)


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
        counts=sum_pool(signal.counts, pool._replace(gain=1.0)),
        gain=signal.gain * pool.gain,
        largest=signal.largest * pool.kernel[0] * pool.kernel[1],
    )


def together(
    ways: Sequence[Signal], weight: Tensor, chip: ChipLayer
) -> Iterator[tuple[Tensor, int, Signal]]:
    """Yield counts that can be weighted as one, their bound, and one of their ways.

    They add up before the product where their weights are the same integers. Each connection that
    is a convolution hands over 24 bits of its own; where they may not do, ways stay apart.
    """
    groups: dict[tuple[float, ...], list[Signal]] = {}
    for way in ways:
        groups.setdefault((way.gain, way.quantum, way.lift), []).append(way)
    for group in groups.values():
        largest = sum(way.largest for way in group)
        if not _wraps(chip.geometry) or chip.bound(largest, weight) < _LIMIT:
            counts = [way.counts for way in group]
            yield sum(counts[1:], start=counts[0]), largest, group[0]
        else:
            yield from ((way.counts, way.largest, way) for way in group)


def exact(
    counts: Tensor, integers: Tensor, largest: int, geometry: Geometry | None, chip: ChipLayer
) -> Tensor:
    """Return the weighted sums, exact: in double precision where single might round.

    Of a convolution, 24 bits of them. The libraries of a GPU may compute a convolution by
    transforms, whose sums are not exact in single precision, but within 1/2 in double.
    """
    bound = chip.bound(largest, integers)
    is_transformed = geometry is not None and chip_plain.is_needed(counts)
    if bound < EXACT and not is_transformed:
        with tf32(allowed=False):
            sums = weighted(counts, integers, geometry)
    else:
        sums = weighted(counts.double(), integers.double(), geometry)
        sums = torch.round(sums) if is_transformed else sums
        if _reaches(sums, EXACT):
            raise chip.refusal()
    if _wraps(geometry) and bound >= _LIMIT and _reaches(sums, _LIMIT):
        sums = torch.remainder(sums.double() + _LIMIT, 2 * _LIMIT) - _LIMIT
    return sums.float()


def _wraps(geometry: Geometry | None) -> bool:
    """Return whether it is a convolution on the chip, too."""
    return geometry is not None and geometry.shares_weights


def added(total: Tensor, more: Tensor, bound: int, chip: ChipLayer) -> Tensor:
    """Return the sum of whole numbers that is at most ``bound``, exact."""
    result = total + more
    if bound >= EXACT and _reaches(result, EXACT):
        raise chip.refusal()
    return result


def _reaches(sums: Tensor, limit: int) -> bool:
    return bool(sums.numel()) and float(sums.abs().max()) >= limit


def _every(tensor: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.detach().view(-1).numpy()  # never a copy: results go here
    return array
