"""CUBA neurons on weighted sums, step by step, in machine code made by numba.

The integers are those of ``tssl.chip.cuba``. ``tssl.engine.events`` sees to it beforehand that 32
bits suffice.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.chip import ACTIVATION_SHIFT, DECAY_ONE, STATE_LIMIT
from tssl.machine.compiling import compiled

__all__ = ["Dynamics", "advance", "run_sums"]

Array = NDArray[Any]

# Numba widens every operation on 32-bit integers to 64, and so halves what a vector holds;
# constants and results are therefore narrowed one by one.
_int32 = np.int32
_SHIFT = _int32(ACTIVATION_SHIFT)
_LIMIT, _SPAN = _int32(STATE_LIMIT), _int32(2 * STATE_LIMIT)
_BITS, _LOW = _int32(DECAY_ONE.bit_length() - 1), _int32(DECAY_ONE - 1)


class Dynamics(NamedTuple):
    """A neuron's numbers, as 32-bit integers."""

    keep_u: Any
    """What is kept of the current in a step, times 4096."""
    keep_v: Any
    threshold: Any
    """In the units of the membrane potential."""


@compiled
def run_sums(
    sums: Array, bias: Array, neuron: Dynamics, spikes: Array, current: Array, voltage: Array
) -> int:
    """Run neurons from rest on weighted sums; return the largest magnitude among them.

    Parameters
    ----------
    sums
        ``(samples or 1, time or 1, neurons)``.
    bias
        Full scale, ``(samples or 1, neurons)``.
    """
    u, v = np.empty(sums.shape[2], np.int32), np.empty(sums.shape[2], np.int32)
    largest = 0
    for sample in range(spikes.shape[0]):
        first, own = min(sample, sums.shape[0] - 1), bias[min(sample, bias.shape[0] - 1)]
        u[:] = 0
        v[:] = 0
        for step in range(spikes.shape[1]):
            arriving = sums[first, min(step, sums.shape[1] - 1)]
            peak = advance(arriving, u, v, spikes[sample, step], own, neuron)
            largest = max(largest, peak)
        if len(voltage):
            current[sample] = u
            voltage[sample] = v
    return largest


@compiled
def advance(
    sums: Array, current: Array, voltage: Array, fired: Array, bias: Array, neuron: Dynamics
) -> int:
    """Advance neurons by one step; return the largest magnitude among their inputs."""
    keep_u, keep_v, threshold = neuron
    largest = _int32(0)
    for n in range(sums.shape[0]):
        largest = max(largest, _int32(abs(sums[n])))
        u = _int32(_kept(current[n], keep_u) + _int32(sums[n] << _SHIFT))
        u = _int32(u - _SPAN) if u > _LIMIT else u
        u = _int32(u + _SPAN) if u <= -_LIMIT else u
        v = _int32(_int32(_kept(voltage[n], keep_v) + u) + bias[n])
        v = min(max(v, _int32(1 - _LIMIT)), _int32(_LIMIT - 1))
        spike = v > threshold
        current[n] = u
        voltage[n] = _int32(0) if spike else v
        fired[n] = spike
    return largest


@compiled
def _kept(value: int, keep: int) -> int:
    """Return ``value * keep / 4096`` rounded toward zero.

    The product needs 36 bits, so the magnitude is split at bit 12 and multiplied in halves.
    """
    size = _int32(abs(value))
    high, low = _int32(size >> _BITS), _int32(size & _LOW)
    size = _int32(_int32(high * keep) + _int32(_int32(low * keep) >> _BITS))
    return size if value >= 0 else _int32(-size)
