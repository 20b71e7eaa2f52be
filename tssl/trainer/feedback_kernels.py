"""One step of neurons that hear each other as compiled loops, forward and backward.

See :mod:`tssl.trainer.kernels`, which runs all steps of neurons that do not.
"""

from typing import NamedTuple

import numba
import numpy as np

from tssl.machine.compiling import compiled_parallel
from tssl.trainer.kernels import threads
from tssl.trainer.neuron_kernels import ONE, Array, Constants, errors_of_step, membrane

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
    return int(_step_back(coming, heard, constants, threads(), state, *before, *now, error))


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
    u_before: Array, fired_before: Array, u: Array, fired: Array, psp: Array, error: Array,
) -> int:  # fmt: skip
    keep, add = np.float32(1 - 1 / constants.tau_s), np.float32(1 / constants.tau_s)
    counts = np.zeros(parts, np.int64)
    for part in numba.prange(parts):
        here = slice(part * error.size // parts, (part + 1) * error.size // parts)
        filtered, given, own = state[0, here], coming[here], heard[here]
        for j in range(filtered.size):
            filtered[j] = keep * filtered[j] + add * (given[j] + own[j])
        counts[part] = errors_of_step(
            u_before[here], u[here], fired_before[here], fired[here], psp[here], filtered,
            constants, state[1, here], error[here],
        )  # fmt: skip
    return counts.sum()
