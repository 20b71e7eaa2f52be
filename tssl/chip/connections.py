"""What leads to the neurons of a layer: synapses, and where their spikes come from.

Spike trains are ``(time, batch, neurons)`` with feature maps flattened in (C, H, W)
order. A train of time length 1 stands for an input that is the same at every step.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.chip.numbers import (
    INT32_LIMIT,
    BoolArray,
    IntArray,
    exact_product,
    frozen_integers,
    wrapped_convolution,
)
from tssl.chip.synapses import stored_shift
from tssl.errors import RangeError, UnsupportedLayerError
from tssl.geometry import Geometry, Shape

Train = NDArray[np.integer[Any]]

MAX_DELAY = 62
MOST_NEURONS = 1 << 24
"""Of one layer: sixteen Loihi 2 chips full, and what its state takes still fits into memory."""
_LARGEST_STEP = 2 << 7
"""Between weights of the largest exponent."""
_UNFOLD_BYTES = 64 << 20


class Identity(NamedTuple):
    """What tells synapses from others that could compute something else."""

    facts: list[object]
    arrays: list[IntArray]


@dataclass(frozen=True, kw_only=True, eq=False)
class Synapses(ABC):
    """A linear map of whole numbers, as the chip multiplies them.

    Raises
    ------
    UnsupportedLayerError, RangeError
        When weights and geometry do not fit together, or are no whole numbers.
    """

    wraps: ClassVar[bool]
    """Whether a sum wraps at 24 bits; otherwise one that overflows 32 is refused."""

    weight: IntArray
    geometry: Geometry | None = None
    """The windows of a convolution; None where every input may reach every output."""

    @property
    @abstractmethod
    def input_shape(self) -> Shape:
        """Shape of one step of what arrives, (C, H, W) or (neurons,)."""

    @property
    @abstractmethod
    def output_shape(self) -> Shape:
        """Shape of one step of the sums."""

    @property
    @abstractmethod
    def longest_delay(self) -> int:
        """Most steps that a spike spends in a synapse."""

    @property
    @abstractmethod
    def identity(self) -> Identity:
        """What decides the sums."""

    @abstractmethod
    def sums(self, train: Train, time_steps: int) -> IntArray:
        """Return the weighted sums of a train, ``(time or 1, batch, outputs)``.

        Raises
        ------
        RangeError
            When one would overflow the bits in which Lava forms it.
        """

    @abstractmethod
    def reached(self, train: Train) -> BoolArray:
        """Return which outputs receive at least one spike through a non-zero weight."""

    @abstractmethod
    def fan_out(self) -> IntArray:
        """Return the non-zero synapses that a spike of each input drives, ``(inputs,)``."""

    @abstractmethod
    def stored(self) -> IntArray:
        """Return the synapses of each input, zeros included, ``(inputs,)``."""

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return math.prod(self.input_shape)

    @property
    def outputs(self) -> int:
        """Number of sums."""
        return math.prod(self.output_shape)

    @property
    def weight_bits(self) -> int:
        """Bits per weight, sign included; even weights spend none on the lowest bit.

        Nor do those of a convolution on further bits that none of them has: its exponent.
        """
        shared = int(np.gcd.reduce(self.weight.reshape(-1)))
        step = min(2 if self.geometry is None else _LARGEST_STEP, max(1, shared & -shared))
        smallest, largest = int(self.weight.min()), int(self.weight.max())
        return max(largest // step, -smallest // step - 1, 0).bit_length() + 1

    def _store(self, dimensions: int) -> None:
        """Keep a read-only copy of the weights."""
        object.__setattr__(self, "weight", frozen_integers(self.weight))
        if self.weight.ndim != dimensions or self.weight.size == 0:
            raise UnsupportedLayerError(
                f"weights of shape {self.weight.shape}; {dimensions} non-empty dimensions are "
                "expected"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class DenseSynapses(Synapses):
    """All-to-all synapses, ``weight`` of shape ``(outputs, inputs)``.

    Parameters
    ----------
    delay
        Steps that a spike spends in the synapse, 0...62, of ``weight``'s shape, or None.
    """

    wraps: ClassVar[bool] = False

    delay: IntArray | None = None

    def __post_init__(self) -> None:
        self._store(dimensions=2)
        if self.delay is not None:
            delay = frozen_integers(self.delay)
            _check_delay(delay, self.weight.shape)
            object.__setattr__(self, "delay", delay if delay.any() else None)

    @property
    def input_shape(self) -> Shape:
        return (self.weight.shape[1],)

    @property
    def output_shape(self) -> Shape:
        return (self.weight.shape[0],)

    @property
    def longest_delay(self) -> int:
        return 0 if self.delay is None else int(self.delay.max())

    @property
    def identity(self) -> Identity:
        delays = [] if self.delay is None else [self.delay]
        return Identity([], [self.weight, *delays])

    def sums(self, train: Train, time_steps: int) -> IntArray:
        sums = _delayed_product(train, self.weight, self.delay, time_steps)
        largest = int(np.abs(sums).max(initial=0))
        if largest << max(0, stored_shift(self.weight)) >= INT32_LIMIT:
            raise RangeError(
                f"a weighted input sum of {largest} overflows 32 bits; "
                "use smaller inputs or weights"
            )
        return sums

    def reached(self, train: Train) -> BoolArray:
        present = (self.weight != 0).astype(np.int64)
        return _delayed_product(_nonzero(train), present, self.delay, len(train)) > 0

    def fan_out(self) -> IntArray:
        return np.asarray((self.weight != 0).sum(axis=0), np.int64)

    def stored(self) -> IntArray:
        return np.full(self.inputs, self.outputs)


@dataclass(frozen=True, kw_only=True, eq=False)
class ConvSynapses(Synapses):
    """Two-dimensional cross-correlation with zero padding, as ``torch.nn.Conv2d``.

    Parameters
    ----------
    weight
        ``(out channels, in channels / groups, kernel height, kernel width)``.
    map_shape
        Shape (C, H, W) of the input.
    geometry
        Of the windows.
    """

    wraps: ClassVar[bool] = True

    map_shape: tuple[int, int, int]
    geometry: Geometry = field(kw_only=True)  # here it must be given

    def __post_init__(self) -> None:
        self._store(dimensions=4)
        self._check_geometry()
        channels, groups = self.map_shape[0], self.geometry.groups
        if channels != self.weight.shape[1] * groups or self.weight.shape[0] % groups:
            raise UnsupportedLayerError(
                f"weights {self.weight.shape} with {groups} group(s) "
                f"do not fit an input of {channels} channel(s)"
            )
        if min(self.output_shape) < 1:
            raise UnsupportedLayerError(
                f"kernel {self.weight.shape[2:]} is larger than its input {self.map_shape}"
            )
        if self.outputs > MOST_NEURONS:
            raise UnsupportedLayerError(
                f"{self.outputs} neurons; at most {MOST_NEURONS} are expected"
            )

    @property
    def input_shape(self) -> Shape:
        return self.map_shape

    @property
    def output_shape(self) -> Shape:
        height, width = self.geometry.positions((self.map_shape[1], self.map_shape[2]))
        return (self.weight.shape[0], height, width)

    @property
    def longest_delay(self) -> int:
        return 0

    @property
    def identity(self) -> Identity:
        of = self.geometry
        facts = [self.map_shape, of.stride, of.padding, of.dilation, of.groups]
        return Identity([*facts], [self.weight])

    def sums(self, train: Train, time_steps: int) -> IntArray:
        return wrapped_convolution(self._correlate(train, self.weight))

    def reached(self, train: Train) -> BoolArray:
        return self._correlate(_nonzero(train), (self.weight != 0).astype(np.int64)) > 0

    def fan_out(self) -> IntArray:
        taps = (self.weight != 0).reshape(self.geometry.groups, -1, *self.weight.shape[1:])
        taps = taps.sum(axis=1).reshape(self.map_shape[0], *self.weight.shape[2:])
        used = np.zeros(self.map_shape, np.int64)
        for row, column in np.ndindex(*self.weight.shape[2:]):
            rows = self._pixels(axis=0, tap=row)
            columns = self._pixels(axis=1, tap=column)
            used[:, rows[:, None], columns] += taps[:, row, column][:, None, None]
        return used.reshape(-1)

    def stored(self) -> IntArray:
        return replace(self, weight=np.ones_like(self.weight)).fan_out()

    def _check_geometry(self) -> None:
        of = self.geometry
        if of.groups < 1:
            raise UnsupportedLayerError(f"groups = {of.groups}; at least 1 is expected")
        for name, smallest in (("stride", 1), ("dilation", 1), ("padding", 0)):
            value = getattr(of, name)
            if min(value) < smallest:
                raise UnsupportedLayerError(f"{name} = {value}; at least {smallest} is expected")
        if of.kernel != self.weight.shape[2:]:
            raise UnsupportedLayerError(
                f"weights of shape {self.weight.shape} for a kernel of {of.kernel}"
            )

    def _pixels(self, *, axis: int, tap: int) -> IntArray:
        """Return the input rows (or columns) that kernel tap ``tap`` reads."""
        outputs, of = np.arange(self.output_shape[1 + axis]), self.geometry
        at = outputs * of.stride[axis] + tap * of.dilation[axis] - of.padding[axis]
        return np.asarray(at[(at >= 0) & (at < self.map_shape[1 + axis])], np.int64)

    def _correlate(self, train: Train, weight: IntArray) -> IntArray:
        """Return the correlation, ``(time, batch, outputs)``, in slices of bounded memory."""
        images = train.reshape(-1, *self.map_shape)
        result = np.empty((len(images), self.outputs), np.int64)
        positions = self.output_shape[1] * self.output_shape[2]
        step = max(1, _UNFOLD_BYTES // (8 * positions * weight[0].size * self.geometry.groups))
        for first in range(0, len(images), step):
            part = images[first : first + step]
            result[first : first + step] = self._correlate_images(part, weight)
        return result.reshape(*train.shape[:2], self.outputs)

    def _correlate_images(self, images: Train, weight: IntArray) -> IntArray:
        patches = self._patches(images)
        out_channels = len(weight) // self.geometry.groups
        parts = []
        for group in range(self.geometry.groups):
            rows = patches[:, :, group * weight.shape[1] : (group + 1) * weight.shape[1]]
            kernels = weight[group * out_channels : (group + 1) * out_channels]
            product = exact_product(
                rows.reshape(-1, kernels[0].size), kernels.reshape(out_channels, -1)
            )
            parts.append(product.reshape(len(images), -1, out_channels))
        return np.concatenate(parts, axis=2).transpose(0, 2, 1).reshape(len(images), -1)

    def _patches(self, images: Train) -> IntArray:
        """Return what each output position sees, ``(images, positions, C, kh, kw)``."""
        (pad_y, pad_x), (dil_y, dil_x) = self.geometry.padding, self.geometry.dilation
        padded = np.pad(images.astype(np.int64), ((0, 0), (0, 0), (pad_y, pad_y), (pad_x, pad_x)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.geometry.span, axis=(2, 3))
        step_y, step_x = self.geometry.stride
        windows = windows[:, :, ::step_y, ::step_x, ::dil_y, ::dil_x]
        positions = windows.transpose(0, 2, 3, 1, 4, 5)
        return positions.reshape(len(images), -1, *positions.shape[3:])


@dataclass(frozen=True, kw_only=True, eq=False)
class Connection:
    """Synapses, and the layer whose spikes they weigh.

    Parameters
    ----------
    source
        Name of that layer, or ``"input"``. Spikes of the layer that the connection leads to
        arrive one step later: a recurrence.
    """

    source: str
    synapses: Synapses


def _delayed_product(
    train: Train, weight: IntArray, delay: IntArray | None, time_steps: int
) -> IntArray:
    """Return ``Σ_d (weight where delay = d) · train[t - d]``."""
    if delay is None:
        rows = train.reshape(-1, train.shape[-1]).astype(np.int64)
        return exact_product(rows, weight).reshape(*train.shape[:2], len(weight))
    train = np.broadcast_to(train, (time_steps, *train.shape[1:]))
    sums = np.zeros((*train.shape[:2], len(weight)), np.int64)
    for steps in np.unique(delay):
        if steps < time_steps:
            chosen = np.where(delay == steps, weight, 0)
            early = train[: time_steps - steps]
            sums[steps:] += _delayed_product(early, chosen, None, time_steps)
    return sums


def _nonzero(train: Train) -> IntArray:
    return (train != 0).astype(np.int64)


def _check_delay(delay: IntArray, shape: Shape) -> None:
    if delay.shape != shape:
        raise UnsupportedLayerError(f"delays of shape {delay.shape} for weights of shape {shape}")
    if delay.min() < 0 or delay.max() > MAX_DELAY:
        raise RangeError(f"delays {delay.min()}..{delay.max()} are outside 0..{MAX_DELAY}")
