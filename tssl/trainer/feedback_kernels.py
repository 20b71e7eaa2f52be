"""One step of neurons that hear each other as compiled loops, forward and backward.

See :mod:`tssl.trainer.kernels`, which runs all steps of neurons that do not.
"""

from typing import NamedTuple

import numba
import numpy as np

from tssl.machine.compiling import compiled, compiled_parallel
from tssl.trainer.kernels import threads
from tssl.trainer.neuron_kernels import BLOCK, ONE, Array, Constants, errors_of_step, membrane

__all__ = ["Membrane", "step", "step_back", "zeros"]


class Membrane(NamedTuple):
    """Numbers of the neuron alone."""

    tau_m: float
    tau_s: float
    threshold: float


def zeros(rows: int, neurons: int) -> Array:
    """Return the state of neurons at rest, ``(rows, neurons)``."""
    return np.zeros((rows, neurons), np.float32)


def step(
    arriving: Array,
    heard: Array,
    numbers: Membrane,
    state: Array,
    psp: Array,
    spikes: Array,
    voltage: Array,
) -> None:
    """Advance neurons by one step; each ``(neurons,)``.

    Parameters
    ----------
    arriving, heard
        Currents from other layers, and from the neurons themselves.
    state
        Membrane potential after the reset, and post-synaptic potential, ``(2, neurons)``; changed.
    psp, spikes, voltage
        Filled.
    """
    _step(arriving, heard, numbers, threads(), state, psp, spikes, voltage)


def step_back(
    coming: Array,
    heard: Array,
    constants: Constants,
    state: Array,
    before: tuple[Array, Array],
    now: tuple[Array, Array, Array],
    error: Array,
) -> int:
    """Take the error of neurons back by one step; return the fallbacks.

    Parameters
    ----------
    coming, heard
        Errors at the potentials from other layers, and from the neurons themselves.
    state
        A and D, ``(2, neurons)``; changed.
    before, now
        Potential of the membrane and spikes a step earlier; the same now, and the post-synaptic
        potential.
    error
        Filled.
    """
    return int(_step_back(coming, heard, constants, threads(), state, before, now, error))


@compiled_parallel
def _step(
    arriving: Array, heard: Array, numbers: Membrane, parts: int, state: Array, psp: Array,
    spikes: Array, voltage: Array,
) -> None:  # fmt: skip
    leak, threshold = np.float32(1 - 1 / numbers.tau_m), np.float32(numbers.threshold)
    keep, add = np.float32(1 - 1 / numbers.tau_s), np.float32(1 / numbers.tau_s)
    for part in numba.prange(parts):
        here = slice(part * psp.size // parts, (part + 1) * psp.size // parts)
        v, a, out = state[0, here], state[1, here], psp[here]
        total = arriving[here] + heard[here]
        membrane(total, ONE, leak, threshold, v, spikes[here], voltage[here])
        fired = spikes[here]
        for j in range(out.size):
            a[j] = keep * a[j] + add * fired[j]
            out[j] = a[j]


@compiled_parallel
def _step_back(
    coming: Array, heard: Array, constants: Constants, parts: int, state: Array,
    before: tuple[Array, Array], now: tuple[Array, Array, Array], error: Array,
) -> int:  # fmt: skip
    counts = np.zeros(parts, np.int64)
    for part in numba.prange(parts):
        start, stop = part * error.size // parts, (part + 1) * error.size // parts
        history, carried = np.empty(6 * BLOCK, np.float32), np.empty(2 * BLOCK, np.float32)
        for first in range(start, stop, BLOCK):
            here = slice(first, min(first + BLOCK, stop))
            counts[part] += _block_back(
                coming[here] + heard[here], constants, state[:, here],
                (before[0][here], before[1][here]), (now[0][here], now[1][here], now[2][here]),
                history, carried, error[here],
            )  # fmt: skip
    return counts.sum()


@compiled
def _block_back(
    coming: Array, constants: Constants, state: Array, before: tuple[Array, Array],
    now: tuple[Array, Array, Array], history: Array, carried: Array, error: Array,
) -> int:  # fmt: skip
    """Do it for one block, its numbers in rows as the loop over its neurons wants them."""
    size, rows, ways = error.size, history.reshape((6, BLOCK)), carried.reshape((2, BLOCK))
    rows[0, :size], rows[1, :size] = before
    rows[3, :size], rows[4, :size], rows[5, :size] = now
    ways[:, :size] = state
    count = errors_of_step(history, coming, ONE, constants, 1.0, carried, error, is_first=True)
    state[:] = ways[:, :size]
    return count
