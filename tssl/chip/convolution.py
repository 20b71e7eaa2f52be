"""Convolutional synapses: kernels that every window of a map shares."""

import math
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tssl.chip.connections import MOST_NEURONS, Identity, Synapses, Train, presence
from tssl.chip.numbers import BoolArray, IntArray, exact_kind, wrapped_convolution
from tssl.errors import UnsupportedLayerError
from tssl.geometry import Geometry, Shape
from tssl.wording import several

__all__ = ["LARGEST_GEOMETRY", "ConvSynapses", "ungrouped"]

LARGEST_GEOMETRY = 127
"""Kernel, stride, padding, dilation and groups, each of which Lava keeps in int8."""

_UNFOLD_BYTES = 64 << 20


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

    form: ClassVar[str] = "conv"
    wraps: ClassVar[bool] = True
    largest_step: ClassVar[int] = 2 << 7  # of the largest exponent

    map_shape: tuple[int, int, int]
    geometry: Geometry = field(kw_only=True)  # here it must be given

    def __post_init__(self) -> None:
        self._store(dimensions=4)
        self._check_geometry()
        channels, groups = self.map_shape[0], self.geometry.groups
        if channels != self.weight.shape[1] * groups or self.weight.shape[0] % groups:
            raise UnsupportedLayerError(
                f"weights {self.weight.shape} with {several(groups, 'group')} "
                f"do not fit an input of {several(channels, 'channel')}"
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
    def delay(self) -> None:
        return None

    @property
    def has_one_weight(self) -> bool:
        return self.weight.size == 1

    @property
    def merged_pool(self) -> tuple[int, int]:
        """Size of the pool that was merged into the kernels, (1, 1) when there is none.

        Such a kernel repeats each of its weights as often as the pool adds inputs, and its stride
        is a multiple of the pool.
        """
        of = self.geometry
        for size in range(min(of.kernel), 1, -1):
            if of.dilation != (1, 1) or any(n % size for n in (*of.kernel, *of.stride)):
                continue
            small = self.weight[:, :, ::size, ::size]
            repeated = small.repeat(size, axis=2).repeat(size, axis=3)
            if np.array_equal(repeated, self.weight):
                return size, size
        return 1, 1

    @property
    def identity(self) -> Identity:
        of = self.geometry
        facts = [self.map_shape, of.stride, of.padding, of.dilation, of.groups]
        return Identity([*facts], [self.weight])

    def sums(self, train: Train, time_steps: int) -> IntArray:
        return wrapped_convolution(self._correlate(train, self.weight))

    def reached(self, train: Train) -> BoolArray:
        return self._correlate(presence(train), (self.weight != 0).astype(np.int64)) > 0

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

    def inputs_of(self, outputs: IntArray) -> BoolArray:
        (channels, height, width), of = self.map_shape, self.geometry
        out_channels, out_height, out_width = self.output_shape
        seen = np.zeros(width, np.bool_)
        columns = np.unique(outputs % out_width)
        taps = np.arange(of.kernel[1]) * of.dilation[1] - of.padding[1]
        read = (columns[:, None] * of.stride[1] + taps).reshape(-1)
        seen[read[(read >= 0) & (read < width)]] = True
        groups = np.unique(outputs // (out_height * out_width) // (out_channels // of.groups))
        reached = np.zeros((of.groups, channels // of.groups, height, width), np.bool_)
        reached[groups] = seen
        return reached.reshape(-1)

    def lists(self) -> set[bytes]:
        return {index.to_bytes(8, "little") for index in range(self.inputs)}  # all differ

    def distinct_weights(self) -> int:
        return self.weight[0].size // math.prod(self.merged_pool)

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
        kind, groups = exact_kind(images, weight), self.geometry.groups
        kernels = weight.reshape(groups, -1, weight[0].size).astype(kind)
        patches = self._patches(images.astype(kind)).reshape(
            len(images), groups, weight[0].size, -1
        )
        sums: IntArray = (kernels @ patches).reshape(len(images), -1).astype(np.int64)
        return sums

    def _patches(self, images: NDArray[Any]) -> NDArray[Any]:
        """Return what every tap of the kernel reads, ``(images, C, kh, kw, height, width)``.

        The positions of the output come last, since they lie beside each other in a row.
        """
        (pad_y, pad_x), (dil_y, dil_x) = self.geometry.padding, self.geometry.dilation
        padded = np.pad(images, ((0, 0), (0, 0), (pad_y, pad_y), (pad_x, pad_x)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.geometry.span, axis=(2, 3))
        step_y, step_x = self.geometry.stride
        windows = windows[:, :, ::step_y, ::step_x, ::dil_y, ::dil_x]
        return windows.transpose(0, 1, 4, 5, 2, 3)


def ungrouped(weight: NDArray[np.float64], groups: int) -> NDArray[np.float64]:
    """Return the weights of a convolution as if all maps saw each other, zeros between groups."""
    outputs, inputs = weight.shape[0] // groups, weight.shape[1]
    whole = np.zeros((len(weight), inputs * groups, *weight.shape[2:]))
    for group in range(groups):
        rows = slice(group * outputs, (group + 1) * outputs)
        whole[rows, group * inputs : (group + 1) * inputs] = weight[rows]
    return whole
