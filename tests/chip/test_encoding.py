"""How data become integers."""

import numpy as np

from tssl.chip import Encoding


def test_encoding_rounds_ties_to_even():
    encoding = Encoding(offset=1.0, gain=1.0, quantum=1.0)
    given = np.array([1.0, 1.5, 2.5, 3.5, 0.5, -0.5, 2.4999, 2.5001])
    assert encoding.integers(given).tolist() == [0, 0, 2, 2, 0, -2, 1, 2]
    halves = Encoding(offset=1.0, gain=0.5, quantum=1.0)  # -0.5, 0, 0.5, 1.5, 2.5
    assert halves.integers(np.array([0, 1, 2, 4, 6], np.uint8)).tolist() == [0, 0, 0, 2, 2]


def test_encoding_of_pixels_keeps_the_shape_and_does_not_wrap():
    encoding = Encoding(offset=128.0, gain=1.0, quantum=1 / 255)
    pixels = np.array([[[[0, 127], [128, 255]]]], np.uint8)
    integers = encoding.integers(pixels)
    assert integers.dtype == np.int64
    assert integers.tolist() == [[[[-128, -1], [0, 127]]]]
