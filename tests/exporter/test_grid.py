"""Weights on the grid of a chip, by hand."""

from dataclasses import replace

import numpy as np

from tests.exporter.networks import LIMITS
from tssl.exporter.grid import on_grid


def test_even_weights_that_are_clipped() -> None:
    weight = np.array([0.4, 0.6, -0.6, 9.0, -9.0])
    four_bits = replace(LIMITS, weight_bits=4)
    assert on_grid(weight, 5.0, four_bits).tolist() == [2, 4, -4, 14, -14]
    assert on_grid(weight, 30.0, LIMITS).tolist() == [12, 18, -18, 254, -254]
