"""The integrator, which loses nothing and never fires."""

import math
from dataclasses import replace

from tssl.neurons.kind import NeuronKind
from tssl.neurons.li import LI, WITHOUT

__all__ = ["I"]

I = NeuronKind(  # noqa: E741 - its name in NIR
    make=lambda given: replace(LI.make(given), tau_m=math.inf),
    without={"tau_m": "has no leak; leave tau_m out, or use 'li'", **WITHOUT},
    is_read=True,
)
r"""Its potential is :math:`v_t = v_{t-1} + W a_t + b`, and is read."""
