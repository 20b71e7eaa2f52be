"""A whole network of integers."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tssl.chip.connections import MOST_NEURONS, Connection, Train
from tssl.chip.encoding import Encoding
from tssl.chip.layers import Layer
from tssl.chip.neuron import Neuron
from tssl.chip.numbers import IntArray
from tssl.chip.readout import CLASS, ReadOut
from tssl.errors import UnsupportedLayerError
from tssl.geometry import Shape
from tssl.wording import several

INPUT = "input"
MOST_STEPS = 1_000_000
"""Time steps of a sample, in training, export and runs. Memory ends most samples before."""


@dataclass(frozen=True, kw_only=True, eq=False)
class InputLayer:
    """Where data enter.

    Parameters
    ----------
    shape
        Of one step of input, (C, H, W) or (neurons,).
    neuron
        When given, what such neurons send enters the first layer, and the data are their biases or
        what arrives at them, see ``Neuron.fed_by_bias``; otherwise the data are spikes
        themselves, graded by their integer value.

    Raises
    ------
    UnsupportedLayerError
        When the shape is empty or holds more neurons than any chip, or does not fit the neurons.
    """

    shape: Shape
    neuron: Neuron | None = None

    def __post_init__(self) -> None:
        if min(self.shape, default=0) < 1 or self.neurons > MOST_NEURONS:
            raise UnsupportedLayerError(
                f"input of shape {self.shape}: 1 to {MOST_NEURONS} neurons are expected"
            )
        if self.neuron is not None:
            self.neuron.check_size(INPUT, self.neurons)
            self.neuron.check_place("the network", INPUT)

    @property
    def neurons(self) -> int:
        """Number of input channels."""
        return math.prod(self.shape)

    @property
    def takes_biases(self) -> bool:
        """Whether the data are biases, which stay the same at every step of a sample."""
        return self.neuron is not None and self.neuron.fed_by_bias

    def driven(self, train: Train) -> tuple[IntArray, IntArray]:
        """Return what arrives at the input's neurons, and their biases, for given data.

        Parameters
        ----------
        train
            ``(time or 1, samples, neurons)``; of biases, the first step counts.
        """
        if self.takes_biases:
            return np.zeros((1, *train.shape[1:]), np.int64), train[0].astype(np.int64)
        return train.astype(np.int64), np.zeros((), np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class ChipNetwork:
    """Input and layers, in an order in which every layer follows its source.

    Parameters
    ----------
    encoding
        How samples of the training data set become input; None for a network of unknown
        origin, which takes integers as they are.
    time_steps
        Steps for which the network was made, or None when unknown.
    read_out
        What its output says.

    Raises
    ------
    UnsupportedLayerError
        When shapes do not chain, a source is missing, a name appears twice, or the last layer has
        another size than its read-out.
    """

    name: str
    input: InputLayer
    layers: tuple[Layer, ...]
    encoding: Encoding | None = None
    time_steps: int | None = None
    read_out: ReadOut = CLASS

    def __post_init__(self) -> None:
        if not self.layers:
            raise UnsupportedLayerError(f"network {self.name}: has no layers")
        sizes = {INPUT: self.input.neurons}
        for layer in self.layers:
            if layer.name in sizes:
                raise UnsupportedLayerError(f"layer {layer.name}: the name appears twice")
            for each in layer.arriving:
                _check_source(layer.name, each, sizes)
            sizes[layer.name] = layer.neurons
        if not self.read_out.takes(self.output.neurons):
            raise UnsupportedLayerError(
                f"network {self.name}: its read-out {self.read_out.document} does not fit "
                f"{several(self.output.neurons, 'output')}"
            )

    @property
    def output(self) -> Layer:
        """The last layer."""
        return self.layers[-1]

    @property
    def neurons(self) -> int:
        """Number of neurons of all layers; those of the input are not among them."""
        return sum(layer.neurons for layer in self.layers)

    @property
    def groups(self) -> dict[str, Neuron]:
        """The neurons of the input, where it has any, and of all layers, by name."""
        groups = {} if self.input.neuron is None else {INPUT: self.input.neuron}
        return groups | {layer.name: layer.neuron for layer in self.layers}

    @property
    def graded(self) -> frozenset[str]:
        """Names of the groups of neurons that send values, where others send spikes."""
        return frozenset(name for name, neuron in self.groups.items() if neuron.graded)

    @property
    def is_chain(self) -> bool:
        """Whether every layer listens to the one before it, and perhaps to itself."""
        sources = [[each.source for each in layer.arriving] for layer in self.layers]
        return sources == [[INPUT], *([layer.name] for layer in self.layers[:-1])]

    @property
    def has_memory_in_synapses(self) -> bool:
        """Whether spikes can be under way inside a layer (delays, recurrence)."""
        return any(layer.holds_spikes for layer in self.layers)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over everything in the network that decides a spike.

        Input, number of steps and what is read from the output are the caller's, so ``encoding``,
        ``time_steps`` and ``read_out`` are not part of it.
        """
        state = hashlib.sha256(repr((self.input.shape, self.input.neuron)).encode())
        for layer in self.layers:
            state.update(_layer_bytes(layer))
        return state.hexdigest()


def _check_source(name: str, connection: Connection, sizes: Mapping[str, int]) -> None:
    source, synapses = connection.source, connection.synapses
    if source not in sizes:
        raise UnsupportedLayerError(f"layer {name}: its source {source!r} is not an earlier layer")
    if sizes[source] != synapses.inputs:
        raise UnsupportedLayerError(
            f"layer {name}: expects {synapses.inputs} inputs {synapses.input_shape}, "
            f"but {source} has {sizes[source]}"
        )


def _layer_bytes(layer: Layer) -> bytes:
    """Return bytes that differ whenever two layers could compute different spikes.

    Those of a layer with one source have the form of the first version, in which layers were of
    three classes named after :attr:`Synapses.form`, so that proofs in older files hold.
    """
    identities = [each.synapses.identity for each in layer.connections]
    if len(layer.arriving) == 1 and len(layer.own) <= 1:
        kind = "RecurrentLayer" if layer.own else f"{layer.synapses.form.capitalize()}Layer"
        parts: list[object] = [kind, layer.name, layer.source, layer.neuron]
        weight, *others = (array for identity in identities for array in identity.arrays)
        arrays = [weight, layer.bias, *others]
    else:
        parts = ["Layer", layer.name, layer.neuron]
        arrays = [layer.bias, *(array for identity in identities for array in identity.arrays)]
        parts += [(type(each.synapses).__name__, each.source) for each in layer.connections]
    parts += [fact for identity in identities for fact in identity.facts]
    parts += [array.shape for array in arrays]
    return repr(parts).encode() + b"".join(array.astype("<i8").tobytes() for array in arrays)
