"""The recurrences of a layer as compiled loops: forward and backward in one pass each.

Everything that happens between two linear maps is done while a block of neurons is in the
cache: the time course of a constant input, the membrane, spikes, the synapse filter and the
pool. Only the current has to be kept for the backward pass; it computes the membrane again,
with the same roundings. Single precision; the definition in any precision is
:mod:`tssl.trainer.recurrence`.

A layer's neurons lie in memory as ``(time, groups * rows * width)``. Without a pool a group is
any block. With one it holds the image rows of one row of windows, channels innermost, so that
each window's partners are whole runs of memory. Backward, a block is any ``BLOCK`` neurons: errors
of windows are spread over them.
"""

import threading

import numba
import numpy as np
import torch

from tssl.machine.compiling import compiled, compiled_parallel
from tssl.trainer.neuron_kernels import (
    BLOCK,
    ZERO,
    Array,
    Constants,
    Window,
    count_spikes,
    errors_of_step,
    filter_spikes,
    membrane,
    pool_spikes,
    spread_over_windows,
)

__all__ = [
    "Constants", "Window", "backward", "backward_block", "forward", "history_size", "is_small",
    "plain_window", "threads",
]  # fmt: skip


_PARTS_PER_THREAD = 4
"""Finer than the threads, so that one that is held up does not keep the others waiting."""

_FEW = 1 << 14
"""Neurons times steps; see :func:`is_small`."""

_told = threading.local()
"""What numba was told last, by the thread that asked it to: it keeps that apart, too."""


def plain_window() -> Window:
    """Return the blocks of a layer without a pool."""
    return Window(BLOCK, 1, 1, BLOCK, 1.0)


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
    blocks = (current.shape[1] + BLOCK - 1) // BLOCK
    history = np.empty(history_size(response.size), np.float32)
    v, scratch = np.empty(BLOCK, np.float32), np.empty(3 * BLOCK, np.float32)
    count = 0
    for block in range(part * blocks // parts, (part + 1) * blocks // parts):
        first = block * BLOCK
        _replay(current, response, constants, first, v, history)
        count += backward_block(
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
        count += count_spikes(pooled)
    return count


@compiled
def history_size(steps: int) -> int:
    """Return how many numbers the history of a block has: rows of u, s and a by steps."""
    return 3 * BLOCK * (steps + 1)  # a step of rest before the first one


@compiled
def _replay(
    current: Array, response: Array, constants: Constants, first: int, v: Array, history: Array
) -> None:
    """Fill ``history`` with u, s and a of one block."""
    leak, threshold = np.float32(1 - 1 / constants.tau_m), np.float32(constants.threshold)
    size = min(BLOCK, current.shape[1] - first)
    v[:] = ZERO
    history[: 3 * BLOCK] = ZERO
    for t in range(response.size):
        arriving = current[min(t, current.shape[0] - 1), first : first + size]
        rows = history[3 * t * BLOCK :]
        u, fired = rows[3 * BLOCK :][:size], rows[4 * BLOCK :][:size]
        membrane(arriving, response[t], leak, threshold, v[:size], fired, u)
        filter_spikes(rows, size, constants.tau_s)


@compiled
def backward_block(
    response: Array, gradient: Array, constants: Constants, window: Window, first: int,
    history: Array, scratch: Array, error: Array,
) -> int:  # fmt: skip
    """Take the error of one block back through all steps; return the fallbacks."""
    size, is_pooled = min(BLOCK, error.shape[1] - first), window.rows * window.columns > 1
    carried, spread = scratch[: 2 * BLOCK], scratch[2 * BLOCK : 2 * BLOCK + size]
    carried[:] = ZERO
    count = 0
    for t in range(response.size - 1, -1, -1):
        coming = spread if is_pooled else gradient[t, first : first + size]
        if is_pooled:
            spread_over_windows(gradient[t], window, first, spread)
        is_first = error.shape[0] == response.size or t == response.size - 1
        target = error[min(t, error.shape[0] - 1), first : first + size]
        count += errors_of_step(
            history[3 * t * BLOCK :], coming, response[t], constants, window.gain, carried,
            target, is_first=is_first,
        )  # fmt: skip
    return count
