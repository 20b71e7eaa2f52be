"""Sigma-delta neurons over all steps, in machine code made by numba.

The integers are those of ``tssl.chip.sigma_delta``, in 32 bits that wrap. Every kernel works on a
few samples in one thread and returns the smallest and the largest message.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tssl.chip import DELTA_SHIFT, MESSAGE_SHIFT, STATE_LIMIT
from tssl.machine.compiling import compiled

__all__ = ["run_deltas", "run_sigma_deltas"]

Array = NDArray[Any]

# Numba widens every operation on 32-bit integers to 64, and so halves what a vector holds;
# constants and results are therefore narrowed one by one.
_int32 = np.int32
_SHIFT = _int32(DELTA_SHIFT)
_LOST = _int32(DELTA_SHIFT - MESSAGE_SHIFT)
_HALF, _MASK = _int32(STATE_LIMIT), _int32(2 * STATE_LIMIT - 1)


@compiled
def run_sigma_deltas(
    sums: Array, wraps: bool, bias: Array, threshold: int, sent: Array, sigma: Array, value: Array
) -> tuple[int, int]:
    """Run sigma-delta neurons from rest on weighted sums.

    Parameters
    ----------
    sums
        ``(samples, time or 1, neurons)``, int32.
    wraps
        Whether the sums wrap at 24 bits, as those of a convolution.
    bias, threshold
        Full scale, ``(neurons,)`` and a number.
    sent
        Filled: messages, ``(samples, time, neurons)``.
    sigma, value
        Filled with the last state, ``(samples, neurons)``, unless there is no room for it.
    """
    arrived = np.empty(sums.shape[2], np.int32)
    before, residue = np.empty_like(arrived), np.empty_like(arrived)
    smallest, largest = _int32(0), _int32(0)
    for sample in range(sent.shape[0]):
        arrived[:] = 0
        before[:] = 0
        residue[:] = 0
        for step in range(sent.shape[1]):
            arriving = sums[sample, min(step, sums.shape[1] - 1)]
            messages = sent[sample, step]
            for n in range(arriving.shape[0]):
                weighed = arriving[n]
                if wraps:
                    weighed = _int32(_int32(_int32(weighed + _HALF) & _MASK) - _HALF)
                arrived[n] = _int32(arrived[n] + weighed)
                now = max(_int32(arrived[n] + bias[n]), _int32(0))
                message, residue[n] = _encoded(now, before[n], residue[n], threshold)
                before[n], messages[n] = now, message
                smallest, largest = min(smallest, message), max(largest, message)
        if len(value):
            sigma[sample] = arrived
            value[sample] = before
    return smallest, largest


@compiled
def run_deltas(train: Array, threshold: int, sent: Array) -> tuple[int, int]:
    """Run the delta neurons of an input from rest on values ``(samples, time or 1, neurons)``."""
    before, residue = np.empty(train.shape[2], np.int32), np.empty(train.shape[2], np.int32)
    smallest, largest = _int32(0), _int32(0)
    for sample in range(sent.shape[0]):
        before[:] = 0
        residue[:] = 0
        for step in range(sent.shape[1]):
            values, messages = train[sample, min(step, train.shape[1] - 1)], sent[sample, step]
            for n in range(values.shape[0]):
                now = _int32(values[n] << _SHIFT)
                message, residue[n] = _encoded(now, before[n], residue[n], threshold)
                before[n], messages[n] = now, message
                smallest, largest = min(smallest, message), max(largest, message)
    return smallest, largest


@compiled
def _encoded(now: int, before: int, residue: int, threshold: int) -> tuple[int, int]:
    """Return the message that tells of a new value, and what is left to tell."""
    change = _int32(_int32(now - before) + residue)
    size = change if change >= 0 else _int32(-change)  # the smallest number has none and stays
    part = change if size >= threshold else _int32(0)
    return _int32(part >> _LOST), _int32(change - part)
