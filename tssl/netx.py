"""The ``.net`` file: HDF5 as lava-dl's netx reads it. All netx key names are in this file.

Layout (``i`` counts the entries of a chain)::

    /layer/<i>/type      input | flatten | conv | dense | dense_rec
    /layer/<i>/shape     of one step of output, (C, H, W) or (neurons,)
    /layer/<i>/neuron/   type = CUBA, iDecay, vDecay, vThMant  (whole numbers, or Lava hangs)
    /layer/<i>/weight, bias, delay, weight_rec, stride, padding, dilation, groups

What only this project needs is in attributes, which lava-dl ignores: ``tssl`` of the root (a
JSON document: name, encoding, time steps, notes) and ``name`` of a layer.
"""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from tssl.chip import (
    INPUT,
    INTEGRATOR,
    ChipNetwork,
    ConvLayer,
    CubaNeuron,
    DenseLayer,
    Encoding,
    InputLayer,
    IntArray,
    Layer,
    Pair,
    RecurrentLayer,
    Shape,
    storage_problem,
)
from tssl.errors import NetFileError, RangeError, UnsupportedLayerError
from tssl.files import written

__all__ = ["FORMAT_VERSION", "read", "read_notes", "write"]

FORMAT_VERSION = 1
_ATTRIBUTE = "tssl"
_NAME = "name"
_NEURON_TYPES = ("CUBA", "LOIHI")
_UNREADABLE = ("pool", "unpool", "convT", "average", "concat", "dense_comp")
_LARGEST_GEOMETRY = 127  # Lava keeps kernel, stride, padding, dilation and groups in int8
_BIAS_LIMIT = 1 << 15  # and the bias mantissa in int16
_LONGEST_DELAY = 62  # lava-dl clamps longer ones
_NEURON_LIMIT = 1 << 25  # times 2**6, they must fit Lava's int32
_INT64 = float(1 << 63)
_DAMAGE = (  # what h5py and numpy raise on damaged files, beside what we refuse ourselves
    RangeError,
    TypeError,
    ValueError,
    AttributeError,
    OSError,
    KeyError,
    RuntimeError,
    OverflowError,
    MemoryError,
)

Config = Mapping[str, Any]


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
    with h5py.File(buffer, "w") as file:
        file.attrs[_ATTRIBUTE] = json.dumps(_own_document(network, notes or {}), sort_keys=True)
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


def read(path: Path) -> ChipNetwork:
    """Read any ``.net`` file of CUBA layers that lava-dl 0.6.0 runs.

    Raises
    ------
    NetFileError
        When the file is missing, not HDF5, or lacks or misuses a key.
    UnsupportedLayerError
        When a layer is of a kind that Lava cannot load, or would load with other weights.
    """
    with _opened(path) as file:
        document = _own_attribute(path, file)
        return _network(path, file, document)


def read_notes(path: Path) -> dict[str, Any]:
    """Return the notes stored with a network, empty for files of others."""
    with _opened(path) as file:
        notes = _own_attribute(path, file).get("notes", {})
    return notes if isinstance(notes, dict) else {}


# --- writing ---------------------------------------------------------------------------


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
        _write_neuron(entry, layer.neuron)


def _write_layer(entries: h5py.Group, layer: Layer) -> None:
    kind, _ = _KINDS_BY_CLASS[type(layer)]
    entry = _next_entry(entries, kind)
    entry.attrs[_NAME] = layer.name
    entry["shape"] = np.array(layer.output_shape, np.int64)
    entry["weight"] = _compact(layer.weight)
    if layer.neuron != INTEGRATOR or isinstance(layer, ConvLayer):
        _write_neuron(entry, layer.neuron)
    if layer.bias.any():
        _check_bias(f"layer {layer.name}: the bias", layer.bias)
        entry["bias"] = _bias_as_stored(layer)
    _KINDS_BY_CLASS[type(layer)][1](entry, layer)


def _write_neuron(entry: h5py.Group, neuron: CubaNeuron) -> None:
    group = entry.create_group("neuron")
    group["type"] = np.bytes_("CUBA")
    group["iDecay"] = np.int64(neuron.current_decay)
    group["vDecay"] = np.int64(neuron.voltage_decay)
    group["vThMant"] = np.int64(neuron.threshold)


def _bias_as_stored(layer: Layer) -> IntArray:
    bias = np.broadcast_to(layer.bias, (layer.neurons,))
    if isinstance(layer, ConvLayer):  # the one place where Lava's (W, H, C) order is written
        return np.ascontiguousarray(bias.reshape(layer.output_shape).transpose(2, 1, 0))
    return np.ascontiguousarray(bias)


def _write_dense(entry: h5py.Group, layer: DenseLayer) -> None:
    _check_storage(layer.name, layer.weight)
    if layer.delay is not None:
        entry["delay"] = layer.delay


def _write_recurrent(entry: h5py.Group, layer: RecurrentLayer) -> None:
    _check_recurrent_storage(layer.name, layer.weight, layer.recurrent_weight)
    entry["weight_rec"] = _compact(layer.recurrent_weight)


def _write_conv(entry: h5py.Group, layer: ConvLayer) -> None:
    _check_geometry(layer)
    for key in ("stride", "padding", "dilation"):
        entry[key] = np.array(getattr(layer, key), np.int64)
    entry["groups"] = np.int64(layer.groups)


def _compact(values: IntArray) -> NDArray[np.signedinteger[Any]]:
    """Return the values in the narrowest integer type that holds them."""
    for kind in (np.int8, np.int16, np.int32):
        if np.array_equal(values.astype(kind), values):
            return values.astype(kind)
    return values


# --- reading ---------------------------------------------------------------------------


def _opened(path: Path) -> h5py.File:
    """Open from memory, so that no lock stays on the file."""
    try:
        return h5py.File(io.BytesIO(path.read_bytes()), "r")
    except OSError as error:
        reason = error.strerror or "is not an HDF5 file"
        raise NetFileError(f"{path}: cannot be read as a .net file: {reason}") from error


def _own_attribute(path: Path, file: h5py.File) -> dict[str, Any]:
    try:
        if _ATTRIBUTE not in file.attrs:
            return {}
        document = json.loads(file.attrs[_ATTRIBUTE])
        version = document["format_version"]
    except _DAMAGE as error:  # RecursionError is a RuntimeError
        raise NetFileError(f"{path}: attribute '{_ATTRIBUTE}' is damaged: {error}") from error
    if version != FORMAT_VERSION:
        raise NetFileError(
            f"{path}: format_version = {version}; this tssl reads {FORMAT_VERSION}; export again"
        )
    return dict(document)


def _network(path: Path, file: h5py.File, document: dict[str, Any]) -> ChipNetwork:
    encoding, time_steps = _own_settings(path, document)
    where = "layer"
    try:
        reader = _ChainReader(path)
        for position, entry in enumerate(_entries(path, file)):
            where = f"layer/{position}"
            reader.add(position, entry)
        where = "layer"
        return ChipNetwork(
            name=str(document.get("name", path.stem)),
            input=reader.input_layer(),
            layers=tuple(reader.layers),
            encoding=encoding,
            time_steps=time_steps,
        )
    except UnsupportedLayerError as error:
        raise UnsupportedLayerError(f"{path}: {error}") from error
    except _DAMAGE as error:
        raise NetFileError(f"{path}: key '{where}' cannot be understood: {error}") from error


def _own_settings(path: Path, document: dict[str, Any]) -> tuple[Encoding | None, int | None]:
    """Return encoding and time steps, each None when the file does not say."""
    encoding, time_steps = document.get("encoding"), document.get("time_steps")
    try:
        if encoding is not None:
            encoding = Encoding(**encoding)
            if not np.isfinite([encoding.offset, encoding.gain, encoding.quantum]).all():
                raise ValueError(f"encoding = {encoding}")
        if time_steps is not None and (type(time_steps) is not int or time_steps < 1):
            raise ValueError(f"time_steps = {time_steps!r}")
    except (TypeError, ValueError) as error:
        raise NetFileError(f"{path}: attribute '{_ATTRIBUTE}' is damaged: {error}") from error
    return encoding, time_steps


def _entries(path: Path, file: h5py.File) -> list[h5py.Group]:
    layers = file.get("layer")
    if not isinstance(layers, h5py.Group) or not len(layers):
        raise NetFileError(f"{path}: has no key 'layer'; it is not a netx network")
    entries = [layers.get(str(position)) for position in range(len(layers))]
    for position, entry in enumerate(entries):
        if not isinstance(entry, h5py.Group):
            raise NetFileError(f"{path}: key 'layer/{position}' is missing; found {list(layers)}")
    return entries


class _ChainReader:
    """Builds layers entry by entry; knows the shape that the next one sees."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.layers: list[Layer] = []
        self._shape: Shape | None = None
        self._input: InputLayer | None = None

    def add(self, position: int, entry: h5py.Group) -> None:
        """Read one entry of the file."""
        kind = self._text(entry, "type")
        if kind == "input" and position:
            raise UnsupportedLayerError(f"layer/{position}: an input behind other layers")
        if kind == "flatten":
            self._shape = None if self._shape is None else (int(np.prod(self._shape)),)
        elif kind == "input":
            self._add_input(entry)
        elif kind in _READERS:
            self._add_layer(kind, entry)
        else:
            known = ", ".join(["input", "flatten", *_READERS])
            also = " (netx names it, but Lava cannot load it)" if kind in _UNREADABLE else ""
            raise UnsupportedLayerError(
                f"layer/{position}: type '{kind}' is not supported{also}; supported: {known}"
            )

    def input_layer(self) -> InputLayer:
        """Return the input of the network, derived from the first layer when not stored."""
        if self._input is not None or not self.layers:
            return self._input or InputLayer(shape=(1,))
        return InputLayer(shape=self.layers[0].input_shape)

    def _add_input(self, entry: h5py.Group) -> None:
        self._shape = tuple(int(size) for size in np.atleast_1d(self._array(entry, "shape")))
        neuron = self._neuron(entry) if "neuron" in entry else None
        self._input = InputLayer(shape=self._shape, neuron=neuron)

    def _add_layer(self, kind: str, entry: h5py.Group) -> None:
        fallback = f"{kind}{len(self.layers) + 1}"
        fields: dict[str, Any] = {
            "name": str(entry.attrs.get(_NAME, fallback)),
            "source": self.layers[-1].name if self.layers else INPUT,
            "neuron": self._neuron(entry) if "neuron" in entry or kind == "conv" else INTEGRATOR,
            "weight": self._array(entry, "weight"),
        }
        layer = _READERS[kind](self, entry, fields)
        self._check_shape(entry, layer)
        self.layers.append(layer)
        self._shape = layer.output_shape

    def dense(self, entry: h5py.Group, fields: dict[str, Any]) -> Layer:
        """Read a dense layer."""
        self._check_flat(fields["name"])
        fields["weight"] = weight = self._matrix(entry, fields["weight"])
        _check_storage(fields["name"], weight)
        if "delay" in entry:
            fields["delay"] = _full_delay(self._array(entry, "delay"), weight, fields["name"])
        return DenseLayer(bias=self._bias(entry, len(weight)), **fields)

    def recurrent(self, entry: h5py.Group, fields: dict[str, Any]) -> Layer:
        """Read a dense layer with recurrent synapses."""
        if "delay" in entry:
            raise UnsupportedLayerError(
                f"layer {fields['name']}: delays in dense_rec; Lava computes other weights then"
            )
        self._check_flat(fields["name"])
        fields["weight"] = weight = self._matrix(entry, fields["weight"])
        own = self._array(entry, "weight_rec").reshape(len(weight), -1)
        _check_recurrent_storage(fields["name"], weight, own)
        return RecurrentLayer(recurrent_weight=own, bias=self._bias(entry, len(weight)), **fields)

    def conv(self, entry: h5py.Group, fields: dict[str, Any]) -> Layer:
        """Read a convolution."""
        if "delay" in entry and self._array(entry, "delay").any():
            raise UnsupportedLayerError(
                f"layer {fields['name']}: delays of a convolution; Lava silently drops them"
            )
        if self._shape is None or len(self._shape) != 3:
            raise UnsupportedLayerError(
                f"layer {fields['name']}: a convolution needs an input of shape (C, H, W), "
                f"not {self._shape}"
            )
        weight = fields.pop("weight")
        layer = ConvLayer(
            weight=_kernels(fields["name"], weight),
            map_shape=(self._shape[0], self._shape[1], self._shape[2]),
            stride=self._pair(entry, "stride"),
            padding=self._pair(entry, "padding"),
            dilation=self._pair(entry, "dilation"),
            groups=int(self._array(entry, "groups").item()),
            bias=self._conv_bias(entry),
            **fields,
        )
        _check_geometry(layer)
        return layer

    def _check_flat(self, name: str) -> None:
        """Refuse what Lava cannot connect; what only names the input's shape, it ignores."""
        connected = self.layers or (self._input is not None and self._input.neuron is not None)
        if connected and self._shape is not None and len(self._shape) > 1:
            raise UnsupportedLayerError(
                f"layer {name}: needs a flatten between it and maps of shape {self._shape}"
            )

    def _check_shape(self, entry: h5py.Group, layer: Layer) -> None:
        stored = tuple(int(size) for size in np.atleast_1d(self._array(entry, "shape")))
        if not isinstance(layer, ConvLayer):
            stored = (int(np.prod(stored)),)
        if stored != layer.output_shape:
            raise NetFileError(
                f"{self.path}: key '{entry.name}/shape' is {stored}, "
                f"but the layer computes {layer.output_shape}"
            )

    def _matrix(self, entry: h5py.Group, weight: IntArray) -> IntArray:
        if weight.ndim == 1:
            return weight.reshape(int(np.prod(self._array(entry, "shape"))), -1)
        return weight

    def _neuron(self, entry: h5py.Group) -> CubaNeuron:
        group = entry.get("neuron")
        if not isinstance(group, h5py.Group):
            raise NetFileError(f"{self.path}: key '{entry.name}/neuron' is missing")
        kind = self._text(group, "type")
        if kind not in _NEURON_TYPES:
            raise UnsupportedLayerError(
                f"{entry.name}: neuron type '{kind}'; supported: {', '.join(_NEURON_TYPES)}"
            )
        if "messageBits" in group:
            raise UnsupportedLayerError(f"{entry.name}: messageBits, on which Lava fails to load")
        return CubaNeuron(
            current_decay=self._whole_number(group, "iDecay"),
            voltage_decay=self._whole_number(group, "vDecay"),
            threshold=self._whole_number(group, "vThMant"),
        )

    def _whole_number(self, group: h5py.Group, key: str) -> int:
        value = np.asarray(self._dataset(group, key))
        whole = value.dtype.kind in "iu" and value.size == 1
        if not whole or abs(int(value.item())) >= _NEURON_LIMIT:
            raise NetFileError(
                f"{self.path}: key '{group.name}/{key}' is {value.tolist()}; "
                "it must be one integer of 26 bits (Lava hangs on others)"
            )
        return int(value.item())

    def _bias(self, entry: h5py.Group, neurons: int) -> IntArray:
        if "bias" not in entry:
            return np.zeros((), np.int64)
        bias = self._stored_bias(entry).reshape(-1)
        return np.repeat(bias, neurons) if bias.size == 1 else bias

    def _conv_bias(self, entry: h5py.Group) -> IntArray:
        if "bias" not in entry:
            return np.zeros((), np.int64)
        bias = self._stored_bias(entry)
        return bias.transpose(2, 1, 0).reshape(-1) if bias.ndim == 3 else bias

    def _stored_bias(self, entry: h5py.Group) -> IntArray:
        bias = self._array(entry, "bias")
        _check_bias(f"key '{entry.name}/bias'", bias)
        return bias

    def _pair(self, entry: h5py.Group, key: str) -> Pair:
        values = self._array(entry, key)
        if values.size not in (1, 2):
            raise NetFileError(
                f"{self.path}: key '{entry.name}/{key}' is {values.tolist()}; "
                "one number or (height, width) is expected"
            )
        height, width = np.broadcast_to(values.reshape(-1), (2,))
        return int(height), int(width)

    def _array(self, entry: h5py.Group, key: str) -> IntArray:
        """Return numbers, cut toward zero to integers as lava-dl does."""
        values = np.asarray(self._dataset(entry, key))
        if values.dtype.kind not in "iufb" or not np.isfinite(values).all() or not values.size:
            raise NetFileError(f"{self.path}: key '{entry.name}/{key}' holds no finite numbers")
        if values.dtype.kind != "b" and not -_INT64 < float(values.min()) <= values.max() < _INT64:
            raise NetFileError(f"{self.path}: key '{entry.name}/{key}' exceeds 64 bits")
        return np.trunc(values).astype(np.int64)

    def _text(self, entry: h5py.Group, key: str) -> str:
        value = self._dataset(entry, key)
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.item()
        if not isinstance(value, bytes | str):
            raise NetFileError(f"{self.path}: key '{entry.name}/{key}' is not a text")
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

    def _dataset(self, entry: h5py.Group, key: str) -> Any:  # noqa: ANN401 - as HDF5 holds it
        dataset = entry.get(key)
        if not isinstance(dataset, h5py.Dataset):
            raise NetFileError(f"{self.path}: key '{entry.name}/{key}' is missing")
        return dataset[()]


def _full_delay(delay: IntArray, weight: IntArray, name: str) -> IntArray:
    """Return one delay per synapse, from one, one per output, per input or per synapse."""
    delay = np.clip(delay, 0, _LONGEST_DELAY)
    if delay.ndim == 1 and delay.size == weight.shape[0]:
        delay = delay[:, None]
    if delay.ndim > 2 or (delay.ndim == 1 and delay.size not in (1, weight.shape[1])):
        raise UnsupportedLayerError(
            f"layer {name}: delays of shape {delay.shape} for weights {weight.shape}"
        )
    return np.broadcast_to(delay, weight.shape)


def _kernels(name: str, weight: IntArray) -> IntArray:
    """Return convolution weights without the fifth axis of length one that slayer writes."""
    if weight.ndim == 5 and weight.shape[4] == 1:
        return weight[..., 0]
    if weight.ndim != 4:
        raise UnsupportedLayerError(
            f"layer {name}: weights of shape {weight.shape}; expected (O, I / groups, kh, kw)"
        )
    return weight


def _check_bias(what: str, bias: IntArray) -> None:
    if not -_BIAS_LIMIT <= bias.min() <= bias.max() < _BIAS_LIMIT:
        raise UnsupportedLayerError(
            f"{what} spans {bias.min()}..{bias.max()}; Lava keeps biases in 16 bits"
        )


def _check_storage(name: str, weight: IntArray) -> None:
    problem = storage_problem(weight)
    if problem is not None:
        raise UnsupportedLayerError(f"layer {name}: the weight matrix {problem}")


def _check_recurrent_storage(name: str, weight: IntArray, own: IntArray) -> None:
    """Accept only what survives for certain: both halves with both signs, within range."""
    for half in (weight, own):
        _check_storage(name, half)
        if not half.min() < 0 < half.max():
            raise UnsupportedLayerError(
                f"layer {name}: input and recurrent weights of dense_rec must both have "
                "positive and negative entries, or Lava may alter them"
            )


def _check_geometry(layer: ConvLayer) -> None:
    numbers = [*layer.weight.shape[2:], *layer.stride, *layer.padding, *layer.dilation]
    if max(*numbers, layer.groups) > _LARGEST_GEOMETRY:
        raise UnsupportedLayerError(
            f"layer {layer.name}: kernel, stride, padding, dilation or groups above "
            f"{_LARGEST_GEOMETRY}, which Lava cannot hold"
        )


_READERS: dict[str, Callable[[_ChainReader, h5py.Group, dict[str, Any]], Layer]] = {
    "conv": _ChainReader.conv,
    "dense": _ChainReader.dense,
    "dense_rec": _ChainReader.recurrent,
}
_KINDS_BY_CLASS: dict[type[Layer], tuple[str, Callable[..., None]]] = {
    ConvLayer: ("conv", _write_conv),
    DenseLayer: ("dense", _write_dense),
    RecurrentLayer: ("dense_rec", _write_recurrent),
}
