"""When neurons that forget nothing first fire, and whose fault it was: compiled loops.

A neuron's potential is a line whose slope changes at every spike that arrives. The loops go
through a row's inputs in the order of their times, for a block of neurons at once, and add up in
double precision: slopes can be small differences of large sums. A block's weights stay in the
second cache while all rows are done.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from tssl.machine.compiling import compiled, compiled_parallel, compiled_sums

__all__ = ["WIDTH", "backward", "forward", "sort_steps"]

Array = NDArray[Any]

WIDTH = 128
"""Neurons of a block."""
_LINE = 16
"""Weights that are turned at a time: what a processor fetches from memory together."""


@compiled_parallel
def sort_steps(times: Array, levels: int, order: Array, ordered: Array) -> None:
    """Sort times that are whole steps by counting; all from the last level on are one.

    Parameters
    ----------
    times
        ``(rows, inputs)``.
    order, ordered
        Filled, likewise: which input each is of, and the times in their order.
    """
    for row in numba.prange(len(times)):
        _sort_row(times[row], levels, order[row], ordered[row])


@compiled
def _sort_row(times: Array, levels: int, order: Array, ordered: Array) -> None:
    places = np.zeros(levels + 2, np.int64)
    for i in range(len(times)):
        places[int(min(times[i], levels)) + 1] += 1
    for level in range(levels):
        places[level + 1] += places[level]
    for i in range(len(times)):
        level = int(min(times[i], levels))
        order[places[level]], ordered[places[level]] = i, times[i]
        places[level] += 1


@compiled
def _turn(weight: Array, low: int, block: Array) -> None:
    """Put the weights of each input side by side, ``(inputs, neurons)`` of the block."""
    inputs, size = block.shape
    for begin in range(0, inputs, _LINE):
        for j in range(size):
            for i in range(begin, min(begin + _LINE, inputs)):
                block[i, j] = weight[low + j, i]


@compiled
def _turn_back(block: Array, low: int, weight: Array) -> None:
    """Fill in the weights of a block's neurons."""
    inputs, size = block.shape
    for begin in range(0, inputs, _LINE):
        for j in range(size):
            for i in range(begin, min(begin + _LINE, inputs)):
                weight[low + j, i] = block[i, j]


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
    block: Array,
    state: Array,
    rule: tuple[float, float, bool],
    found: tuple[Array, Array, Array, Array],
    last: Array,
) -> None:
    """Go through the inputs of a row; see :func:`forward`.

    Parameters
    ----------
    state
        Slopes and potentials, ``(2, neurons)``.
    """
    threshold, end, on_grid = rule
    rising, potential = state[0], state[1]
    now, alive = 0.0, len(potential)
    for position in range(len(order) + 1):
        until = end
        if position < len(order):
            until = min(end, float(times[position]))
        passed = until - now
        if passed > 0:
            hits = _reached(potential, rising, passed, threshold, on_grid)
            if hits:
                _fire(potential, rising, now, passed, position, rule, found)
                alive -= hits
            for j in range(len(potential)):
                potential[j] += rising[j] * passed
        if until == end or alive == 0:
            break
        weight = block[order[position]]
        for j in range(len(potential)):
            rising[j] += weight[j]
        now = until
    _keep_silent(potential, found[3], last)


@compiled
def _keep_silent(potential: Array, causal: Array, last: Array) -> None:
    """Note the last potentials of neurons that stayed silent."""
    for j in range(len(potential)):
        if causal[j] < 0:
            last[j] = potential[j]


@compiled_parallel
def forward(
    order: Array,
    times: Array,
    weight: Array,
    bias: Array,
    threshold: float,
    end: float,
    on_grid: bool,
    chunks: int,
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
        ``(neurons, inputs)``; ``(neurons,)``, slopes from time 0 on.
    threshold, end
        Who has not fired by ``end`` stays silent.
    on_grid
        Whether times are numbers of steps: a neuron fires at the first step n at whose end, n + 1,
        its potential is above the threshold; otherwise as soon as its potential is there.
    chunks
        In how many parts to do the rows of a block of neurons.
    first
        Filled, ``(rows, neurons)``, as all others: times of spikes, infinite for silent neurons.
    crossing
        When the potential, a line between whole steps too, was at the threshold.
    slope, causal
        Of the potential at that time, and how many inputs had come before.
    last
        Potential at the end of those that stay silent.
    """
    neurons, inputs = weight.shape
    for task in numba.prange(-(-neurons // WIDTH) * chunks):
        low, chunk = task // chunks * WIDTH, task % chunks
        high = min(low + WIDTH, neurons)
        block = np.empty((inputs, high - low), weight.dtype)
        _turn(weight, low, block)
        state = np.empty((2, high - low), np.float64)
        for row in range(chunk * len(order) // chunks, (chunk + 1) * len(order) // chunks):
            state[0] = bias[low:high]
            state[1] = 0
            _advance(
                order[row], times[row], block, state, (threshold, end, on_grid),
                (first[row, low:high], crossing[row, low:high], slope[row, low:high],
                 causal[row, low:high]),
                last[row, low:high],
            )  # fmt: skip


@compiled
def _add(total: Array, live: Array, crossing: Array, time: float) -> None:
    """Add the errors of an input's weights."""
    for j in range(len(total)):
        total[j] += live[j] * (time - crossing[j])


@compiled_sums
def _pull(weight: Array, live: Array) -> float:
    """Return the error at the time of an input."""
    total = weight.dtype.type(0)
    for j in range(len(weight)):
        total += live[j] * weight[j]
    return total


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


@compiled
def _bring_back(
    order: Array,
    times: Array,
    crossing: Array,
    causal: Array,
    error: Array,
    block: Array,
    lists: Array,
    total: Array,
    to_times: Array,
) -> None:
    """Bring the errors of a row's crossings to a block's weights, and to the inputs' times."""
    live = np.zeros(len(error), total.dtype)
    first, following = lists[0], lists[1]
    for position in range(_enlist(causal, first, following) - 1, -1, -1):
        j = first[position]
        while j >= 0:  # from here back to the first input, it is causal
            live[j] = error[j]
            j = following[j]
        index = order[position]
        _add(total[index], live, crossing, times[position])
        if to_times.size:
            to_times[index] = _pull(block[index], live)


@compiled_parallel
def backward(
    order: Array,
    times: Array,
    weight: Array,
    crossing: Array,
    causal: Array,
    error: Array,
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
    to_weight
        Filled, ``(neurons, inputs)``.
    to_times
        Filled, ``(blocks, rows, inputs)``, from zeros, to be added up; without elements when
        nobody wants it.
    """
    neurons, inputs = weight.shape
    for part in numba.prange(-(-neurons // WIDTH)):
        low, high = part * WIDTH, min((part + 1) * WIDTH, neurons)
        block = np.empty((inputs, high - low), weight.dtype)
        if to_times.size:
            _turn(weight, low, block)
        total = np.zeros((inputs, high - low), weight.dtype)
        lists, nobody = np.zeros((2, max(inputs, high - low)), np.int32), np.empty(0, weight.dtype)
        for row in range(len(order)):
            _bring_back(
                order[row], times[row], crossing[row, low:high], causal[row, low:high],
                error[row, low:high], block, lists, total,
                to_times[part, row] if to_times.size else nobody,
            )  # fmt: skip
        _turn_back(total, low, to_weight)
