"""Event-driven arithmetic: what spikes do to a layer, spike by spike, compiled by numba.

The integers are those of ``tssl.chip``, computed in 32 bits. Where 32 bits might not hold
them, the functions say so, and the caller takes the slow, general way. Machine code is
compiled at the first call and cached.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from tssl.chip import (
    ACTIVATION_SHIFT,
    BIAS_SHIFT,
    DECAY_ONE,
    STATE_LIMIT,
    THRESHOLD_SHIFT,
    ConvLayer,
    DenseLayer,
    IntArray,
    Layer,
)

Array = NDArray[Any]

_LARGEST_WEIGHT = (1 << 14) - 1  # so that the sum of two weights fits 16 bits
_LARGEST_SUM = (1 << 31) - 1
_LARGEST_ACTIVATION = STATE_LIMIT >> ACTIVATION_SHIFT  # then one wrap is enough, in 32 bits
_NEVER_FIRES = STATE_LIMIT >> THRESHOLD_SHIFT

# Numba widens every operation on 32-bit integers to 64, and so halves what a vector holds;
# constants and results are therefore narrowed one by one.
_int32 = np.int32
_SHIFT = _int32(ACTIVATION_SHIFT)
_LIMIT, _SPAN = _int32(STATE_LIMIT), _int32(2 * STATE_LIMIT)
_BITS, _LOW = _int32(DECAY_ONE.bit_length() - 1), _int32(DECAY_ONE - 1)


Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def _compiled(function: Kernel) -> Kernel:
    """Compile a function at its first call and keep the machine code on disk, if possible."""
    return _cached(function, parallel=False)


def _parallel(function: Kernel) -> Kernel:
    """Compile a function whose ``prange`` loop uses all cores; likewise."""
    return _cached(function, parallel=True)


def _cached(function: Kernel, *, parallel: bool) -> Kernel:
    options: dict[str, Any] = {"error_model": "numpy", "nogil": True, "parallel": parallel}
    try:
        compiled: Kernel = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba's way to say that no folder for the cache can be written
        compiled = numba.njit(**options)(function)
    return compiled


class Fired(NamedTuple):
    """What a layer did, sample by sample."""

    spikes: Array
    """``(samples, time, neurons)``, uint8, in (C, H, W) order."""
    current: Array
    """Synaptic current after the last step, ``(samples, neurons)``."""
    voltage: Array
    """Membrane potential after the last step, ``(samples, neurons)``."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Synapses:
    """A layer's weights in the order in which spikes reach for them.

    A dense layer is a convolution over one pixel with as many channels as inputs.

    Parameters
    ----------
    weight
        ``(in channels, kernel height, kernel width * out channels of a group)``; the columns
        of the kernel are so ordered that those which an input pixel needs lie side by side.
    rows, columns
        For each input row and column the runs (first kernel tap that reads it, first output
        row or column that it writes, length), ``(size, runs + 1, 3)``; -1 ends a list.
    output_shape
        (H, W, C).
    group_inputs
        In channels of a group.
    """

    weight: Array
    rows: IntArray
    columns: IntArray
    output_shape: tuple[int, int, int]
    group_inputs: int

    def fits(self, largest_input: int) -> bool:
        """Return whether no sum over inputs of that magnitude can leave 32 bits."""
        largest = int(np.abs(self.weight.astype(np.int64)).max())
        groups = len(self.weight) // self.group_inputs
        fan_in = self.weight[0].size * groups // self.output_shape[2] * self.group_inputs
        return largest <= _LARGEST_WEIGHT and largest * fan_in * largest_input <= _LARGEST_SUM

    @property
    def present(self) -> "Synapses":
        """The same synapses with 1 for every non-zero weight."""
        return Synapses(
            weight=(self.weight != 0).astype(np.uint8),
            rows=self.rows,
            columns=self.columns,
            output_shape=self.output_shape,
            group_inputs=self.group_inputs,
        )


def synapses_of(layer: Layer) -> Synapses | None:
    """Return the synapses of a layer, or None when spikes can stay in them (delay, recurrence)."""
    if isinstance(layer, ConvLayer):
        channels, height, width = layer.output_shape
        kernels = layer.weight.reshape(layer.groups, -1, *layer.weight.shape[1:])
        order = _column_order(layer)
        by_input = kernels.transpose(0, 2, 3, 4, 1)[:, :, :, order]
        return Synapses(
            weight=_narrow(by_input.reshape(layer.map_shape[0], layer.weight.shape[2], -1)),
            rows=_runs(layer, 0, np.arange(layer.weight.shape[2]), longest=1),
            columns=_runs(layer, 1, order, longest=width if layer.groups == 1 else 1),
            output_shape=(height, width, channels),
            group_inputs=layer.weight.shape[1],
        )
    if isinstance(layer, DenseLayer) and layer.delay is None:
        only = np.array([[[0, 0, 1], [-1, -1, -1]]])
        return Synapses(
            weight=_narrow(layer.weight.T[:, None, :]),
            rows=only,
            columns=only,
            output_shape=(1, 1, layer.neurons),
            group_inputs=layer.inputs,
        )
    return None


def run_events(layer: Layer, synapses: Synapses, train: Array, time_steps: int) -> Fired | None:
    """Run feed-forward neurons from rest; None when the integers might leave 32 bits.

    Parameters
    ----------
    train
        ``(samples, time or 1, inputs)``; of length 1 for an input that never changes.

    Notes
    -----
    Equal to ``layer.run``. The guard is exact: sums are bounded beforehand, and every
    activation is looked at while running.
    """
    if not (synapses.fits(int(np.abs(train).max(initial=0))) and _bias_fits(layer)):
        return None
    fired = _nothing_fired(len(train), time_steps, layer.neurons)
    largest = _run(
        train,
        synapses.weight,
        synapses.rows,
        synapses.columns,
        synapses.group_inputs,
        synapses.output_shape,
        _by_position(layer.bias << BIAS_SHIFT, synapses),
        *_constants(layer),
        *fired,
    )
    return fired if largest <= _LARGEST_ACTIVATION else None


def run_sums(layer: Layer, sums: Array, time_steps: int) -> Fired | None:
    """Run neurons from rest on weighted sums ``(samples, neurons)`` that never change.

    None when the integers might leave 32 bits.
    """
    if int(np.abs(sums).max(initial=0)) > _LARGEST_ACTIVATION or not _bias_fits(layer):
        return None
    fired = _nothing_fired(len(sums), time_steps, layer.neurons)
    bias = (layer.bias << BIAS_SHIFT).astype(np.int32)
    _run_sums(sums.astype(np.int32), bias, *_constants(layer), *fired)
    return fired


def _bias_fits(layer: Layer) -> bool:
    return int(np.abs(layer.bias).max(initial=0)) <= _LARGEST_ACTIVATION


def _nothing_fired(samples: int, time_steps: int, neurons: int) -> Fired:
    """Return room for what a layer will do."""
    return Fired(
        np.empty((samples, time_steps, neurons), np.uint8),
        np.zeros((samples, neurons), np.int32),
        np.zeros((samples, neurons), np.int32),
    )


def _constants(layer: Layer) -> tuple[Any, Any, Any]:
    """Return what is kept of current and potential, times 4096, and the full threshold."""
    threshold = np.clip(layer.neuron.threshold, -_NEVER_FIRES, _NEVER_FIRES) << THRESHOLD_SHIFT
    return (
        _int32(DECAY_ONE - layer.neuron.current_decay),
        _int32(DECAY_ONE - layer.neuron.voltage_decay),
        _int32(threshold),
    )


def reached_neurons(synapses: Synapses, train: Array) -> Array:
    """Return which neurons get a spike through a non-zero weight.

    Parameters
    ----------
    synapses
        With 0 and 1 for weights, see :attr:`Synapses.present`.
    train
        ``(samples, time, inputs)``.

    Returns
    -------
    reached
        ``(samples, time, neurons)``, uint8, in (C, H, W) order.
    """
    neurons = int(np.prod(synapses.output_shape))
    reached = np.empty((*train.shape[:2], neurons), np.uint8)
    _reach(
        train,
        synapses.weight,
        synapses.rows,
        synapses.columns,
        synapses.group_inputs,
        synapses.output_shape,
        reached,
    )
    return reached


def _narrow(weight: IntArray) -> Array:
    """Return contiguous weights, in 16 bits where they fit."""
    kind = np.int16 if np.abs(weight).max() <= _LARGEST_WEIGHT else np.int64
    return np.ascontiguousarray(weight, kind)


def _by_position(values: IntArray, synapses: Synapses) -> Array:
    """Reorder values per neuron from (C, H, W) to the (H, W, C) of the kernels."""
    height, width, channels = synapses.output_shape
    maps = values.reshape(channels, height * width)
    return np.ascontiguousarray(maps.T.reshape(-1), np.int32)


def _column_order(layer: ConvLayer) -> IntArray:
    """Return the kernel's columns ordered by what they are modulo the stride, then descending.

    An input column is read by the taps of one such class, and the larger the tap, the
    smaller the output column that it writes.
    """
    taps = np.arange(layer.weight.shape[3])
    return np.lexsort((-taps, taps % layer.stride[1]))


def _runs(layer: ConvLayer, axis: int, order: IntArray, longest: int) -> IntArray:
    """Return for each input row (axis 0) or column (axis 1) which taps read it, in runs.

    Parameters
    ----------
    order
        The kernel's taps along that axis, as stored.
    longest
        No run may be longer.
    """
    size, outputs = layer.map_shape[1 + axis], layer.output_shape[1 + axis]
    table = np.full((size, len(order) + 1, 3), -1, np.int64)
    for position in range(size):
        run = -1
        for index, tap in enumerate(order):
            shifted = position + layer.padding[axis] - tap * layer.dilation[axis]
            place, rest = divmod(shifted, layer.stride[axis])
            if rest or not 0 <= place < outputs:
                continue
            start, first, length = table[position, run] if run >= 0 else (0, 0, longest)
            if length < longest and (start + length, first + length) == (index, place):
                table[position, run, 2] += 1
            else:
                run += 1
                table[position, run] = index, place, 1
    return table


@_parallel
def _run(
    train: Array, weight: Array, rows: Array, columns: Array, group_inputs: int,
    output_shape: tuple[int, int, int], bias: Array, keep_u: int, keep_v: int, threshold: int,
    spikes: Array, last_current: Array, last_voltage: Array,
) -> int:  # fmt: skip
    height, width, channels = output_shape
    neurons = height * width * channels
    is_dense = _is_dense(weight, rows, columns, output_shape)
    peaks = np.zeros(train.shape[0], np.int32)
    for sample in numba.prange(train.shape[0]):
        sums = np.zeros((height, width * channels), np.int32)
        flat = sums.reshape(neurons)
        current, voltage = np.zeros(neurons, np.int32), np.zeros(neurons, np.int32)
        fired = np.empty(neurons, np.uint8)
        active = np.empty(train.shape[2] + 1, np.int64)
        for step in range(spikes.shape[1]):
            if step < train.shape[1]:
                sums[:] = 0
                values = train[sample, step]
                found = active[: _find(values, active)]
                if is_dense:
                    _add_rows(values, found, weight, flat)
                else:
                    _scatter(values, found, weight, rows, columns, group_inputs, channels, sums)
            peak = _advance(flat, current, voltage, fired, bias, keep_u, keep_v, threshold)
            peaks[sample] = max(peaks[sample], peak)
            _store(fired, channels, spikes[sample, step])
        _store(current, channels, last_current[sample])
        _store(voltage, channels, last_voltage[sample])
    return peaks.max()


@_parallel
def _run_sums(
    sums: Array, bias: Array, keep_u: int, keep_v: int, threshold: int,
    spikes: Array, current: Array, voltage: Array,
) -> None:  # fmt: skip
    for sample in numba.prange(sums.shape[0]):
        for step in range(spikes.shape[1]):
            _advance(
                sums[sample], current[sample], voltage[sample], spikes[sample, step],
                bias, keep_u, keep_v, threshold,
            )  # fmt: skip


@_parallel
def _reach(
    train: Array, weight: Array, rows: Array, columns: Array, group_inputs: int,
    output_shape: tuple[int, int, int], reached: Array,
) -> None:  # fmt: skip
    height, width, channels = output_shape
    is_dense = _is_dense(weight, rows, columns, output_shape)
    for sample in numba.prange(train.shape[0]):
        marks = np.zeros((height, width * channels), np.uint8)
        flat = marks.reshape(height * width * channels)
        active = np.empty(train.shape[2] + 1, np.int64)
        for step in range(train.shape[1]):
            marks[:] = 0
            found = active[: _find(train[sample, step], active)]
            if is_dense:
                _mark_rows(found, weight, flat)
            else:
                _mark(found, weight, rows, columns, group_inputs, channels, marks)
            _store(flat, channels, reached[sample, step])


@_compiled
def _is_dense(
    weight: Array, rows: Array, columns: Array, output_shape: tuple[int, int, int]
) -> bool:
    """Return whether every input reaches all outputs through one row of weights."""
    pixels = rows.shape[0] * columns.shape[0] * output_shape[0] * output_shape[1]
    return pixels == 1 and weight.shape[1] == 1 and weight.shape[2] == output_shape[2]


@_compiled
def _find(values: Array, active: Array) -> int:
    """Write the places of non-zero values to ``active``, one longer; return their number."""
    found = 0
    for index in range(values.shape[0]):
        active[found] = index
        if values[index] != 0:
            found += 1
    return found


@_compiled
def _add_rows(values: Array, active: Array, weight: Array, sums: Array) -> None:
    """Add the weights of all active inputs of a dense layer, four inputs at a time."""
    outputs = sums.shape[0]
    i = 0
    while i + 4 <= active.shape[0]:
        if (
            values[active[i]] == 1
            and values[active[i + 1]] == 1
            and values[active[i + 2]] == 1
            and values[active[i + 3]] == 1
        ):
            a, b = weight[active[i], 0], weight[active[i + 1], 0]
            c, d = weight[active[i + 2], 0], weight[active[i + 3], 0]
            for n in range(outputs):
                sums[n] += np.int16(a[n] + b[n]) + np.int16(c[n] + d[n])
        else:
            for k in range(i, i + 4):
                _add_scaled(_int32(values[active[k]]), weight[active[k], 0], sums)
        i += 4
    for k in range(i, active.shape[0]):
        _add_scaled(_int32(values[active[k]]), weight[active[k], 0], sums)


@_compiled
def _add_scaled(value: int, source: Array, target: Array) -> None:
    """Add ``value`` times a row of weights."""
    for n in range(target.shape[0]):
        target[n] = _int32(target[n] + _int32(value * _int32(source[n])))


@_compiled
def _scatter(
    values: Array, active: Array, weight: Array, rows: Array, columns: Array, group_inputs: int,
    channels: int, sums: Array,
) -> None:  # fmt: skip
    """Add the kernels of all active inputs of a convolution to ``sums`` ``(H, W * C)``."""
    width = columns.shape[0]
    outputs = channels // (weight.shape[0] // group_inputs)
    for index in active:
        value = _int32(values[index])
        channel, row, column = _place(index, rows.shape[0], width)
        offset = channel // group_inputs * outputs
        i = 0
        while rows[row, i, 0] >= 0:
            k = 0
            while columns[column, k, 0] >= 0:
                tap, first, length = columns[column, k]
                source = weight[channel, rows[row, i, 0], tap * outputs : (tap + length) * outputs]
                start = first * channels + offset
                target = sums[rows[row, i, 1], start : start + length * outputs]
                if value == 1:
                    _add(source, target)
                else:
                    _add_scaled(value, source, target)
                k += 1
            i += 1


@_compiled
def _mark_rows(active: Array, weight: Array, marks: Array) -> None:
    """Mark the neurons of a dense layer that active inputs reach, until all are marked."""
    for k in range(active.shape[0]):
        row = weight[active[k], 0]
        everywhere = np.uint8(1)
        for n in range(marks.shape[0]):
            marks[n] |= row[n]
            everywhere &= marks[n]
        if everywhere:
            break


@_compiled
def _mark(
    active: Array, weight: Array, rows: Array, columns: Array, group_inputs: int, channels: int,
    marks: Array,
) -> None:  # fmt: skip
    """Mark the neurons that active inputs reach in ``marks`` ``(H, W * C)``."""
    width = columns.shape[0]
    outputs = channels // (weight.shape[0] // group_inputs)
    for index in active:
        channel, row, column = _place(index, rows.shape[0], width)
        offset = channel // group_inputs * outputs
        i = 0
        while rows[row, i, 0] >= 0:
            k = 0
            while columns[column, k, 0] >= 0:
                tap, first, length = columns[column, k]
                source = weight[channel, rows[row, i, 0], tap * outputs : (tap + length) * outputs]
                start = first * channels + offset
                target = marks[rows[row, i, 1], start : start + length * outputs]
                for n in range(target.shape[0]):
                    target[n] |= source[n]
                k += 1
            i += 1


@_compiled
def _place(index: int, height: int, width: int) -> tuple[int, int, int]:
    """Return channel, row and column of a flat index in (C, H, W) order."""
    channel = index // (height * width)
    rest = index - channel * height * width
    row = rest // width
    return channel, row, rest - row * width


@_compiled
def _add(source: Array, target: Array) -> None:
    """Add a row of weights."""
    for n in range(target.shape[0]):
        target[n] += source[n]


@_compiled
def _advance(
    sums: Array, current: Array, voltage: Array, fired: Array, bias: Array,
    keep_u: int, keep_v: int, threshold: int,
) -> int:  # fmt: skip
    """Advance neurons by one step; return the largest magnitude among their inputs."""
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


@_compiled
def _kept(value: int, keep: int) -> int:
    """Return ``value * keep / 4096`` rounded toward zero.

    The product needs 36 bits, so the magnitude is split at bit 12 and multiplied in halves.
    """
    size = _int32(abs(value))
    high, low = _int32(size >> _BITS), _int32(size & _LOW)
    size = _int32(_int32(high * keep) + _int32(_int32(low * keep) >> _BITS))
    return size if value >= 0 else _int32(-size)


@_compiled
def _store(values: Array, channels: int, target: Array) -> None:
    """Copy values from (H, W, C) to (C, H, W) order."""
    pixels = values.shape[0] // channels
    for pixel in range(pixels):
        for channel in range(channels):
            target[channel * pixels + pixel] = values[pixel * channels + channel]
