"""A NIR graph as its file says it, checked: which nodes there are, and which comes after which."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import networkx
import numpy as np
from numpy.typing import NDArray

from tssl.errors import NirFileError, UnsupportedLayerError

__all__ = ["AT_THRESHOLD", "INPUT", "KINDS", "Nir", "NirNode", "NodeKind", "OUTPUT"]

Floats = NDArray[np.float64]
Edge = tuple[str, str]

INPUT, OUTPUT = "Input", "Output"
AT_THRESHOLD = "tssl_at_threshold"
"""Key of the metadata under which tssl names nodes that fire at their threshold, a line each."""
_MOST_NODES = 800
_CONV = ("weight", "bias", "stride", "padding", "dilation", "groups")
_POOL = ("kernel_size", "stride", "padding")
_LEAKY = ("tau", "r", "v_leak")
_CUBA = ("tau_syn", "tau_mem", "r", "v_leak", "w_in")


class NodeKind(NamedTuple):
    """What nodes of one kind have and do."""

    fields: tuple[str, ...]
    """Those that every node of the kind has."""
    optional: tuple[str, ...] = ()
    """Those that nodes of older files lack."""
    is_linear: bool = False
    """Whether it is a linear map of what arrives, between layers of neurons."""
    is_pool: bool = False
    """Whether tssl has it as a layer of its own, in front of a convolution."""
    keeps_state: bool = False
    """Whether it has a potential, from step to step or to compare with a threshold."""
    fires: bool = False
    """Whether it sends spikes."""
    shape_field: tuple[str, int] | None = None
    """Field that repeats the shape of the input, and the axis from which on it does."""


KINDS: dict[str, NodeKind] = {
    INPUT: NodeKind(("shape",)),
    OUTPUT: NodeKind(("shape",)),
    "Affine": NodeKind(("weight", "bias"), is_linear=True),
    "Linear": NodeKind(("weight",), is_linear=True),
    "Scale": NodeKind(("scale",), is_linear=True),
    "Conv1d": NodeKind(_CONV, is_linear=True),
    "Conv2d": NodeKind(_CONV, is_linear=True, shape_field=("input_shape", 1)),
    "SumPool2d": NodeKind(_POOL, is_linear=True, is_pool=True),
    "AvgPool2d": NodeKind(_POOL, is_linear=True, is_pool=True),
    "Flatten": NodeKind(("start_dim", "end_dim"), is_linear=True, shape_field=("input_type", 0)),
    "I": NodeKind(("r",), keeps_state=True),
    "IF": NodeKind(("r", "v_threshold"), ("v_reset",), keeps_state=True, fires=True),
    "LI": NodeKind(_LEAKY, keeps_state=True),
    "LIF": NodeKind((*_LEAKY, "v_threshold"), ("v_reset",), keeps_state=True, fires=True),
    "CubaLI": NodeKind(_CUBA, keeps_state=True),
    "CubaLIF": NodeKind((*_CUBA, "v_threshold"), ("v_reset",), keeps_state=True, fires=True),
    "Delay": NodeKind(("delay",), is_linear=True),
    "Threshold": NodeKind(("threshold",), keeps_state=True, fires=True),
}
"""The kinds that tssl knows, by NIR's name; what linear ones compute is in ``maps``."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NirNode:
    """A node: its kind by NIR's name, and its fields.

    Parameters
    ----------
    name
        With those of the graphs around it, ``outer.inner``.
    numbers
        Arrays by the name of the field.
    words
        Fields that are texts, such as ``padding = "same"``.
    """

    name: str
    kind: str
    numbers: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Floats:
        return np.asarray(self.numbers[key], np.float64)

    @property
    def title(self) -> str:
        """What a message calls it."""
        return f"node {self.name} ({self.kind})"

    @property
    def of(self) -> NodeKind:
        """What its kind has and does."""
        return KINDS[self.kind]

    @property
    def is_source(self) -> bool:
        """Whether layers of neurons can receive from it: it fires, or data enter there."""
        return self.of.fires or self.kind == INPUT

    @property
    def is_integrator(self) -> bool:
        """Whether its potential adds up what arrives, without a time constant."""
        return "r" in self.numbers and not {"tau", "tau_mem"} & self.numbers.keys()

    @property
    def v_reset(self) -> Floats:
        """Where the potential begins again; 0 where an older file does not say."""
        return self["v_reset"] if "v_reset" in self.numbers else np.zeros(1)

    @property
    def threshold(self) -> Floats:
        """Of a node that keeps a state; infinite where it never fires."""
        if not self.of.fires:
            return np.full(1, np.inf)
        return self["v_threshold" if "v_threshold" in self.numbers else "threshold"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Nir:
    """A graph of nodes without graphs inside.

    Parameters
    ----------
    origin
        Of the file, for messages.
    edges
        What the first sends, the second receives; several into one node add up.
    metadata
        What the file says beside the graph.
    notes
        What reading had to make of it, in sentences.

    Raises
    ------
    NirFileError
        When there is not one input and one output, or a node lies on no way between them.
    UnsupportedLayerError
        When a loop holds no firing node, or several.
    """

    origin: str
    nodes: Mapping[str, NirNode]
    edges: tuple[Edge, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.nodes) > _MOST_NODES:
            raise NirFileError(
                f"{self.origin}: has {len(self.nodes)} nodes; at most {_MOST_NODES} are expected"
            )
        for kind in (INPUT, OUTPUT):
            found = [node.name for node in self.nodes.values() if node.kind == kind]
            if len(found) != 1:
                names = f" ({', '.join(found)})" if found else ""
                raise NirFileError(
                    f"{self.origin}: has {len(found)} nodes of the kind {kind}{names}; one is "
                    "expected"
                )
        reached = networkx.descendants(self._digraph, self.input.name) | {self.input.name}
        leading = networkx.ancestors(self._digraph, self.output.name) | {self.output.name}
        for name, node in self.nodes.items():
            if name not in reached or name not in leading:
                where = "to it from the input" if name not in reached else "from it to the output"
                raise NirFileError(f"{self.origin}: {node.title}: no edges lead {where}")
        _ = self.order

    def __iter__(self) -> Iterator[NirNode]:
        return iter(self.nodes.values())

    @cached_property
    def input(self) -> NirNode:
        """The node at which data enter."""
        return next(node for node in self if node.kind == INPUT)

    @cached_property
    def output(self) -> NirNode:
        """The node whose input is the result."""
        return next(node for node in self if node.kind == OUTPUT)

    @property
    def firing(self) -> list[NirNode]:
        """The nodes that send spikes, each behind those that it hears."""
        return [node for node in self.order if node.of.fires]

    @cached_property
    def read(self) -> NirNode | None:
        """The node that never fires and whose potential is the result, if the output is one."""
        node = self.output
        while not node.of.keeps_state:
            heard = self.sources[node.name] + self.late_sources[node.name]
            if len(heard) != 1 or node.kind not in (OUTPUT, "Flatten"):
                return None
            node = self.nodes[heard[0]]
        return None if node.of.fires else node

    @property
    def neurons(self) -> list[NirNode]:
        """The nodes that become layers: those that fire, and at the end the one that is read."""
        return self.firing if self.read is None else [*self.firing, self.read]

    @cached_property
    def at_threshold(self) -> frozenset[str]:
        """Names of the firing nodes that fire where the potential equals the threshold, too."""
        named = self.metadata.get(AT_THRESHOLD, "").split("\n")
        return frozenset(named) & {node.name for node in self if node.of.fires}

    @cached_property
    def sources(self) -> dict[str, list[str]]:
        """Names of the nodes that each one hears in the same step, by name."""
        found: dict[str, list[str]] = {name: [] for name in self.nodes}
        for source, target in self.edges:
            if (source, target) not in self.late:
                found[target].append(source)
        return found

    @cached_property
    def late_sources(self) -> dict[str, list[str]]:
        """Names of the firing nodes whose spikes reach each node one step later."""
        found: dict[str, list[str]] = {name: [] for name in self.nodes}
        for source, target in sorted(self.late):
            found[target].append(source)
        return found

    @cached_property
    def order(self) -> list[NirNode]:
        """The nodes, each behind those that it hears in the same step."""
        now = self._digraph.copy()
        now.remove_edges_from(self.late)
        return [self.nodes[name] for name in networkx.lexicographical_topological_sort(now)]

    @cached_property
    def late(self) -> frozenset[Edge]:
        """The edges that close a loop: from a firing node to itself, or to what leads to it."""
        found: set[Edge] = set()
        for names in networkx.strongly_connected_components(self._digraph):
            inner = [edge for edge in self.edges if names.issuperset(edge)]
            if not inner:
                continue
            firing = [name for name in sorted(names) if self.nodes[name].of.fires]
            self._check_loop(sorted(names), firing)
            found |= {edge for edge in inner if edge[0] == firing[0]}
        return frozenset(found)

    def _check_loop(self, names: list[str], firing: list[str]) -> None:
        loop = ", ".join(names)
        if not firing:
            raise UnsupportedLayerError(
                f"{self.origin}: the loop through {loop} has no neurons that fire, so nothing in "
                "it could arrive a step later"
            )
        if len(firing) > 1:
            raise UnsupportedLayerError(
                f"{self.origin}: the loop through {loop} has {len(firing)} layers of neurons "
                f"({', '.join(firing)}); on the chip, only the layer's own spikes can "
                "reach it a step later"
            )

    @cached_property
    def _digraph(self) -> Any:  # noqa: ANN401 - networkx has no types
        digraph = networkx.DiGraph()
        digraph.add_nodes_from(self.nodes)
        digraph.add_edges_from(self.edges)
        return digraph
