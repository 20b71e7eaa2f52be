"""Pixels by a table, four times as fast as by ``numpy.take``; and those of chosen samples."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from tssl.machine.compiling import compiled, compiled_parallel
from tssl.trainer import kernels

__all__ = ["BYTES", "chosen", "looked_up"]

BYTES = 256
"""Entries of a table that has one for every byte."""

Bytes = NDArray[np.uint8]
Table = NDArray[np.float32]


def looked_up(pixels: Bytes, table: Table) -> NDArray[np.float32]:
    """Return the table's entry for each byte.

    Parameters
    ----------
    table
        ``(BYTES,)``; nobody looks whether it has as many.
    """
    result = np.empty(pixels.shape, np.float32)
    _look_up(np.ascontiguousarray(pixels).reshape(-1), table, result.reshape(-1))
    return result


def chosen(samples: Bytes, rows: NDArray[np.int64], table: Table) -> NDArray[np.float32]:
    """Return :func:`looked_up` of ``samples[rows]``.

    Parameters
    ----------
    samples
        ``(samples, ...)``, contiguous.
    rows
        Nobody looks whether they are there.
    """
    result = np.empty((len(rows), *samples.shape[1:]), np.float32)
    flat: Any = samples.reshape(len(samples), -1)
    _choose(flat, rows, table, result.reshape(len(rows), -1), kernels.threads())
    return result


@compiled_parallel
def _choose(
    samples: Bytes, rows: NDArray[np.int64], table: Table, result: NDArray[np.float32], parts: int
) -> None:
    for part in numba.prange(parts):
        for place in range(part * rows.size // parts, (part + 1) * rows.size // parts):
            _look_up(samples[rows[place]], table, result[place])


@compiled
def _look_up(pixels: Bytes, table: Table, result: NDArray[np.float32]) -> None:
    for j in range(pixels.size):
        result[j] = table[pixels[j]]
