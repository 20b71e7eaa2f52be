"""What spikes do to a layer, spike by spike, in machine code made by numba.

Every kernel works on a few samples in one thread and lets other threads run. Code is compiled
at the first call and cached. All sums are 32-bit integers; ``tssl.engine.events`` sees to it
beforehand that they suffice.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tssl.engine.event_kernels import Windows, find_events, gather_rows, room_for
from tssl.engine.neuron_kernels import Dynamics, advance
from tssl.machine.compiling import compiled

__all__ = [
    "TOGETHER",
    "add_spikes",
    "count_active",
    "mark_reached",
    "products",
    "run_spikes",
]

Array = NDArray[Any]

TOGETHER = 8
"""Rows of weights that are added in 16 bits before the sum is widened."""

# Numba widens every operation on 32-bit integers to 64, and so halves what a vector holds;
# constants and results are therefore narrowed one by one.
_int16, _int32, _index = np.int16, np.int32, np.uint64


@compiled
def run_spikes(
    train: Array, graded: bool, weight: Array, shape: Windows, bias: Array, neuron: Dynamics,
    spikes: Array, current: Array, voltage: Array,
) -> int:  # fmt: skip
    """Run neurons from rest on spikes; return the largest magnitude of any weighted sum.

    Parameters
    ----------
    train
        ``(samples, time or 1, inputs)`` in (C, H, W) order.
    graded
        Whether spikes have values other than 0 and 1.
    weight
        ``(groups * kernel height * kernel width * inputs of a group * outputs of a group,)``.
    bias
        Full scale, ``(H, W * C)``.
    spikes, current, voltage
        Filled: ``(samples, time, neurons)``, and the last state ``(samples, neurons)`` unless
        there is no room for it.
    """
    line = shape.columns * shape.groups * shape.outputs
    starts, places, values, ends, rows, row_values = room_for(train, shape)
    sums, fired = np.empty(line, np.int32), np.empty(line, np.uint8)
    u, v = np.empty(line, np.int32), np.empty(line, np.int32)
    largest = 0
    for sample in range(train.shape[0]):
        find_events(train[sample], graded, shape, starts, places, values)
        for row in range(shape.rows):  # row by row, so that the state stays in the cache
            u[:] = 0
            v[:] = 0
            for step in range(spikes.shape[1]):
                if step < train.shape[1]:
                    gather_rows(
                        row, graded, starts[step], places[step], values[step], shape,
                        ends, rows, row_values,
                    )  # fmt: skip
                    sums[:] = 0
                    if graded:
                        _add_scaled(ends, rows, row_values, weight, shape.outputs, sums)
                    else:
                        _add_rows(ends, rows, weight, shape.outputs, sums)
                peak = advance(sums, u, v, fired, bias[row], neuron)
                largest = max(largest, peak)
                _store(fired, row, shape, spikes[sample, step])
            if len(voltage):
                _store(u, row, shape, current[sample])
                _store(v, row, shape, voltage[sample])
    return largest


@compiled
def add_spikes(train: Array, graded: bool, weight: Array, shape: Windows, sums: Array) -> None:
    """Add to ``sums`` ``(samples, time or 1, neurons)`` what the spikes of a source weigh.

    The other parameters are those of :func:`run_spikes`; neurons are in (C, H, W) order.
    """
    line = np.empty(shape.columns * shape.groups * shape.outputs, np.int32)
    starts, places, values, ends, rows, row_values = room_for(train, shape)
    for sample in range(train.shape[0]):
        find_events(train[sample], graded, shape, starts, places, values)
        for row in range(shape.rows):
            for step in range(sums.shape[1]):
                if step < train.shape[1]:
                    gather_rows(
                        row, graded, starts[step], places[step], values[step], shape,
                        ends, rows, row_values,
                    )  # fmt: skip
                    line[:] = 0
                    if graded:
                        _add_scaled(ends, rows, row_values, weight, shape.outputs, line)
                    else:
                        _add_rows(ends, rows, weight, shape.outputs, line)
                if ends[-1]:
                    _merge(line, row, shape, sums[sample, step])


@compiled
def products(train: Array, weight: Array, sums: Array) -> None:
    """Fill ``sums`` ``(n, neurons)`` with ``train @ weight.T``, all in 16 bits but the sums."""
    for row in range(train.shape[0]):
        for neuron in range(weight.shape[0]):
            total = _int32(0)
            for k in range(weight.shape[1]):
                product = _int32(_int32(train[row, k]) * _int32(weight[neuron, k]))
                total = _int32(total + product)
            sums[row, neuron] = total


@compiled
def count_active(train: Array, present: Array, shape: Windows, fired: Array, active: Array) -> None:
    """Add to ``active`` ``(time,)`` the neurons that fire or are reached by a spike.

    Parameters
    ----------
    train
        ``(samples, time or 1, inputs)``.
    present
        1 for every non-zero weight, in the order of :func:`run_spikes`.
    fired
        ``(samples, time, neurons)``.
    """
    channels = shape.groups * shape.outputs
    starts, places, values, ends, rows, row_values = room_for(train, shape)
    marks = np.empty(shape.columns * channels, np.uint8)
    for sample in range(train.shape[0]):
        find_events(train[sample], False, shape, starts, places, values)  # noqa: FBT003
        for row in range(shape.rows):
            for step in range(fired.shape[1]):
                if step < train.shape[1]:
                    gather_rows(
                        row, False, starts[step], places[step], values[step], shape,  # noqa: FBT003
                        ends, rows, row_values,
                    )  # fmt: skip
                    marks[:] = 0
                    _mark(ends, rows, present, shape.outputs, marks)
                active[step] += _marked_or_fired(marks, row, shape, fired[sample, step])


@compiled
def mark_reached(train: Array, present: Array, shape: Windows, marked: Array) -> None:
    """Mark in ``marked`` ``(samples, time, neurons)`` what is reached by a spike of a source.

    The other parameters are those of :func:`count_active`.
    """
    starts, places, values, ends, rows, row_values = room_for(train, shape)
    marks = np.empty(shape.columns * shape.groups * shape.outputs, np.uint8)
    for sample in range(train.shape[0]):
        find_events(train[sample], False, shape, starts, places, values)  # noqa: FBT003
        for row in range(shape.rows):
            for step in range(marked.shape[1]):
                if step < train.shape[1]:
                    gather_rows(
                        row, False, starts[step], places[step], values[step], shape,  # noqa: FBT003
                        ends, rows, row_values,
                    )  # fmt: skip
                    marks[:] = 0
                    _mark(ends, rows, present, shape.outputs, marks)
                if ends[-1]:
                    _merge_marks(marks, row, shape, marked[sample, step])


# The following work on flat arrays with unsigned indices: views, and numba's look at negative
# indices, cost more than the sums.


@compiled
def _add_rows(ends: Array, rows: Array, weight: Array, outputs: int, sums: Array) -> None:
    """Add each pixel's rows of weights, eight at a time: their sum fits 16 bits."""
    size = _index(outputs)
    i = 0
    for pixel in range(ends.shape[0]):
        target = _index(pixel) * size
        while i + TOGETHER <= ends[pixel]:
            a, b = _index(rows[i]) * size, _index(rows[i + 1]) * size
            c, d = _index(rows[i + 2]) * size, _index(rows[i + 3]) * size
            e, f = _index(rows[i + 4]) * size, _index(rows[i + 5]) * size
            g, h = _index(rows[i + 6]) * size, _index(rows[i + 7]) * size
            for n in range(size):
                one = _int16(weight[a + n] + weight[b + n]) + _int16(weight[c + n] + weight[d + n])
                two = _int16(weight[e + n] + weight[f + n]) + _int16(weight[g + n] + weight[h + n])
                sums[target + n] += _int16(_int16(one) + _int16(two))
            i += TOGETHER
        while i < ends[pixel]:
            a = _index(rows[i]) * size
            for n in range(size):
                sums[target + n] += weight[a + n]
            i += 1


@compiled
def _add_scaled(
    ends: Array, rows: Array, values: Array, weight: Array, outputs: int, sums: Array
) -> None:
    """Add each pixel's rows of weights times the values of their spikes, four at a time."""
    size = _index(outputs)
    i = 0
    for pixel in range(ends.shape[0]):
        target = _index(pixel) * size
        while i + 4 <= ends[pixel]:
            a, b = _index(rows[i]) * size, _index(rows[i + 1]) * size
            c, d = _index(rows[i + 2]) * size, _index(rows[i + 3]) * size
            p, q, r, s = values[i], values[i + 1], values[i + 2], values[i + 3]
            for n in range(size):
                one = _int32(p * _int32(weight[a + n])) + _int32(q * _int32(weight[b + n]))
                two = _int32(r * _int32(weight[c + n])) + _int32(s * _int32(weight[d + n]))
                sums[target + n] = _int32(sums[target + n] + _int32(_int32(one) + _int32(two)))
            i += 4
        while i < ends[pixel]:
            a, p = _index(rows[i]) * size, values[i]
            for n in range(size):
                sums[target + n] = _int32(sums[target + n] + _int32(p * _int32(weight[a + n])))
            i += 1


@compiled
def _mark(ends: Array, rows: Array, present: Array, outputs: int, marks: Array) -> None:
    """Mark the neurons of each pixel that its rows of synapses reach, until all are marked."""
    size = _index(outputs)
    i = 0
    for pixel in range(ends.shape[0]):
        target = _index(pixel) * size
        everywhere = np.uint8(0)
        while i < ends[pixel] and not everywhere:
            source = _index(rows[i]) * size
            everywhere = np.uint8(1)
            for n in range(size):
                marks[target + n] |= present[source + n]
                everywhere &= marks[target + n]
            i += 1
        i = ends[pixel]


@compiled
def _store(values: Array, row: int, shape: Windows, target: Array) -> None:
    """Copy a row of output pixels from (W, C) into neurons in (C, H, W) order."""
    channels = shape.groups * shape.outputs
    if shape.rows * shape.columns == 1:
        target[:] = values
        return
    for channel in range(channels):
        first = (channel * shape.rows + row) * shape.columns
        for column in range(shape.columns):
            target[first + column] = values[column * channels + channel]


@compiled
def _merge(values: Array, row: int, shape: Windows, target: Array) -> None:
    """Add a row of output pixels in (W, C) to neurons in (C, H, W) order."""
    channels = shape.groups * shape.outputs
    for channel in range(channels):
        first = (channel * shape.rows + row) * shape.columns
        for column in range(shape.columns):
            target[first + column] += values[column * channels + channel]


@compiled
def _merge_marks(marks: Array, row: int, shape: Windows, target: Array) -> None:
    """Do the same with marks."""
    channels = shape.groups * shape.outputs
    for channel in range(channels):
        first = (channel * shape.rows + row) * shape.columns
        for column in range(shape.columns):
            target[first + column] |= marks[column * channels + channel]


@compiled
def _marked_or_fired(marks: Array, row: int, shape: Windows, fired: Array) -> int:
    """Count the neurons of a row of output pixels that are marked or fire."""
    channels = shape.groups * shape.outputs
    total = 0
    for channel in range(channels):
        first = (channel * shape.rows + row) * shape.columns
        for column in range(shape.columns):
            total += marks[column * channels + channel] | (fired[first + column] != 0)
    return total
