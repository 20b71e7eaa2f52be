"""Writing ``.net`` files."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from tssl.chip import (
    INTEGRATOR,
    ChipNetwork,
    Connection,
    ConvSynapses,
    CubaNeuron,
    DeltaNeuron,
    DenseSynapses,
    InputLayer,
    IntArray,
    Layer,
    Neuron,
    SigmaDeltaNeuron,
    SigmaNeuron,
    Synapses,
)
from tssl.errors import UnsupportedLayerError
from tssl.geometry import Shape
from tssl.machine.files import written
from tssl.netx.rules import (
    ATTRIBUTE,
    CONNECTION,
    FORMAT_VERSION,
    GRAPH,
    KINDS,
    MAP_SHAPE,
    NAME,
    NEURON_KEYS,
    SEAL,
    SOURCE,
    check_bias,
    check_geometry,
    check_messages_heard,
    check_recurrent_storage,
    check_storage,
    is_graph,
    kinds_of,
    seal,
)


def write(path: Path, network: ChipNetwork, notes: dict[str, Any] | None = None) -> None:
    """Write a network, a chain so that lava-dl's ``netx.hdf5.Network`` reads it.

    lava-dl refuses files of networks that are no chains; tssl runs these on Lava.

    Parameters
    ----------
    notes
        JSON data kept beside the network: provenance, proof.

    Raises
    ------
    UnsupportedLayerError
        When netx cannot describe the network, or Lava would load other weights.
    OutputError
        When the file cannot be written.
    """
    content = as_bytes(network, notes)
    with written(path) as temporary:
        temporary.write_bytes(content)


def as_bytes(network: ChipNetwork, notes: dict[str, Any] | None = None) -> bytes:
    """Return what :func:`write` puts into a file; its errors, too."""
    check_messages_heard(network)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver="v108") as file:  # from then on, its tables have checksums
        document = json.dumps(_own_document(network, notes or {}), sort_keys=True)
        file.attrs[ATTRIBUTE] = np.bytes_(document)
        file.attrs[SEAL] = np.bytes_(seal(document, network.digest))
        entries = file.create_group("layer")
        _write_input(_next_entry(entries, "input"), network.input)
        write_layers = _write_graph if is_graph(network) else _write_chain
        write_layers(entries, network)
    return buffer.getvalue()


def _own_document(network: ChipNetwork, notes: dict[str, Any]) -> dict[str, Any]:
    read_out = network.read_out.document
    return {
        "format_version": FORMAT_VERSION,
        "name": network.name,
        **({} if read_out is None else {"read_out": read_out}),
        "encoding": None if network.encoding is None else network.encoding.document,
        "time_steps": network.time_steps,
        "notes": notes,
    }


def _next_entry(entries: h5py.Group, kind: str) -> h5py.Group:
    entry = entries.create_group(str(len(entries)))
    entry["type"] = np.bytes_(kind)
    return entry


def _write_input(entry: h5py.Group, layer: InputLayer) -> None:
    entry["shape"] = np.array(layer.shape, np.int64)
    if layer.neuron is not None:
        _write_neuron(entry, layer.neuron, layer.shape)


def kind_of(layer: Layer) -> str:
    """Return what netx calls a layer, or the kinds of its connections, joined by ``+``."""
    kinds = kinds_of(layer)
    if kinds in KINDS and len(layer.arriving) == 1:  # two that arrive are no recurrence
        return KINDS[kinds]
    return " + ".join(KINDS[kind,] for kind in kinds)


def _write_chain(entries: h5py.Group, network: ChipNetwork) -> None:
    shape = network.input.shape
    for layer in network.layers:
        wanted = layer.synapses.input_shape
        if len(wanted) == 1 and len(shape) > 1:
            _next_entry(entries, "flatten")
        _write_layer(entries, layer)
        shape = layer.output_shape


def _write_layer(entries: h5py.Group, layer: Layer) -> None:
    kind = kind_of(layer)
    entry = _next_entry(entries, kind)
    _write_neurons(entry, layer, always=kind == "conv")
    if layer.own:
        _write_recurrent(entry, layer)
    else:
        _write_synapses(entry, layer.name, layer.synapses)


def _write_graph(entries: h5py.Group, network: ChipNetwork) -> None:
    for layer in network.layers:
        entry = _next_entry(entries, GRAPH)
        _write_neurons(entry, layer, always=True)
        connections = entry.create_group(CONNECTION)
        for each in layer.connections:
            kind = KINDS[type(each.synapses),]
            _write_connection(_next_entry(connections, kind), layer.name, each)


def _write_connection(entry: h5py.Group, name: str, connection: Connection) -> None:
    entry.attrs[SOURCE] = np.bytes_(connection.source.encode())
    shape = connection.synapses.input_shape
    _write_synapses(entry, name, connection.synapses)
    if len(shape) > 1:  # in a chain, the maps are those of the layer before
        entry[MAP_SHAPE] = np.array(shape, np.int64)


def _write_neurons(entry: h5py.Group, layer: Layer, *, always: bool) -> None:
    """Write name, shape, neurons and biases; those that only integrate, netx need not be told."""
    entry.attrs[NAME] = np.bytes_(layer.name.encode())
    entry["shape"] = np.array(layer.output_shape, np.int64)
    if always or layer.neuron != INTEGRATOR:
        _write_neuron(entry, layer.neuron, layer.output_shape)
    if layer.bias.any():
        check_bias(f"layer {layer.name}: the bias", layer.bias, layer.neuron)
        entry["bias"] = _in_lavas_order(layer.bias, layer.output_shape)


def _write_neuron(entry: h5py.Group, neuron: Neuron, shape: Shape) -> None:
    _NEURONS[type(neuron)](entry.create_group("neuron"), neuron, shape)


def _write_cuba(group: h5py.Group, neuron: CubaNeuron, shape: Shape) -> None:
    group["type"] = np.bytes_("CUBA")
    for key, values in zip(NEURON_KEYS, neuron.arrays, strict=True):
        group[key] = _in_lavas_order(values, shape) if values.ndim else values[()]


def _write_sigma_delta(group: h5py.Group, neuron: DeltaNeuron | SigmaDeltaNeuron, _: Shape) -> None:
    group["type"] = np.bytes_("SDNN")
    group["activation"] = np.bytes_("relu")
    group["vThMant"] = np.int64(neuron.threshold)


def _write_sigma(group: h5py.Group, _: SigmaNeuron, __: Shape) -> None:
    group["type"] = np.bytes_("SDNN")
    group["sigma_output"] = np.True_


_NEURONS: dict[type[Neuron], Callable[[h5py.Group, Any, Shape], None]] = {
    CubaNeuron: _write_cuba,
    DeltaNeuron: _write_sigma_delta,
    SigmaDeltaNeuron: _write_sigma_delta,
    SigmaNeuron: _write_sigma,
}


def _in_lavas_order(values: IntArray, shape: Shape) -> IntArray:
    """Return one value for each neuron as Lava sees them: maps as (W, H, C)."""
    return np.ascontiguousarray(values.reshape(shape).transpose())


def _write_synapses(entry: h5py.Group, name: str, synapses: Synapses) -> None:
    entry["weight"] = _compact(synapses.weight)
    _SYNAPSES[type(synapses)](entry, name, synapses)


def _write_conv(entry: h5py.Group, name: str, synapses: ConvSynapses) -> None:
    geometry = synapses.geometry
    check_geometry(name, geometry)
    for key in ("stride", "padding", "dilation"):
        entry[key] = np.array(getattr(geometry, key), np.int64)
    entry["groups"] = np.int64(geometry.groups)


def _write_dense(entry: h5py.Group, name: str, synapses: DenseSynapses) -> None:
    check_storage(name, synapses.weight)
    if synapses.delay is not None:
        entry["delay"] = synapses.delay


_SYNAPSES: dict[type[Synapses], Callable[[h5py.Group, str, Any], None]] = {
    ConvSynapses: _write_conv,
    DenseSynapses: _write_dense,
}


def _write_recurrent(entry: h5py.Group, layer: Layer) -> None:
    """Write dense synapses from outside and among the neurons."""
    synapses = layer.synapses
    (own,) = layer.own
    if synapses.longest_delay:
        raise UnsupportedLayerError(
            f"layer {layer.name}: delays in dense_rec, with which Lava fails or computes "
            "other weights"
        )
    check_recurrent_storage(layer.name, synapses.weight, own.synapses.weight)
    entry["weight"] = _compact(synapses.weight)
    entry["weight_rec"] = _compact(own.synapses.weight)


def _compact(values: IntArray) -> NDArray[np.signedinteger[Any]]:
    """Return the values in the narrowest integer type that holds them."""
    for kind in (np.int8, np.int16, np.int32):
        if np.array_equal(values.astype(kind), values):
            return values.astype(kind)
    return values
