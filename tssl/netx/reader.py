"""Reading ``.net`` files, ours and those of others."""

import json
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tssl.chip import (
    INPUT,
    INTEGRATOR,
    ChipNetwork,
    Connection,
    Encoding,
    InputLayer,
    IntArray,
    Layer,
    Neuron,
    ReadOut,
    dense_layer,
    read_out_of,
)
from tssl.errors import NetFileError, RangeError, UnsupportedLayerError
from tssl.geometry import Shape
from tssl.machine.files import printable
from tssl.netx import hdf5
from tssl.netx.entries import EntryReader, name_of
from tssl.netx.graphs import graph_layer
from tssl.netx.rules import (
    ATTRIBUTE,
    CONNECTION,
    FORMAT_VERSION,
    GRAPH,
    SEAL,
    UNREADABLE,
    check_messages_heard,
    check_recurrent_storage,
    check_storage,
    full_delay,
    is_graph,
    seal,
)

_READ_OUT = "average"  # lava-dl writes it last, as a note to itself, and cannot load it
_DAMAGE = (RangeError, *hdf5.DAMAGE)


def read(path: Path) -> ChipNetwork:
    """Read any ``.net`` file of CUBA and sigma-delta layers that lava-dl 0.6.0 runs.

    Raises
    ------
    NetFileError
        When the file is missing, not HDF5, or lacks or misuses a key, or when what tssl
        wrote or proved is not what is in it.
    UnsupportedLayerError
        When a layer is of a kind that Lava cannot load, or would load with other weights.
    """
    with _opened(path) as (content, file):
        document = _own_attribute(path, file)
        network = _network(path, content, file, document)
        _check_unaltered(path, file, document, network)
        return network


def read_notes(path: Path) -> dict[str, Any]:
    """Return the notes stored with a network, empty for files of others."""
    with _opened(path) as (_, file):
        notes = _own_attribute(path, file).get("notes", {})
    return notes if isinstance(notes, dict) else {}


def loadable_layers(path: Path) -> int | None:
    """Return how many entries of a file lava-dl can load; None when it can load all.

    Raises
    ------
    NetFileError
        When the file cannot be read.
    """
    with _opened(path) as (content, file):
        entries = _entries(path, file)
        kind = content.text(hdf5.member(entries[-1], "type"))
    return len(entries) - 1 if kind == _READ_OUT else None


def _opened(path: Path) -> AbstractContextManager[tuple[hdf5.Content, h5py.File]]:
    return hdf5.opened(path, ".net", NetFileError)


def _own_attribute(path: Path, file: h5py.File) -> dict[str, Any]:
    try:
        text = hdf5.text_attribute(file, ATTRIBUTE)
        if text is None:
            return {}
        document = json.loads(text)
        json.dumps(document, ensure_ascii=False).encode()  # half a character cannot be printed
        version = document["format_version"]
    except _DAMAGE as error:  # RecursionError is a RuntimeError
        raise NetFileError(f"{path}: attribute '{ATTRIBUTE}' is damaged: {error}") from error
    if version != FORMAT_VERSION:
        shown = " ".join(str(version).split())
        raise NetFileError(
            f"{path}: format_version = {shown:.40}; this tssl reads {FORMAT_VERSION}; export again"
        )
    return dict(document)


def _network(
    path: Path, content: hdf5.Content, file: h5py.File, document: dict[str, Any]
) -> ChipNetwork:
    encoding, time_steps, read_out = _own_settings(path, document)
    where = "layer"
    try:
        reader = _LayerReader(path, content)
        entries = _entries(path, file)
        for position, entry in enumerate(entries):
            where = f"layer/{position}"
            reader.add(position, entry, last=position == len(entries) - 1)
        where = "layer"
        network = ChipNetwork(
            name=str(document.get("name", printable(path.stem))),
            input=reader.input_layer(),
            layers=tuple(reader.layers),
            encoding=encoding,
            time_steps=time_steps,
            read_out=read_out,
        )
        if any(hdf5.member(entry, CONNECTION) is not None for entry in entries):
            _check_form(network)
        check_messages_heard(network)
        return network
    except UnsupportedLayerError as error:
        raise UnsupportedLayerError(f"{path}: {error}") from error
    except _DAMAGE as error:
        raise NetFileError(f"{path}: key '{where}' cannot be understood: {error}") from error


def _check_form(network: ChipNetwork) -> None:
    """Refuse a chain that lists its connections: Lava runs it by its other form, or not at all."""
    if not is_graph(network):
        raise UnsupportedLayerError(
            "lists the connections of layers that are a chain; store it in the form of lava-dl"
        )


def _own_settings(
    path: Path, document: dict[str, Any]
) -> tuple[Encoding | None, int | None, ReadOut]:
    """Return encoding and time steps, each None when the file does not say, and the read-out."""
    encoding, time_steps = document.get("encoding"), document.get("time_steps")
    try:
        if encoding is not None:
            encoding = Encoding(**encoding)
        if time_steps is not None and (type(time_steps) is not int or time_steps < 1):
            raise ValueError(f"time_steps = {time_steps!r:.40}")
        read_out = read_out_of(document.get("read_out"))
    except (AttributeError, LookupError, TypeError, ValueError, RangeError) as error:
        raise NetFileError(f"{path}: attribute '{ATTRIBUTE}' is damaged: {error}") from error
    return encoding, time_steps, read_out


def _check_unaltered(
    path: Path, file: h5py.File, document: dict[str, Any], network: ChipNetwork
) -> None:
    """Refuse a network other than the one written, or other than the one proven."""
    try:
        stored, text = (hdf5.text_attribute(file, name) for name in (SEAL, ATTRIBUTE))
        notes = document.get("notes")
        proof = notes.get("proof") if isinstance(notes, dict) else None
        proven = proof.get("digest") if isinstance(proof, dict) else None
    except _DAMAGE as error:
        raise NetFileError(f"{path}: attribute '{SEAL}' is damaged: {error}") from error
    if stored is not None and stored != seal(text or "", network.digest):
        raise NetFileError(
            f"{path}: was altered after tssl wrote it; export again, or remove its attributes "
            f"'{ATTRIBUTE}' and '{SEAL}' to have it read like a file of others"
        )
    if proven is not None and proven != network.digest:
        raise NetFileError(f"{path}: the proof in it is of another network; export again")


def _entries(path: Path, file: h5py.File) -> list[h5py.Group]:
    layers = hdf5.member(file, "layer")
    if not isinstance(layers, h5py.Group) or not len(layers):
        raise NetFileError(f"{path}: has no key 'layer'; it is not a netx network")
    entries = [hdf5.member(layers, str(position)) for position in range(len(layers))]
    for position, entry in enumerate(entries):
        if not isinstance(entry, h5py.Group):
            raise NetFileError(f"{path}: key 'layer/{position}' is missing")
    return entries


class _LayerReader(EntryReader):
    """Builds layers entry by entry; knows the shape that the next one of a chain sees."""

    def __init__(self, path: Path, content: hdf5.Content) -> None:
        super().__init__(path, content)
        self.layers: list[Layer] = []
        self._shape: Shape | None = None
        self._input: InputLayer | None = None

    def add(self, position: int, entry: h5py.Group, *, last: bool) -> None:
        """Read one entry of the file."""
        kind = self.text(entry, "type")
        if kind == _READ_OUT and last and self.layers:
            return
        if kind == "input" and position:
            raise UnsupportedLayerError(f"layer/{position}: an input behind other layers")
        if kind == "flatten":
            self._shape = None if self._shape is None else (math.prod(self._shape),)
        elif kind == "input":
            self._add_input(entry)
        elif kind in _READERS:
            self._add_layer(kind, entry)
        elif kind == GRAPH and CONNECTION in entry:
            self._keep(entry, graph_layer(self, entry, f"layer{len(self.layers) + 1}"))
        else:
            known = ", ".join(["input", "flatten", *_READERS])
            also = " (netx names it, but Lava cannot load it)" if kind in UNREADABLE else ""
            raise UnsupportedLayerError(
                f"layer/{position}: type '{kind}' is not supported{also}; supported: {known}"
            )

    def input_layer(self) -> InputLayer:
        """Return the input of the network, derived from the first layer when not stored."""
        if self._input is not None or not self.layers:
            return self._input or InputLayer(shape=(1,))
        return InputLayer(shape=self.layers[0].synapses.input_shape)

    def _add_input(self, entry: h5py.Group) -> None:
        self._shape = tuple(int(size) for size in np.atleast_1d(self.array(entry, "shape")))
        neuron = self.neuron(entry, self._shape, "input") if "neuron" in entry else None
        self._input = InputLayer(shape=self._shape, neuron=neuron)
        self._content.take(self._input.neurons)

    def _add_layer(self, kind: str, entry: h5py.Group) -> None:
        fallback = f"{kind}{len(self.layers) + 1}"
        fields: dict[str, Any] = {
            "name": name_of(entry, fallback),
            "source": self.layers[-1].name if self.layers else INPUT,
            "neuron": INTEGRATOR,
        }
        if "neuron" in entry or kind == "conv":
            stored = tuple(self.array(entry, "shape").reshape(-1).tolist())
            shape = stored if kind == "conv" else (math.prod(stored),)
            fields["neuron"] = self.neuron(entry, shape)
        fields["weight"] = self.weight(entry, "weight", fields["name"])
        self._keep(entry, _READERS[kind](self, entry, fields))

    def _keep(self, entry: h5py.Group, layer: Layer) -> None:
        self._check_shape(entry, layer)
        self._content.take(layer.neurons)
        self.layers.append(layer)
        self._shape = layer.output_shape

    def dense(self, entry: h5py.Group, fields: dict[str, Any]) -> Layer:
        """Read a dense layer."""
        self._check_flat(fields["name"])
        fields["weight"] = weight = self._matrix(entry, fields["weight"])
        check_storage(fields["name"], weight)
        if "delay" in entry:
            fields["delay"] = full_delay(self.array(entry, "delay"), weight, fields["name"])
        return dense_layer(bias=self._bias(entry, len(weight), fields["neuron"]), **fields)

    def recurrent(self, entry: h5py.Group, fields: dict[str, Any]) -> Layer:
        """Read a dense layer with recurrent synapses."""
        if "delay" in entry:
            raise UnsupportedLayerError(
                f"layer {fields['name']}: delays in dense_rec, with which Lava fails or "
                "computes other weights"
            )
        self._check_flat(fields["name"])
        fields["weight"] = weight = self._matrix(entry, fields["weight"])
        own = self.weight(entry, "weight_rec", fields["name"]).reshape(len(weight), -1)
        check_recurrent_storage(fields["name"], weight, own)
        return dense_layer(
            recurrent_weight=own, bias=self._bias(entry, len(weight), fields["neuron"]), **fields
        )

    def conv(self, entry: h5py.Group, fields: dict[str, Any]) -> Layer:
        """Read a convolution."""
        if "delay" in entry and self.array(entry, "delay").any():
            raise UnsupportedLayerError(
                f"layer {fields['name']}: delays of a convolution; Lava silently drops them"
            )
        if self._shape is None or len(self._shape) != 3:
            raise UnsupportedLayerError(
                f"layer {fields['name']}: a convolution needs an input of shape (C, H, W), "
                f"not {self._shape}"
            )
        channels, height, width = self._shape
        synapses = self.convolution(
            entry, fields["name"], fields.pop("weight"), (channels, height, width)
        )
        return Layer(
            connections=(Connection(source=fields.pop("source"), synapses=synapses),),
            bias=self._conv_bias(entry, len(synapses.weight), fields["neuron"]),
            **fields,
        )

    def _check_flat(self, name: str) -> None:
        """Refuse what Lava cannot connect; what only names the input's shape, it ignores."""
        connected = self.layers or (self._input is not None and self._input.neuron is not None)
        if connected and self._shape is not None and len(self._shape) > 1:
            raise UnsupportedLayerError(
                f"layer {name}: needs a flatten between it and maps of shape {self._shape}"
            )

    def _check_shape(self, entry: h5py.Group, layer: Layer) -> None:
        stored = tuple(int(size) for size in np.atleast_1d(self.array(entry, "shape")))
        if len(layer.output_shape) == 1:
            stored = (math.prod(stored),)
        if stored != layer.output_shape:
            raise NetFileError(
                f"{self.path}: key '{entry.name}/shape' is {stored}, "
                f"but the layer computes {layer.output_shape}"
            )

    def _matrix(self, entry: h5py.Group, weight: IntArray) -> IntArray:
        if weight.ndim == 1:
            return weight.reshape(math.prod(self.array(entry, "shape").flat), -1)
        return weight

    def _bias(self, entry: h5py.Group, neurons: int, neuron: Neuron) -> IntArray:
        if "bias" not in entry:
            return np.zeros((), np.int64)
        bias = self.stored_bias(entry, neuron)
        if math.prod(bias.shape[:-1]) != 1 or bias.size not in (1, neurons):
            raise self._misshapen_bias(entry, bias, f"a scalar, (1,) or ({neurons},)")
        return np.broadcast_to(bias.reshape(-1), (neurons,))

    def _conv_bias(self, entry: h5py.Group, channels: int, neuron: Neuron) -> IntArray:
        if "bias" not in entry:
            return np.zeros((), np.int64)
        bias = self.stored_bias(entry, neuron)
        if bias.ndim == 3:
            return bias.transpose().reshape(-1)
        if bias.shape != (channels,):
            raise self._misshapen_bias(entry, bias, "(C,) or (W, H, C)")
        return bias

    def _misshapen_bias(self, entry: h5py.Group, bias: IntArray, known: str) -> Exception:
        return UnsupportedLayerError(
            f"key '{entry.name}/bias' is of shape {bias.shape}; Lava takes {known}"
        )


_READERS: dict[str, Callable[[_LayerReader, h5py.Group, dict[str, Any]], Layer]] = {
    "conv": _LayerReader.conv,
    "dense": _LayerReader.dense,
    "dense_rec": _LayerReader.recurrent,
}
