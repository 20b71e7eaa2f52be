"""A layer of ST-RSBP as compiled loops: each sample by itself, all its steps at once.

Synapses are filters, and a filter of a weighted sum is the weighted sum of what was filtered. So
what neurons of a layer send each other is added up spike by spike, of which there are few, and the
products of potentials are not formed. The definition is :mod:`tssl.trainer.methods.strsbp_layer`.
"""

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from tssl.machine.compiling import compiled, compiled_parallel
from tssl.trainer.kernels import threads
from tssl.trainer.methods.gmres_kernels import gmres
from tssl.trainer.neuron_kernels import ONE, ZERO, Array, count_spikes, membrane

__all__ = ["Numbers", "filtered", "fire", "heard", "over_time", "solved"]

_BLOCK = 1024
"""Neurons that are filtered at a time, so that what is written stays in the first two caches."""


class Numbers(NamedTuple):
    """Of a layer's neurons."""

    tau_m: float
    tau_s: float
    threshold: float
    refractory: int


def fire(
    current: Array, feedback: Array, numbers: Numbers, psp: Array, spikes: Array, voltage: Array
) -> int:
    """Run neurons from rest.

    Parameters
    ----------
    current
        ``(time, batch, neurons)``.
    feedback
        Weights that a neuron's spikes have for all, ``(neurons, neurons)``, the sender first; empty
        for a feed-forward layer.
    psp, spikes
        Filled, ``(time, batch, neurons)``.
    voltage
        Likewise; empty when nobody wants it.

    Returns
    -------
    spikes
        How many there were.
    """
    threads()
    return int(_fire(current, feedback, numbers, psp, spikes, voltage))


def filtered(spikes: Array, tau_s: float, psp: Array, counts: Array) -> None:
    """Fill in potentials of spikes ``(time, neurons)``, and how many each neuron sent."""
    _filtered(spikes, tau_s, threads(), psp, counts)


def over_time(one: Array, other: Array, result: Array) -> None:
    """Fill in the sum of products over time, of ``(time, neurons)`` twice."""
    _over_time(one, other, threads(), result)


def heard(spikes: Array, numbers: Numbers, factor: Array, result: Array) -> None:
    """Fill in :func:`tssl.trainer.methods.strsbp_table.listening`, times a factor of each neuron.

    Parameters
    ----------
    factor
        ``(batch, neurons)``.
    result
        Like the spikes, ``(time, batch, neurons)``.
    """
    threads()
    _heard(spikes, numbers, factor, result)


def solved(
    spikes: Array,
    feedback: Array,
    numbers: Numbers,
    silent: float,
    divisor: Array,
    given: Array,
    result: Array,
) -> NDArray[np.bool_]:
    r"""Solve :math:`M^\top y = g` for each sample by GMRES, the diagonal being divided out.

    Parameters
    ----------
    feedback
        As of :func:`fire`.
    silent
        What takes the place of e / o where either neuron is silent.
    divisor
        The diagonal of M, ``(batch, neurons)``.
    given, result
        g, and y, which is filled; likewise.

    Returns
    -------
    is_found
        ``(batch,)``: for which samples; what the others got is of no use.
    """
    is_found = np.zeros(len(given), np.bool_)
    threads()
    _solved(spikes, feedback, numbers, silent, divisor, given, result, is_found)
    return is_found


@compiled_parallel
def _filtered(spikes: Array, tau_s: float, parts: int, psp: Array, counts: Array) -> None:
    keep, add = np.float32(1 - 1 / tau_s), np.float32(1 / tau_s)
    blocks = -(-counts.size // _BLOCK)
    for part in numba.prange(parts):
        for block in range(part * blocks // parts, (part + 1) * blocks // parts):
            here = slice(block * _BLOCK, min((block + 1) * _BLOCK, counts.size))
            count, a = counts[here], np.zeros(_BLOCK, np.float32)
            count[:] = ZERO
            for t in range(len(spikes)):
                fired, out = spikes[t, here], psp[t, here]
                for j in range(count.size):
                    a[j] = keep * a[j] + add * fired[j]
                    out[j] = a[j]
                    count[j] += fired[j]


@compiled_parallel
def _over_time(one: Array, other: Array, parts: int, result: Array) -> None:
    blocks = -(-result.size // _BLOCK)
    for part in numba.prange(parts):
        for block in range(part * blocks // parts, (part + 1) * blocks // parts):
            here = slice(block * _BLOCK, min((block + 1) * _BLOCK, result.size))
            total = result[here]
            total[:] = ZERO
            for t in range(len(one)):
                a, b = one[t, here], other[t, here]
                for j in range(total.size):
                    total[j] += a[j] * b[j]


@compiled_parallel
def _fire(
    current: Array, feedback: Array, numbers: Numbers, psp: Array, spikes: Array, voltage: Array
) -> int:
    steps, batch, neurons = current.shape
    leak, threshold = np.float32(1 - 1 / numbers.tau_m), np.float32(numbers.threshold)
    keep, add = np.float32(1 - 1 / numbers.tau_s), np.float32(1 / numbers.tau_s)
    counts = np.zeros(batch, np.int64)
    for b in numba.prange(batch):
        state = np.zeros((5, neurons), np.float32)
        v, a, own, total, scratch = state[0], state[1], state[2], state[3], state[4]
        rest = np.zeros(neurons, np.int32)
        for t in range(steps):
            fired, out = spikes[t, b], psp[t, b]
            u = voltage[t, b] if voltage.size else scratch
            for j in range(neurons):
                total[j] = current[t, b, j] + own[j]
            membrane(total, ONE, leak, threshold, v, fired, u)
            if numbers.refractory:
                _take_rest(rest, numbers.refractory, v, fired, u)
            for j in range(neurons):
                a[j] = keep * a[j] + add * fired[j]
                out[j] = a[j]
            counts[b] += count_spikes(fired)
            if feedback.size:
                _send(fired, feedback, keep, add, own)
    return counts.sum()


@compiled
def _take_rest(rest: NDArray[np.int32], steps: int, v: Array, fired: Array, u: Array) -> None:
    """Keep neurons at zero in the steps after a spike."""
    for j in range(v.size):
        if rest[j] > 0:
            rest[j] -= 1
            v[j] = fired[j] = u[j] = ZERO
        elif fired[j] > ZERO:
            rest[j] = steps


@compiled
def _send(fired: Array, feedback: Array, keep: np.float32, add: np.float32, own: Array) -> None:
    """Advance the current among neurons by a step."""
    for j in range(own.size):
        own[j] = keep * own[j]
    for source in range(own.size):
        if fired[source] > ZERO:
            weight = feedback[source]
            for j in range(own.size):
                own[j] += add * weight[j]


@compiled
def _listen(spikes: Array, leak: np.float32, refractory: int, b: int, weights: Array) -> None:
    """Fill in the listening weights of a sample, ``(time, neurons)``."""
    steps, _, neurons = spikes.shape
    nothing = np.zeros(neurons, np.float32)
    for t in range(steps - 1, -1, -1):
        fired, z = spikes[t, b], weights[t]
        later = weights[t + 1] if t + 1 < steps else nothing
        for j in range(neurons):
            z[j] = fired[j] + leak * (ONE - fired[j]) * later[j]
        for back in range(1, min(refractory, t) + 1):
            before = spikes[t - back, b]
            for j in range(neurons):
                z[j] *= ONE - before[j]


@compiled_parallel
def _heard(spikes: Array, numbers: Numbers, factor: Array, result: Array) -> None:
    steps, batch, neurons = spikes.shape
    leak = np.float32(1 - 1 / numbers.tau_m)
    for b in numba.prange(batch):
        weights, by = np.empty((steps, neurons), np.float32), factor[b]
        _listen(spikes, leak, numbers.refractory, b, weights)
        for t in range(steps):
            z, out = weights[t], result[t, b]
            for j in range(neurons):
                out[j] = z[j] * by[j]


@compiled_parallel
def _solved(
    spikes: Array, feedback: Array, numbers: Numbers, silent: float, divisor: Array, given: Array,
    result: Array, is_found: NDArray[np.bool_],
) -> None:  # fmt: skip
    neurons = spikes.shape[2]
    for b in numba.prange(len(given)):
        matrix = np.empty((neurons, neurons), np.float32)
        _couple(spikes, feedback, numbers, silent, b, matrix)
        inverse = np.empty(neurons, np.float32)
        for j in range(neurons):
            inverse[j] = ONE / divisor[b, j]
        is_found[b] = gmres(matrix, inverse, given[b], result[b])


@compiled
def _couple(
    spikes: Array, feedback: Array, numbers: Numbers, silent: float, b: int, matrix: Array
) -> None:
    r"""Fill in :math:`w_{il} e_{i|l} / (\vartheta o_l)` of a sample, l first; 0 where i is l."""
    steps, _, neurons = spikes.shape
    weights = np.empty((steps, neurons), np.float32)
    _listen(spikes, np.float32(1 - 1 / numbers.tau_m), numbers.refractory, b, weights)
    _delay(weights, numbers.tau_s)
    places, begins = _spike_times(spikes, b)
    scale = np.float32(1 / numbers.threshold)
    instead = np.full((2, neurons), np.float32(silent))  # of sources that fired, and of others
    for j in range(neurons):
        if begins[j + 1] > begins[j]:
            instead[0, j] = ZERO
    for source in range(neurons):
        row, weight = matrix[source], feedback[source]
        row[:] = ZERO
        for place in range(begins[source], begins[source + 1]):
            later = weights[places[place]]
            for j in range(neurons):
                row[j] += later[j]
        count = begins[source + 1] - begins[source]
        each, other = ONE / np.float32(max(count, 1)), instead[0 if count else 1]
        for j in range(neurons):
            row[j] = (row[j] * each + other[j]) * (weight[j] * scale)
        row[source] = ZERO


@compiled
def _delay(weights: Array, tau_s: float) -> None:
    """Turn weights of potentials into those of the spikes that make them, a step later at first."""
    keep, add = np.float32(1 - 1 / tau_s), np.float32(1 / tau_s)
    later = np.zeros(weights.shape[1], np.float32)
    for t in range(len(weights) - 1, -1, -1):
        row = weights[t]
        for j in range(row.size):
            now = row[j]
            row[j] = later[j]
            later[j] = add * now + keep * later[j]


@compiled
def _spike_times(spikes: Array, b: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the steps of all spikes of a sample, neuron by neuron, and where each one's begin."""
    steps, _, neurons = spikes.shape
    begins = np.zeros(neurons + 1, np.int32)
    for t in range(steps):
        fired = spikes[t, b]
        for j in range(neurons):
            begins[j + 1] += np.int32(fired[j])
    for j in range(neurons):
        begins[j + 1] += begins[j]
    places, free = np.empty(begins[neurons], np.int32), begins.copy()
    for t in range(steps):
        fired = spikes[t, b]
        for j in range(neurons):
            if fired[j] > ZERO:
                places[free[j]] = t
                free[j] += 1
    return places, begins
