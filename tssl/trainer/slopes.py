"""Surrogates: what takes the place of the derivative of a spike by the membrane potential."""

import math
from collections.abc import Callable

from torch import Tensor

__all__ = ["SURROGATES", "arctan", "rectangular", "sigmoid"]

_WIDTH = 0.2
_CLIP = 8.0


def sigmoid(voltage: Tensor, threshold: float) -> Tensor:
    r"""Return :math:`z/(0.2 (1+z)^2)`, :math:`z = e^{\mathrm{clamp}((\vartheta-u)/0.2, -8, 8)}`.

    The derivative of a sigmoid of width 0.2 around the threshold.
    """
    distance = (threshold - voltage) / _WIDTH
    z = distance.clamp(-_CLIP, _CLIP).exp()
    return z / (_WIDTH * (1 + z) ** 2)


def arctan(voltage: Tensor, threshold: float) -> Tensor:
    r"""Return :math:`1 / (1 + (\pi (u - \vartheta))^2)`.

    References
    ----------
    .. [1] W. Fang et al., Deep Residual Learning in Spiking Neural Networks, NeurIPS 2021; the
       surrogate of its code, with alpha = 2.
    """
    return 1 / (1 + (math.pi * (voltage - threshold)).square())


def rectangular(voltage: Tensor, threshold: float) -> Tensor:
    r"""Return 1 where :math:`|u - \vartheta| < 1/2`, else 0.

    References
    ----------
    .. [1] Y. Wu et al., Spatio-Temporal Backpropagation for Training High-Performance Spiking
       Neural Networks, Frontiers in Neuroscience 12:331, 2018.
    """
    return ((voltage - threshold).abs() < 1 / 2).to(voltage)


SURROGATES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "sigmoid": sigmoid,
    "arctan": arctan,
    "rectangular": rectangular,
}
"""By the name in a recipe; compiled loops know them by their place here."""
