"""The chip's neurons as compiled loops, and TSSL-BP on what they did.

Forward in whole numbers, bit for bit as :mod:`tssl.chip.cuba`; backward the recurrence of
:mod:`tssl.trainer.kernels` on the recorded potentials and spikes. Layout as there.
"""

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from tssl.chip.numbers import (
    ACTIVATION_SHIFT,
    BIAS_SHIFT,
    DECAY_BITS,
    DECAY_ONE,
    STATE_LIMIT,
)
from tssl.machine.compiling import compiled, compiled_parallel
from tssl.trainer.kernels import backward_block, history_size, is_small, threads
from tssl.trainer.neuron_kernels import (
    BLOCK,
    ONE,
    ZERO,
    Array,
    Constants,
    Window,
    count_spikes,
    filter_spikes,
    pool_spikes,
)

__all__ = ["ChipConstants", "chip_backward", "chip_forward", "chip_step", "round_weights"]


Floats = NDArray[np.float32] | NDArray[np.float64]
Integers = NDArray[np.float32] | NDArray[np.int8]


class ChipConstants(NamedTuple):
    """Numbers of a CUBA neuron of the chip; see :mod:`tssl.chip.cuba`."""

    current_decay: int
    voltage_decay: int
    threshold: int
    """Of the 24-bit potential, the shift by 6 bits included."""
    tau_s: float


def round_weights(
    weight: Floats,
    factors: tuple[float, float, float, float],
    step: int,
    largest: int,
    integers: Integers,
    dequantized: Array,
) -> None:
    """Round weights to the chip's grid, in double precision and in the exporter's order.

    Parameters
    ----------
    weight
        Flat.
    factors
        Gain of pools, value of an input of one, 1 / tau_s, and scale; multiplied in this order.
    integers, dequantized
        Filled: the integers, in steps where they have 8 bits, and what they stand for in the
        trained network; nothing of the latter where it is empty.
    """
    counted = 1 / step if integers.dtype == np.int8 else 1.0
    if weight.size <= _ROUNDED:  # less than it takes to wake a thread
        _round_block(weight, factors, step, largest, counted, integers, dequantized)
        return
    threads()
    _round_weights(weight, factors, step, largest, counted, integers, dequantized)


def chip_forward(
    activation: Array,
    bias: Array,
    time_steps: int,
    constants: ChipConstants,
    window: Window,
    psp: Array,
    counts: Array,
    fired: Array,
    voltage: Array,
) -> int:
    """Run the chip's neurons from rest on weighted sums.

    Parameters
    ----------
    activation
        ``(time or 1, neurons)``, whole numbers.
    bias
        ``(channels,)``, mantissas as whole numbers, channels innermost among the neurons; empty
        when there are none.
    psp, counts
        Filled: potentials, and sums of spikes by window, ``(time, pooled neurons)``.
    fired, voltage
        Filled when they are ``(time, neurons)``: spikes, and membrane potential before the reset
        as whole numbers; empty when nobody wants them.

    Returns
    -------
    spikes
        How many there were.
    """
    given = activation, bias, time_steps, constants, window
    filled = psp, counts, fired, voltage
    if is_small(activation.shape[1] * time_steps):
        return int(_chip_forward_part(*given, 0, 1, *filled))
    return int(_chip_forward(*given, threads(), *filled))


def chip_step(
    arriving: Array,
    bias: Array,
    constants: ChipConstants,
    state: NDArray[np.int32],
    fired: Array,
    voltage: Array,
) -> None:
    """Advance the chip's neurons by one step.

    Parameters
    ----------
    arriving
        ``(neurons,)``, whole numbers.
    bias
        As in :func:`chip_forward`.
    state
        Synaptic current and membrane potential, ``(2, neurons)``; changed.
    fired, voltage
        Filled: spikes, and membrane potential before the reset, ``(neurons,)``.
    """
    _chip_step(arriving, bias, 0, constants, ONE, state[0], state[1], fired, voltage)


def chip_backward(
    activation: Array,
    bias: Array,
    chip: ChipConstants,
    unit: float,
    response: Array,
    gradient: Array,
    constants: Constants,
    window: Window,
    error: Array,
) -> int:
    """Do :func:`backward` for the chip's neurons, which run again.

    Parameters
    ----------
    activation, bias, chip
        As in :func:`chip_forward`.
    unit
        Of the chip's potential, in those of the trained network.
    response
        ``(time,)``, used when the input is constant: ``error`` then has one step.
    """
    given = activation, bias, chip, np.float32(unit), response, gradient, constants, window
    if is_small(activation.shape[1] * response.size):
        return int(_chip_backward_part(*given, 0, 1, error))
    return int(_chip_backward(*given, threads(), error))


_ROUNDED = 8192
"""Weights that one thread rounds at a time."""
_MESSAGE, _BIAS = 1 << ACTIVATION_SHIFT, 1 << BIAS_SHIFT


@compiled
def _decayed(state: np.int32, decay: int) -> np.int32:
    """Multiply by 1 - decay / DECAY_ONE, rounding towards zero.

    In two halves of 12 bits each, whose products have 24: so 32 bits are enough, and twice as
    many neurons fit a vector as with 64. Numba's results have 64 unless they are cut.
    """
    keep = np.int32(DECAY_ONE - decay)
    high = np.int32(np.int32(state >> DECAY_BITS) * keep)
    upwards = np.int32(np.int32(state >> 31) & (DECAY_ONE - 1))  # of what is negative
    low = np.int32(np.int32(np.int32(state & (DECAY_ONE - 1)) * keep) + upwards)
    return np.int32(high + np.int32(low >> DECAY_BITS))


@compiled
def _current(state: np.int32, arriving: np.float32, constants: ChipConstants) -> np.int32:
    """Advance a synaptic current by one step; what arrives is below 2^24."""
    more = np.int32(_MESSAGE * np.int32(arriving))
    current = np.int32(_decayed(state, constants.current_decay) + more)
    current = np.int32(current - 2 * STATE_LIMIT) if current > STATE_LIMIT else current
    return np.int32(current + 2 * STATE_LIMIT) if current <= -STATE_LIMIT else current


@compiled
def _saturated(potential: np.int32) -> np.int32:
    bounded = np.int32(1 - STATE_LIMIT) if potential <= -STATE_LIMIT else potential
    return np.int32(STATE_LIMIT - 1) if bounded >= STATE_LIMIT else bounded


@compiled
def _advance(
    arriving: Array, constants: ChipConstants, u: NDArray[np.int32], v: NDArray[np.int32]
) -> None:
    """Advance currents and potentials, but for biases, bounds and resets.

    Few arrays in a loop, or the compiler does not see them apart.
    """
    for j in range(u.size):
        current = _current(u[j], arriving[j], constants)
        u[j] = current
        v[j] = np.int32(_decayed(v[j], constants.voltage_decay) + current)


@compiled
def _add_bias(bias: Array, v: NDArray[np.int32]) -> None:
    for j in range(v.size):
        v[j] = np.int32(v[j] + np.int32(_BIAS * np.int32(bias[j])))


@compiled
def _fire(
    threshold: np.int32, unit: np.float32, v: NDArray[np.int32], fired: Array, voltage: Array
) -> None:
    for j in range(v.size):
        potential = _saturated(v[j])
        fires = potential > threshold
        v[j] = np.int32(0) if fires else potential
        fired[j] = ONE if fires else ZERO
        voltage[j] = unit * np.float32(potential)


@compiled
def _chip_step(
    arriving: Array, bias: Array, first: int, constants: ChipConstants, unit: np.float32,
    u: NDArray[np.int32], v: NDArray[np.int32], fired: Array, voltage: Array,
) -> None:  # fmt: skip
    """Advance CUBA neurons by one step; ``voltage`` gets the potential before reset in ``unit``.

    ``first`` is the place of the first of them in the layer.
    """
    _advance(arriving, constants, u, v)
    if bias.size:
        place, start = first % bias.size, 0
        while start < u.size:
            run = min(bias.size - place, u.size - start)
            _add_bias(bias[place : place + run], v[start : start + run])
            place, start = 0, start + run
    threshold = np.int32(min(constants.threshold, STATE_LIMIT))  # no potential is above either
    _fire(threshold, unit, v, fired, voltage)


@compiled_parallel
def _chip_forward(
    activation: Array, bias: Array, steps: int, constants: ChipConstants, window: Window,
    parts: int, psp: Array, counts: Array, fired: Array, voltage: Array,
) -> int:  # fmt: skip
    totals = np.zeros(parts, np.int64)
    for part in numba.prange(parts):
        totals[part] = _chip_forward_part(
            activation, bias, steps, constants, window, part, parts, psp, counts, fired, voltage
        )
    return totals.sum()


@compiled
def _chip_forward_part(
    activation: Array, bias: Array, steps: int, constants: ChipConstants, window: Window,
    part: int, parts: int, psp: Array, counts: Array, fired: Array, voltage: Array,
) -> int:  # fmt: skip
    """Run one of so many parts of a layer; return its spikes."""
    groups = (activation.shape[1] + window.block - 1) // window.block
    state = np.empty((2, window.block), np.int32)
    scratch = np.empty((3, window.block), np.float32)
    total = 0
    for group in range(part * groups // parts, (part + 1) * groups // parts):
        total += _chip_forward_group(
            activation, bias, steps, constants, window, group * window.block, state, scratch,
            psp, counts, fired, voltage,
        )  # fmt: skip
    return total


@compiled
def _chip_forward_group(
    activation: Array, bias: Array, steps: int, constants: ChipConstants, window: Window,
    first: int, state: NDArray[np.int32], scratch: Array, psp: Array, counts: Array,
    fired: Array, voltage: Array,
) -> int:  # fmt: skip
    keep = np.float32(1 - 1 / constants.tau_s)
    add = np.float32(window.gain / constants.tau_s)
    size, shrink = min(window.block, activation.shape[1] - first), window.rows * window.columns
    u, v, spikes = state[0, :size], state[1, :size], scratch[0, :size]
    potentials, a = scratch[1, :size], scratch[2, : size // shrink]
    u[:] = 0
    v[:] = 0
    a[:] = ZERO
    count = 0
    for t in range(steps):
        arriving = activation[min(t, activation.shape[0] - 1), first : first + size]
        _chip_step(arriving, bias, first, constants, ONE, u, v, spikes, potentials)
        sums = counts[t, first // shrink : first // shrink + a.size]
        pool_spikes(spikes, window, sums)
        out = psp[t, first // shrink :]
        for j in range(a.size):
            a[j] = keep * a[j] + add * sums[j]
            out[j] = a[j]
        if fired.size:
            fired[t, first : first + size] = spikes
            voltage[t, first : first + size] = potentials
        count += count_spikes(sums)
    return count


@compiled_parallel
def _chip_backward(
    activation: Array, bias: Array, chip: ChipConstants, unit: np.float32, response: Array,
    gradient: Array, constants: Constants, window: Window, parts: int, error: Array,
) -> int:  # fmt: skip
    totals = np.zeros(parts, np.int64)
    for part in numba.prange(parts):
        totals[part] = _chip_backward_part(
            activation, bias, chip, unit, response, gradient, constants, window, part, parts, error
        )
    return totals.sum()


@compiled
def _chip_backward_part(
    activation: Array, bias: Array, chip: ChipConstants, unit: np.float32, response: Array,
    gradient: Array, constants: Constants, window: Window, part: int, parts: int, error: Array,
) -> int:  # fmt: skip
    """Take the errors of one of so many parts of a layer back; return the fallbacks."""
    blocks = (activation.shape[1] + BLOCK - 1) // BLOCK
    state = np.empty((2, BLOCK), np.int32)
    history = np.empty(history_size(response.size), np.float32)
    scratch = np.empty(3 * BLOCK, np.float32)
    total = 0
    for block in range(part * blocks // parts, (part + 1) * blocks // parts):
        first = block * BLOCK
        _replay(activation, bias, chip, unit, first, response.size, state, history)
        total += backward_block(
            response, gradient, constants, window, first, history, scratch, error
        )
    return total


@compiled
def _replay(
    activation: Array, bias: Array, constants: ChipConstants, unit: np.float32, first: int,
    steps: int, state: NDArray[np.int32], history: Array,
) -> None:  # fmt: skip
    """Fill ``history`` as :mod:`tssl.trainer.kernels` does, with what the chip's neurons did."""
    size = min(BLOCK, activation.shape[1] - first)
    u, v = state[0, :size], state[1, :size]
    u[:] = 0
    v[:] = 0
    history[: 3 * BLOCK] = ZERO
    for t in range(steps):
        arriving = activation[min(t, activation.shape[0] - 1), first : first + size]
        rows = history[3 * t * BLOCK :]
        potentials, spikes = rows[3 * BLOCK :][:size], rows[4 * BLOCK :][:size]
        _chip_step(arriving, bias, first, constants, unit, u, v, spikes, potentials)
        filter_spikes(rows, size, constants.tau_s)


@compiled_parallel
def _round_weights(
    weight: Floats, factors: tuple[float, float, float, float], step: int, largest: int,
    counted: float, integers: Integers, dequantized: Array,
) -> None:  # fmt: skip
    blocks = (weight.size + _ROUNDED - 1) // _ROUNDED
    for block in numba.prange(blocks):
        here = slice(block * _ROUNDED, (block + 1) * _ROUNDED)
        _round_block(
            weight[here], factors, step, largest, counted, integers[here], dequantized[here]
        )


@compiled
def _round_block(
    weight: Floats, factors: tuple[float, float, float, float], step: int, largest: int,
    counted: float, integers: Integers, dequantized: Array,
) -> None:  # fmt: skip
    gain, quantum, inverse_tau, scale = factors
    unit, width, bound = gain * quantum * inverse_tau * scale, float(step), float(largest)
    inverse = 1 / width  # exact, since steps are powers of two
    if dequantized.size:
        for j in range(weight.size):
            scaled = np.float64(weight[j]) * gain * quantum * inverse_tau * scale
            rounded = min(max(np.rint(scaled * inverse) * width, -bound), bound)
            integers[j] = rounded * counted
            dequantized[j] = np.float32(rounded / unit)
    else:
        for j in range(weight.size):
            scaled = np.float64(weight[j]) * gain * quantum * inverse_tau * scale
            rounded = min(max(np.rint(scaled * inverse) * width, -bound), bound)
            integers[j] = rounded * counted
