"""What a backend records."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from tssl.chip import IntArray, Train
from tssl.results.traces import States

__all__ = ["Recording"]


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
