"""From a module to the NIR graph that steps as it does."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from tssl.errors import ConfigError
from tssl.exchange.nir import Nir, NirNode, firing_at, sums_up
from tssl.exchange.nir.description import INPUT, OUTPUT
from tssl.exchange.nir.maps import applied
from tssl.exchange.torch.linear import IGNORED, LAYERS, NORMS, with_norm
from tssl.exchange.torch.neurons import INNER_WEIGHTS, NEURONS
from tssl.exchange.torch.place import Module, Place
from tssl.geometry import Shape

__all__ = ["Read", "in_sequence", "read"]

_PLAIN = ("torch", "spikingjelly")
"""Libraries whose layers without a state are PyTorch's."""
_SEQUENCES = {
    ("torch", "Sequential"),
    ("norse", "SequentialState"),
    ("spikingjelly", "SeqToANNContainer"),
    ("spikingjelly", "MultiStepContainer"),
}
_ADVICE = {
    "MaxPool2d": "train with AvgPool2d",
    "ReLU": "put neurons of snnTorch, SpikingJelly or Norse in its place",
    "LIF": "its LIFCell is known, in a SequentialState",
    "LIFBox": "its LIFBoxCell is known, in a SequentialState",
}
_AT_THRESHOLD = (
    "SpikingJelly fires where a potential equals the threshold, the chip only above it; in "
    "floating point the two are hardly ever equal where neurons leak"
)
_READ = "its potential after the last step is what is read"


@dataclass(frozen=True, kw_only=True, eq=False)
class Read:
    """A network of modules as a graph.

    Parameters
    ----------
    modules
        Paths of the modules of neurons, by node.
    libraries
        Of these.
    notes
        What a user should know, in sentences.
    """

    graph: Nir
    modules: dict[str, str]
    libraries: tuple[str, ...]
    notes: tuple[str, ...]


def read(module: Module, shape: Shape) -> Read:
    """Return the graph of modules in a sequence, for samples of this shape at a step.

    Raises
    ------
    UnsupportedLayerError
        When a module is none that is known, or does what no chip does; it is named.
    ConfigError
        When the network is no sequence, or shapes of layers do not fit each other.
    """
    chain = _Chain(type(module).__name__, shape)
    for place in in_sequence(Place(chain.origin, "", module)):
        chain.add(place)
    libraries = tuple(sorted({place.library for place in chain.neurons.values()}))
    graph = chain.graph()
    at_threshold = [
        name
        for name, place in chain.neurons.items()
        if place.library == "spikingjelly" and graph.nodes[name].of.fires
    ]
    summing = [name for name in at_threshold if sums_up(graph.nodes[name])]
    notes = (_AT_THRESHOLD,) if summing != at_threshold else ()
    if graph.read is not None:
        notes = (*notes, f"{graph.read.title}: {_READ}")
    return Read(
        graph=firing_at(graph, summing),
        modules={name: place.path for name, place in chain.neurons.items()},
        libraries=libraries,
        notes=notes,
    )


def in_sequence(place: Place) -> Iterator[Place]:
    """Yield the modules that are no sequences, in the order of the signal."""
    if (place.library, place.kind) not in _SEQUENCES:
        if not place.path:
            raise ConfigError(
                f"{place.kind}: is no sequence of layers, and what its forward does cannot be "
                "read; give its layers in order, as nn.Sequential(net.fc1, net.lif1, ...)"
            )
        yield place
        return
    for name, child in place.module._modules.items():  # named_children leaves out repetitions
        if child is not None:
            path = f"{place.path}.{name}" if place.path else name
            yield from in_sequence(Place(place.origin, path, child))


class _Chain:
    """Nodes, one behind the other, and the shape of what leaves the last."""

    def __init__(self, origin: str, shape: Shape) -> None:
        self.origin, self.input_shape = origin, shape
        self.nodes: dict[str, NirNode] = {}
        self.neurons: dict[str, Place] = {}
        self._signal = np.zeros((1, *shape))

    def add(self, place: Place) -> None:
        """Add a module."""
        if place.library in _PLAIN and place.kind in IGNORED:
            return
        if place.library in _PLAIN and place.kind in NORMS:
            before = self.nodes[next(reversed(self.nodes))] if self.nodes else None
            normed = with_norm(place, before)
            self.nodes[normed.name] = normed
            return
        kind = place.library, place.kind
        if kind in INNER_WEIGHTS:
            weight = place.array(INNER_WEIGHTS[kind])
            self._append(
                NirNode(name=f"{place.name}_weights", kind="Linear", numbers={"weight": weight}),
                place,
            )
        if kind in NEURONS:
            self._check_neurons(place)
        added = self._append(_node(place), place)
        if kind in NEURONS:
            self.neurons[added] = place

    def _append(self, node: NirNode, place: Place) -> str:
        """Put a node at the end of the line; return its name there."""
        node = replace(node, name=self._free(node.name))
        try:
            self._signal = applied(node, self._signal)
        except (ValueError, IndexError) as error:
            raise ConfigError(
                f"{self.origin}: module {place.path} ({place.kind}): does not fit what reaches "
                f"it, of shape {self._signal.shape[1:]}: {error}"
            ) from error
        self.nodes[node.name] = node
        return node.name

    def graph(self) -> Nir:
        """Return the nodes between an input and an output, whose names no module can have."""
        if not self.neurons:
            raise ConfigError(f"{self.origin}: has no neurons that fire")
        names = ["sample.in", *self.nodes, "spikes.out"]
        shapes = (self.input_shape, self._signal.shape[1:])
        first, last = (
            NirNode(name=name, kind=kind, numbers={"shape": np.array(shape)})
            for name, kind, shape in zip(
                (names[0], names[-1]), (INPUT, OUTPUT), shapes, strict=True
            )
        )
        return Nir(
            origin=self.origin,
            nodes={first.name: first, **self.nodes, last.name: last},
            edges=tuple(pairwise(names)),
        )

    def _free(self, name: str) -> str:
        number, free = 2, name
        while free in self.nodes:
            free, number = f"{name}_{number}", number + 1
        return free

    def _check_neurons(self, place: Place) -> None:
        """Refuse neurons behind others that send no spikes, and those that stand there twice."""
        for name, other in self.neurons.items():
            if not self.nodes[name].of.fires:
                raise other.refusal(
                    "never fires or never resets, and neurons follow it; only the last ones can "
                    "be such, whose potential is read"
                )
            if other.module is place.module:
                raise place.refusal(
                    f"is {other.path} once more, and two layers would share one state; make "
                    "neurons of its own for each layer"
                )


def _node(place: Place) -> NirNode:
    make = NEURONS.get((place.library, place.kind))
    if make is None and place.library in _PLAIN:
        make = LAYERS.get(place.kind)
    if make is None:
        known = ", ".join([*LAYERS, *NORMS, *(kind for _, kind in NEURONS)])
        advice = _ADVICE.get(place.kind, f"known are {known}")
        raise place.refusal(f"a {place.kind} of {place.library} is not known; {advice}")
    return make(place)
