"""A network, said once: what a recipe's layers are for a given input."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from tssl.chip import INPUT
from tssl.geometry import Shape
from tssl.graph.kinds import KINDS, LayerEntry
from tssl.graph.kinds.kind import Place
from tssl.graph.node import Node, Parameter
from tssl.neurons import Lif

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

    @property
    def output(self) -> Node:
        """The last layer."""
        return self.nodes[-1]

    @property
    def spiking(self) -> list[Node]:
        """The layers that have neurons."""
        return [node for node in self.nodes if node.neuron is not None]

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
    def layers(self) -> Sequence[LayerEntry]:
        """The layers, each of which listens to the one before it."""

    @property
    def layer_names(self) -> Sequence[str]:
        """Their names."""


def resolve(network: Described, input_shape: Shape) -> Graph:
    """Return the graph of a recipe's network for an input (C, H, W).

    Raises
    ------
    ConfigError
        When a layer does not fit what reaches it.
    """
    neuron = Lif(tau_m=network.tau_m, tau_s=network.tau_s, threshold=network.threshold)
    nodes: list[Node] = []
    source, shape = INPUT, input_shape
    for name, entry in zip(network.layer_names, network.layers, strict=True):
        node = KINDS[entry.type].node(entry, Place(name, (source,), shape, neuron))
        nodes.append(node)
        source, shape = node.name, node.output_shape
    return Graph(input_shape=input_shape, time_steps=network.time_steps, nodes=tuple(nodes))
