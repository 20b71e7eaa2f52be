"""Writing a network of tssl as a NIR graph, and its spikes as NIR data.

HDF5 as ``nir`` 1.0 has it, written here: ``nir`` 1.0.8 always adds ``v_reset``, with which 1.0.4
reads no file; left out where it is 0, all versions read it.
"""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from tssl.chip import ungrouped
from tssl.errors import UnsupportedLayerError
from tssl.exchange.nir.description import Nir
from tssl.exchange.nir.maps import shapes
from tssl.geometry import Geometry, Shape

__all__ = ["Incoming", "OutLayer", "data_bytes", "description_bytes", "graph_bytes"]

Floats = NDArray[np.float64]

_VERSION = "1.0.4"
"""Of the format, which has no number of its own: all fields are those that this version has."""
_INPUT, _OUTPUT = "input", "output"
_SLOW = float(1 << 40)
"""Steps that stand for a membrane without a leak, where NIR's neuron must have one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Incoming:
    """The synapses from one source.

    Parameters
    ----------
    source
        A layer, ``"input"``, or the layer itself.
    weight
        What a spike adds to the current, ``(neurons, inputs)`` or ``(O, C / groups, kh, kw)``.
    delays
        Steps that a spike waits, of the weight's shape; None where none does.
    """

    source: str
    input_shape: Shape
    weight: Floats
    geometry: Geometry | None = None
    delays: NDArray[np.int64] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class OutLayer:
    """A layer of neurons.

    Parameters
    ----------
    losses
        Shares of current and potential that are lost in a step, each a number or one for each
        neuron.
    threshold, bias
        A number, or one for each neuron; an infinite threshold where they never fire.
    shape
        Of what it sends.
    """

    name: str
    incoming: Sequence[Incoming]
    losses: tuple[Floats, Floats]
    threshold: Floats
    bias: Floats
    shape: Shape


@dataclass
class _Graph:
    """Nodes and edges as they are put into the file.

    Parameters
    ----------
    layers
        Names of the nodes of neurons, which they all get in the end.
    """

    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    layers: frozenset[str] = frozenset()

    def free(self, name: str) -> str:
        """Return a name for another node, longer where a layer or a node has this one."""
        while name in self.layers or name in self.nodes:
            name += "_"
        return name


def graph_bytes(
    input_shape: Shape, layers: Sequence[OutLayer], dt: float, metadata: Mapping[str, str | float]
) -> bytes:
    """Return a NIR file.

    Parameters
    ----------
    dt
        Seconds of a step.

    Raises
    ------
    UnsupportedLayerError
        When NIR has no neuron that keeps its whole current, or no node that gives a layer what its
        source sends in another shape.
    """
    graph = _Graph(layers=frozenset(layer.name for layer in layers))
    graph.nodes[_INPUT] = {"type": "Input", "shape": np.array(input_shape)}
    sent = {_INPUT: input_shape}
    for layer in layers:
        shaped = _shaped(layer, sent)
        sent[layer.name] = shaped.shape
        _add(graph, shaped, dt, sent)
    output = graph.free(_OUTPUT)
    graph.nodes[output] = {"type": "Output", "shape": np.array(sent[layers[-1].name])}
    graph.edges.append((layers[-1].name, output))
    return _file_bytes(graph, metadata)


def description_bytes(nir: Nir, metadata: Mapping[str, str | float]) -> bytes:
    """Return a graph that is not from a file as a NIR file."""
    nodes: dict[str, dict[str, Any]] = {
        node.name: {"type": node.kind, **node.numbers, **node.words} for node in nir
    }
    sizes = shapes(nir)
    for node in nir:
        if node.of.shape_field is not None:
            source, *_ = nir.sources[node.name] + nir.late_sources[node.name]
            key, behind = node.of.shape_field
            nodes[node.name][key] = np.array(sizes[source][behind:])
    return _file_bytes(_Graph(nodes, list(nir.edges)), metadata)


def _file_bytes(graph: _Graph, metadata: Mapping[str, str | float]) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["version"] = _VERSION
        root = file.create_group("node")
        root["type"] = "NIRGraph"
        root["edges"] = np.array(graph.edges, dtype=h5py.string_dtype())
        _put(root.create_group("metadata"), metadata)
        nodes = root.create_group("nodes")
        for name, fields in graph.nodes.items():
            _put(nodes.create_group(name), fields)
    return buffer.getvalue()


def data_bytes(trains: Mapping[str, NDArray[Any]], dt: float) -> bytes:
    """Return spikes as a file of NIR data.

    Parameters
    ----------
    trains
        By node, ``(time, samples, neurons)``; integers of graded spikes are kept.
    """
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["__type__"] = "NIRGraphData"
        nodes = file.create_group("nodes")
        for name, train in trains.items():
            node = nodes.create_group(name)
            node.attrs["__type__"] = "NIRNodeData"
            spikes = node.create_group("observables").create_group("spikes")
            spikes.attrs["__type__"], spikes.attrs["dt"] = "TimeGriddedData", dt
            spikes.create_dataset("data", data=_gridded(train), compression="gzip")
    return buffer.getvalue()


def _gridded(train: NDArray[Any]) -> NDArray[Any]:
    """Return a train as NIR has it, samples first: truth values where it is spikes, or numbers."""
    gridded, fires = (np.ascontiguousarray(each.transpose(1, 0, 2)) for each in (train, train > 0))
    return fires if np.array_equal(gridded, fires) else gridded


def _put(group: h5py.Group, fields: Mapping[str, Any]) -> None:
    for key, value in fields.items():
        if isinstance(value, np.ndarray) and value.ndim:
            group.create_dataset(key, data=value, compression="gzip")
        else:
            group[key] = value


def _shaped(layer: OutLayer, sent: Mapping[str, Shape]) -> OutLayer:
    """Return a layer that takes what its sources send in the shape in which they send it.

    Gates have all maps of their sources below each other in one, which no node of NIR does.

    Raises
    ------
    UnsupportedLayerError
        When there is no such layer.
    """
    others = [each for each in layer.incoming if each.source != layer.name]
    if all(_fits(each.input_shape, sent[each.source]) for each in others):
        return layer
    shapes = {sent[each.source] for each in others}
    if len(shapes) > 1 or len(others) < len(layer.incoming) or not _may_part(layer, *shapes):
        raise UnsupportedLayerError(
            f"layer {layer.name}: takes {others[0].input_shape}, and receives "
            f"{' and '.join(map(str, sorted(shapes)))}; NIR has no node that gives numbers "
            "another shape"
        )
    return _parted(layer, *shapes)


def _fits(taken: Shape, sent: Shape) -> bool:
    return taken == sent or (len(taken) == 1 and taken[0] == math.prod(sent))


def _may_part(layer: OutLayer, shape: Shape) -> bool:
    """Return whether no window of a layer of one map reaches over two maps of its sources."""
    rows = (*shape, 1, 1)[1]
    return all(
        each.geometry is not None
        and each.weight.shape[:2] == (1, 1)
        and each.geometry == Geometry(kernel=each.geometry.kernel, stride=each.geometry.kernel)
        and rows % each.geometry.kernel[0] == 0
        for each in layer.incoming
    )


def _parted(layer: OutLayer, shape: Shape) -> OutLayer:
    """Return a layer of one map as one that has as many maps as its sources, or as flat."""
    incoming = [_parted_synapses(each, shape) for each in layer.incoming]
    maps, *image = shape
    geometry = incoming[0].geometry
    outputs = (maps,) if geometry is None else (maps, *geometry.positions((image[0], image[1])))
    current, voltage, threshold, bias = (
        values if values.size == 1 else values.reshape(outputs)
        for values in (*layer.losses, layer.threshold, layer.bias)
    )
    return replace(
        layer,
        incoming=incoming,
        losses=(current, voltage),
        threshold=threshold,
        bias=bias,
        shape=outputs,
    )


def _parted_synapses(each: Incoming, shape: Shape) -> Incoming:
    maps = shape[0]
    if each.geometry is None or len(shape) == 1:
        weight = np.eye(maps) * each.weight.item()
        return replace(each, input_shape=shape, geometry=None, weight=weight)
    geometry = replace(each.geometry, groups=maps)
    return replace(each, input_shape=shape, geometry=geometry, weight=each.weight.repeat(maps, 0))


def _add(graph: _Graph, layer: OutLayer, dt: float, shapes: Mapping[str, Shape]) -> None:
    """Add the neurons of a layer, and a node for the synapses from each source."""
    neuron, affine = _neuron(layer, dt)
    if np.isinf(layer.threshold).all():
        neuron = _reading(neuron)
    for number, each in enumerate(layer.incoming):
        own = each.source == layer.name
        stem = f"{layer.name}_recurrent" if own else f"{layer.name}_weights"
        stem = stem if number == 0 or own else f"{stem}{number + 1}"
        bias = affine if number == 0 else np.zeros(1)
        for wanted, fields, late in _synapses(stem, each, layer.shape, bias):
            name = graph.free(wanted)
            source = _flattened(graph, each, name, shapes[each.source])
            source = _waiting(graph, source, name, late * dt, each.input_shape)
            graph.nodes[name] = fields
            graph.edges += [(source, name), (name, layer.name)]
    graph.nodes[layer.name] = neuron


def _neuron(layer: OutLayer, dt: float) -> tuple[dict[str, Any], Floats]:
    """Return the node of neurons, and what an ``Affine`` before it adds at every step."""
    alpha, beta = (np.broadcast_to(loss, layer.shape).astype(np.float64) for loss in layer.losses)
    whole = np.broadcast_to(layer.threshold, layer.shape).astype(np.float64)
    bias = _of_each(layer.bias, layer.shape)
    if not alpha.all():
        raise UnsupportedLayerError(
            f"layer {layer.name}: its current never decays, which no neuron of NIR does"
        )
    zero = np.zeros(layer.shape)
    if (alpha == 1).all() and not beta.any():
        return {"type": "IF", "r": zero + 1 / dt, "v_threshold": whole}, bias
    steps = np.where(beta > 0, 1 / np.where(beta > 0, beta, 1), _SLOW)
    leaky = {"r": steps, "v_threshold": whole}
    if (alpha == 1).all():
        return {"type": "LIF", "tau": steps * dt, "v_leak": zero, **leaky}, bias
    return {
        "type": "CubaLIF",
        "tau_syn": dt / alpha,
        "tau_mem": steps * dt,
        "w_in": 1 / alpha,
        "v_leak": bias * steps,
        **leaky,
    }, np.zeros(1)


def _reading(neuron: Mapping[str, Any]) -> dict[str, Any]:
    """Return the node of neurons as one that never fires."""
    kinds = {"IF": "I", "LIF": "LI", "CubaLIF": "CubaLI"}
    kept = {key: value for key, value in neuron.items() if key != "v_threshold"}
    return {**kept, "type": kinds[neuron["type"]]}


def _of_each(values: Floats, shape: Shape) -> Floats:
    """Return one number for each neuron, from one, one for each map, or one for each neuron."""
    if values.size == 1:
        return np.full(shape, float(values.reshape(-1)[0]))
    if values.size == math.prod(shape):
        return values.reshape(shape).astype(np.float64)
    return np.broadcast_to(values.reshape(-1, *[1] * (len(shape) - 1)), shape).astype(np.float64)


def _synapses(
    name: str, each: Incoming, shape: Shape, bias: Floats
) -> list[tuple[str, dict[str, Any], int]]:
    """Return nodes of weights, each with the steps that its spikes wait."""
    if each.geometry is not None:
        return [(name, _conv(each, shape, bias), 0)]
    if each.delays is None:
        return [(name, _dense(each.weight, bias), 0)]
    found = []
    for number, late in enumerate(np.unique(each.delays)):
        weight = np.where(each.delays == late, each.weight, 0)
        part = bias if number == 0 else np.zeros(1)
        found.append((f"{name}_after{late}", _dense(weight, part), int(late)))
    return found


def _dense(weight: Floats, bias: Floats) -> dict[str, Any]:
    if not bias.any():
        return {"type": "Linear", "weight": weight}
    return {"type": "Affine", "weight": weight, "bias": bias.reshape(-1)}


def _conv(each: Incoming, shape: Shape, bias: Floats) -> dict[str, Any]:
    of = each.geometry
    if of is None:
        raise TypeError("no convolution")
    by_map = np.zeros(shape[0]) if bias.size == 1 else bias.reshape(shape[0], -1)[:, 0]
    return {
        "type": "Conv2d",
        "input_shape": np.array(each.input_shape[1:]),
        "weight": ungrouped(each.weight, of.groups),
        "stride": np.array(of.stride),
        "padding": np.array(of.padding),
        "dilation": np.array(of.dilation),
        "groups": 1,  # nir 1.0 takes the maps of one group for all maps, and refuses the file
        "bias": by_map,
    }


def _flattened(graph: _Graph, each: Incoming, reader: str, sent: Shape) -> str:
    """Return the node whose values have the shape that the weights take."""
    if each.input_shape == sent:
        return each.source
    name = graph.free(f"{reader}_flatten")
    graph.nodes[name] = {
        "type": "Flatten",
        "start_dim": 0,
        "end_dim": -1,
        "input_type": np.array(sent),
    }
    graph.edges.append((each.source, name))
    return name


def _waiting(graph: _Graph, source: str, reader: str, delay: float, shape: Shape) -> str:
    if not delay:
        return source
    name = graph.free(f"{reader}_delay")
    graph.nodes[name] = {"type": "Delay", "delay": np.full(shape, delay)}
    graph.edges.append((source, name))
    return name
