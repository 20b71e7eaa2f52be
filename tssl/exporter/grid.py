"""The grid of a chip's weights."""

import numpy as np

from tssl.chip import ChipLimits, IntArray
from tssl.exporter.lower import Floats

__all__ = ["on_grid"]


def on_grid(weight: Floats, scale: float, limits: ChipLimits) -> IntArray:
    """Return the weights that a chip has for so many integers per unit, clipped to its largest.

    Weights of both signs are multiples of a step: their lowest bit is the sign.
    """
    step, largest = limits.weight_step, limits.largest_weight
    return (np.rint(weight * scale / step).astype(np.int64) * step).clip(-largest, largest)
