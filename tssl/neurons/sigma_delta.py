"""The sigma-delta neuron: rectified, and it sends by how much its value changed."""

from dataclasses import replace

from tssl.neurons.kind import NeuronKind

__all__ = ["SIGMA_DELTA"]

SIGMA_DELTA = NeuronKind(
    make=lambda given: replace(given, tau_m=1.0, tau_s=1.0, values=True),
    without=dict.fromkeys(
        ("tau_m", "tau_s"), "keeps all that arrives; leave tau_m and tau_s out, or use 'lif'"
    ),
)
r"""Its value is :math:`x = \max(W \hat x + b, 0)` of what its sources told; it tells its own
anew where that differs by the threshold or more from what it told. See docs/sigma-delta.md."""
