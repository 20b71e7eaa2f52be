"""Neurons: one file for each, and a table."""

from tssl.neurons.integrator import IF
from tssl.neurons.kind import NeuronKind
from tssl.neurons.lif import LIF
from tssl.neurons.model import Lif, Reset, membrane_step
from tssl.neurons.plif import PLIF
from tssl.neurons.relpsp import REL_PSP

__all__ = [
    "IF",
    "LIF",
    "Lif",
    "NEURONS",
    "NeuronKind",
    "PLIF",
    "REL_PSP",
    "Reset",
    "membrane_step",
]

NEURONS: dict[str, NeuronKind] = {"lif": LIF, "if": IF, "plif": PLIF, "rel-psp": REL_PSP}
"""By the name in a recipe."""
