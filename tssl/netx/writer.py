"""Writing ``.net`` files."""

import io
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from tssl.chip import (
    INTEGRATOR,
    ChipNetwork,
    ConvLayer,
    CubaNeuron,
    DenseLayer,
    InputLayer,
    IntArray,
    Layer,
    RecurrentLayer,
    Shape,
)
from tssl.errors import UnsupportedLayerError
from tssl.files import written
from tssl.netx.rules import (
    ATTRIBUTE,
    FORMAT_VERSION,
    NAME,
    NEURON_KEYS,
    SEAL,
    check_bias,
    check_geometry,
    check_recurrent_storage,
    check_storage,
    seal,
)


def write(path: Path, network: ChipNetwork, notes: dict[str, Any] | None = None) -> None:
    """Write a network so that lava-dl's ``netx.hdf5.Network`` reads it.

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
    if not network.is_chain:
        raise UnsupportedLayerError(f"network {network.name}: a .net file holds only chains")
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver="v108") as file:  # from then on, its tables have checksums
        document = json.dumps(_own_document(network, notes or {}), sort_keys=True)
        file.attrs[ATTRIBUTE] = np.bytes_(document)
        file.attrs[SEAL] = np.bytes_(seal(document, network.digest))
        entries = file.create_group("layer")
        _write_input(_next_entry(entries, "input"), network.input)
        shape = network.input.shape
        for layer in network.layers:
            if not isinstance(layer, ConvLayer) and len(shape) > 1:
                _next_entry(entries, "flatten")
            elif isinstance(layer, ConvLayer) and layer.map_shape != shape:
                raise UnsupportedLayerError(
                    f"layer {layer.name}: reads {shape} as {layer.map_shape}, which a .net file "
                    "cannot say"
                )
            _write_layer(entries, layer)
            shape = layer.output_shape
    with written(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def _own_document(network: ChipNetwork, notes: dict[str, Any]) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "name": network.name,
        "encoding": None if network.encoding is None else asdict(network.encoding),
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


def _write_layer(entries: h5py.Group, layer: Layer) -> None:
    kind, _ = _KINDS_BY_CLASS[type(layer)]
    entry = _next_entry(entries, kind)
    entry.attrs[NAME] = np.bytes_(layer.name.encode())
    entry["shape"] = np.array(layer.output_shape, np.int64)
    entry["weight"] = _compact(layer.weight)
    if layer.neuron != INTEGRATOR or isinstance(layer, ConvLayer):
        _write_neuron(entry, layer.neuron, layer.output_shape)
    if layer.bias.any():
        check_bias(f"layer {layer.name}: the bias", layer.bias)
        entry["bias"] = _in_lavas_order(layer.bias, layer.output_shape)
    _KINDS_BY_CLASS[type(layer)][1](entry, layer)


def _write_neuron(entry: h5py.Group, neuron: CubaNeuron, shape: Shape) -> None:
    group = entry.create_group("neuron")
    group["type"] = np.bytes_("CUBA")
    for key, values in zip(NEURON_KEYS, neuron.arrays, strict=True):
        group[key] = _in_lavas_order(values, shape) if values.ndim else values[()]


def _in_lavas_order(values: IntArray, shape: Shape) -> IntArray:
    """Return one value for each neuron as Lava sees them: maps as (W, H, C)."""
    return np.ascontiguousarray(values.reshape(shape).transpose())


def _write_dense(entry: h5py.Group, layer: DenseLayer) -> None:
    check_storage(layer.name, layer.weight)
    if layer.delay is not None:
        entry["delay"] = layer.delay


def _write_recurrent(entry: h5py.Group, layer: RecurrentLayer) -> None:
    check_recurrent_storage(layer.name, layer.weight, layer.recurrent_weight)
    entry["weight_rec"] = _compact(layer.recurrent_weight)


def _write_conv(entry: h5py.Group, layer: ConvLayer) -> None:
    check_geometry(layer)
    for key in ("stride", "padding", "dilation"):
        entry[key] = np.array(getattr(layer, key), np.int64)
    entry["groups"] = np.int64(layer.groups)


def _compact(values: IntArray) -> NDArray[np.signedinteger[Any]]:
    """Return the values in the narrowest integer type that holds them."""
    for kind in (np.int8, np.int16, np.int32):
        if np.array_equal(values.astype(kind), values):
            return values.astype(kind)
    return values


_KINDS_BY_CLASS: dict[type[Layer], tuple[str, Callable[..., None]]] = {
    ConvLayer: ("conv", _write_conv),
    DenseLayer: ("dense", _write_dense),
    RecurrentLayer: ("dense_rec", _write_recurrent),
}
