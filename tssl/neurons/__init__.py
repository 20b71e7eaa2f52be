"""Neurons: one file for each, and a table."""

from tssl.neurons.i import I
from tssl.neurons.integrator import IF
from tssl.neurons.kind import NeuronKind
from tssl.neurons.li import LI
from tssl.neurons.lif import LIF
from tssl.neurons.model import Lif, Reset, membrane_step
from tssl.neurons.plif import PLIF
from tssl.neurons.relpsp import REL_PSP
from tssl.neurons.sigma_delta import SIGMA_DELTA

__all__ = [
    "I",
    "IF",
    "LI",
    "LIF",
    "Lif",
    "NEURONS",
    "NeuronKind",
    "PLIF",
    "REL_PSP",
    "Reset",
    "SIGMA_DELTA",
    "membrane_step",
]

NEURONS: dict[str, NeuronKind] = {
    "lif": LIF,
    "if": IF,
    "plif": PLIF,
    "rel-psp": REL_PSP,
    "sigma-delta": SIGMA_DELTA,
    "li": LI,
    "i": I,
}
"""By the name in a recipe."""
