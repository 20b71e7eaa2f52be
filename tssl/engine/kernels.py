"""What spikes do to a layer, spike by spike, in machine code made by numba.

Every kernel works on a few samples in one thread and lets other threads run. Code is compiled
at the first call and cached. All sums are 32-bit integers; ``tssl.engine.events`` sees to it
beforehand that they suffice.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.chip import ACTIVATION_SHIFT, DECAY_ONE, STATE_LIMIT
from tssl.machine.compiling import compiled

__all__ = [
    "Dynamics",
    "Geometry",
    "TOGETHER",
    "count_active",
    "products",
    "run_spikes",
    "run_sums",
]

Array = NDArray[Any]

TOGETHER = 8
"""Rows of weights that are added in 16 bits before the sum is widened."""

# Numba widens every operation on 32-bit integers to 64, and so halves what a vector holds;
# constants and results are therefore narrowed one by one.
_int16, _int32, _index = np.int16, np.int32, np.uint64
_SHIFT = _int32(ACTIVATION_SHIFT)
_LIMIT, _SPAN = _int32(STATE_LIMIT), _int32(2 * STATE_LIMIT)
_BITS, _LOW = _int32(DECAY_ONE.bit_length() - 1), _int32(DECAY_ONE - 1)


class Geometry(NamedTuple):
    """A convolution's numbers; a dense layer is one over a single pixel."""

    groups: int
    inputs: int
    """Channels of a group that come in."""
    outputs: int
    """Channels of a group that go out."""
    height: int
    width: int
    rows: int
    columns: int
    """Height and width of the output."""
    kernel_height: int
    kernel_width: int
    stride_y: int
    stride_x: int
    padding_y: int
    padding_x: int
    dilation_y: int
    dilation_x: int


class Dynamics(NamedTuple):
    """A neuron's numbers, as 32-bit integers."""

    keep_u: Any
    """What is kept of the current in a step, times 4096."""
    keep_v: Any
    threshold: Any
    """In the units of the membrane potential."""


@compiled
def run_spikes(
    train: Array, graded: bool, weight: Array, shape: Geometry, bias: Array, neuron: Dynamics,
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
    starts, places, values, ends, rows, row_values = _room(train, shape)
    sums, fired = np.empty(line, np.int32), np.empty(line, np.uint8)
    u, v = np.empty(line, np.int32), np.empty(line, np.int32)
    largest = 0
    for sample in range(train.shape[0]):
        _find(train[sample], graded, shape, starts, places, values)
        for row in range(shape.rows):  # row by row, so that the state stays in the cache
            u[:] = 0
            v[:] = 0
            for step in range(spikes.shape[1]):
                if step < train.shape[1]:
                    _gather(
                        row, graded, starts[step], places[step], values[step], shape,
                        ends, rows, row_values,
                    )  # fmt: skip
                    sums[:] = 0
                    if graded:
                        _add_scaled(ends, rows, row_values, weight, shape.outputs, sums)
                    else:
                        _add_rows(ends, rows, weight, shape.outputs, sums)
                peak = _advance(sums, u, v, fired, bias[row], neuron)
                largest = max(largest, peak)
                _store(fired, row, shape, spikes[sample, step])
            if len(voltage):
                _store(u, row, shape, current[sample])
                _store(v, row, shape, voltage[sample])
    return largest


@compiled
def add_spikes(train: Array, graded: bool, weight: Array, shape: Geometry, sums: Array) -> None:
    """Add to ``sums`` ``(samples, time or 1, neurons)`` what the spikes of a source weigh.

    The other parameters are those of :func:`run_spikes`; neurons are in (C, H, W) order.
    """
    line = np.empty(shape.columns * shape.groups * shape.outputs, np.int32)
    starts, places, values, ends, rows, row_values = _room(train, shape)
    for sample in range(train.shape[0]):
        _find(train[sample], graded, shape, starts, places, values)
        for row in range(shape.rows):
            for step in range(sums.shape[1]):
                if step < train.shape[1]:
                    _gather(
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
def run_sums(
    sums: Array, bias: Array, neuron: Dynamics, spikes: Array, current: Array, voltage: Array
) -> int:
    """Run neurons from rest on weighted sums; return the largest magnitude among them.

    Parameters
    ----------
    sums
        ``(samples or 1, time or 1, neurons)``.
    bias
        Full scale, ``(samples or 1, neurons)``.
    """
    u, v = np.empty(sums.shape[2], np.int32), np.empty(sums.shape[2], np.int32)
    largest = 0
    for sample in range(spikes.shape[0]):
        first, own = min(sample, sums.shape[0] - 1), bias[min(sample, bias.shape[0] - 1)]
        u[:] = 0
        v[:] = 0
        for step in range(spikes.shape[1]):
            arriving = sums[first, min(step, sums.shape[1] - 1)]
            peak = _advance(arriving, u, v, spikes[sample, step], own, neuron)
            largest = max(largest, peak)
        if len(voltage):
            current[sample] = u
            voltage[sample] = v
    return largest


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
def count_active(
    train: Array, present: Array, shape: Geometry, fired: Array, active: Array
) -> None:
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
    starts, places, values, ends, rows, row_values = _room(train, shape)
    marks = np.empty(shape.columns * channels, np.uint8)
    for sample in range(train.shape[0]):
        _find(train[sample], False, shape, starts, places, values)  # noqa: FBT003
        for row in range(shape.rows):
            for step in range(fired.shape[1]):
                if step < train.shape[1]:
                    _gather(
                        row, False, starts[step], places[step], values[step], shape,  # noqa: FBT003
                        ends, rows, row_values,
                    )  # fmt: skip
                    marks[:] = 0
                    _mark(ends, rows, present, shape.outputs, marks)
                active[step] += _marked_or_fired(marks, row, shape, fired[sample, step])


@compiled
def mark_reached(train: Array, present: Array, shape: Geometry, marked: Array) -> None:
    """Mark in ``marked`` ``(samples, time, neurons)`` what is reached by a spike of a source.

    The other parameters are those of :func:`count_active`.
    """
    starts, places, values, ends, rows, row_values = _room(train, shape)
    marks = np.empty(shape.columns * shape.groups * shape.outputs, np.uint8)
    for sample in range(train.shape[0]):
        _find(train[sample], False, shape, starts, places, values)  # noqa: FBT003
        for row in range(shape.rows):
            for step in range(marked.shape[1]):
                if step < train.shape[1]:
                    _gather(
                        row, False, starts[step], places[step], values[step], shape,  # noqa: FBT003
                        ends, rows, row_values,
                    )  # fmt: skip
                    marks[:] = 0
                    _mark(ends, rows, present, shape.outputs, marks)
                if ends[-1]:
                    _merge_marks(marks, row, shape, marked[sample, step])


@compiled
def _room(train: Array, shape: Geometry) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Return room for a sample's events and for what reaches a row of output pixels.

    The former: where each pixel's events begin, which they are, their values; the latter: where
    each pixel's list ends, rows of weights, values.
    """
    steps, inputs = train.shape[1], train.shape[2] + 1
    pixels = shape.columns * shape.groups
    fan_in = shape.kernel_height * shape.kernel_width * shape.inputs
    return (
        np.zeros((steps, shape.height * shape.width * shape.groups + 1), np.int64),
        np.empty((steps, inputs), np.int32),
        np.empty((steps, inputs), np.int32),
        np.empty(pixels, np.int64),
        np.empty(pixels * fan_in, np.int32),
        np.empty(pixels * fan_in, np.int32),
    )


@compiled
def _find(
    train: Array,
    graded: bool,
    shape: Geometry,
    starts: Array,
    places: Array,
    values: Array,
) -> None:
    """List the events of a sample, pixel by pixel.

    A place is the column times the channels of a group plus the channel in it, so that a
    kernel over neighbouring columns finds its rows of weights by one addition.
    """
    pixels = _index(shape.height * shape.width)
    for step in range(train.shape[0]):
        source, own_places, own_values = train[step], places[step], values[step]
        found, pixel, following = _index(0), _index(0), 1
        for _ in range(shape.height):
            for column in range(shape.width):
                at = pixel
                for _ in range(shape.groups):
                    place = _int32(column * shape.inputs)
                    for _ in range(shape.inputs):
                        value = source[at]
                        own_places[found] = place
                        if graded:
                            own_values[found] = value
                        found += _index(value != 0)
                        place += _int32(1)
                        at += pixels
                    starts[step, following] = found
                    following += 1
                pixel += _index(1)


@compiled
def _gather(  # noqa: C901 - one nest of loops; calls would cost more than what they do
    row: int, graded: bool, starts: Array, places: Array, values: Array, shape: Geometry,
    ends: Array, rows: Array, row_values: Array,
) -> None:  # fmt: skip
    """List what reaches a row of output pixels: rows of weights, and the values of the spikes.

    Parameters
    ----------
    starts, places, values
        Events of a step, from :func:`_find`.
    ends
        Filled: where the list of each pixel and group ends, ``(W * groups,)``.
    """
    # events of neighbouring columns follow each other, so a kernel's row is one stretch
    stretch = shape.kernel_width if shape.dilation_x == 1 and shape.groups == 1 else 1
    found, column, group = 0, 0, 0
    for pixel in range(shape.columns * shape.groups):
        for tap_y in range(shape.kernel_height):
            y = row * shape.stride_y - shape.padding_y + tap_y * shape.dilation_y
            if y < 0 or y >= shape.height:
                continue
            for tap_x in range(0, shape.kernel_width, stretch):
                x = column * shape.stride_x - shape.padding_x + tap_x * shape.dilation_x
                left, right = max(x, 0), min(x + stretch, shape.width)
                if left >= right:
                    continue
                tap = (group * shape.kernel_height + tap_y) * shape.kernel_width + tap_x
                offset = _int32((tap - x) * shape.inputs)
                line = y * shape.width
                begin = starts[(line + left) * shape.groups + group]
                end = starts[(line + right - 1) * shape.groups + group + 1]
                source, target = _index(begin), _index(found)
                for n in range(_index(end - begin)):
                    rows[target + n] = places[source + n] + offset
                if graded:
                    for n in range(_index(end - begin)):
                        row_values[target + n] = values[source + n]
                found += end - begin
        ends[pixel] = found
        group += 1
        if group == shape.groups:
            column, group = column + 1, 0


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
def _advance(
    sums: Array, current: Array, voltage: Array, fired: Array, bias: Array, neuron: Dynamics
) -> int:
    """Advance neurons by one step; return the largest magnitude among their inputs."""
    keep_u, keep_v, threshold = neuron
    largest = _int32(0)
    for n in range(sums.shape[0]):
        largest = max(largest, _int32(abs(sums[n])))
        u = _int32(_kept(current[n], keep_u) + _int32(sums[n] << _SHIFT))
        u = _int32(u - _SPAN) if u > _LIMIT else u
        u = _int32(u + _SPAN) if u <= -_LIMIT else u
        v = _int32(_int32(_kept(voltage[n], keep_v) + u) + bias[n])
        v = min(max(v, _int32(1 - _LIMIT)), _int32(_LIMIT - 1))
        spike = v > threshold
        current[n] = u
        voltage[n] = _int32(0) if spike else v
        fired[n] = spike
    return largest


@compiled
def _kept(value: int, keep: int) -> int:
    """Return ``value * keep / 4096`` rounded toward zero.

    The product needs 36 bits, so the magnitude is split at bit 12 and multiplied in halves.
    """
    size = _int32(abs(value))
    high, low = _int32(size >> _BITS), _int32(size & _LOW)
    size = _int32(_int32(high * keep) + _int32(_int32(low * keep) >> _BITS))
    return size if value >= 0 else _int32(-size)


@compiled
def _store(values: Array, row: int, shape: Geometry, target: Array) -> None:
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
def _merge(values: Array, row: int, shape: Geometry, target: Array) -> None:
    """Add a row of output pixels in (W, C) to neurons in (C, H, W) order."""
    channels = shape.groups * shape.outputs
    for channel in range(channels):
        first = (channel * shape.rows + row) * shape.columns
        for column in range(shape.columns):
            target[first + column] += values[column * channels + channel]


@compiled
def _merge_marks(marks: Array, row: int, shape: Geometry, target: Array) -> None:
    """Do the same with marks."""
    channels = shape.groups * shape.outputs
    for channel in range(channels):
        first = (channel * shape.rows + row) * shape.columns
        for column in range(shape.columns):
            target[first + column] |= marks[column * channels + channel]


@compiled
def _marked_or_fired(marks: Array, row: int, shape: Geometry, fired: Array) -> int:
    """Count the neurons of a row of output pixels that are marked or fire."""
    channels = shape.groups * shape.outputs
    total = 0
    for channel in range(channels):
        first = (channel * shape.rows + row) * shape.columns
        for column in range(shape.columns):
            total += marks[column * channels + channel] | (fired[first + column] != 0)
    return total
