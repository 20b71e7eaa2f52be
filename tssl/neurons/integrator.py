"""The integrate-and-fire neuron, which has no leak."""

import math
from dataclasses import replace

from tssl.neurons.kind import NeuronKind

__all__ = ["IF"]

IF = NeuronKind(
    make=lambda given: replace(given, tau_m=math.inf),
    without={"tau_m": "has no leak; leave tau_m out, or use 'lif'"},
)
