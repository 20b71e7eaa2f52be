"""Entries of ``.net`` files: numbers, texts and neurons, read as lava-dl reads them."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from tssl.chip import (
    ConvSynapses,
    CubaNeuron,
    DeltaNeuron,
    IntArray,
    Neuron,
    OneOrEach,
    SigmaDeltaNeuron,
    SigmaNeuron,
    named,
)
from tssl.errors import NetFileError, UnsupportedLayerError
from tssl.geometry import Geometry, Pair, Shape
from tssl.netx import hdf5
from tssl.netx.rules import (
    NAME,
    NEURON_KEYS,
    check_bias,
    check_geometry,
    delta_problem,
    kernels,
    neuron_problem,
)

_INT64 = float(1 << 63)
_WEIGHT_LIMIT = 1 << 31  # Lava keeps weights in int32


class EntryReader:
    """Reads what entries of one file hold, within what the file may unpack to.

    Raises
    ------
    NetFileError
        When a key is missing or of the wrong kind.
    UnsupportedLayerError
        When Lava fails on it or takes it as something else.
    """

    def __init__(self, path: Path, content: hdf5.Content) -> None:
        self.path = path
        self._content = content

    def weight(self, entry: h5py.Group, key: str, name: str) -> IntArray:
        """Return weights of layer ``name``; Lava keeps them in 32 bits."""
        weight = self.array(entry, key)
        largest = int(np.abs(weight).max())
        if largest >= _WEIGHT_LIMIT:
            raise UnsupportedLayerError(
                f"layer {name}: a weight of magnitude {largest}; Lava keeps weights in 32 bits"
            )
        return weight

    def neuron(self, entry: h5py.Group, shape: Shape, place: str = "layer") -> Neuron:
        """Return the neurons of an entry, ``shape`` of them, of an ``"input"`` or a layer."""
        group = hdf5.member(entry, "neuron")
        if not isinstance(group, h5py.Group):
            raise NetFileError(f"{self.path}: key '{entry.name}/neuron' is missing")
        kind = self.text(group, "type")
        if kind not in _NEURONS:
            raise UnsupportedLayerError(
                f"{entry.name}: neuron type '{kind}'; supported: {', '.join(_NEURONS)}"
            )
        if "messageBits" in group:
            raise UnsupportedLayerError(f"{entry.name}: messageBits, on which Lava fails to load")
        return _NEURONS[kind](self, group, shape, place)

    def cuba(self, group: h5py.Group, shape: Shape, place: str) -> Neuron:
        """Return CUBA neurons."""
        del place  # they are the same everywhere
        current, voltage, threshold = (self._of_neurons(group, key, shape) for key in NEURON_KEYS)
        return CubaNeuron(current_decay=current, voltage_decay=voltage, threshold=threshold)

    def sigma_delta(self, group: h5py.Group, shape: Shape, place: str) -> Neuron:
        """Return the kind of sigma-delta neurons that lava-dl makes there.

        It looks whether ``sigma_output`` is there, not whether it is true, and takes every
        activation for a rectified one.
        """
        del shape  # all share their numbers
        if "activation" in group and self.text(group, "activation") != "relu":
            raise UnsupportedLayerError(
                f"{group.name}: activation '{self.text(group, 'activation')}'; Lava computes relu "
                "whatever the file says"
            )
        if place == "layer" and "sigma_output" in group:
            return SigmaNeuron()
        value = self._content.numbers(self._dataset(group, "vThMant"))
        problem = delta_problem(value)
        if value is None or problem is not None:
            where = f"{self.path}: key '{group.name}/vThMant'"
            raise NetFileError(f"{where} is {_shown(value)}; {problem}")
        kind = DeltaNeuron if place == "input" else SigmaDeltaNeuron
        return kind(threshold=int(value.item()))

    def _of_neurons(self, group: h5py.Group, key: str, shape: Shape) -> OneOrEach:
        """Return one number, or one for each neuron in (C, H, W) order."""
        value = self._content.numbers(self._dataset(group, key))
        problem = neuron_problem(key, value, shape)
        if value is None or problem is not None:
            where = f"{self.path}: key '{group.name}/{key}'"
            raise NetFileError(f"{where} is {_shown(value)}; {problem}")
        if value.size == 1:
            return int(value.item())
        self._content.take(math.prod(shape))
        value = value.astype(np.int64).reshape(value.shape[-len(shape) :])
        return tuple(np.broadcast_to(value, shape[::-1]).transpose().reshape(-1).tolist())

    def stored_bias(self, entry: h5py.Group, neuron: Neuron) -> IntArray:
        """Return the bias of an entry with such neurons, in the shape of the file."""
        bias = self.array(entry, "bias")
        check_bias(f"key '{entry.name}/bias'", bias, neuron)
        return bias

    def convolution(
        self, entry: h5py.Group, name: str, weight: IntArray, maps: tuple[int, int, int]
    ) -> ConvSynapses:
        """Return how layer ``name`` convolves maps of shape (C, H, W) with such weights."""
        weight = kernels(name, weight)
        geometry = Geometry(
            kernel=(weight.shape[2], weight.shape[3]),
            stride=self._pair(entry, "stride"),
            padding=self._pair(entry, "padding"),
            dilation=self._pair(entry, "dilation"),
            groups=int(self.array(entry, "groups").item()),
        )
        check_geometry(name, geometry)
        with named(name):
            return ConvSynapses(weight=weight, map_shape=maps, geometry=geometry)

    def _pair(self, entry: h5py.Group, key: str) -> Pair:
        """Return one number, or two, as (height, width)."""
        values = self.array(entry, key)
        if values.size not in (1, 2):
            raise NetFileError(
                f"{self.path}: key '{entry.name}/{key}' is {_shown(values)}; "
                "one number or (height, width) is expected"
            )
        height, width = np.broadcast_to(values.reshape(-1), (2,))
        return int(height), int(width)

    def array(self, entry: h5py.Group, key: str) -> IntArray:
        """Return numbers, cut toward zero to integers as lava-dl does."""
        values = self._content.numbers(self._dataset(entry, key))
        if values is None or not np.isfinite(values).all() or not values.size:
            raise NetFileError(f"{self.path}: key '{entry.name}/{key}' holds no finite numbers")
        if (
            values.dtype.kind != "b"
            and not -_INT64 < float(values.min()) <= float(values.max()) < _INT64
        ):
            raise NetFileError(f"{self.path}: key '{entry.name}/{key}' exceeds 64 bits")
        return np.trunc(values).astype(np.int64)

    def text(self, entry: h5py.Group, key: str) -> str:
        """Return a short text."""
        value = self._content.text(self._dataset(entry, key))
        if value is None:
            raise NetFileError(f"{self.path}: key '{entry.name}/{key}' is not a text")
        return value

    def _dataset(self, entry: h5py.Group, key: str) -> h5py.Dataset:
        dataset = hdf5.member(entry, key)
        if not isinstance(dataset, h5py.Dataset):
            raise NetFileError(f"{self.path}: key '{entry.name}/{key}' is missing")
        return dataset


_NEURONS: dict[str, Callable[[EntryReader, h5py.Group, Shape, str], Neuron]] = {
    "CUBA": EntryReader.cuba,
    "LOIHI": EntryReader.cuba,
    "SDNN": EntryReader.sigma_delta,
}


def name_of(entry: h5py.Group, fallback: str) -> str:
    """Return the name of a layer, or ``fallback`` where the file gives none."""
    name = hdf5.text_attribute(entry, NAME)
    if name is None:
        return fallback
    if not name.isprintable():
        raise ValueError(f"name = {name!r}")
    return name


def _shown(values: NDArray[Any] | None) -> str:
    """Return values in short, for a message."""
    if values is None:
        return "no number"
    return str(values.tolist()) if values.size <= 4 else f"an array of shape {values.shape}"
