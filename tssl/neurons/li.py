"""The leaky integrator, which adds up what arrives and never fires."""

import math
from dataclasses import replace

from tssl.neurons.kind import NeuronKind

__all__ = ["LI", "WITHOUT"]

WITHOUT = {
    "threshold": "never fires; leave threshold out, or use 'lif'",
    **dict.fromkeys(
        ("reset", "refractory", "own_thresholds", "recurrent"),
        "never fires, and nothing follows a spike; leave reset, refractory, own_thresholds and "
        "recurrent out, or use 'lif'",
    ),
}
"""What neurons that never fire do not have."""

LI = NeuronKind(
    make=lambda given: replace(given, threshold=math.inf, reset="zero", refractory=0),
    without=WITHOUT,
    is_read=True,
)
r"""Its potential is :math:`v_t = (1 - 1/\tau_m)\, v_{t-1} + W a_t + b`, and is read."""
