"""Weight gradients of convolutions of stride 1 by events, as compiled loops.

What is not zero at a pixel adds a run of the errors around it to the gradient, for each row of its
window: outputs lie innermost, so that all columns of a window's row are one run of memory. Errors
lie with zeros around them, so that no window is cut. See :mod:`tssl.trainer.event_kernels`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from tssl.machine.compiling import compiled, compiled_parallel
from tssl.machine.vector_kernels import LANES, UNIT, add_rows, filled_up
from tssl.trainer.event_kernels import aligned, list_events

__all__ = ["convolution_gradient", "lanes_used", "numbers_around"]

Array = NDArray[np.float32]

BLOCK = 32
"""Outputs that lie side by side, at most: of few images more would not stay in the first cache."""


class _Windows(NamedTuple):
    """Where numbers of a block of outputs lie."""

    rows: int
    columns: int
    """Of a window."""
    lead_rows: int
    lead_columns: int
    """Zeros before the first row and column of outputs."""
    side: int
    """Outputs of a block."""
    width: int
    """Numbers that are added for a row of a window, a multiple of what registers take."""
    across: int
    """Pixels of a row with zeros around it."""
    size: int
    """Numbers of an image with zeros around it."""


def lanes_used(weight_shape: tuple[int, ...]) -> float:
    """Return which share of the work is for numbers that are there; registers are filled up."""
    outputs, channels, _, columns = weight_shape
    side = min(outputs, BLOCK)
    added = filled_up(outputs, side) // side * filled_up(columns * side, UNIT)
    return outputs * columns / added * channels / filled_up(channels, LANES)


def numbers_around(outputs: int, image: Sequence[int], window: Sequence[int]) -> int:
    """Return how many numbers an image (H, W) of a block has with zeros around it."""
    reach = (size + kernel - 1 for size, kernel in zip(image, window, strict=True))
    return math.prod(reach) * min(outputs, BLOCK)


def _windows(images: Array, weight_shape: tuple[int, ...], padding: tuple[int, int]) -> _Windows:
    outputs, _, rows, columns = weight_shape
    side = min(outputs, BLOCK)
    run = filled_up(columns * side, UNIT)
    return _Windows(
        rows=rows,
        columns=columns,
        lead_rows=rows - 1 - padding[0],
        lead_columns=columns - 1 - padding[1],
        side=side,
        width=run,
        across=images.shape[2] + columns - 1,
        size=numbers_around(outputs, images.shape[1:3], (rows, columns)) + run,
    )


def convolution_gradient(
    images: Array, errors: Array, padding: tuple[int, int], gradient: Array
) -> None:
    """Add up the gradient of the weights.

    Parameters
    ----------
    images
        Signal ``(images, height, width, channels)``, mostly zeros.
    errors
        ``(images, height, width, outputs)``.
    padding
        Rows and columns, less than those of a window.
    gradient
        Filled: ``(outputs, channels, rows, columns)``.
    """
    outputs, channels = gradient.shape[:2]
    windows = _windows(images, gradient.shape, padding)
    shape = -(-outputs // windows.side), channels, windows.rows, windows.width
    laid = np.zeros((numba.get_num_threads(), *shape), np.float32)
    _gradient(images, errors, windows, laid)
    _collect(laid, windows, gradient)


@compiled_parallel
def _gradient(images: Array, errors: Array, windows: _Windows, laid: Array) -> None:
    for part in numba.prange(len(laid)):
        _gradient_part(images, errors, windows, part, len(laid), laid[part])


@compiled
def _collect(laid: Array, windows: _Windows, gradient: Array) -> None:
    """Add up what all parts found, and turn columns round again."""
    outputs, channels = gradient.shape[:2]
    for o in range(outputs):
        block, place = o // windows.side, o % windows.side
        for channel in range(channels):
            for row in range(windows.rows):
                for column in range(windows.columns):
                    at = (windows.columns - 1 - column) * windows.side + place
                    total = np.float32(0)
                    for part in range(len(laid)):
                        total += laid[part, block, channel, row, at]
                    gradient[o, channel, row, column] = total


@compiled
def _gradient_part(
    images: Array, errors: Array, windows: _Windows, part: int, parts: int, laid: Array
) -> None:
    """Add up some of the images, of all time steps: more fires in later ones."""
    count, height, width, channels = images.shape
    named, places, values, counts = _lists(height, width, channels, windows)
    padded, flat = aligned(windows.size), laid.reshape(-1)
    for image in range(part, count, parts):
        list_events(
            images[image].reshape(height * width, channels), 0, named, places, values, counts
        )
        for block in range(laid.shape[0]):
            _pad(errors[image], block * windows.side, windows, padded)
            for channel in range(channels):
                for row in range(windows.rows):
                    at = ((block * channels + channel) * windows.rows + row) * windows.width
                    shift = (windows.rows - 1 - row) * windows.across * windows.side
                    add_rows(
                        flat, at, windows.width, padded, places[channel], values[channel],
                        0, counts[channel], windows.side, shift,
                    )  # fmt: skip


@compiled
def _lists(
    height: int, width: int, channels: int, windows: _Windows
) -> tuple[NDArray[np.int32], NDArray[np.int32], Array, NDArray[np.int64]]:
    """Return where pixels lie among zeros, and room for the events of an image by channel."""
    pixels = np.arange(height * width)
    named = (pixels + pixels // width * (windows.columns - 1)).astype(np.int32)
    places = np.empty((channels, height * width), np.int32)
    values = np.empty((channels, height * width), np.float32)
    return named, places, values, np.empty(channels, np.int64)


@compiled
def _pad(error: Array, start: int, windows: _Windows, padded: Array) -> None:
    """Copy a block of outputs to where it lies among zeros."""
    height, width, outputs = error.shape
    wanted = min(windows.side, outputs - start)
    for y in range(height):
        for x in range(width):
            place = (y + windows.lead_rows) * windows.across + x + windows.lead_columns
            row = error[y, x, start : start + wanted]
            target = padded[place * windows.side : (place + 1) * windows.side]
            for o in range(wanted):
                target[o] = row[o]
            for o in range(wanted, windows.side):
                target[o] = 0
