"""Layers of sigma-delta neurons: from values in floating point to messages of 16 bits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tssl.chip import (
    DELTA_SHIFT,
    INPUT,
    MESSAGE_SHIFT,
    STATE_LIMIT,
    ChipLimits,
    Connection,
    IntArray,
    Layer,
    Neuron,
    SigmaDeltaNeuron,
    SigmaNeuron,
    Train,
)
from tssl.errors import RangeError, UnsupportedLayerError
from tssl.exporter.grid import on_grid
from tssl.exporter.lower import Stage
from tssl.exporter.ranges import Ranges

__all__ = ["Valued", "value_layers", "value_unit"]

_LARGEST_VALUE = (1 << 15) >> (MESSAGE_SHIFT + 1)
"""That calibration samples may reach: half of what a message can carry, as others reach further."""
_SMALLEST_REACH = 8
_GROWTHS = (0, 1, 2, 3)
"""Bits by which values may grow from layer to layer: weights keep as many more as their layer's
values grow over those of its source, and those of the first layer as many less."""
_ATTEMPTS = 20
_STATE_VALUE = STATE_LIMIT >> (DELTA_SHIFT + 1)
"""Likewise of a sum, of which a chip has 24 bits."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Valued:
    """A layer, the scale of its weights, and what was observed."""

    layer: Layer
    scale: float
    ranges: Ranges


def value_layers(
    stages: Sequence[Stage],
    limits: Callable[[Stage], ChipLimits],
    train: Train,
    time_steps: int,
) -> list[Valued]:
    """Return the layers of a chain, at scales at which values fit messages and weights lose least.

    A weight of ``2**6`` passes a value on as it is, so with weights times ``scale`` a layer's unit
    is ``scale / 2**6`` of its source's.

    Parameters
    ----------
    limits
        Of a layer.
    train
        Messages of the input, ``(time, samples, inputs)``.

    Raises
    ------
    UnsupportedLayerError
        When a layer has more than one source.
    RangeError
        When no scale fits.
    """
    found = [_chain(stages, limits, train, time_steps, growth) for growth in _GROWTHS]
    return min(found, key=lambda layers: _lost(stages, layers))


def value_unit(layers: Sequence[Layer], scales: Mapping[str, float]) -> float:
    """Return what the last layer counts for a one of the trained network, in units of the file."""
    units = {INPUT: 1.0}
    for layer in layers:
        units[layer.name] = units[layer.source] * scales[layer.name] / (1 << MESSAGE_SHIFT)
    return units[layers[-1].name]


def _chain(
    stages: Sequence[Stage],
    limits: Callable[[Stage], ChipLimits],
    train: Train,
    time_steps: int,
    growth: int,
) -> list[Valued]:
    trains, units, done = {INPUT: train}, {INPUT: 1.0}, list[Valued]()
    for behind, stage in zip(range(len(stages) - 1, -1, -1), stages, strict=True):
        if len(stage.connections) != 1:
            raise UnsupportedLayerError(
                f"layer {stage.name}: sigma-delta layers have one source each, and are no source "
                "of their own"
            )
        unit = units[stage.connections[0].source] / (1 << MESSAGE_SHIFT)
        reach = max(_SMALLEST_REACH, _LARGEST_VALUE >> (growth * max(0, behind - 1)))
        fitted = _fitted(stage, limits(stage), unit, trains, time_steps, reach if behind else None)
        trains[stage.name], units[stage.name] = fitted.ranges.spikes, fitted.scale * unit
        done.append(fitted)
    return done


def _lost(stages: Sequence[Stage], layers: Sequence[Valued]) -> float:
    """Return what rounding takes of the weights, as squares by squares, over all layers."""
    lost = 0.0
    for stage, found in zip(stages, layers, strict=True):
        weight = stage.connections[0].weight
        rounded = found.layer.synapses.weight / found.scale
        lost += float(np.square(rounded - weight).sum() / np.square(weight).sum())
    return lost


def _fitted(
    stage: Stage,
    limits: ChipLimits,
    unit: float,
    trains: Mapping[str, Train],
    time_steps: int,
    reach: int | None,
) -> Valued:
    """Return a layer at the largest scale that it can have.

    Parameters
    ----------
    unit
        Of the layer's values at scale 1.
    reach
        Of its values; None for the last one, whose sums no message carries.
    """
    if stage.largest_weight == 0:
        raise RangeError(f"layer {stage.name}: all weights are zero; train it again")
    scale = limits.largest_weight / stage.largest_weight
    for _ in range(_ATTEMPTS):
        layer = _layer(stage, limits, scale, scale * unit, SigmaNeuron())
        sums, values = _observed(layer, stage, scale * unit, trains, time_steps)
        largest = int(values.max(initial=0)) / reach if reach else 0
        excess = max(largest, int(np.abs(sums).max(initial=0)) / _STATE_VALUE) / (1 << DELTA_SHIFT)
        if excess <= 1:
            break
        scale *= 0.99 / excess
    else:
        raise RangeError(f"layer {stage.name}: no scale keeps its values in messages")
    neuron: Neuron = SigmaNeuron()
    if reach:
        neuron = SigmaDeltaNeuron(threshold=round(stage.neuron.threshold * scale * unit))
    layer = _layer(stage, limits, scale, scale * unit, neuron)
    ranges = Ranges(
        current=int(np.abs(sums).max(initial=0)),
        potential=int(values.max(initial=0)),
        current_bound=_bound(layer),
        spikes=layer.run(trains, time_steps).spikes,
    )
    return Valued(layer=layer, scale=scale, ranges=ranges)


def _layer(stage: Stage, limits: ChipLimits, scale: float, unit: float, neuron: Neuron) -> Layer:
    """Return the layer with rounded weights, and biases where its neurons have some."""
    (each,) = stage.connections
    weight = on_grid(each.weight, scale, limits)
    if not weight.any():
        raise RangeError(f"layer {stage.name}: every weight rounds to zero at scale {scale:.3g}")
    connection = Connection(source=each.source, synapses=each.synapses(weight))
    layer = Layer(name=stage.name, connections=(connection,), neuron=neuron)
    return replace(layer, bias=_bias(stage, unit)) if neuron.bias_bits else layer


def _bias(stage: Stage, unit: float) -> IntArray:
    if stage.bias is None:
        return np.zeros((), np.int64)
    return np.rint(stage.bias * unit).astype(np.int64)


def _observed(
    layer: Layer, stage: Stage, unit: float, trains: Mapping[str, Train], time_steps: int
) -> tuple[IntArray, IntArray]:
    """Return all sums that arrive, and the values that come of them, whatever their size."""
    sums = layer.run(trains, time_steps).spikes.astype(np.int64)
    bias = np.broadcast_to(_bias(stage, unit), layer.output_shape[:1])
    whole = np.repeat(bias, layer.neurons // len(bias)) << DELTA_SHIFT
    return sums, (sums + whole).clip(0)


def _bound(layer: Layer) -> int:
    """Bound the sums over all messages: every source at the largest value that one can tell."""
    synapses = layer.synapses
    rows = np.abs(synapses.weight.reshape(len(synapses.weight), -1))
    return int(rows.sum(axis=1).max()) << 15
