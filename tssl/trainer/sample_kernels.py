"""Pixels by a table, four times as fast as by ``numpy.take``."""

import numpy as np
from numpy.typing import NDArray

from tssl.machine.compiling import compiled

__all__ = ["BYTES", "looked_up"]

BYTES = 256
"""Entries of a table that has one for every byte."""


def looked_up(pixels: NDArray[np.uint8], table: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the table's entry for each byte.

    Parameters
    ----------
    table
        ``(BYTES,)``; nobody looks whether it has as many.
    """
    result = np.empty(pixels.shape, np.float32)
    _look_up(np.ascontiguousarray(pixels).reshape(-1), table, result.reshape(-1))
    return result


@compiled
def _look_up(
    pixels: NDArray[np.uint8], table: NDArray[np.float32], result: NDArray[np.float32]
) -> None:
    for j in range(pixels.size):
        result[j] = table[pixels[j]]
