"""From a trained network to one linear map per neuron layer, still in floating point.

Each pass is a pure function from stages to stages that leaves every spike unchanged.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tssl.checkpoint import Checkpoint
from tssl.chip import (
    ConvSynapses,
    DenseSynapses,
    IntArray,
    Synapses,
)
from tssl.errors import UnsupportedLayerError
from tssl.geometry import Geometry, Pair
from tssl.graph import Node
from tssl.neurons import Lif

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """A layer of neurons and the linear map that leads to it.

    Parameters
    ----------
    node
        The layer; ``input_shape`` and ``geometry`` are those of the map.
    weight
        ``(neurons, inputs)``, or ``(O, C / groups, kh, kw)`` for a convolution.
    recurrent
        ``(neurons, neurons)`` among the neurons themselves, or None.
    """

    node: Node
    weight: Floats
    recurrent: Floats | None = None

    @property
    def name(self) -> str:
        """The layer's."""
        return self.node.name

    @property
    def neuron(self) -> Lif:
        """The layer's."""
        if self.node.neuron is None:
            raise TypeError(f"layer {self.name}: a {self.node.kind} has no neurons")
        return self.node.neuron

    def synapses(self, weight: IntArray) -> Synapses:
        """Return the chip's synapses of this geometry with integer weights."""
        if self.node.geometry is None:
            return DenseSynapses(weight=weight)
        channels, height, width = self.node.input_shape
        return ConvSynapses(
            weight=weight, map_shape=(channels, height, width), geometry=self.node.geometry
        )


def lower(checkpoint: Checkpoint) -> list[Stage]:
    """Return one stage per neuron layer, for integer input and binary spikes.

    The synapse filter is linear, ``W · psp(s) = filter(W/τ_s · s)``: with the gain 1/τ_s in
    the weights, a TSSL-BP layer is a CUBA layer of the chip.

    Raises
    ------
    UnsupportedLayerError
        When a pool cannot be merged into the layer behind it.
    """
    stages = merge_pools(checkpoint.graph, checkpoint.weights)
    first = replace(stages[0], weight=stages[0].weight * checkpoint.encoding.quantum)
    return [_scaled(stage, 1 / stage.neuron.tau_s) for stage in [first, *stages[1:]]]


def _scaled(stage: Stage, gain: float) -> Stage:
    recurrent = None if stage.recurrent is None else stage.recurrent * gain
    return replace(stage, weight=stage.weight * gain, recurrent=recurrent)


def merge_pools(nodes: Iterable[Node], weights: Mapping[str, NDArray[Any]]) -> list[Stage]:
    """Return the layers with their trained arrays, every pool folded into the one behind it.

    Parameters
    ----------
    weights
        By the name of the parameter.
    """
    merged: list[Stage] = []
    waiting: Node | None = None
    for node in nodes:
        if node.neuron is None:
            waiting = node if waiting is None else _joined(waiting, node)
        else:
            stage = _stage(node, weights)
            merged.append(stage if waiting is None else merge_pool(waiting, stage))
            waiting = None
    return merged


def _stage(node: Node, weights: Mapping[str, NDArray[Any]]) -> Stage:
    arrays = {
        role: np.asarray(weights[each.name], np.float64) for role, each in node.parameters.items()
    }
    return Stage(node=node, **arrays)


def merge_pool(pool: Node, stage: Stage) -> Stage:
    """Return the layer that reads the pool's input directly.

    A convolution gets its kernel repeated over the window, and stride and padding in input
    pixels; a dense layer gets its weights repeated, zero where the pool drops pixels.

    Raises
    ------
    UnsupportedLayerError
        When the pool drops rows or columns that padding would bring back.
    """
    stage = replace(stage, weight=stage.weight * pool.gain)
    window = _window(pool)
    geometry = stage.node.geometry
    if geometry is None:
        weight, joint = _merge_dense(pool, window, stage.weight), None
    else:
        weight, joint = _merge_conv(pool, window, stage, geometry)
    node = replace(stage.node, input_shape=pool.input_shape, geometry=joint)
    return replace(stage, node=node, weight=weight)


def _merge_dense(pool: Node, window: Pair, weight: Floats) -> Floats:
    expanded = np.zeros((len(weight), *pool.input_shape))
    maps = weight.reshape(len(weight), *pool.output_shape)
    repeated = maps.repeat(window[0], axis=2).repeat(window[1], axis=3)
    expanded[:, :, : repeated.shape[2], : repeated.shape[3]] = repeated
    return expanded.reshape(len(weight), math.prod(pool.input_shape))


def _merge_conv(
    pool: Node, window: Pair, stage: Stage, geometry: Geometry
) -> tuple[Floats, Geometry]:
    (rows, columns), (_, height, width) = window, pool.input_shape
    if any(geometry.padding) and (height % rows or width % columns):
        raise UnsupportedLayerError(
            f"layer {stage.name}: padding behind pool {pool.name}, which drops the edge of "
            f"its input {pool.input_shape}; use a size that {window} divides, or no padding"
        )
    kernel = spread_kernel(stage.weight, geometry.dilation)
    kernel = kernel.repeat(rows, axis=2).repeat(columns, axis=3)
    joint = Geometry(
        kernel=(kernel.shape[2], kernel.shape[3]),
        stride=(geometry.stride[0] * rows, geometry.stride[1] * columns),
        padding=(geometry.padding[0] * rows, geometry.padding[1] * columns),
        groups=geometry.groups,
    )
    return kernel, joint


def _window(pool: Node) -> Pair:
    if pool.geometry is None:
        raise TypeError(f"layer {pool.name}: {pool.kind} is not a pool")
    return pool.geometry.kernel


def spread_kernel(weight: Floats, dilation: Pair) -> Floats:
    """Return the kernel with the gaps of its dilation as zeros."""
    kernel = weight.shape[2:]
    sizes = (gap * (size - 1) + 1 for gap, size in zip(dilation, kernel, strict=True))
    spread = np.zeros((*weight.shape[:2], *sizes))
    spread[:, :, :: dilation[0], :: dilation[1]] = weight
    return spread


def _joined(first: Node, second: Node) -> Node:
    """Return one pool for two in a row; what they drop of an edge is the same."""
    (rows, columns), (more_rows, more_columns) = _window(first), _window(second)
    kernel = (rows * more_rows, columns * more_columns)
    return replace(
        first,
        output_shape=second.output_shape,
        geometry=Geometry(kernel=kernel, stride=kernel),
        gain=first.gain * second.gain,
    )
