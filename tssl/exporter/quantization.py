"""From floating point to the integers of the chip."""

from dataclasses import dataclass

import numpy as np

from tssl.checkpoint import Checkpoint, ChipPlan
from tssl.chip import (
    DECAY_ONE,
    INPUT,
    STATE_LIMIT,
    ChipLimits,
    ChipNetwork,
    ConvLayer,
    CubaNeuron,
    DenseLayer,
    InputLayer,
    IntArray,
    Layer,
    RecurrentLayer,
    Train,
)
from tssl.errors import RangeError
from tssl.exporter.lower import Floats, NeuronStage, lower
from tssl.exporter.ranges import Ranges, observe

HEADROOM = 2.0
"""The current must stay this factor away from wrapping on calibration data."""

_ATTEMPTS = 20
_FAR = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerReport:
    """What quantization chose for a layer, and how full its fields are.

    Parameters
    ----------
    scale
        Integers per unit of the trained network, the same for weights and threshold.
    ranges
        Observed on the calibration samples.
    """

    layer: Layer
    scale: float
    ranges: Ranges


@dataclass(frozen=True, kw_only=True, eq=False)
class Quantized:
    """A network of integers and how it came about."""

    network: ChipNetwork
    reports: tuple[LayerReport, ...]


def quantize(
    checkpoint: Checkpoint,
    limits: ChipLimits,
    calibration: IntArray,
    input_range: tuple[int, int],
) -> Quantized:
    """Turn a trained network into integers that fit the limits of a chip.

    Parameters
    ----------
    calibration
        Encoded training samples, ``(time or 1, samples, inputs)``; they decide the scale of layers
        whose synaptic current would come near its wrap, or whose potential would saturate.
    input_range
        Smallest and largest integer that can enter.

    Raises
    ------
    RangeError
        When a layer is dead, or no scale makes it fit.
    UnsupportedLayerError
        When the network cannot be lowered.
    """
    recipe = checkpoint.recipe
    _check_input(input_range, limits)
    train: Train = calibration
    source, reports = INPUT, []
    for stage in lower(checkpoint):
        fitter = _Fitter(stage, source, checkpoint, limits)
        report = fitter.fit(train, input_range)
        reports.append(report)
        source, train, input_range = stage.name, report.ranges.spikes, (0, 1)
    network = ChipNetwork(
        name=recipe.name,
        input=InputLayer(shape=checkpoint.input_shape),
        layers=tuple(report.layer for report in reports),
        encoding=checkpoint.encoding,
        time_steps=recipe.network.time_steps,
    )
    return Quantized(network=network, reports=tuple(reports))


class _Fitter:
    """Finds the largest scale at which a layer fits its fields."""

    def __init__(
        self, stage: NeuronStage, source: str, checkpoint: Checkpoint, limits: ChipLimits
    ) -> None:
        self.stage, self.source, self.limits = stage, source, limits
        self.spec, self.plan = checkpoint.recipe.network, checkpoint.plan

    def fit(self, train: Train, input_range: tuple[int, int]) -> LayerReport:
        """Return the layer at the largest scale whose state stays below its limits."""
        if self.plan is not None:
            return self._planned(self.plan, train, input_range)
        scale = self._largest_scale()
        for _ in range(_ATTEMPTS):
            layer = self._layer(scale)
            try:
                ranges = observe(layer, train, self.spec.time_steps, input_range)
            except RangeError:  # the sums overflow 32 bits, so 24 by far
                scale /= _FAR
                continue
            excess = max(ranges.current * HEADROOM, ranges.voltage) / STATE_LIMIT
            if excess <= 1:
                return LayerReport(layer=layer, scale=scale, ranges=ranges)
            scale *= 0.99 / excess
        raise RangeError(f"layer {self.stage.name}: no scale keeps its state in 24 bits")

    def _planned(self, plan: ChipPlan, train: Train, input_range: tuple[int, int]) -> LayerReport:
        """Return the layer on the grid that it was trained on, wraps and all."""
        own = self.limits.weight_step, self.limits.largest_weight
        if own != (plan.weight_step, plan.largest_weight):
            raise RangeError(
                f"layer {self.stage.name}: was trained on weights in steps of {plan.weight_step} "
                f"up to {plan.largest_weight}; those of the target go in steps of {own[0]} up to "
                f"{own[1]}; train it with --target"
            )
        scale = plan.scales[self.stage.name]
        layer = self._layer(scale)
        ranges = observe(layer, train, self.spec.time_steps, input_range)
        return LayerReport(layer=layer, scale=scale, ranges=ranges)

    def _largest_scale(self) -> float:
        largest = float(np.abs(self.stage.weight).max())
        if self.stage.recurrent is not None:
            largest = max(largest, float(np.abs(self.stage.recurrent).max()))
        if largest == 0:
            raise RangeError(f"layer {self.stage.name}: all weights are zero; train it again")
        return min(
            self.limits.largest_weight / largest,
            self.limits.largest_threshold / self.stage.threshold,
        )

    def _layer(self, scale: float) -> Layer:
        weight = self._weight(scale)
        threshold = round(scale * self.stage.threshold)
        if threshold < 1:
            raise RangeError(
                f"layer {self.stage.name}: threshold {self.stage.threshold:g} rounds to zero "
                f"beside weights of up to {np.abs(self.stage.weight).max():.3g}; train it with a "
                "larger threshold"
            )
        neuron = CubaNeuron(
            current_decay=round(DECAY_ONE / self.spec.tau_s),
            voltage_decay=round(DECAY_ONE / self.spec.tau_m),
            threshold=threshold,
        )
        name, source = self.stage.name, self.source
        if self.stage.recurrent is not None:
            own = self._rounded(self.stage.recurrent, scale)
            return RecurrentLayer(
                name=name, source=source, weight=weight, recurrent_weight=own, neuron=neuron
            )
        if not self.stage.is_conv:
            return DenseLayer(name=name, source=source, weight=weight, neuron=neuron)
        channels, height, width = self.stage.input_shape
        return ConvLayer(
            name=name,
            source=source,
            weight=weight,
            neuron=neuron,
            map_shape=(channels, height, width),
            stride=self.stage.stride,
            padding=self.stage.padding,
            dilation=self.stage.dilation,
            groups=self.stage.groups,
        )

    def _rounded(self, weight: Floats, scale: float) -> IntArray:
        """Round to the chip's grid: with both signs, its lowest bit is the sign."""
        step = self.limits.weight_step
        rounded = np.rint(weight * scale / step).astype(np.int64) * step
        return rounded.clip(-self.limits.largest_weight, self.limits.largest_weight)

    def _weight(self, scale: float) -> IntArray:
        weight = self._rounded(self.stage.weight, scale)
        if not weight.any():
            raise RangeError(
                f"layer {self.stage.name}: every weight rounds to zero at scale {scale:.3g}, the "
                "largest at which its current does not wrap; use a smaller encoding.resolution"
            )
        return weight


def _check_input(input_range: tuple[int, int], limits: ChipLimits) -> None:
    largest = max(map(abs, input_range))
    if largest > max(1, limits.largest_graded_spike):
        raise RangeError(
            f"input: spikes carry values up to {largest}; those of the target hold at most "
            f"{max(1, limits.largest_graded_spike)}; use a smaller encoding.resolution or "
            "another target"
        )
