"""From floating point to the integers of the chip."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tssl.checkpoint import Checkpoint, ChipPlan
from tssl.chip import (
    DELTA_SHIFT,
    INPUT,
    NEVER,
    STATE_LIMIT,
    THRESHOLD_SHIFT,
    ChipLimits,
    ChipNetwork,
    Connection,
    CubaNeuron,
    InputLayer,
    IntArray,
    Layer,
    Neuron,
    Train,
)
from tssl.errors import ConfigError, RangeError
from tssl.exporter.grid import on_grid
from tssl.exporter.lower import Stage, lower
from tssl.exporter.ranges import Ranges, Spans, observe
from tssl.exporter.search import best_scale
from tssl.exporter.silence import largest_silence, silencer, strength_of
from tssl.exporter.values import value_layers, value_unit
from tssl.wording import did_you_mean

_ATTEMPTS = 40
_FAR = 16
_SMALL_STEPS = 20
_LARGE_STEP = 0.8
"""After so many: a potential that saturates at many steps in a row shows an excess of one step."""
_ROOM = 2
"""Times the largest potential that is read on calibration samples: others reach further."""
_LIMITS_OF_FIRING = (
    "current, biases and recurrent weights allow; use a smaller encoding.resolution, or train it "
    "with smaller biases and recurrent weights"
)
_LIMITS_OF_READ = (
    "current, potential and biases allow; train it with fewer time_steps, or with a smaller tau_s"
)
"""What holds the scale of a layer down, and what helps."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerReport:
    """What quantization chose for a layer, and how full its fields are.

    Parameters
    ----------
    scale
        Integers per unit of the trained network, the same for weights and threshold.
    largest_weight
        Magnitude that the layer's integer weights may have.
    ranges
        Observed on the calibration samples.
    """

    layer: Layer
    scale: float
    largest_weight: int
    ranges: Ranges

    @property
    def is_silent(self) -> bool:
        """Whether it fires on no calibration sample; where it is read, whether nothing arrives."""
        if self.layer.neuron.never_fires:
            return not self.ranges.potential
        return not self.ranges.spikes.any()


def silent_layers(reports: Iterable[LayerReport]) -> tuple[str, ...]:
    """Return the names of layers that fire on no calibration sample."""
    return tuple(each.layer.name for each in reports if each.is_silent)


@dataclass(frozen=True, kw_only=True, eq=False)
class Quantized:
    """A network of integers and how it came about."""

    network: ChipNetwork
    reports: tuple[LayerReport, ...]

    @property
    def silent(self) -> tuple[str, ...]:
        """Layers that fire on no calibration sample."""
        return silent_layers(self.reports)

    @property
    def scales(self) -> dict[str, float]:
        """Integers per unit of the trained network, by layer."""
        return {report.layer.name: report.scale for report in self.reports}

    @property
    def largest_weights(self) -> dict[str, int]:
        """Magnitude that the integer weights may have, by layer."""
        return {report.layer.name: report.largest_weight for report in self.reports}


def quantize(
    checkpoint: Checkpoint,
    limits: ChipLimits,
    calibration: IntArray,
    input_range: tuple[int, int],
    weight_bits: Mapping[str, int] | None = None,
) -> Quantized:
    """Turn a trained network into integers that fit the limits of a chip.

    No input within ``input_range`` can make a synaptic current wrap: a layer whose bound says
    otherwise gets a smaller scale. (A network that was trained on the chip's integers keeps the
    scales it was trained with; its forward pass wrapped where the chip does.)

    Parameters
    ----------
    calibration
        Encoded training samples, ``(time or 1, samples, inputs)``, the biases where there are
        input neurons; they decide how far weights are clipped, and the scale of layers whose
        potential would saturate.
    input_range
        Smallest and largest integer that can enter; input neurons fire zeros and ones.
    weight_bits
        Bits of a layer's weights, the sign included, by name; all that the target has for
        layers that are not named.

    Raises
    ------
    ConfigError
        When ``weight_bits`` names a layer or a number that does not exist.
    RangeError
        When a layer is dead, or no scale makes it fit.
    UnsupportedLayerError
        When the network cannot be lowered.
    """
    recipe = checkpoint.recipe
    neuron = checkpoint.input_neuron
    train: Train = calibration
    if neuron is not None:
        _check_neuron(neuron, limits)
        block = InputLayer(shape=checkpoint.input_shape, neuron=neuron)
        train = neuron.run(*block.driven(calibration), recipe.network.time_steps).spikes
        input_range = (0, 1)
    _check_input(input_range, limits)
    weight_bits = weight_bits or {}
    stages = lower(checkpoint)
    _check_bits(weight_bits, [stage.name for stage in stages], limits)

    def of(stage: Stage) -> ChipLimits:
        return replace(limits, weight_bits=weight_bits.get(stage.name, limits.weight_bits))

    if stages[0].neuron.values:
        reports = _valued(stages, of, train, checkpoint.graph.time_steps)
        unit = _unit(reports)
    else:
        reports = _spiking(stages, of, limits, checkpoint, train, input_range)
        unit = reports[-1].scale * (1 << THRESHOLD_SHIFT)
    network = ChipNetwork(
        name=recipe.name,
        input=InputLayer(shape=checkpoint.input_shape, neuron=neuron),
        layers=tuple(report.layer for report in reports),
        encoding=checkpoint.encoding,
        time_steps=recipe.network.time_steps,
        read_out=checkpoint.read_out.per_unit(unit),
    )
    return Quantized(network=network, reports=tuple(reports))


def _unit(reports: Sequence[LayerReport]) -> float:
    """Return what the output counts for a one of the trained network that sends values."""
    scales = {report.layer.name: report.scale for report in reports}
    return value_unit([report.layer for report in reports], scales) * (1 << DELTA_SHIFT)


def _spiking(
    stages: Sequence[Stage],
    of: Callable[[Stage], ChipLimits],
    chip: ChipLimits,
    checkpoint: Checkpoint,
    train: Train,
    input_range: tuple[int, int],
) -> list[LayerReport]:
    """Return the layers of a network of spiking neurons."""
    trains, spans = {INPUT: train}, {INPUT: input_range}
    once = set() if checkpoint.encoding.steps is None else {INPUT}
    reports = []
    for stage in stages:
        if stage.neuron.fires_once:
            once.add(stage.name)
        report = _Fitter(stage, checkpoint, chip, of(stage), once).fit(trains, spans)
        reports.append(report)
        trains[stage.name], spans[stage.name] = report.ranges.spikes, (0, 1)
    return reports


def _valued(
    stages: Sequence[Stage], limits: Callable[[Stage], ChipLimits], train: Train, time_steps: int
) -> list[LayerReport]:
    """Return the layers of a network that sends values."""
    found = value_layers(stages, limits, train, time_steps)
    return [
        LayerReport(
            layer=each.layer,
            scale=each.scale,
            largest_weight=limits(stage).largest_weight,
            ranges=each.ranges,
        )
        for stage, each in zip(stages, found, strict=True)
    ]


class _Fitter:
    """Finds the largest scale at which a layer fits its fields."""

    def __init__(
        self,
        stage: Stage,
        checkpoint: Checkpoint,
        chip: ChipLimits,
        limits: ChipLimits,
        once: Collection[str],
    ) -> None:
        self.stage, self.chip, self.once = stage, chip, once
        self.limits = limits
        self.time_steps, self.plan = checkpoint.graph.time_steps, checkpoint.plan

    def fit(self, trains: Mapping[str, Train], spans: Spans) -> LayerReport:
        """Return the layer at the largest scale whose state stays below its limits.

        The potential is held below on the calibration samples alone: beyond, it saturates. One
        that is read has twice the room.
        """
        if self.plan is not None:
            return self._planned(self.plan, trains, spans)
        if self.stage.scale is not None:
            layer = self._layer(self.stage.scale)
            return self._report(layer, self.stage.scale, self._observe(layer, trains, spans))
        scale = best_scale(
            self.stage, self._largest_scale(), self._candidate, trains, self.time_steps
        )
        for attempt in range(_ATTEMPTS):
            layer = self._layer(scale)
            try:
                ranges = self._observe(layer, trains, spans)
            except RangeError:  # the sums overflow 32 bits, so 24 by far
                scale /= _FAR
                continue
            room = _ROOM if self.stage.neuron.never_fires else 1
            excess = max(ranges.current_bound + 1, room * ranges.potential) / STATE_LIMIT
            if excess <= 1:
                return self._report(layer, scale, ranges)
            smaller = 0.99 / excess
            scale *= smaller if attempt < _SMALL_STEPS else min(smaller, _LARGE_STEP)
        raise RangeError(f"layer {self.stage.name}: no scale keeps its state in 24 bits")

    def _planned(self, plan: ChipPlan, trains: Mapping[str, Train], spans: Spans) -> LayerReport:
        """Return the layer on the grid that it was trained on, wraps and all."""
        name = self.stage.name
        largest = plan.largest_weights[name]
        if plan.weight_step != self.limits.weight_step or largest > self.limits.largest_weight:
            raise RangeError(
                f"layer {name}: was trained on weights up to {largest} in steps of "
                f"{plan.weight_step}; the target and --weight-bits allow "
                f"{self.limits.largest_weight} in steps of {self.limits.weight_step}; "
                "train it for this target (`tssl train --from RUN --target PROFILE`), or ask for "
                "more bits"
            )
        self.limits = replace(self.limits, weight_bits=(largest + 2).bit_length() - 1)
        layer = self._layer(plan.scales[name])
        ranges = self._observe(layer, trains, spans)
        return self._report(layer, plan.scales[name], ranges)

    def _observe(self, layer: Layer, trains: Mapping[str, Train], spans: Spans) -> Ranges:
        return observe(layer, trains, self.time_steps, spans, self.once)

    def _report(self, layer: Layer, scale: float, ranges: Ranges) -> LayerReport:
        largest = self.limits.largest_weight
        return LayerReport(layer=layer, scale=scale, largest_weight=largest, ranges=ranges)

    def _candidate(self, scale: float) -> Layer | None:
        """Return the layer at a scale, or None when its fields do not hold it."""
        neuron = self.stage.neuron
        if not neuron.never_fires and scale * neuron.threshold > self.limits.largest_threshold:
            return None
        try:
            return self._layer(scale)
        except RangeError:
            return None

    def _largest_scale(self) -> float:
        largest = self.stage.largest_weight
        if largest == 0:
            raise RangeError(f"layer {self.stage.name}: all weights are zero; train it again")
        scales = [self.limits.largest_weight / largest]
        if not self.stage.neuron.never_fires:
            scales.append(self.limits.largest_threshold / self.stage.neuron.threshold)
        if self.stage.bias is not None and self.stage.bias.any():
            scales.append(self.limits.largest_bias / float(np.abs(self.stage.bias).max()))
        if self.stage.neuron.fires_once:
            scales.append(self._largest_silenced())
        return min(scales)

    def _largest_silenced(self) -> float:
        """Return a scale at which a spike can still silence its neuron, however weights round."""
        bias = 0.0 if self.stage.bias is None else max(0.0, float(self.stage.bias.max()))
        kernels = [each.weight.reshape(len(each.weight), -1) for each in self.stage.arriving]
        strength = bias + sum(float(each.clip(0).sum(axis=1).max()) for each in kernels)
        rounding = 1 + sum(each.shape[1] for each in kernels)
        return max(0, largest_silence(self.chip) - rounding) / max(strength, 1e-30)

    def _layer(self, scale: float) -> Layer:
        weights = self._weights(scale)
        threshold = self._threshold(scale)
        if threshold < 1:
            raise RangeError(
                f"layer {self.stage.name}: threshold {self.stage.neuron.threshold:g} rounds to "
                f"zero beside weights of up to {self.stage.largest_weight:.3g}; train it "
                "with a larger threshold"
            )
        neuron = CubaNeuron(
            current_decay=self.stage.neuron.current_decay,
            voltage_decay=self.stage.neuron.voltage_decay,
            threshold=threshold,
        )
        connections = [
            Connection(source=each.source, synapses=each.synapses(weight))
            for each, weight in zip(self.stage.connections, weights, strict=True)
        ]
        bias = self._bias(scale)
        if self.stage.neuron.fires_once:
            shape = connections[0].synapses.output_shape
            strength = strength_of(weights, bias)
            connections.append(silencer(self.stage.name, shape, strength, self.chip))
        return Layer(name=self.stage.name, connections=tuple(connections), neuron=neuron, bias=bias)

    def _threshold(self, scale: float) -> int:
        """Return the mantissa of the threshold at a scale."""
        neuron = self.stage.neuron
        return NEVER if neuron.never_fires else round(scale * neuron.threshold)

    def _bias(self, scale: float) -> IntArray:
        if self.stage.bias is None:
            return np.zeros((), np.int64)
        bias = np.rint(self.stage.bias * scale).astype(np.int64)
        if self.plan is not None:  # trained with such a limit
            return bias.clip(-self.limits.largest_bias, self.limits.largest_bias)
        largest = int(np.abs(bias).max())
        if largest > self.limits.largest_bias:
            raise RangeError(
                f"layer {self.stage.name}: a bias of {largest}; the target holds at most "
                f"{self.limits.largest_bias}"
            )
        return bias

    def _weights(self, scale: float) -> list[IntArray]:
        weights = [on_grid(each.weight, scale, self.limits) for each in self.stage.connections]
        if not any(weight.any() for weight in weights[: len(self.stage.arriving)]):
            limits = _LIMITS_OF_READ if self.stage.neuron.never_fires else _LIMITS_OF_FIRING
            raise RangeError(
                f"layer {self.stage.name}: every weight rounds to zero at scale {scale:.3g}, the "
                f"largest that its {limits}"
            )
        return weights


def _check_bits(weight_bits: Mapping[str, int], layers: list[str], limits: ChipLimits) -> None:
    for name, bits in weight_bits.items():
        if name not in layers:
            raise ConfigError(
                f"--weight-bits {name}={bits}: the layers are {', '.join(layers)}"
                f"{did_you_mean(name, layers)}"
            )
        if not 2 <= bits <= limits.weight_bits:
            raise ConfigError(
                f"--weight-bits {name}={bits}: 2...{limits.weight_bits} bits are possible, one of "
                "which is the sign"
            )


def _check_neuron(neuron: Neuron, limits: ChipLimits) -> None:
    if np.max(neuron.facts["threshold"]) > limits.largest_threshold:
        raise RangeError(
            f"input: neurons with a threshold of {neuron.facts['threshold']}; the target has at "
            f"most {limits.largest_threshold}; use a smaller encoding.input_threshold or resolution"
        )


def _check_input(input_range: tuple[int, int], limits: ChipLimits) -> None:
    largest = max(map(abs, input_range))
    if largest > max(1, limits.largest_graded_spike):
        raise RangeError(
            f"input: spikes carry values up to {largest}; those of the target hold at most "
            f"{max(1, limits.largest_graded_spike)}; use encoding.input = 'neurons', a smaller "
            "encoding.resolution or another target"
        )
