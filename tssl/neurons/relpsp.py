"""The neuron of STDBP: nothing in it decays, and it fires once."""

import math
from dataclasses import replace

from tssl.neurons.kind import NeuronKind

__all__ = ["REL_PSP"]

REL_PSP = NeuronKind(
    make=lambda given: replace(given, tau_m=math.inf, tau_s=math.inf, fires_once=True),
    without=dict.fromkeys(
        ("tau_m", "tau_s"), "has no decay; leave tau_m and tau_s out, or use 'lif'"
    ),
)
r"""Each spike at :math:`t_i` raises the slope of the membrane by its weight, for good:
:math:`V(t) = \sum_i w_i \max(0, t - t_i)`; it fires when :math:`V` first reaches the threshold.

References
----------
.. [1] M. Zhang et al., Rectified Linear Postsynaptic Potential Function for Backpropagation in Deep
   Spiking Neural Networks, arXiv:2003.11837; IEEE TNNLS 33(5), 2022.
"""
