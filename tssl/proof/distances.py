"""How far two spike trains are apart, where they are not equal."""

import numpy as np
from numpy.typing import NDArray

from tssl.machine.compiling import compiled

__all__ = ["van_rossum", "victor_purpura"]


def van_rossum(
    left: NDArray[np.integer], right: NDArray[np.integer], *, tau: float
) -> NDArray[np.float64]:
    r"""Return the distance of van Rossum between spike trains, per train.

    Each spike becomes an exponential that begins with it; the distance is that of the sums.

    .. math:: D^2 = \frac1\tau \int (f - g)^2 dt
        = \frac12 \sum_{t, t'} d_t\, e^{-|t - t'| / \tau}\, d_{t'}, \qquad d = s - s'

    One spike that only one train has gives :math:`D^2 = 1/2`; two that are far apart give 1.

    Parameters
    ----------
    left, right
        ``(time, trains)``, 0 or 1, or larger for several spikes at a step.
    tau
        Time constant in time steps, above 0.

    References
    ----------
    .. [1] M. C. W. van Rossum, A Novel Spike Distance, Neural Computation 13(4), 2001.
    """
    difference = left.astype(np.float64) - right.astype(np.float64)
    steps = np.arange(len(difference))
    kernel = np.exp(-np.abs(steps[:, None] - steps) / tau)
    squared = 0.5 * (difference * (kernel @ difference)).sum(axis=0)
    distance: NDArray[np.float64] = np.sqrt(np.maximum(squared, 0.0))
    return distance


def victor_purpura(
    left: NDArray[np.integer], right: NDArray[np.integer], *, cost: float
) -> NDArray[np.float64]:
    r"""Return the distance of Victor and Purpura between spike trains, per train.

    It is the price of the cheapest way from one train to the other: 1 for each spike that is added
    or taken away, and :math:`q\,|\Delta t|` for one that is moved.

    Parameters
    ----------
    left, right
        ``(time, trains)``; anything above 0 is one spike.
    cost
        :math:`q`, per time step, at least 0.

    References
    ----------
    .. [1] J. D. Victor and K. P. Purpura, Nature and Precision of Temporal Coding in Visual Cortex:
       A Metric-Space Analysis, Journal of Neurophysiology 76(2), 1996.
    """
    found = np.zeros(left.shape[1])
    for train in np.flatnonzero((left != right).any(axis=0)):
        ours, theirs = np.flatnonzero(left[:, train]), np.flatnonzero(right[:, train])
        found[train] = _cheapest(ours, theirs, float(cost))
    return found


@compiled
def _cheapest(left: NDArray[np.int64], right: NDArray[np.int64], cost: float) -> float:
    """Return the price between two lists of times; each row of the table knows one spike more."""
    before = np.arange(len(right) + 1).astype(np.float64)
    for i in range(len(left)):
        row = np.empty_like(before)
        row[0] = i + 1
        for j in range(len(right)):
            moved = before[j] + cost * abs(left[i] - right[j])
            row[j + 1] = min(before[j + 1] + 1, row[j] + 1, moved)
        before = row
    return float(before[-1])
