"""From a trained network to one linear map per neuron layer, still in floating point.

Each pass is a pure function from stages to stages that leaves every spike unchanged.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tssl.checkpoint import Checkpoint
from tssl.chip import (
    INPUT,
    LARGEST_GEOMETRY,
    ConvSynapses,
    DenseSynapses,
    IntArray,
    Synapses,
    ungrouped,
)
from tssl.errors import UnsupportedLayerError
from tssl.exporter.ways import Way, ways_from
from tssl.geometry import Geometry, Pair, Shape
from tssl.graph import KINDS, NORM, Gate, Graph, Node
from tssl.graph.folding import leak_folded, norm_folded
from tssl.graph.kinds import Kind
from tssl.neurons import Lif

Floats = NDArray[np.float64]

_GATE_SCALE = 2.0
"""At which synapses of gates weigh 2, the least of both signs, and thresholds are odd."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrival:
    """The linear map from one source to the neurons of a layer.

    Parameters
    ----------
    source
        A layer of neurons, the layer itself, or ``"input"``.
    input_shape
        Of what the source sends.
    weight
        ``(neurons, inputs)``, or ``(O, C / groups, kh, kw)`` for a convolution.
    geometry
        Of a convolution; None for dense weights.
    """

    source: str
    input_shape: Shape
    weight: Floats
    geometry: Geometry | None = None

    def synapses(self, weight: IntArray) -> Synapses:
        """Return the chip's synapses of this geometry with integer weights."""
        if self.geometry is None:
            return DenseSynapses(weight=weight)
        channels, height, width = self.input_shape
        return ConvSynapses(
            weight=weight, map_shape=(channels, height, width), geometry=self.geometry
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """A layer of neurons and the linear maps that lead to it.

    Parameters
    ----------
    connections
        From each layer of neurons that it hears, through pools or not, and from itself, one step
        later; what they give adds up.
    bias
        ``(neurons,)``, of maps ``(channels,)``, in units of the membrane potential; or None.
    scale
        Integers per unit of weights and threshold, where any that the chip can hold will do; None
        where it is to be found.
    """

    name: str
    neuron: Lif
    connections: tuple[Arrival, ...]
    bias: Floats | None = None
    scale: float | None = None

    @property
    def arriving(self) -> tuple[Arrival, ...]:
        """From others."""
        return tuple(each for each in self.connections if each.source != self.name)

    @property
    def is_recurrent(self) -> bool:
        """Whether its neurons hear each other."""
        return len(self.arriving) < len(self.connections)

    @property
    def largest_weight(self) -> float:
        """Largest magnitude among all weights."""
        return max(float(np.abs(each.weight).max()) for each in self.connections)


def lower(checkpoint: Checkpoint) -> list[Stage]:
    """Return one stage per neuron layer, for integer input and binary spikes.

    The synapse filter is linear, ``W · psp(s) = filter(W/τ_s · s)``: with the gain 1/τ_s in
    the weights, a TSSL-BP layer is a CUBA layer of the chip; synapses that keep all have the gain
    1. A sum of branches needs no addition,
    ``W (A + x) = W A + W x``: it is two connections. Nor does a concat need a copy,
    ``W [A, x] = W_A A + W_x x``: each connection has its own part of the weights.

    Raises
    ------
    UnsupportedLayerError
        When a pool cannot be merged into the layer behind it.
    """
    quantum = checkpoint.encoding.quantum
    stages = merge_pools(checkpoint.graph, checkpoint.weights)
    return [_scaled(stage, quantum, stage.neuron.gain) for stage in stages]


def _scaled(stage: Stage, quantum: float, gain: float) -> Stage:
    connections = tuple(
        replace(each, weight=each.weight * (quantum if each.source == INPUT else 1.0) * gain)
        for each in stage.connections
    )
    return replace(stage, connections=connections)


def merge_pools(graph: Graph, weights: Mapping[str, NDArray[Any]]) -> list[Stage]:
    """Return the layers with their trained arrays, every pool folded into the ones behind it.

    A concat is nothing but the part of these layers' weights that each of its sources meets.

    Parameters
    ----------
    weights
        By the name of the parameter.
    """
    return [_stage(graph, node, node.neuron, weights) for node in graph if node.neuron is not None]


def _stage(graph: Graph, node: Node, neuron: Lif, weights: Mapping[str, NDArray[Any]]) -> Stage:
    _check_neuron(node.name, neuron)
    if node.gate is not None:
        return _gate(node, neuron, node.gate)
    arrays = {
        role: np.asarray(weights[each.name], np.float64) for role, each in node.parameters.items()
    }
    if NORM[0] in arrays:
        arrays = norm_folded(arrays)
    if "leak" in arrays:
        neuron = neuron.with_leak(float(arrays["leak"][0]))
        arrays = leak_folded(arrays, neuron.tau_m)
    if "threshold" in arrays:
        arrays, neuron = _with_thresholds(arrays, neuron)
    kind, geometry = KINDS[node.kind], node.geometry
    if isinstance(kind, Kind) and kind.unfolded is not None:
        arrays, geometry = _dense(node, arrays, kind.unfolded), None
    connections = []
    for source in node.sources:
        for way in ways_from(graph, source):
            weight, windows = _part(arrays["weight"], geometry, way, node.input_shape)
            arrival = Arrival(
                source=way.source, input_shape=way.shape, weight=weight, geometry=windows
            )
            connections.append(through_pools(way.pools, arrival, node.name))
    return Stage(
        name=node.name,
        neuron=neuron,
        connections=(*connections, *_own(node, arrays)),
        bias=arrays.get("bias"),
    )


def _own(node: Node, arrays: Mapping[str, Floats]) -> Iterator[Arrival]:
    """Yield the connection of a recurrent layer to itself."""
    if "recurrent" in arrays:
        yield Arrival(
            source=node.name,
            input_shape=node.output_shape,
            weight=arrays["recurrent"],
            geometry=node.own_geometry,
        )


def _dense(
    node: Node, arrays: dict[str, Floats], unfolded: Callable[[Node, Floats], Floats]
) -> dict[str, Floats]:
    """Return the arrays of a layer that is dense on the chip, and has no maps there."""
    arrays = {**arrays, "weight": unfolded(node, arrays["weight"])}
    if "bias" in arrays:
        arrays["bias"] = np.repeat(arrays["bias"], node.outputs // len(arrays["bias"]))
    return arrays


def _gate(node: Node, neuron: Lif, gate: Gate) -> Stage:
    """Return a layer whose neurons each listen to one neuron, or window, of every source.

    All maps lie below each other in one, so that all neurons share their weights; pools of not too
    many maps keep these, so that lava-dl can load a chain of them.

    Raises
    ------
    UnsupportedLayerError
        When windows of too many maps would reach from one into the next.
    """
    (rows, columns), (channels, height, width) = node.window, (*node.input_shape, 1, 1)[:3]
    if gate.function == "or" and channels <= LARGEST_GEOMETRY:
        shape, geometry = node.input_shape, node.geometry
    elif gate.function == "or" and not node.windows.is_tiling:
        raise UnsupportedLayerError(
            f"layer {node.name}: has windows {node.window} of {channels} maps that do not lie side "
            f"by side, and Lava holds no more than {LARGEST_GEOMETRY} maps apart; use fewer "
            "maps, or windows side by side"
        )
    elif height % rows:
        raise UnsupportedLayerError(
            f"layer {node.name}: windows of {rows} rows do not fill {channels} maps of height "
            f"{height}, and Lava holds no more than {LARGEST_GEOMETRY} maps apart; use fewer "
            "maps, or windows that fill them"
        )
    else:
        shape = (1, channels * height, width)
        geometry = Geometry(kernel=node.window, stride=node.window)
    ones = np.ones((shape[0], 1, rows, columns))
    connections = (
        Arrival(source=source, input_shape=shape, weight=weight * ones, geometry=geometry)
        for source, weight in zip(node.sources, gate.weights, strict=True)
    )
    return Stage(name=node.name, neuron=neuron, connections=tuple(connections), scale=_GATE_SCALE)


def _with_thresholds(arrays: dict[str, Floats], neuron: Lif) -> tuple[dict[str, Floats], Lif]:
    r"""Return arrays in units of each neuron's threshold, and a neuron that fires above 1.

    The potential is linear in what arrives, so :math:`u_i > \vartheta_i` where
    :math:`u_i / \vartheta_i > 1`. Weights among the layer's own neurons are in units of the
    threshold already, see :class:`tssl.graph.Node`.
    """
    own = np.exp(arrays["threshold"])
    scaled = dict(arrays)
    del scaled["threshold"]
    for role in {"weight", "bias"} & scaled.keys():
        array = scaled[role]
        each = np.repeat(own, len(array) // len(own))
        scaled[role] = array / each.reshape(-1, *[1] * (array.ndim - 1))
    return scaled, replace(neuron, threshold=1.0)


def _check_neuron(layer: str, neuron: Lif) -> None:
    """Refuse what the chip's neuron does not do.

    Raises
    ------
    UnsupportedLayerError
        With what to train instead.
    """
    if neuron.reset != "zero":
        raise UnsupportedLayerError(
            f"layer {layer}: was trained with reset = {neuron.reset!r}, and neurons of the chip "
            "begin again at zero after a spike; train with reset = 'zero'"
        )
    if neuron.refractory:
        raise UnsupportedLayerError(
            f"layer {layer}: was trained with refractory = {neuron.refractory}, and neurons of a "
            ".net file have no such time; train with refractory = 0"
        )


def _part(
    weight: Floats, geometry: Geometry | None, way: Way, shape: Shape
) -> tuple[Floats, Geometry | None]:
    """Return the weights of one way, and their windows.

    Groups of maps that a way cuts become zeros between maps.

    Parameters
    ----------
    shape
        Of all that reaches the layer.
    """
    if way.shape == shape:
        return weight, geometry
    if geometry is None:
        pixels = math.prod(shape[1:])
        first = way.first * pixels
        return weight[:, first : first + math.prod(way.shape)], None
    own = ungrouped(weight, geometry.groups)[:, way.first : way.first + way.shape[0]]
    return own, replace(geometry, groups=1)


def through_pools(pools: Sequence[Node], arrival: Arrival, layer: str) -> Arrival:
    """Return the map that reads the input of the first of some pools directly.

    A convolution gets its kernel spread over the windows, and stride and padding in input
    pixels; a dense layer gets its weights at every pixel of a window, zero where no window is.

    Raises
    ------
    UnsupportedLayerError
        When padding would bring back windows beyond the edge of a pool that see pixels.
    """
    merged = arrival
    for pool in reversed(pools):
        merged = _merge_pool(pool, merged, layer)
    return replace(merged, weight=merged.weight * math.prod(pool.gain for pool in pools))


def _merge_pool(pool: Node, arrival: Arrival, layer: str) -> Arrival:
    (_, height, width), of = pool.input_shape, arrival.geometry
    if of is None:
        weight = _merge_dense(pool, arrival.weight)
        return replace(arrival, input_shape=pool.input_shape, weight=weight)
    joint = of.behind(pool.windows, (height, width))
    if joint is None:
        raise UnsupportedLayerError(_edge_of(pool, layer))
    weight = _merge_conv(pool.windows, arrival.weight, of)
    return replace(arrival, input_shape=pool.input_shape, weight=weight, geometry=joint)


def _edge_of(pool: Node, layer: str) -> str:
    where = f"layer {layer}: padding behind pool {pool.name}, which"
    if pool.windows.is_tiling:
        return (
            f"{where} drops the edge of its input {pool.input_shape}; use a size that "
            f"{pool.window} divides, or no padding"
        )
    return (
        f"{where} has windows {pool.window} at a stride of {pool.windows.stride}: those beyond its "
        f"last would still see pixels of its input {pool.input_shape}; use no padding there"
    )


def _merge_dense(pool: Node, weight: Floats) -> Floats:
    of, (channels, height, width) = pool.windows, pool.input_shape
    (rows, columns), (up, left) = of.stride, of.padding
    padded = np.zeros((len(weight), channels, height + 2 * up, width + 2 * left))
    maps = weight.reshape(len(weight), *pool.output_shape)
    high, wide = (
        (size - 1) * step + 1 for size, step in zip(maps.shape[2:], of.stride, strict=True)
    )
    for row, column in np.ndindex(of.kernel):
        padded[:, :, row : row + high : rows, column : column + wide : columns] += maps
    inside = padded[:, :, up : up + height, left : left + width]
    return inside.reshape(len(weight), math.prod(pool.input_shape))


def _merge_conv(pool: Geometry, weight: Floats, geometry: Geometry) -> Floats:
    gaps = (geometry.dilation[0] * pool.stride[0], geometry.dilation[1] * pool.stride[1])
    spread = spread_kernel(weight, gaps)
    high, wide = spread.shape[2:]
    sizes = (high + pool.kernel[0] - 1, wide + pool.kernel[1] - 1)
    kernel = np.zeros((*weight.shape[:2], *sizes))
    for row, column in np.ndindex(pool.kernel):
        kernel[:, :, row : row + high, column : column + wide] += spread
    return kernel


def spread_kernel(weight: Floats, dilation: Pair) -> Floats:
    """Return the kernel with the gaps of its dilation as zeros."""
    kernel = weight.shape[2:]
    sizes = (gap * (size - 1) + 1 for gap, size in zip(dilation, kernel, strict=True))
    spread = np.zeros((*weight.shape[:2], *sizes))
    spread[:, :, :: dilation[0], :: dilation[1]] = weight
    return spread
