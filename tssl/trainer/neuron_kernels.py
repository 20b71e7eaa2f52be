"""What neurons do in one step, forward and back, and the pool behind them, as compiled loops.

Each loop goes over the neurons of a block, and has few arrays, or rows of one of them: the compiler
then sees that they do not overlap. Those of :mod:`tssl.trainer.kernels` go through time.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.machine.compiling import compiled, compiled_fused

__all__ = [
    "ARCTAN", "BLOCK", "ONE", "RECTANGULAR", "ZERO", "Array", "Constants", "Window", "count_spikes",
    "errors_of_step", "filter_spikes", "membrane", "pool_spikes", "spread_over_windows",
]  # fmt: skip

Array = NDArray[np.float32]

ZERO, ONE, _STEEPEST = np.float32(0), np.float32(1), np.float32(8)
_INVERSE_WIDTH = np.float32(5)
"""Of the surrogate: 1 / 0.2."""
_PI = np.float32(np.pi)
BLOCK = 1024
"""Neurons of a block, and the length of a row of what a backward pass keeps of it. Enough that
starting loops takes no time, and few enough that the first two caches hold it: 1024 was best at 5
to 100 steps. Since the compiler knows the number, it sees that rows do not overlap."""
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
def _slope(distance: np.float32, surrogate: int) -> np.float32:
    """Return the surrogate's slope at this distance above the threshold.

    The derivative of the arctangent, 1 / (1 + (π d)²); 1 within 1/2 of the threshold; or the
    derivative of the sigmoid of width 0.2, which is even, clipped at 8 widths.
    """
    if surrogate == ARCTAN:
        scaled = _PI * distance
        return ONE / (ONE + scaled * scaled)
    if surrogate == RECTANGULAR:
        return ONE if abs(distance) < np.float32(0.5) else ZERO
    z = _exponential(distance)
    return _INVERSE_WIDTH * z / ((ONE + z) * (ONE + z))


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
def spread_over_windows(pooled: Array, window: Window, first: int, error: Array) -> None:
    """Give each neuron its window's value, the adjoint of :func:`pool_spikes`.

    Parameters
    ----------
    pooled
        Values of all windows of the layer.
    first
        Place of the first of the neurons in the layer.
    error
        Filled.
    """
    across = window.block // window.rows
    behind = across // window.columns
    row, place, start = first // across, first % across, 0
    while start < error.size:
        run = min(across - place, error.size - start)
        source = row // window.rows * behind
        _spread_over_row(
            pooled[source : source + behind], window, place, error[start : start + run]
        )
        row, place, start = row + 1, 0, start + run


@compiled
def _spread_over_row(pooled: Array, window: Window, place: int, error: Array) -> None:
    """Do the same within one row of the image, channels innermost."""
    channels, pixel, channel = window.channels, place // window.channels, place % window.channels
    source, column, start = pixel // window.columns * channels, pixel % window.columns, 0
    while start < error.size:
        run = min(channels - channel, error.size - start)
        given, filled = pooled[source + channel :], error[start : start + run]
        for c in range(run):
            filled[c] = given[c]
        channel, start, column = 0, start + run, column + 1
        if column == window.columns:
            column, source = 0, source + channels


@compiled
def count_spikes(fired: Array) -> int:
    """Return how many neurons fire, of 0 and 1."""
    count = 0
    for j in range(fired.size):
        count += np.int32(fired[j])
    return count


@compiled
def filter_spikes(history: Array, size: int, tau_s: float) -> None:
    """Fill the row a of a step from that of the step before and its spikes.

    Rows as of :func:`errors_of_step`.
    """
    keep, add = np.float32(1 - 1 / tau_s), np.float32(1 / tau_s)
    for j in range(size):
        history[j + 5 * BLOCK] = keep * history[j + 2 * BLOCK] + add * history[j + 4 * BLOCK]


@compiled
def errors_of_step(
    history: Array, coming: Array, response: np.float32, constants: Constants, gain: float,
    carried: Array, error: Array, is_first: bool,
) -> int:  # fmt: skip
    """Take A and D one step back in time, and choose between D and the surrogate.

    Parameters
    ----------
    history
        Rows of ``BLOCK``: u, s and a of the step before, then of this one.
    coming
        Errors at the potentials, of up to ``BLOCK`` neurons.
    response
        Factor of the current in this step.
    gain
        Of the pool.
    carried
        Rows of ``BLOCK``: A and D one step later; changed to those of this step.
    error
        That at the current: filled, or added to.
    is_first
        Whether it is filled.

    Returns
    -------
    fallbacks
        How often it was the surrogate.

    Notes
    -----
    One loop does it all, for which the compiler must know that no row lies over another.
    """
    leak, reset = np.float32(1 - 1 / constants.tau_m), np.float32(constants.reset)
    keep, add = np.float32(1 - 1 / constants.tau_s), np.float32(gain / constants.tau_s)
    threshold, below = np.float32(constants.threshold), np.float32(constants.fallback_below)
    for j in range(error.size):
        filtered = keep * carried[j] + add * coming[j]
        carried[j] = filtered
        u, fired = history[j + 3 * BLOCK], history[j + 4 * BLOCK]
        surrogate = _slope(u - threshold, constants.surrogate)
        slope = surrogate
        if constants.spike_time:
            steep = ONE / (u - history[j] * (ONE - history[j + BLOCK]))
            steep = min(max(steep, ZERO), _STEEPEST)
            slope = steep if fired > ZERO else ZERO
        carry = carried[j + BLOCK]
        at_spike = slope * (filtered + u * carry * reset)
        carry = at_spike + leak * carry * (ONE - fired)
        carried[j + BLOCK] = carry
        chosen = filtered * surrogate if history[j + 5 * BLOCK] < below else carry
        change = response * chosen
        error[j] = change if is_first else error[j] + change
    return _count_below(history[5 * BLOCK : 5 * BLOCK + error.size], below)


@compiled
def _count_below(potential: Array, bound: np.float32) -> int:
    count = 0
    for j in range(potential.size):
        count += np.int32(potential[j] < bound)
    return count
