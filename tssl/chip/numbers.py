"""The fixed-point numbers of Loihi neurons, as Lava's bit-accurate models compute them."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tssl.errors import RangeError

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
SpikeArray = NDArray[np.uint8]

DECAY_BITS = 12
DECAY_ONE = 1 << DECAY_BITS
"""A decay of ``DECAY_ONE`` forgets everything within one time step."""

STATE_LIMIT = 1 << 23
"""Currents and potentials are 24-bit signed numbers."""

ACTIVATION_SHIFT = 6
THRESHOLD_SHIFT = 6
BIAS_SHIFT = 6

FLOAT32_EXACT = 1 << 24
FLOAT64_EXACT = 1 << 53
INT32_LIMIT = 1 << 31


def decayed(value: IntArray, decay: IntArray | int) -> IntArray:
    """Return ``value * (1 - decay / DECAY_ONE)``, rounded toward zero."""
    product = value * (DECAY_ONE - decay)
    magnitude = np.abs(product) >> DECAY_BITS  # >> alone would round toward minus infinity
    return np.where(product < 0, -magnitude, magnitude)


def wrapped(value: IntArray) -> IntArray:
    """Wrap one overflow into ``(-STATE_LIMIT, STATE_LIMIT]``, as Lava's neuron does.

    The interval is open below and closed above, the opposite of two's complement.
    """
    span = 2 * STATE_LIMIT
    value = np.where(value > STATE_LIMIT, value - span, value)
    return np.where(value <= -STATE_LIMIT, value + span, value)


def saturated(value: IntArray) -> IntArray:
    """Clip to the range of the membrane potential, ``±(STATE_LIMIT - 1)``."""
    return np.clip(value, 1 - STATE_LIMIT, STATE_LIMIT - 1)


def wrapped_convolution(value: IntArray) -> IntArray:
    """Reduce modulo 2**24 into ``[-STATE_LIMIT, STATE_LIMIT)``, as Lava's convolution does."""
    return (value + STATE_LIMIT) % (2 * STATE_LIMIT) - STATE_LIMIT


def wrapped_32(value: IntArray) -> IntArray:
    """Reduce modulo 2**32 into 32 bits with a sign, as numpy's int32 does."""
    return (value + INT32_LIMIT) % (2 * INT32_LIMIT) - INT32_LIMIT


def exact_kind(values: NDArray[np.integer[Any]], weight: IntArray) -> type[np.number[Any]]:
    """Return the type in which weighted sums of ``values`` are exact and fastest to compute.

    Parameters
    ----------
    weight
        ``(outputs, ...)``, all weights of an output in its row.

    Notes
    -----
    Integers below 2**24 are exact in float32 and below 2**53 in float64, products and
    partial sums in any order included, and floating-point matrix products are many times
    faster than integer ones. The bound taken is the sum of ``|weight|`` of a row times
    the largest ``|value|``; above 2**53 the sums are computed in integers.
    """
    largest = max(int(values.max(initial=0)), -int(values.min(initial=0)))
    rows = np.abs(weight.astype(np.float64)).reshape(len(weight), math.prod(weight.shape[1:]))
    bound = largest * float(rows.sum(axis=1).max(initial=0))
    if bound >= FLOAT64_EXACT:
        return np.int64
    return np.float32 if bound < FLOAT32_EXACT else np.float64


def exact_product(rows: IntArray, weight: IntArray) -> IntArray:
    """Return ``rows @ weight.T`` in exact integers, by the fastest sufficient arithmetic.

    Parameters
    ----------
    rows
        ``(n, inputs)``.
    weight
        ``(outputs, inputs)``.
    """
    kind = exact_kind(rows, weight)
    product: IntArray = (rows.astype(kind) @ weight.T.astype(kind)).astype(np.int64)
    return product


def frozen_integers(values: object) -> IntArray:
    """Return a read-only int64 copy of an array of whole numbers.

    Raises
    ------
    RangeError
        When an entry is not a finite whole number.
    """
    given = np.asarray(values)
    with np.errstate(invalid="ignore"):  # casting NaN; noticed by the comparison below
        array = given.astype(np.int64)
    if not np.array_equal(array, given):
        raise RangeError("weights and biases of a chip network must be finite whole numbers")
    array.setflags(write=False)
    return array
