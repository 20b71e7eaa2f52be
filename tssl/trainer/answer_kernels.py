"""How many classes are right, in one pass over the output's spikes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tssl.machine.compiling import compiled

__all__ = ["right_classes"]

Array = NDArray[Any]
_BYTE = 255


@compiled
def right_classes(spikes: Array, potential: Array, labels: Array) -> int:
    """Return how many samples the read-out of classes is right about.

    It reads as :class:`tssl.chip.ClassReadOut` does: most spikes, then the earlier ones, then the
    lower index; the largest potential where none fires.

    Parameters
    ----------
    spikes
        ``(time, samples, classes)``, each a byte in any type.
    potential
        After the last step, ``(samples, classes)``.
    labels
        ``(samples,)``
    """
    time_steps, samples, classes = spikes.shape
    right = 0
    for sample in range(samples):
        answer, most, earliest = -1, 0, 0
        for each in range(classes):
            count, earliness = 0, 0
            for step in range(time_steps):
                sent = np.int64(spikes[step, sample, each]) & _BYTE
                count += sent
                earliness += (time_steps - step) * sent
            if count > most or (count == most and earliness > earliest):
                answer, most, earliest = each, count, earliness
        if answer < 0:
            answer = _largest(potential[sample])
        right += answer == labels[sample]
    return right


@compiled
def _largest(values: Array) -> int:
    """Return the first index of the largest value; what is no number is larger, as for numpy."""
    found = 0
    for index in range(values.size):
        if np.isnan(values[index]):
            return index
        if values[index] > values[found]:
            found = index
    return found
