"""Weight gradients by events, as compiled loops: only what is not zero is multiplied.

A layer's signal is mostly zero: in a trained network, three of four pooled potentials and more. The
gradient of the weights is the sum of the errors at a layer's outputs, each times the signal at the
input that it belongs to, so that every number of the signal that is not zero adds one row of errors
to one row of the gradient. Convolutions are in :mod:`tssl.trainer.event_window_kernels`.
"""

import numba
import numpy as np
from numpy.typing import NDArray

from tssl.machine.compiling import compiled, compiled_parallel
from tssl.machine.vector_kernels import (
    LANES,
    UNIT,
    add_rows,
    filled_up,
    lowest,
    nonzero,
    turn_rows,
)

__all__ = ["aligned", "dense_gradient", "lanes_used", "list_events", "share_of_events"]

Array = NDArray[np.float32]

_WIDTH = 160
"""Outputs of a dense layer whose errors lie side by side, ten registers of 16 lanes."""
_ROWS = 128
"""Rows of them that lie in near caches."""
_TILE = 128
"""Columns whose lists the first cache holds the ends of."""
_SAMPLED = 7
"""Every so manieth row tells how many events there are."""


def lanes_used(outputs: int) -> float:
    """Return which share of the work is for outputs that are there; registers are filled up."""
    return outputs / filled_up(outputs, UNIT)


def share_of_events(rows: Array) -> float:
    """Return which share of the numbers is not zero, by every seventh of ``(rows, numbers)``.

    Few rows are those of a few time steps, of which the first ones have the fewest events.
    """
    return float(_share_of_events(rows))


@compiled
def _share_of_events(rows: Array) -> float:
    found, looked = 0, 0
    for r in range(min(_SAMPLED // 2, rows.shape[0] - 1), rows.shape[0], _SAMPLED):
        row = rows[r]
        for j in range(row.size):
            found += np.int32(row[j] != 0)
        looked += row.size
    return found / looked


def dense_gradient(signal: Array, error: Array, gradient: Array) -> None:
    """Add up ``error.T @ signal``.

    Parameters
    ----------
    signal
        ``(rows, inputs)``, mostly zeros.
    error
        ``(rows, outputs)``.
    gradient
        Filled: ``(outputs, inputs)``.
    """
    _dense(signal, error, gradient, numba.get_num_threads())


@compiled_parallel
def _dense(signal: Array, error: Array, gradient: Array, parts: int) -> None:
    tiles = (signal.shape[1] + LANES - 1) // LANES
    for part in numba.prange(parts):
        first, last = part * tiles // parts * LANES, (part + 1) * tiles // parts * LANES
        _dense_part(signal, error, first, min(last, signal.shape[1]), gradient)


@compiled
def _dense_part(signal: Array, error: Array, first: int, last: int, gradient: Array) -> None:
    """Do the columns from ``first`` to ``last`` of the gradient."""
    (rows, outputs), columns = error.shape, last - first
    places, values = np.empty((columns, rows), np.int32), np.empty((columns, rows), np.float32)
    counts = np.empty(columns, np.int64)
    list_events(signal, first, np.arange(rows).astype(np.int32), places, values, counts)
    packed = aligned(min(rows, _ROWS) * _WIDTH)
    turned = aligned((columns + LANES) * _WIDTH)
    begins = np.empty(columns, np.int64)
    for start in range(0, outputs, _WIDTH):
        wanted = min(_WIDTH, outputs - start)
        width = filled_up(wanted, UNIT)
        turned[:] = 0
        begins[:] = 0
        for top in range(0, rows, _ROWS):
            bottom = min(top + _ROWS, rows)
            _pack(error[top:bottom, start : start + wanted], width, packed)
            for column in range(columns):
                end = counts[column]
                if bottom < rows:
                    end = begins[column]
                    while end < counts[column] and places[column, end] < bottom:
                        end += 1
                add_rows(
                    turned, column * width, width, packed, places[column], values[column],
                    begins[column], end, width, -top * width,
                )  # fmt: skip
                begins[column] = end
        to, flat = start * gradient.shape[1] + first, gradient.reshape(-1)
        turn_rows(turned, 0, width, columns, wanted, flat, to, gradient.shape[1])


@compiled
def list_events(
    signal: Array, first: int, named: NDArray[np.int32], places: NDArray[np.int32], values: Array,
    counts: NDArray[np.int64],
) -> None:  # fmt: skip
    """List the events of each column, from ``first`` on, by row, and count them.

    Parameters
    ----------
    signal
        ``(rows, columns)``.
    named
        What to call the rows.
    places, values
        Filled: ``(columns, rows)``.
    """
    (rows, inputs), columns = signal.shape, len(counts)
    flat = signal.reshape(-1)
    counts[:] = 0
    for tile in range(0, columns, _TILE):
        for r in range(rows):
            for column in range(tile, min(tile + _TILE, columns), LANES):
                at, lanes = r * inputs + first + column, min(LANES, columns - column)
                bits = nonzero(flat, at) if at + LANES <= flat.size else -1
                bits &= (1 << lanes) - 1
                while bits:
                    lane = lowest(bits)
                    where = column + lane
                    places[where, counts[where]] = named[r]
                    values[where, counts[where]] = flat[at + lane]
                    counts[where] += 1
                    bits &= bits - 1


@compiled
def _pack(error: Array, width: int, packed: Array) -> None:
    """Copy rows so that they lie one behind another, each ``width`` numbers long."""
    rows, wanted = error.shape
    for r in range(rows):
        row, target = error[r], packed[r * width : (r + 1) * width]
        for o in range(wanted):
            target[o] = row[o]


@compiled
def aligned(size: int) -> Array:
    """Return zeros that begin where a line of the cache does, so that rows cross no lines."""
    room = np.zeros(size + 16, np.float32)
    skipped = -(room.ctypes.data // 4) % 16
    return room[skipped : skipped + size]
