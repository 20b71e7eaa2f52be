"""What a backend records, and the one read-out of it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.chip import IntArray, Train
from tssl.results.traces import States

__all__ = ["Recording", "read_out"]


class Recording(NamedTuple):
    """Everything a backend recorded for some samples, aligned as if nothing were delayed."""

    trains: Mapping[str, Train]
    """By layer name, ``(time, samples, neurons)``; also ``"input"`` for an input block."""
    output_potential: IntArray
    """Membrane potential of the output layer after the last step, ``(samples, outputs)``."""
    states: Mapping[str, States] = MappingProxyType({})
    """Of those layers that somebody asked for, by name."""

    @staticmethod
    def joined(parts: Sequence["Recording"]) -> "Recording":
        """Return the recording of consecutive samples, of which there are some, as one."""
        first = parts[0]
        trains = {
            name: np.concatenate([part.trains[name] for part in parts], axis=1)
            for name in first.trains
        }
        states = {
            name: States(
                *(
                    np.concatenate(values, axis=1)
                    for values in zip(*(part.states[name] for part in parts), strict=True)
                )
            )
            for name in first.states
        }
        potentials = np.concatenate([part.output_potential for part in parts])
        return Recording(trains, potentials, states)


def read_out(
    output_spikes: Train, output_potential: NDArray[np.generic], *, graded: bool = False
) -> IntArray:
    """Return the predicted class of each sample, by the one rule of this project.

    The class with the most output spikes wins; between equals, the one whose spikes came
    earlier; then the lower index. Where no output of a sample ever fires, the largest
    membrane potential decides. Neurons that send values are read by the largest potential, which is
    their value after the last step.

    Parameters
    ----------
    output_spikes
        ``(samples, time, outputs)``.
    output_potential
        After the last step, ``(samples, outputs)``.
    graded
        Whether the output sends values.
    """
    if graded:
        return output_potential.argmax(axis=1)
    time_steps = output_spikes.shape[1]
    counts = output_spikes.sum(axis=1, dtype=np.int64)
    earliness = np.tensordot(time_steps - np.arange(time_steps), output_spikes, axes=(0, 1))
    most = counts == counts.max(axis=1, keepdims=True)
    earliest = np.where(most, earliness.astype(np.int64), -1).argmax(axis=1)
    return np.where(counts.any(axis=1), earliest, output_potential.argmax(axis=1))
