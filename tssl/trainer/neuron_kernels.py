"""What neurons do in one step, forward and back, and the pool behind them, as compiled loops.

Each is one loop over the neurons of a block, or few: the compiler then sees that its arrays do not
overlap. Those of :mod:`tssl.trainer.kernels` go through time.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.machine.compiling import compiled, compiled_fused

__all__ = [
    "ARCTAN", "ONE", "RECTANGULAR", "ZERO", "Array", "Constants", "Window", "count_spikes",
    "errors_of_step", "membrane", "pool_spikes", "spread_over_windows",
]  # fmt: skip

Array = NDArray[np.float32]

ZERO, ONE, _STEEPEST = np.float32(0), np.float32(1), np.float32(8)
_INVERSE_WIDTH = np.float32(5)
"""Of the surrogate: 1 / 0.2."""
_PI = np.float32(np.pi)
ARCTAN, RECTANGULAR = 1, 2
"""Places of surrogates; anything else is the sigmoid."""
_BACK = np.float32(np.exp(-4.0))
"""Undoes the move by 1/2 in the exponent, to the eighth power."""


class Window(NamedTuple):
    """Where a layer's neurons lie in memory, and which are pooled."""

    block: int
    """Neurons of a group."""
    rows: int
    """Image rows of a group; 1 without a pool."""
    columns: int
    """Width of a pooling window; 1 without a pool."""
    channels: int
    """Neurons side by side at one pixel; the whole block without a pool."""
    gain: float


class Constants(NamedTuple):
    """Numbers of the neuron and its rule."""

    tau_m: float
    tau_s: float
    threshold: float
    spike_time: bool
    """Slope at spikes 1/δ from the spike's time; otherwise the surrogate's everywhere."""
    reset: float
    """Factor of u D in the error of a spike."""
    fallback_below: float
    """Post-synaptic potential below which the surrogate takes over."""
    surrogate: int = 0
    """Its place in ``tssl.trainer.slopes.SURROGATES``."""


@compiled
def membrane(
    arriving: Array, response: np.float32, leak: np.float32, threshold: np.float32,
    v: Array, fired: Array, u: Array,
) -> None:  # fmt: skip
    """Advance the membrane by one step; ``v`` is after the reset, ``u`` before it."""
    for j in range(v.size):
        before_reset = leak * v[j] + arriving[j] * response
        fires = before_reset > threshold
        v[j] = ZERO if fires else before_reset
        fired[j] = ONE if fires else ZERO
        u[j] = before_reset


@compiled_fused
def _exponential(distance: np.float32) -> np.float32:
    """Return e to minus the distance in widths of the surrogate, of 8 widths at most.

    By the series of an eighth of it, moved to -1/2...1/2, up to the seventh power (the next term
    is 1e-7), then to the eighth power. A call of the library's would be one per neuron, not as many
    as a vector holds.
    """
    y = np.float32(0.5) - np.float32(0.125) * min(abs(distance * _INVERSE_WIDTH), np.float32(8))
    z = np.float32(1 / 5040)
    z = z * y + np.float32(1 / 720)
    z = z * y + np.float32(1 / 120)
    z = z * y + np.float32(1 / 24)
    z = z * y + np.float32(1 / 6)
    z = z * y + np.float32(1 / 2)
    z = z * y + ONE
    z = z * y + ONE
    z = z * z
    z = z * z
    return z * z * _BACK


@compiled
def _surrogate(u: Array, threshold: np.float32, slope: Array) -> None:
    """Take the derivative of the sigmoid of width 0.2, which is even, clipped at 8 widths."""
    for j in range(u.size):
        z = _exponential(threshold - u[j])
        slope[j] = _INVERSE_WIDTH * z / ((ONE + z) * (ONE + z))


@compiled
def _arctan(u: Array, threshold: np.float32, slope: Array) -> None:
    """Take the derivative of the arctangent, 1 / (1 + (π (u - ϑ))²)."""
    for j in range(u.size):
        distance = _PI * (u[j] - threshold)
        slope[j] = ONE / (ONE + distance * distance)


@compiled
def _rectangular(u: Array, threshold: np.float32, slope: Array) -> None:
    """Take 1 within 1/2 of the threshold, else 0."""
    for j in range(u.size):
        slope[j] = ONE if abs(u[j] - threshold) < np.float32(0.5) else ZERO


@compiled
def _take_surrogate(u: Array, constants: Constants, slope: Array) -> None:
    """Take the surrogate of the rule."""
    if constants.surrogate == ARCTAN:
        _arctan(u, np.float32(constants.threshold), slope)
    elif constants.surrogate == RECTANGULAR:
        _rectangular(u, np.float32(constants.threshold), slope)
    else:
        _surrogate(u, np.float32(constants.threshold), slope)


@compiled
def pool_spikes(fired: Array, window: Window, pooled: Array) -> None:
    """Add up the spikes of each window, ``(rows * width)`` to ``(width / columns)``."""
    if window.rows * window.columns == 1:
        for j in range(fired.size):
            pooled[j] = fired[j]
        return
    channels, columns = window.channels, window.columns
    pixels = fired.size // (window.rows * channels)
    pooled[:] = ZERO
    for row in range(window.rows):
        for pixel in range(pixels):
            source = fired[(row * pixels + pixel) * channels :]
            target = pooled[pixel // columns * channels :]
            for c in range(channels):
                target[c] += source[c]


@compiled
def spread_over_windows(pooled: Array, window: Window, error: Array) -> None:
    """Give each neuron of a window the window's value, the adjoint of :func:`pool_spikes`."""
    if window.rows * window.columns == 1:
        for j in range(pooled.size):
            error[j] = pooled[j]
        return
    channels, columns = window.channels, window.columns
    pixels = error.size // (window.rows * channels)
    for row in range(window.rows):
        for pixel in range(pixels):
            target = error[(row * pixels + pixel) * channels :]
            source = pooled[pixel // columns * channels :]
            for c in range(channels):
                target[c] = source[c]


@compiled
def count_spikes(fired: Array) -> int:
    """Return how many neurons fire, of 0 and 1."""
    count = 0
    for j in range(fired.size):
        count += np.int32(fired[j])
    return count


@compiled
def errors_of_step(
    before: Array, u: Array, fired_before: Array, fired: Array, a: Array, filtered: Array,
    constants: Constants, carry: Array, error: Array,
) -> int:  # fmt: skip
    """Take D one step back in time, and choose between it and the surrogate.

    Parameters
    ----------
    carry
        D one step later; changed to that of this step.
    error
        Filled.

    Returns
    -------
    fallbacks
        How often it was the surrogate.
    """
    if constants.spike_time:
        _carry_by_time(before, u, fired_before, fired, filtered, constants, carry)
    else:
        _take_surrogate(u, constants, error)
        _carry_by_surrogate(u, fired, filtered, constants, error, carry)
    return _fall_back(u, a, filtered, carry, constants, error)


@compiled
def _carry_by_time(
    before: Array, u: Array, fired_before: Array, fired: Array, filtered: Array,
    constants: Constants, carry: Array,
) -> None:  # fmt: skip
    """Take D one step back with the slope 1/δ at spikes, without a pass that writes it down."""
    leak, reset = np.float32(1 - 1 / constants.tau_m), np.float32(constants.reset)
    for j in range(u.size):
        steep = ONE / (u[j] - before[j] * (ONE - fired_before[j]))
        steep = min(max(steep, ZERO), _STEEPEST)
        slope = steep if fired[j] > ZERO else ZERO
        at_spike = slope * (filtered[j] + u[j] * carry[j] * reset)
        carry[j] = at_spike + leak * carry[j] * (ONE - fired[j])


@compiled
def _carry_by_surrogate(
    u: Array, fired: Array, filtered: Array, constants: Constants, slope: Array, carry: Array
) -> None:
    leak, reset = np.float32(1 - 1 / constants.tau_m), np.float32(constants.reset)
    for j in range(u.size):
        at_spike = slope[j] * (filtered[j] + u[j] * carry[j] * reset)
        carry[j] = at_spike + leak * carry[j] * (ONE - fired[j])


@compiled
def _fall_back(
    u: Array, a: Array, filtered: Array, carry: Array, constants: Constants, error: Array
) -> int:
    below = np.float32(constants.fallback_below)
    if below <= ZERO:
        error[:] = carry
        return 0
    _take_surrogate(u, constants, error)
    for j in range(u.size):
        surrogate = filtered[j] * error[j]
        error[j] = surrogate if a[j] < below else carry[j]
    count = 0
    for j in range(u.size):
        count += np.int32(a[j] < below)
    return count
