"""Norms and leaks, which the chip has in weights and biases.

Training in a chip's integers and the export take the same steps, so these are stated once, for
tensors of PyTorch and for NumPy arrays.
"""

from collections.abc import Mapping
from typing import Any

from tssl.graph.node import NORM, NORM_EPSILON

__all__ = ["leak_folded", "norm_folded"]


def norm_folded(arrays: Mapping[str, Any]) -> dict[str, Any]:
    r"""Return the arrays of a layer without its norm, which weights and biases have taken in.

    .. math:: \gamma \frac{W a - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta = W' a + b'

    Parameters
    ----------
    arrays
        By role, in double precision, those of the norm included.
    """
    scale, shift, mean, variance = (arrays[role] for role in NORM)
    factor, weight = scale / (variance + NORM_EPSILON) ** 0.5, arrays["weight"]
    maps = weight.reshape(len(factor), -1)  # which may have weights of their own at each position
    return {
        **{role: array for role, array in arrays.items() if role not in NORM},
        "weight": (maps * factor.reshape(-1, 1)).reshape(weight.shape),
        "bias": shift - mean * factor,
    }


def leak_folded(arrays: Mapping[str, Any], tau_m: float) -> dict[str, Any]:
    r"""Return the arrays of a layer that take in the share ω of what arrives, without the leak.

    .. math:: v_t = v_{t-1} + \omega (I_t - v_{t-1}) = (1 - \omega) v_{t-1} + \omega I_t

    Parameters
    ----------
    arrays
        By role, in double precision.
    tau_m
        :math:`1 / \omega`, the trained time constant in time steps.
    """
    share = 1 / tau_m
    return {role: array * share for role, array in arrays.items() if role != "leak"}
