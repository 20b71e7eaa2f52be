"""What single neurons did at every step, where somebody asked for it."""

from typing import NamedTuple

from tssl.chip import IntArray

__all__ = ["CURRENT", "POTENTIAL", "QUANTITIES", "SPIKES", "States", "TraceName"]

SPIKES, CURRENT, POTENTIAL = "spikes", "current", "potential"
QUANTITIES = (SPIKES, CURRENT, POTENTIAL)
"""What can be recorded of a neuron."""


class TraceName(NamedTuple):
    """What a trace shows."""

    layer: str
    """A layer's name, or ``"input"`` for input neurons."""
    quantity: str
    """One of :data:`QUANTITIES`."""

    def __str__(self) -> str:
        return f"{self.layer}:{self.quantity}"


class States(NamedTuple):
    """State of a layer's neurons at the end of each step, ``(time, samples, neurons)``.

    A neuron that fires has been reset by then, as in the monitors of Lava.
    """

    current: IntArray
    """Synaptic current."""
    potential: IntArray
    """Membrane potential."""
