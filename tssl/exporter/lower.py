"""From a trained network to one linear map per neuron layer, still in floating point.

Each pass is a pure function from stages to stages that leaves every spike unchanged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tssl.checkpoint import Checkpoint, recurrent_name
from tssl.chip import ConvLayer, CubaNeuron, DenseLayer, IntArray, Pair, Shape
from tssl.errors import UnsupportedLayerError
from tssl.spec import ConvSpec, NetworkSpec, PoolSpec

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class PoolStage:
    """Sum over windows, times ``gain``; no neurons."""

    name: str
    input_shape: Shape
    kernel: Pair
    gain: float


@dataclass(frozen=True, kw_only=True, eq=False)
class NeuronStage:
    """A linear map and the neurons behind it.

    Parameters
    ----------
    weight
        ``(neurons, inputs)``, or ``(O, C, kh, kw)`` for a convolution.
    threshold
        In units of the membrane potential.
    stride, padding, dilation, groups
        Of a convolution.
    recurrent
        ``(neurons, neurons)`` among the neurons themselves, or None.
    """

    name: str
    input_shape: Shape
    weight: Floats
    threshold: float
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    recurrent: Floats | None = None

    @property
    def is_conv(self) -> bool:
        """Whether the map is a convolution."""
        return self.weight.ndim == 4

    def feed_forward(
        self, source: str, weight: IntArray, neuron: CubaNeuron
    ) -> ConvLayer | DenseLayer:
        """Return the chip's layer of this geometry with integer weights."""
        if not self.is_conv:
            return DenseLayer(name=self.name, source=source, weight=weight, neuron=neuron)
        channels, height, width = self.input_shape
        return ConvLayer(
            name=self.name,
            source=source,
            weight=weight,
            neuron=neuron,
            map_shape=(channels, height, width),
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )


Stage = PoolStage | NeuronStage


def lower(checkpoint: Checkpoint) -> list[NeuronStage]:
    """Return one stage per neuron layer, for integer input and binary spikes.

    The synapse filter is linear, ``W · psp(s) = filter(W/τ_s · s)``: with the gain 1/τ_s in
    the weights, a TSSL-BP layer is a CUBA layer of the chip.

    Raises
    ------
    UnsupportedLayerError
        When a pool cannot be merged into the layer behind it.
    """
    stages = merge_pools(stages_of(checkpoint))
    first = replace(stages[0], weight=stages[0].weight * checkpoint.encoding.quantum)
    gain = 1 / checkpoint.recipe.network.tau_s
    return [_scaled(stage, gain) for stage in [first, *stages[1:]]]


def _scaled(stage: NeuronStage, gain: float) -> NeuronStage:
    recurrent = None if stage.recurrent is None else stage.recurrent * gain
    return replace(stage, weight=stage.weight * gain, recurrent=recurrent)


def stages_of(checkpoint: Checkpoint) -> list[Stage]:
    """Return the layers of a checkpoint as they were trained."""
    network = checkpoint.recipe.network
    stages: list[Stage] = []
    incoming: Shape = checkpoint.input_shape
    outgoing = network.shapes(checkpoint.input_shape)
    for index, name in enumerate(network.layer_names):
        stages.append(_stage(network, index, name, incoming, checkpoint.weights))
        incoming = outgoing[index]
    return stages


def merge_pools(stages: list[Stage]) -> list[NeuronStage]:
    """Fold every pool into the weights of the layer behind it."""
    merged: list[NeuronStage] = []
    waiting: PoolStage | None = None
    for stage in stages:
        if isinstance(stage, PoolStage):
            waiting = stage if waiting is None else _joined(waiting, stage)
        else:
            merged.append(stage if waiting is None else merge_pool(waiting, stage))
            waiting = None
    return merged


def merge_pool(pool: PoolStage, stage: NeuronStage) -> NeuronStage:
    """Return the layer that reads the pool's input directly.

    A convolution gets its kernel repeated over the window, and stride and padding in input
    pixels; a dense layer gets its weights repeated, zero where the pool drops pixels.

    Raises
    ------
    UnsupportedLayerError
        When the pool drops rows or columns that padding would bring back.
    """
    weight = stage.weight * pool.gain
    (rows, columns), (_, height, width) = pool.kernel, pool.input_shape
    if stage.is_conv:
        if any(stage.padding) and (height % rows or width % columns):
            raise UnsupportedLayerError(
                f"layer {stage.name}: padding behind pool {pool.name}, which drops the edge of "
                f"its input {pool.input_shape}; use a size that {pool.kernel} divides, or no "
                "padding"
            )
        kernel = spread_kernel(weight, stage.dilation)
        return replace(
            stage,
            input_shape=pool.input_shape,
            weight=kernel.repeat(rows, axis=2).repeat(columns, axis=3),
            dilation=(1, 1),
            stride=(stage.stride[0] * rows, stage.stride[1] * columns),
            padding=(stage.padding[0] * rows, stage.padding[1] * columns),
        )
    channels = pool.input_shape[0]
    maps = weight.reshape(len(weight), channels, height // rows, width // columns)
    expanded = np.zeros((len(weight), channels, height, width))
    repeated = maps.repeat(rows, axis=2).repeat(columns, axis=3)
    expanded[:, :, : repeated.shape[2], : repeated.shape[3]] = repeated
    return replace(stage, input_shape=pool.input_shape, weight=expanded.reshape(len(weight), -1))


def spread_kernel(weight: Floats, dilation: Pair) -> Floats:
    """Return the kernel with the gaps of its dilation as zeros."""
    kernel = weight.shape[2:]
    sizes = (gap * (size - 1) + 1 for gap, size in zip(dilation, kernel, strict=True))
    spread = np.zeros((*weight.shape[:2], *sizes))
    spread[:, :, :: dilation[0], :: dilation[1]] = weight
    return spread


def _joined(first: PoolStage, second: PoolStage) -> PoolStage:
    """Return one pool for two in a row; what they drop of an edge is the same."""
    kernel = (first.kernel[0] * second.kernel[0], first.kernel[1] * second.kernel[1])
    return replace(first, kernel=kernel, gain=first.gain * second.gain)


def _stage(
    network: NetworkSpec,
    index: int,
    name: str,
    incoming: Shape,
    weights: Mapping[str, NDArray[Any]],
) -> Stage:
    spec = network.layers[index]
    if isinstance(spec, PoolSpec):
        return PoolStage(name=name, input_shape=incoming, kernel=spec.kernel, gain=spec.gain)
    stage = NeuronStage(
        name=name,
        input_shape=incoming,
        weight=np.asarray(weights[name], np.float64),
        threshold=spec.threshold or network.threshold,
    )
    if isinstance(spec, ConvSpec):
        return replace(
            stage,
            stride=spec.stride,
            padding=spec.padding,
            dilation=spec.dilation,
            groups=spec.groups,
        )
    if spec.recurrent:
        own = np.asarray(weights[recurrent_name(name)], np.float64)
        return replace(stage, recurrent=own)
    return stage
