"""Which rows of weights the spikes of a step meet, in machine code made by numba."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.machine.compiling import compiled

__all__ = ["Windows", "find_events", "gather_rows", "room_for"]

Array = NDArray[Any]

# Numba widens every operation on 32-bit integers to 64, and so halves what a vector holds;
# constants and results are therefore narrowed one by one.
_int32, _index = np.int32, np.uint64


class Windows(NamedTuple):
    """A convolution's numbers; a dense layer is one over a single pixel."""

    groups: int
    inputs: int
    """Channels of a group that come in."""
    outputs: int
    """Channels of a group that go out."""
    height: int
    width: int
    rows: int
    columns: int
    """Height and width of the output."""
    kernel_height: int
    kernel_width: int
    stride_y: int
    stride_x: int
    padding_y: int
    padding_x: int
    dilation_y: int
    dilation_x: int


@compiled
def room_for(train: Array, shape: Windows) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Return room for a sample's events and for what reaches a row of output pixels.

    The former: where each pixel's events begin, which they are, their values; the latter: where
    each pixel's list ends, rows of weights, values.
    """
    steps, inputs = train.shape[1], train.shape[2] + 1
    pixels = shape.columns * shape.groups
    fan_in = shape.kernel_height * shape.kernel_width * shape.inputs
    return (
        np.zeros((steps, shape.height * shape.width * shape.groups + 1), np.int64),
        np.empty((steps, inputs), np.int32),
        np.empty((steps, inputs), np.int32),
        np.empty(pixels, np.int64),
        np.empty(pixels * fan_in, np.int32),
        np.empty(pixels * fan_in, np.int32),
    )


@compiled
def find_events(
    train: Array,
    graded: bool,
    shape: Windows,
    starts: Array,
    places: Array,
    values: Array,
) -> None:
    """List the events of a sample, pixel by pixel.

    A place is the column times the channels of a group plus the channel in it, so that a
    kernel over neighbouring columns finds its rows of weights by one addition.
    """
    pixels = _index(shape.height * shape.width)
    for step in range(train.shape[0]):
        source, own_places, own_values = train[step], places[step], values[step]
        found, pixel, following = _index(0), _index(0), 1
        for _ in range(shape.height):
            for column in range(shape.width):
                at = pixel
                for _ in range(shape.groups):
                    place = _int32(column * shape.inputs)
                    for _ in range(shape.inputs):
                        value = source[at]
                        own_places[found] = place
                        if graded:
                            own_values[found] = value
                        found += _index(value != 0)
                        place += _int32(1)
                        at += pixels
                    starts[step, following] = found
                    following += 1
                pixel += _index(1)


@compiled
def gather_rows(  # noqa: C901 - one nest of loops; calls would cost more than what they do
    row: int, graded: bool, starts: Array, places: Array, values: Array, shape: Windows,
    ends: Array, rows: Array, row_values: Array,
) -> None:  # fmt: skip
    """List what reaches a row of output pixels: rows of weights, and the values of the spikes.

    Parameters
    ----------
    starts, places, values
        Events of a step, from :func:`find_events`.
    ends
        Filled: where the list of each pixel and group ends, ``(W * groups,)``.
    """
    # events of neighbouring columns follow each other, so a kernel's row is one stretch
    stretch = shape.kernel_width if shape.dilation_x == 1 and shape.groups == 1 else 1
    found, column, group = 0, 0, 0
    for pixel in range(shape.columns * shape.groups):
        for tap_y in range(shape.kernel_height):
            y = row * shape.stride_y - shape.padding_y + tap_y * shape.dilation_y
            if y < 0 or y >= shape.height:
                continue
            for tap_x in range(0, shape.kernel_width, stretch):
                x = column * shape.stride_x - shape.padding_x + tap_x * shape.dilation_x
                left, right = max(x, 0), min(x + stretch, shape.width)
                if left >= right:
                    continue
                tap = (group * shape.kernel_height + tap_y) * shape.kernel_width + tap_x
                offset = _int32((tap - x) * shape.inputs)
                line = y * shape.width
                begin = starts[(line + left) * shape.groups + group]
                end = starts[(line + right - 1) * shape.groups + group + 1]
                source, target = _index(begin), _index(found)
                for n in range(_index(end - begin)):
                    rows[target + n] = places[source + n] + offset
                if graded:
                    for n in range(_index(end - begin)):
                        row_values[target + n] = values[source + n]
                found += end - begin
        ends[pixel] = found
        group += 1
        if group == shape.groups:
            column, group = column + 1, 0
