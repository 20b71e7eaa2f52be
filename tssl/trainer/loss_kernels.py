"""The kernel loss and its error in one compiled loop; see :func:`tssl.trainer.loss.kernel`."""

import numpy as np
from numpy.typing import NDArray

from tssl.machine.compiling import compiled

__all__ = ["half_squares"]


@compiled
def half_squares(
    output: NDArray[np.float32],
    labels: NDArray[np.int64],
    wanted: NDArray[np.float32],
    error: NDArray[np.float32],
) -> float:
    """Return the loss.

    Parameters
    ----------
    output
        ``(time, batch, classes)``.
    labels
        ``(batch,)``.
    wanted
        ``(time,)``, the desired potential of the true class; that of others is 0.
    error
        Filled with the error at ``output``.
    """
    total = 0.0
    for t in range(output.shape[0]):
        for b in range(output.shape[1]):
            for c in range(output.shape[2]):
                target = wanted[t] if c == labels[b] else np.float32(0)
                difference = output[t, b, c] - target
                error[t, b, c] = difference
                total += difference * difference
    return 0.5 * total
