"""A network, said once: what a recipe's layers are for a given input."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from tssl.chip import INPUT
from tssl.errors import ConfigError
from tssl.geometry import Shape
from tssl.graph.kinds import KINDS, Block, LayerEntry
from tssl.graph.kinds.kind import Named, Place
from tssl.graph.node import Node, Parameter
from tssl.neurons import Lif, Reset

__all__ = ["Graph", "resolve"]


@dataclass(frozen=True, kw_only=True)
class Graph:
    """The layers of a network, each behind its sources.

    Parameters
    ----------
    input_shape
        Of one step of one sample, (C, H, W).
    time_steps
        Steps for which a sample is shown.
    """

    input_shape: Shape
    time_steps: int
    nodes: tuple[Node, ...]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __getitem__(self, name: str) -> Node:
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def readers(self) -> dict[str, list[Node]]:
        """The layers that listen to each layer, and to the input, by name."""
        found: dict[str, list[Node]] = {INPUT: [], **{node.name: [] for node in self.nodes}}
        for node in self.nodes:
            for source in node.sources:
                found[source].append(node)
        return found

    @property
    def output(self) -> Node:
        """The last layer."""
        return self.nodes[-1]

    @property
    def spiking(self) -> list[Node]:
        """The layers that have neurons."""
        return [node for node in self.nodes if node.neuron is not None]

    @property
    def firing(self) -> list[Node]:
        """The layers that have neurons which fire."""
        return [each for each in self.nodes if each.neuron and not each.neuron.never_fires]

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """All parameters by name, in the order of the layers."""
        return {each.name: each for node in self.nodes for each in node.parameters.values()}

    @property
    def values(self) -> int:
        """Number of values that leave all layers at a step of a sample."""
        return sum(node.outputs for node in self.nodes)


class Described(Protocol):
    """A network as a recipe says it."""

    @property
    def time_steps(self) -> int:
        """Steps for which a sample is shown."""

    @property
    def tau_m(self) -> float:
        """Time constant of the membrane, for layers that do not name their own."""

    @property
    def tau_s(self) -> float:
        """Time constant of the synapse, likewise."""

    @property
    def threshold(self) -> float:
        """Firing threshold, likewise."""

    @property
    def reset(self) -> Reset:
        """What a spike leaves of the potential, likewise."""

    @property
    def refractory(self) -> int:
        """Steps after a spike in which what arrives does not count, or less, likewise."""

    @property
    def layers(self) -> Sequence[LayerEntry]:
        """The layers, each behind its sources."""

    @property
    def sources(self) -> Mapping[str, tuple[str, ...]]:
        """The names of the layers that each one listens to, by name, in the order of the layers."""


def resolve(network: Described, input_shape: Shape) -> Graph:
    """Return the graph of a recipe's network for an input (C, H, W).

    Raises
    ------
    ConfigError
        When a layer does not fit what reaches it.
    """
    neuron = Lif(
        tau_m=network.tau_m,
        tau_s=network.tau_s,
        threshold=network.threshold,
        reset=network.reset,
        refractory=network.refractory,
    )
    resolver = _Resolver(neuron, input_shape)
    for (name, sources), entry in zip(network.sources.items(), network.layers, strict=True):
        resolver.add(entry, name, sources)
    nodes = resolver.nodes
    _check_parameters(nodes)
    return Graph(input_shape=input_shape, time_steps=network.time_steps, nodes=tuple(nodes))


class _Resolver:
    """Turns layers, each behind its sources, into nodes."""

    def __init__(self, neuron: Lif, input_shape: Shape) -> None:
        self.neuron = neuron
        self.nodes: list[Node] = []
        self._shapes = {INPUT: input_shape}
        self._firing: set[str] = set()
        self._once: set[str] = set()
        self._sums: dict[str, tuple[str, ...]] = {INPUT: (INPUT,)}
        """The layers whose spikes add up to what each name sends: itself, or parts of a block."""

    def add(self, entry: LayerEntry, name: str, sources: tuple[str, ...]) -> None:
        """Add a layer, or all those of a block."""
        if name in self._sums:
            raise ConfigError(
                f"network.layers: two layers have the name {name}, one of them as a part of a "
                "block; rename the other"
            )
        kind = KINDS[entry.type]
        place = self._place(name, sources, adds_up=kind.adds_up)
        if isinstance(kind, Block):
            parts = kind.parts(entry, place)
            for part in parts.layers:
                self.add(part, part.name or "", part.sources or ())
            self._sums[name] = parts.sends
            return
        node = kind.node(entry, place)
        self.nodes.append(node)
        self._shapes[name], self._sums[name] = node.output_shape, (name,)
        if node.neuron is not None:
            self._firing.add(name)
            if node.neuron.fires_once:
                self._once.add(name)

    def _place(self, name: str, named: tuple[str, ...], *, adds_up: bool) -> Place:
        sources = tuple(each for source in named for each in self._sums[source])
        if adds_up:
            _check_sum(name, sources, self._shapes)
        fires, once = (each.issuperset(sources) for each in (self._firing, self._once))
        return Place(
            name=name,
            named=tuple(self._named(source) for source in named),
            sources=sources,
            shape=self._shapes[sources[0]],
            neuron=self.neuron,
            fires=fires,
            once=once,
        )

    def _named(self, source: str) -> Named:
        sends = self._sums[source]
        return Named(source, sends, self._shapes[sends[0]])


def _check_parameters(nodes: Sequence[Node]) -> None:
    owners: dict[str, str] = {}
    for node in nodes:
        for parameter in node.parameters.values():
            other = owners.setdefault(parameter.name, node.name)
            if other != node.name:
                raise ConfigError(
                    f"network.layers: {other} and {node.name} both have a parameter called "
                    f"{parameter.name}; rename one of them"
                )


def _check_sum(name: str, sources: Sequence[str], shapes: Mapping[str, Shape]) -> None:
    """Refuse a sum of several shapes, or of one thing with itself."""
    twice = [source for source in sources if sources.count(source) > 1]
    if twice:
        raise ConfigError(
            f"network.layers: {twice[0]} reaches {name} twice, by itself or as a part of a "
            "block; name it once"
        )
    first, *others = sources
    for source in others:
        if shapes[source] != shapes[first]:
            raise ConfigError(
                f"network.layers: {name} has the source {first} of shape {shapes[first]} and "
                f"{source} of shape {shapes[source]}; all sources of a layer must have one shape"
            )
