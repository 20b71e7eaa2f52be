"""Event-driven arithmetic: what spikes do to a layer, and when 32 bits suffice for it.

The integers are those of ``tssl.chip``. Where 32 bits might not hold them, the functions say
so, and the caller takes the slow, general way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.chip import (
    ACTIVATION_SHIFT,
    BIAS_SHIFT,
    DECAY_ONE,
    STATE_LIMIT,
    THRESHOLD_SHIFT,
    ConvSynapses,
    CubaNeuron,
    IntArray,
    Layer,
    Synapses,
)
from tssl.engine import kernels, neuron_kernels
from tssl.engine.event_kernels import Windows
from tssl.engine.kernels import TOGETHER
from tssl.engine.neuron_kernels import Dynamics

__all__ = [
    "Fired",
    "SynapseRows",
    "active_neurons",
    "largest",
    "rows_of",
    "run_biases",
    "run_events",
    "run_layer",
    "run_sums",
]

Array = NDArray[Any]

_LARGEST_WEIGHT = ((1 << 15) - 1) // TOGETHER  # so that the sum of so many fits 16 bits
_LARGEST_SUM = (1 << 31) - 1
_LARGEST_ACTIVATION = STATE_LIMIT >> ACTIVATION_SHIFT  # then one wrap is enough, in 32 bits
_LARGEST_FACTOR = (1 << 15) - 1
_FULL = 0.3
_NEVER_FIRES = STATE_LIMIT >> THRESHOLD_SHIFT


class Fired(NamedTuple):
    """What a layer did, sample by sample."""

    spikes: Array
    """``(samples, time, neurons)``, in (C, H, W) order; uint8 where they are 0 and 1."""
    current: Array
    """Synaptic current after the last step, ``(samples, neurons)``."""
    potential: Array
    """Membrane potential after the last step, ``(samples, neurons)``."""

    @staticmethod
    def room(
        samples: int,
        time_steps: int,
        neurons: int,
        sends: type[np.integer[Any]] = np.uint8,
        *,
        state: bool = True,
    ) -> "Fired":
        """Return room for what neurons send, and for the last state too if asked for."""
        kept = samples if state else 0
        return Fired(
            np.empty((samples, time_steps, neurons), sends),
            np.empty((kept, neurons), np.int32),
            np.empty((kept, neurons), np.int32),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class SynapseRows:
    """A layer's weights as rows that spikes reach for: one for each input of an output pixel.

    A dense layer is a convolution over one pixel with as many channels as inputs.

    Parameters
    ----------
    weight
        ``(groups * kernel height * kernel width * inputs of a group, outputs of a group)``.
    bias
        Full scale, in (H, W, C) order, ``(H, W * C)``.
    fits
        Whether weights and biases are small enough for the kernels.
    """

    weight: Array
    shape: Windows
    bias: Array
    fits: bool

    @cached_property
    def flat(self) -> Array:
        """The weights, row after row."""
        return self.weight.reshape(-1)

    @cached_property
    def present(self) -> Array:
        """1 for every non-zero weight, row after row."""
        return (self.flat != 0).astype(np.uint8)

    @cached_property
    def by_neuron(self) -> Array:
        """Weights of a dense layer, ``(neurons, inputs)``."""
        return np.ascontiguousarray(self.weight.T)

    @cached_property
    def largest_sum(self) -> int:
        """What no sum over spikes of value 1 can exceed."""
        return largest(self.weight) * (len(self.weight) // self.shape.groups)

    @cached_property
    def heaviest(self) -> int:
        """Largest sum of the magnitudes of a neuron's weights."""
        sizes = np.abs(self.weight.astype(np.int64)).reshape(
            self.shape.groups, -1, self.weight.shape[1]
        )
        return int(sizes.sum(axis=1).max(initial=0))

    @property
    def is_dense(self) -> bool:
        """Whether every input reaches every neuron."""
        shape = self.shape
        return shape.inputs == len(self.weight) and shape.height * shape.width == 1


def rows_of(layer: Layer) -> tuple[SynapseRows, ...]:
    """Return the synapses of each connection, or none for what the kernels do not compute.

    That is a layer in which spikes can stay (delay, recurrence).
    """
    if layer.holds_spikes:
        return ()
    return tuple(_rows_of(each.synapses, layer) for each in layer.connections)


def _rows_of(synapses: Synapses, layer: Layer) -> SynapseRows:
    if not isinstance(synapses, ConvSynapses):
        shape = Windows(1, synapses.inputs, layer.neurons, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1)
        return _rows(synapses.weight.T, shape, layer.bias)
    of = synapses.geometry
    kernels = synapses.weight.reshape(of.groups, -1, *synapses.weight.shape[1:])
    rows = kernels.transpose(0, 3, 4, 2, 1)  # group, height, width, in, out
    (_, height, width), (_, out_height, out_width) = synapses.map_shape, synapses.output_shape
    (inputs, outputs) = rows.shape[3:]
    shape = Windows(
        of.groups, inputs, outputs, height, width, out_height, out_width,
        *of.kernel, *of.stride, *of.padding, *of.dilation,
    )  # fmt: skip
    return _rows(rows.reshape(-1, kernels.shape[1]), shape, layer.bias)


def _rows(weight: IntArray, shape: Windows, bias: IntArray) -> SynapseRows:
    fits = largest(weight) <= _LARGEST_WEIGHT and largest(bias) <= _LARGEST_ACTIVATION
    maps = bias.reshape(-1, shape.rows, shape.columns).transpose(1, 2, 0)
    return SynapseRows(
        weight=np.ascontiguousarray(weight, np.int16 if fits else np.int64),
        shape=shape,
        bias=np.ascontiguousarray(maps.reshape(shape.rows, -1) << BIAS_SHIFT, np.int32),
        fits=fits,
    )


def run_layer(
    layer: Layer, rows: Sequence[SynapseRows], sources: Mapping[str, Array], fired: Fired
) -> bool:
    """Run the neurons of a layer from rest; return whether the kernels could.

    Parameters
    ----------
    rows
        From :func:`rows_of`.
    sources
        What each source sends, as ``train`` of :func:`run_events`.
    fired
        To be filled; worthless when the kernels could not.
    """
    trains = [sources[each.source] for each in layer.arriving]
    neuron = layer.cuba
    if len(rows) == 1:
        return run_events(neuron, rows[0], trains[0], fired)
    if not rows or neuron.sizes or not _add_up(rows, trains):
        return False
    steps = max(train.shape[1] for train in trains)
    sums = np.zeros((len(trains[0]), steps, layer.neurons), np.int32)
    for synapses, train in zip(rows, trains, strict=True):
        graded = train.dtype != np.uint8
        kernels.add_spikes(train, graded, synapses.flat, synapses.shape, sums)
    return run_sums(neuron, layer.bias, sums, fired)


def _add_up(rows: Sequence[SynapseRows], trains: Sequence[Array]) -> bool:
    """Return whether no sum can be so large that it wraps or is refused before it is added."""
    bounds = [
        synapses.largest_sum * (1 if train.dtype == np.uint8 else largest(train))
        for synapses, train in zip(rows, trains, strict=True)
    ]
    return all(synapses.fits for synapses in rows) and sum(bounds) < STATE_LIMIT


def run_events(neuron: CubaNeuron, synapses: SynapseRows, train: Array, fired: Fired) -> bool:
    """Run feed-forward neurons from rest; return whether 32 bits sufficed.

    Parameters
    ----------
    train
        ``(samples, time or 1, inputs)``; of length 1 for an input that never changes. A train
        of bytes must hold zeros and ones only.
    fired
        To be filled; worthless when 32 bits did not suffice.

    Notes
    -----
    Equal to ``layer.run``. The guard is exact: sums are bounded beforehand, and every
    activation is looked at while running. Neurons that differ are left to ``layer.run``.
    """
    if neuron.sizes:
        return False
    graded = train.dtype != np.uint8
    largest_input = largest(train) if graded else 1
    if not synapses.fits or synapses.largest_sum * largest_input > _LARGEST_SUM:
        return False
    if graded and synapses.is_dense and largest_input <= _LARGEST_FACTOR and _is_full(train):
        sums = np.empty((*train.shape[:2], synapses.weight.shape[1]), np.int32)
        rows = train.astype(np.int16).reshape(-1, train.shape[2])
        kernels.products(rows, synapses.by_neuron, sums.reshape(len(rows), -1))
        peak = neuron_kernels.run_sums(sums, synapses.bias, _dynamics(neuron), *fired)
    else:
        peak = kernels.run_spikes(
            train, graded, synapses.flat, synapses.shape, synapses.bias, _dynamics(neuron), *fired
        )
    return bool(peak <= _LARGEST_ACTIVATION)


def run_biases(neuron: CubaNeuron, bias: IntArray, fired: Fired) -> bool:
    """Run neurons without synapses on constant biases ``(samples, neurons)``; likewise."""
    if neuron.sizes or largest(bias) > _LARGEST_ACTIVATION:
        return False
    silence = np.zeros((1, 1, bias.shape[1]), np.int32)
    scaled = (bias << BIAS_SHIFT).astype(np.int32)
    neuron_kernels.run_sums(silence, scaled, _dynamics(neuron), *fired)
    return True


def run_sums(neuron: CubaNeuron, bias: IntArray, sums: IntArray, fired: Fired) -> bool:
    """Run neurons from rest on weighted sums of any origin; return whether 32 bits sufficed.

    Parameters
    ----------
    bias
        ``(neurons,)``.
    sums
        ``(samples, time or 1, neurons)``.
    """
    if neuron.sizes or max(largest(sums), largest(bias)) > _LARGEST_ACTIVATION:
        return False
    arriving = np.ascontiguousarray(sums, np.int32)
    scaled = (bias[None] << BIAS_SHIFT).astype(np.int32)
    neuron_kernels.run_sums(arriving, scaled, _dynamics(neuron), *fired)
    return True


def active_neurons(rows: Sequence[SynapseRows], trains: Sequence[Array], fired: Array) -> IntArray:
    """Return how many neurons get a spike through a non-zero weight, or fire, ``(time,)``.

    Parameters
    ----------
    rows
        From :func:`rows_of`, at least one.
    trains
        What arrives through each of them, ``(samples, time or 1, inputs)``.
    fired
        ``(samples, time, neurons)``.
    """
    active = np.zeros(fired.shape[1], np.int64)
    if len(rows) == 1:
        kernels.count_active(trains[0], rows[0].present, rows[0].shape, fired, active)
        return active
    marked = (fired != 0).astype(np.uint8)
    for synapses, train in zip(rows, trains, strict=True):
        kernels.mark_reached(train, synapses.present, synapses.shape, marked)
    return np.count_nonzero(marked, axis=(0, 2)).astype(np.int64)


def largest(values: Array) -> int:
    """Return the largest magnitude."""
    return max(int(values.max(initial=0)), -int(values.min(initial=0)))


def _dynamics(neuron: CubaNeuron) -> Dynamics:
    current_decay, voltage_decay, threshold = neuron.arrays
    return Dynamics(
        np.int32(DECAY_ONE - current_decay),
        np.int32(DECAY_ONE - voltage_decay),
        np.int32(np.clip(threshold, -_NEVER_FIRES, _NEVER_FIRES) << THRESHOLD_SHIFT),
    )


def _is_full(train: Array) -> bool:
    """Return whether so much of a train is non-zero that multiplying all of it is faster."""
    return bool(np.count_nonzero(train) > _FULL * train.size)
