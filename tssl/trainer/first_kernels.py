"""When neurons that forget nothing first fire, and whose fault it was: compiled loops.

A neuron's potential is a line whose slope changes at every spike that arrives. The loops go
through a row's inputs in the order of their times, for all neurons that share them at once, and add
up in double precision: slopes can be small differences of large sums.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from tssl.machine.compiling import compiled, compiled_parallel

__all__ = ["backward", "forward"]

Array = NDArray[Any]

_LANES = 16
"""Partial sums of a product, side by side, so that a processor forms them together."""


@compiled
def _first_step(potential: float, slope: float, threshold: float) -> int:
    """Return the first whole number n of steps with ``potential + (n + 1) slope > threshold``.

    The quotient may be rounded across a whole number; the sums are compared themselves.
    """
    step = int(np.floor((threshold - potential) / slope))
    while potential + slope * (step + 1) <= threshold:
        step += 1
    while step > 0 and potential + slope * step > threshold:
        step -= 1
    return step


@compiled
def _reached(
    potential: Array, rising: Array, passed: float, threshold: float, on_grid: bool
) -> int:
    """Return how many neurons get to their threshold within so much time."""
    hits = 0
    for j in range(len(potential)):
        after = potential[j] + rising[j] * passed
        hits += (after > threshold) if on_grid else (after >= threshold)
    return hits


@compiled
def _fire(
    potential: Array,
    rising: Array,
    now: float,
    passed: float,
    position: int,
    rule: tuple[float, float, bool],
    found: tuple[Array, Array, Array, Array],
) -> None:
    """Note who gets to the threshold; never again."""
    threshold, _, on_grid = rule
    first, crossing, slope, causal = found
    for j in range(len(potential)):
        after = potential[j] + rising[j] * passed
        if after < threshold or (on_grid and after == threshold):
            continue
        crossing[j] = now + (threshold - potential[j]) / rising[j]
        first[j] = now + (threshold - potential[j]) / rising[j]
        if on_grid:
            first[j] = now + _first_step(potential[j], rising[j], threshold)
        slope[j], causal[j] = rising[j], position
        potential[j] = -np.inf


@compiled
def _advance(
    order: Array,
    times: Array,
    weight: Array,
    rising: Array,
    potential: Array,
    rule: tuple[float, float, bool],
    found: tuple[Array, Array, Array, Array],
) -> None:
    """Go through the inputs of a row; see :func:`forward`."""
    threshold, end, on_grid = rule
    now, alive = 0.0, len(potential)
    for position in range(len(order) + 1):
        after = end
        if position < len(order):
            after = min(end, float(times[position]))
        passed = after - now
        if passed > 0:
            hits = _reached(potential, rising, passed, threshold, on_grid)
            if hits:
                _fire(potential, rising, now, passed, position, rule, found)
                alive -= hits
            for j in range(len(potential)):
                potential[j] += rising[j] * passed
        if after == end or alive == 0:
            return
        index = order[position]
        for j in range(len(potential)):
            rising[j] += weight[index, j]
        now = after


@compiled_parallel
def forward(
    order: Array,
    times: Array,
    weight: Array,
    bias: Array,
    threshold: float,
    end: float,
    on_grid: bool,
    first: Array,
    crossing: Array,
    slope: Array,
    causal: Array,
    last: Array,
) -> None:
    """Find when each neuron fires.

    Parameters
    ----------
    order, times
        ``(rows, inputs)``: the inputs by their times, and these times, ascending.
    weight, bias
        ``(inputs, neurons)``; ``(neurons,)``, slopes from time 0 on.
    threshold, end
        Who has not fired by ``end`` stays silent.
    on_grid
        Whether times are numbers of steps: a neuron fires at the first step n at whose end, n + 1,
        its potential is above the threshold; otherwise as soon as its potential is there.
    first
        Filled, ``(rows, neurons)``, as all others: times of spikes, infinite for silent neurons.
    crossing
        When the potential, a line between whole steps too, was at the threshold.
    slope, causal
        Of the potential at that time, and how many inputs had come before.
    last
        Potential at the end of those that stay silent.
    """
    for row in numba.prange(len(order)):
        potential = np.zeros(weight.shape[1], np.float64)
        _advance(
            order[row], times[row], weight, bias.astype(np.float64), potential,
            (threshold, end, on_grid), (first[row], crossing[row], slope[row], causal[row]),
        )  # fmt: skip
        for j in range(len(potential)):
            if causal[row, j] < 0:
                last[row, j] = potential[j]


@compiled
def _add(total: Array, live: Array, crossing: Array, time: float) -> None:
    """Add the errors of an input's weights."""
    for j in range(len(total)):
        total[j] += live[j] * (time - crossing[j])


@compiled
def _pull(weight: Array, live: Array, sums: Array) -> float:
    """Return the error at the time of an input."""
    sums[:] = 0
    whole = len(weight) // _LANES * _LANES
    for begin in range(0, whole, _LANES):
        for lane in range(_LANES):
            sums[lane] += live[begin + lane] * weight[begin + lane]
    for j in range(whole, len(weight)):
        sums[0] += live[j] * weight[j]
    return sums.sum()


@compiled
def _enlist(causal: Array, first: Array, following: Array) -> int:
    """List the neurons by their last causal input; return the largest number of causal ones."""
    first[:] = -1
    most = 0
    for j in range(len(causal)):
        if causal[j] > 0:
            last = causal[j] - 1
            following[j], first[last] = first[last], j
            most = max(most, causal[j])
    return most


@compiled_parallel
def backward(
    order: Array,
    times: Array,
    weight: Array,
    crossing: Array,
    causal: Array,
    error: Array,
    parts: int,
    to_weight: Array,
    to_times: Array,
) -> None:
    r"""Bring errors of crossings to weights and to the times of the inputs.

    .. math:: \partial t_j / \partial w_{ij} = (t_i - t_j) / W_j, \qquad
        \partial t_j / \partial t_i = w_{ij} / W_j, \qquad i \in C_j

    Parameters
    ----------
    order, times, weight, crossing, causal
        As of :func:`forward`.
    error
        ``(rows, neurons)``, that of the crossing divided by its slope; 0 of silent neurons.
    parts
        In how many parts to do the neurons.
    to_weight
        Filled, ``(inputs, neurons)``, from zeros.
    to_times
        Filled, ``(parts, rows, inputs)``, from zeros, to be added up; without elements when
        nobody wants it.
    """
    inputs, neurons = weight.shape
    size = -(-neurons // parts)
    for part in numba.prange(parts):
        low, high = part * size, min((part + 1) * size, neurons)
        live, sums = np.zeros(max(0, high - low), weight.dtype), np.zeros(_LANES, weight.dtype)
        first, following = np.zeros(inputs, np.int32), np.zeros(size, np.int32)
        for row in range(len(order)):
            live[:] = 0
            mine = causal[row, low:high]
            for position in range(_enlist(mine, first, following) - 1, -1, -1):
                j = first[position]
                while j >= 0:  # from here back to the first input, it is causal
                    live[j] = error[row, low + j]
                    j = following[j]
                index, time = order[row, position], times[row, position]
                _add(to_weight[index, low:high], live, crossing[row, low:high], time)
                if to_times.size:
                    to_times[part, row, index] = _pull(weight[index, low:high], live, sums)
