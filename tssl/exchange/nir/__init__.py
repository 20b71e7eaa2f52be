"""NIR, the Neuromorphic Intermediate Representation: in and out.

A file is read into a :class:`Nir`, its steps are found or asked for (:func:`timing`), and it is
lowered to a checkpoint (:func:`lower`) or run as it is in floating point (:func:`simulate`).
"""

from tssl.exchange.nir.at_threshold import firing_at, sums_up
from tssl.exchange.nir.conventions import check_conventions
from tssl.exchange.nir.description import Nir, NirNode
from tssl.exchange.nir.lowering import Decay, Lowered, lower
from tssl.exchange.nir.maps import shapes
from tssl.exchange.nir.reading import read
from tssl.exchange.nir.reference import Trace, simulate
from tssl.exchange.nir.timing import Rule, Timing, timing

__all__ = [
    "Decay",
    "Lowered",
    "Nir",
    "NirNode",
    "Rule",
    "Timing",
    "Trace",
    "check_conventions",
    "firing_at",
    "lower",
    "read",
    "shapes",
    "simulate",
    "sums_up",
    "timing",
]
