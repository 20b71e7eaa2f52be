"""Entries of layers that list their connections, which only tssl reads."""

import math

import h5py
import numpy as np

from tssl.chip import (
    Connection,
    DenseSynapses,
    IntArray,
    Layer,
    Neuron,
    Synapses,
    named,
)
from tssl.errors import NetFileError, UnsupportedLayerError
from tssl.geometry import Shape
from tssl.netx import hdf5
from tssl.netx.entries import EntryReader, name_of
from tssl.netx.rules import (
    CONNECTION,
    MAP_SHAPE,
    SOURCE,
    check_storage,
    full_delay,
)


def graph_layer(reader: EntryReader, entry: h5py.Group, fallback: str) -> Layer:
    """Read a layer: its neurons, and each connection with the name of its source.

    Parameters
    ----------
    fallback
        Its name where the file gives none.

    Raises
    ------
    NetFileError, UnsupportedLayerError
        See :class:`EntryReader`; also when a connection is missing or of unknown type.
    """
    name = name_of(entry, fallback)
    shape = tuple(int(size) for size in np.atleast_1d(reader.array(entry, "shape")))
    neuron = reader.neuron(entry, shape)
    return Layer(
        name=name,
        connections=tuple(_connections(reader, entry, name)),
        neuron=neuron,
        bias=_bias(reader, entry, shape, neuron),
    )


def _connections(reader: EntryReader, entry: h5py.Group, name: str) -> list[Connection]:
    group = hdf5.member(entry, CONNECTION)
    if not isinstance(group, h5py.Group):
        raise NetFileError(f"{reader.path}: key '{entry.name}/{CONNECTION}' is missing")
    connections = []
    for number in range(len(group)):
        each = hdf5.member(group, str(number))
        if not isinstance(each, h5py.Group):
            raise NetFileError(f"{reader.path}: key '{group.name}/{number}' is missing")
        source = hdf5.text_attribute(each, SOURCE)
        if source is None:
            raise NetFileError(f"{reader.path}: '{each.name}' has no attribute '{SOURCE}'")
        connections.append(Connection(source=source, synapses=_synapses(reader, each, name)))
    return connections


def _synapses(reader: EntryReader, entry: h5py.Group, name: str) -> Synapses:
    kind, weight = reader.text(entry, "type"), reader.weight(entry, "weight", name)
    if kind not in ("conv", "dense"):
        raise UnsupportedLayerError(
            f"layer {name}: a connection of type '{kind}'; supported: conv, dense"
        )
    return (
        _conv(reader, entry, name, weight)
        if kind == "conv"
        else _dense(reader, entry, name, weight)
    )


def _dense(reader: EntryReader, entry: h5py.Group, name: str, weight: IntArray) -> Synapses:
    check_storage(name, weight)
    if weight.ndim == 2 and "delay" in entry:
        delay = full_delay(reader.array(entry, "delay"), weight, name)
    else:
        delay = None
    with named(name):
        return DenseSynapses(weight=weight, delay=delay)


def _conv(reader: EntryReader, entry: h5py.Group, name: str, weight: IntArray) -> Synapses:
    sizes = reader.array(entry, MAP_SHAPE)
    if sizes.shape != (3,) or sizes.min() < 1:
        raise NetFileError(
            f"{reader.path}: key '{entry.name}/{MAP_SHAPE}' is no shape (C, H, W) of maps"
        )
    channels, height, width = sizes.tolist()
    return reader.convolution(entry, name, weight, (channels, height, width))


def _bias(reader: EntryReader, entry: h5py.Group, shape: Shape, neuron: Neuron) -> IntArray:
    """Return a bias for each neuron, from Lava's (W, H, C)."""
    if "bias" not in entry:
        return np.zeros((), np.int64)
    bias = reader.stored_bias(entry, neuron)
    if bias.shape != shape[::-1]:
        raise NetFileError(
            f"{reader.path}: key '{entry.name}/bias' is of shape {bias.shape}; expected "
            f"{shape[::-1]}, a bias for each of the {math.prod(shape)} neurons"
        )
    return bias.transpose().reshape(-1)
