"""Operations of a chip, as counted from spikes."""

from dataclasses import dataclass

import numpy as np

from tssl.chip import IntArray

__all__ = ["OpCounts"]


@dataclass(frozen=True, kw_only=True, eq=False)
class OpCounts:
    """Operations counted from spikes, summed over samples.

    Parameters
    ----------
    samples
        How many samples the sums cover.
    layers
        Names of the layers.
    neurons
        Neurons of each layer; all of them are updated at every time step.
    synaptic_operations
        Spikes times the non-zero synapses they drive, ``(layers, time)``.
    active_updates
        Updates of neurons that received a spike or fired, ``(layers, time)``.
    spikes
        Spikes fired, or messages sent, ``(layers, time)``; the rest of the neurons had no change
        to tell.
    input_spikes
        Non-zero inputs, ``(time,)``.
    stored_zeros
        Spikes times the synapses of weight zero that lie among the non-zero ones they drive,
        ``(layers, time)``. Loihi's counter leaves them out of its synaptic operations. None
        in results of a tssl that did not count them.
    """

    samples: int
    layers: tuple[str, ...]
    neurons: IntArray
    synaptic_operations: IntArray
    active_updates: IntArray
    spikes: IntArray
    input_spikes: IntArray
    stored_zeros: IntArray | None = None

    def __add__(self, other: "OpCounts") -> "OpCounts":
        """Return the counts of both, which must come from the same network."""
        return OpCounts(
            samples=self.samples + other.samples,
            layers=self.layers,
            neurons=self.neurons,
            synaptic_operations=self.synaptic_operations + other.synaptic_operations,
            active_updates=self.active_updates + other.active_updates,
            spikes=self.spikes + other.spikes,
            input_spikes=self.input_spikes + other.input_spikes,
            stored_zeros=_sum(self.stored_zeros, other.stored_zeros),
        )

    @property
    def unchanged(self) -> IntArray:
        """Updates of neurons that sent nothing, ``(layers,)``; of sigma-delta ones, no change."""
        updates = self.neurons * self.samples * self.time_steps
        return np.asarray(updates - self.spikes.sum(axis=1))

    @property
    def time_steps(self) -> int:
        """Number of time steps of a sample."""
        return len(self.input_spikes)


def _sum(one: IntArray | None, other: IntArray | None) -> IntArray | None:
    return None if one is None or other is None else one + other
