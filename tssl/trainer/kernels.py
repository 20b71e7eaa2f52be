"""The recurrences of a layer as compiled loops: forward and backward in one pass each.

Everything that happens between two linear maps is done while a block of neurons is in the
cache: the time course of a constant input, the membrane, spikes, the synapse filter and the
pool. Only the current has to be kept for the backward pass; it computes the membrane again,
with the same roundings. Single precision; the definition in any precision is
:mod:`tssl.trainer.recurrence`.

A layer's neurons lie in memory as ``(time, groups * rows * width)``. Without a pool a group is
any block. With one it holds the image rows of one row of windows, channels innermost, so that
each window's partners are whole runs of memory.
"""

import threading
from typing import NamedTuple

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from tssl.machine.compiling import compiled, compiled_fused, compiled_parallel

__all__ = ["Constants", "Window", "backward", "forward", "plain_window"]

Array = NDArray[np.float32]

_BLOCK = 1024
"""Neurons of a group without a pool: enough that starting loops takes no time, and few enough that
what the loops write stays in the first two caches. 1024 was best at 5 to 100 steps."""

_PARTS_PER_THREAD = 4
"""Finer than the threads, so that one that is held up does not keep the others waiting."""

_FEW = 1 << 14
"""Neurons times steps; see :func:`is_small`."""

_told = threading.local()
"""What numba was told last, by the thread that asked it to: it keeps that apart, too."""

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


def plain_window() -> Window:
    """Return the blocks of a layer without a pool."""
    return Window(_BLOCK, 1, 1, _BLOCK, 1.0)


def forward(
    current: Array,
    response: Array,
    constants: Constants,
    window: Window,
    psp: Array,
    spikes: Array,
    voltage: Array,
) -> int:
    """Run the neurons from rest.

    Parameters
    ----------
    current
        ``(time, neurons)``, or ``(1, neurons)`` for a constant input.
    response
        ``(time,)``, factor of the current at each step.
    psp
        Filled: potentials ``(time, pooled neurons)``.
    spikes, voltage
        Filled when they are ``(time, neurons)``; empty when nobody wants them.

    Returns
    -------
    spikes
        How many there were.
    """
    filled = psp, spikes, voltage
    if is_small(current.shape[1] * response.size):
        return int(_forward_part(current, response, constants, window, 0, 1, *filled))
    return int(_forward(current, response, constants, window, threads(), *filled))


def backward(
    current: Array,
    response: Array,
    gradient: Array,
    constants: Constants,
    window: Window,
    error: Array,
) -> int:
    """Turn the error at the potentials into the error at the current.

    Parameters
    ----------
    current, response
        As in :func:`forward`.
    gradient
        ``(time, pooled neurons)``.
    error
        Filled: like ``current``.

    Returns
    -------
    fallbacks
        Neuron-steps at which the surrogate took over.
    """
    given = current, response, gradient, constants, window
    if is_small(current.shape[1] * response.size):
        return int(_backward_part(*given, 0, 1, error))
    return int(_backward(*given, threads(), error))


def is_small(neuron_steps: int) -> bool:
    """Return whether one thread is done before others have woken up."""
    return neuron_steps <= _FEW


def threads() -> int:
    """Use as many threads as PyTorch does; return in how many parts to cut the work."""
    wanted = torch.get_num_threads()
    if wanted != getattr(_told, "threads", 0):
        used = min(wanted, numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
        numba.set_num_threads(used)
        if torch.get_num_threads() != wanted:  # they share OpenMP, and numba's start changes it
            torch.set_num_threads(wanted)
        _told.threads, _told.parts = wanted, _PARTS_PER_THREAD * used
    parts: int = _told.parts
    return parts


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
def _spread(pooled: Array, window: Window, error: Array) -> None:
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


@compiled_parallel
def _forward(
    current: Array, response: Array, constants: Constants, window: Window, parts: int,
    psp: Array, spikes: Array, voltage: Array,
) -> int:  # fmt: skip
    counts = np.zeros(parts, np.int64)
    for part in numba.prange(parts):
        counts[part] = _forward_part(
            current, response, constants, window, part, parts, psp, spikes, voltage
        )
    return counts.sum()


@compiled_parallel
def _backward(
    current: Array, response: Array, gradient: Array, constants: Constants, window: Window,
    parts: int, error: Array,
) -> int:  # fmt: skip
    counts = np.zeros(parts, np.int64)
    for part in numba.prange(parts):
        counts[part] = _backward_part(
            current, response, gradient, constants, window, part, parts, error
        )
    return counts.sum()


@compiled
def _forward_part(
    current: Array, response: Array, constants: Constants, window: Window, part: int, parts: int,
    psp: Array, spikes: Array, voltage: Array,
) -> int:  # fmt: skip
    """Run one of so many parts of a layer; return its spikes."""
    groups = (current.shape[1] + window.block - 1) // window.block
    scratch = np.empty((5, window.block), np.float32)
    count = 0
    for group in range(part * groups // parts, (part + 1) * groups // parts):
        count += _forward_group(
            current, response, constants, window, group * window.block, scratch,
            psp, spikes, voltage,
        )  # fmt: skip
    return count


@compiled
def _backward_part(
    current: Array, response: Array, gradient: Array, constants: Constants, window: Window,
    part: int, parts: int, error: Array,
) -> int:  # fmt: skip
    """Take the errors of one of so many parts of a layer back; return the fallbacks."""
    groups = (current.shape[1] + window.block - 1) // window.block
    history = np.empty((3, response.size + 1, window.block), np.float32)
    scratch = np.empty((5, window.block), np.float32)
    count = 0
    for group in range(part * groups // parts, (part + 1) * groups // parts):
        first = group * window.block
        _replay(current, response, constants, first, history, scratch)
        count += backward_group(
            response, gradient, constants, window, first, history, scratch, error
        )
    return count


@compiled
def _forward_group(
    current: Array, response: Array, constants: Constants, window: Window, first: int,
    scratch: Array, psp: Array, spikes: Array, voltage: Array,
) -> int:  # fmt: skip
    """Run one group of neurons over all steps; return its spikes."""
    leak, threshold = np.float32(1 - 1 / constants.tau_m), np.float32(constants.threshold)
    keep = np.float32(1 - 1 / constants.tau_s)
    add = np.float32(window.gain / constants.tau_s)
    size, shrink = min(window.block, current.shape[1] - first), window.rows * window.columns
    v, fired, u = scratch[0, :size], scratch[1, :size], scratch[2, :size]
    a, pooled = scratch[3, : size // shrink], scratch[4, : size // shrink]
    v[:] = ZERO
    a[:] = ZERO
    count = 0
    for t in range(response.size):
        arriving = current[min(t, current.shape[0] - 1), first : first + size]
        membrane(arriving, response[t], leak, threshold, v, fired, u)
        pool_spikes(fired, window, pooled)
        out = psp[t, first // shrink :]
        for j in range(a.size):
            a[j] = keep * a[j] + add * pooled[j]
            out[j] = a[j]
        if spikes.size:
            spikes[t, first : first + size] = fired
            voltage[t, first : first + size] = u
        count += count_spikes(fired)
    return count


@compiled
def _replay(
    current: Array, response: Array, constants: Constants, first: int,
    history: Array, scratch: Array,
) -> None:  # fmt: skip
    """Fill ``history`` with u, s and a of one group, a row of zeros before the first step."""
    leak, threshold = np.float32(1 - 1 / constants.tau_m), np.float32(constants.threshold)
    keep, add = np.float32(1 - 1 / constants.tau_s), np.float32(1 / constants.tau_s)
    size = min(history.shape[2], current.shape[1] - first)
    v = scratch[0, :size]
    v[:] = ZERO
    history[:, 0] = ZERO
    for t in range(response.size):
        arriving = current[min(t, current.shape[0] - 1), first : first + size]
        # rows are taken from the whole array: only then does numba know them to be contiguous
        u, fired = history[0, t + 1, :size], history[1, t + 1, :size]
        before, after = history[2, t, :size], history[2, t + 1, :size]
        membrane(arriving, response[t], leak, threshold, v, fired, u)
        for j in range(size):
            after[j] = keep * before[j] + add * fired[j]


@compiled
def backward_group(
    response: Array, gradient: Array, constants: Constants, window: Window, first: int,
    history: Array, scratch: Array, error: Array,
) -> int:  # fmt: skip
    """Take the error of one group back through all steps; return the fallbacks."""
    keep = np.float32(1 - 1 / constants.tau_s)
    add = np.float32(window.gain / constants.tau_s)
    size, shrink = min(window.block, error.shape[1] - first), window.rows * window.columns
    carry, slope, spread = scratch[0, :size], scratch[1, :size], scratch[2, :size]
    filtered = scratch[3, : size // shrink]
    carry[:] = ZERO
    filtered[:] = ZERO
    count = 0
    for t in range(response.size - 1, -1, -1):
        coming = gradient[t, first // shrink :]
        for j in range(filtered.size):
            filtered[j] = keep * filtered[j] + add * coming[j]
        if shrink > 1:
            _spread(filtered, window, spread)
        before, u = history[0, t, :size], history[0, t + 1, :size]
        fired_before, fired = history[1, t, :size], history[1, t + 1, :size]
        a = history[2, t + 1, :size]
        arriving = spread if shrink > 1 else filtered
        count += errors_of_step(
            before, u, fired_before, fired, a, arriving, constants, carry, slope
        )
        is_first = error.shape[0] == response.size or t == response.size - 1
        target = error[min(t, error.shape[0] - 1), first : first + size]
        _add_up(slope, response[t], is_first, target)
    return count


@compiled
def _add_up(error: Array, response: np.float32, is_first: bool, total: Array) -> None:
    """Collect the error at the current of one step, or at a constant one from all steps."""
    if is_first:
        for j in range(error.size):
            total[j] = response * error[j]
    else:
        for j in range(error.size):
            total[j] += response * error[j]


@compiled
def count_spikes(fired: Array) -> int:
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
