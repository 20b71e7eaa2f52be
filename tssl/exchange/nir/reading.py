"""Reading a ``.nir`` file: HDF5 of unknown origin, graphs within graphs made flat.

The package ``nir`` is not asked: each of its versions refuses files that others have written.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from tssl.errors import NirFileError, UnsupportedLayerError
from tssl.exchange.nir.description import INPUT, KINDS, OUTPUT, Edge, Nir, NirNode
from tssl.machine.files import printable
from tssl.netx import hdf5
from tssl.wording import did_you_mean

__all__ = ["read"]

_GRAPH, _WIRE = "NIRGraph", "wire"
_DEEPEST = 16
"""Graphs within each other."""
_WORDS = ("padding",)
"""Fields that may be a text."""


@dataclass
class _Parts:
    """What a graph and those inside it hold, by full names."""

    nodes: dict[str, NirNode] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class _Ends(NamedTuple):
    """The nodes through which a graph hears and sends."""

    entry: str
    exit: str


def read(path: Path) -> Nir:
    """Read a NIR graph, whatever version of ``nir`` wrote it.

    Raises
    ------
    NirFileError
        When the file is missing, not HDF5, or holds no whole graph of finite numbers.
    UnsupportedLayerError
        When a node is of an unknown kind, or a loop is one that no chip has.
    """
    origin = printable(path)
    with hdf5.opened(path, ".nir", NirFileError) as (content, file):
        try:
            return _Reader(origin, content).whole(file)
        except hdf5.DAMAGE as error:
            reason = " ".join(str(error).split())
            raise NirFileError(f"{origin}: cannot be understood: {reason:.200}") from error


class _Reader:
    """Reads the groups of one file."""

    def __init__(self, origin: str, content: hdf5.Content) -> None:
        self.origin, self.content = origin, content

    def whole(self, file: h5py.File) -> Nir:
        root = hdf5.member(file, "node")
        if not isinstance(root, h5py.Group) or self._text(root, "type") != _GRAPH:
            raise NirFileError(f"{self.origin}: holds no NIR graph: key 'node' is none")
        parts = _Parts()
        self._graph(root, "", parts, _DEEPEST)
        version = hdf5.member(file, "version")
        said = self.content.text(version) if isinstance(version, h5py.Dataset) else None
        return _without_wires(
            origin=self.origin,
            parts=parts,
            metadata=self._metadata(root),
            version=said or "unknown",
        )

    def _graph(self, group: h5py.Group, prefix: str, parts: _Parts, depth: int) -> _Ends:
        """Add the nodes and edges of a graph, and of those in it."""
        if not depth:
            raise NirFileError(f"{self.origin}: more than {_DEEPEST} graphs within each other")
        members = hdf5.member(group, "nodes")
        if not isinstance(members, h5py.Group):
            raise NirFileError(f"{self.origin}: graph '{prefix or '/'}' has no nodes")
        ends: dict[str, _Ends] = {}
        for key in members:
            name = f"{prefix}{key}"
            if not name.isprintable():
                raise NirFileError(f"{self.origin}: a node is called {name!r}")
            member = hdf5.member(members, key)
            if not isinstance(member, h5py.Group):
                raise NirFileError(f"{self.origin}: node {name} is no group")
            kind = self._text(member, "type")
            if kind == _GRAPH:
                ends[key] = self._graph(member, f"{name}.", parts, depth - 1)
                continue
            node = self._node(member, name, kind)
            inner = bool(prefix) and kind in (INPUT, OUTPUT)
            parts.nodes[name] = replace(node, kind=_WIRE + kind) if inner else node
            ends[key] = _Ends(name, name)
        for source, target in self._edges(group, prefix, ends, parts):
            parts.edges.append((ends[source].exit, ends[target].entry))
        return self._ends(prefix, ends, parts) if prefix else _Ends("", "")

    def _ends(self, prefix: str, ends: Mapping[str, _Ends], parts: _Parts) -> _Ends:
        """Return the input and the output of a graph within another."""
        found = []
        for kind in (INPUT, OUTPUT):
            names = [one.entry for one in ends.values() if one.entry == one.exit]
            names = [name for name in names if parts.nodes[name].kind == _WIRE + kind]
            if len(names) != 1:
                raise NirFileError(
                    f"{self.origin}: graph {prefix.rstrip('.')} has {len(names)} nodes of the kind "
                    f"{kind}; one is expected"
                )
            found.append(names[0])
        return _Ends(*found)

    def _edges(
        self, group: h5py.Group, prefix: str, ends: Mapping[str, _Ends], parts: _Parts
    ) -> list[Edge]:
        """Return the edges of one graph, by the names that it uses."""
        dataset = hdf5.member(group, "edges")
        texts = self.content.texts(dataset) if isinstance(dataset, h5py.Dataset) else None
        if texts is None or not isinstance(dataset, h5py.Dataset) or dataset.shape[1:] != (2,):
            where = f"graph {prefix.rstrip('.')}" if prefix else "the graph"
            raise NirFileError(f"{self.origin}: {where} has no edges, pairs of names")
        unknown = sorted({text for text in texts if text not in ends})
        unused = [key for key in ends if key not in texts]
        renamed: dict[str, str] = {}
        if len(unknown) == len(unused) == 1 and prefix:
            renamed = {unknown[0]: unused[0]}
            parts.notes.append(
                f"edges of graph {prefix.rstrip('.')} name {unknown[0]!r}, which it does not have; "
                f"taken for {unused[0]!r}, its only node without edges"
            )
        elif unknown:
            where = f" of graph {prefix.rstrip('.')}" if prefix else ""
            raise NirFileError(
                f"{self.origin}: an edge{where} names node {unknown[0]!r}, which is missing"
                f"{did_you_mean(unknown[0], ends)}; there are {', '.join(sorted(ends))}"
            )
        names = [renamed.get(text, text) for text in texts]
        edges = list(zip(names[::2], names[1::2], strict=True))
        for edge in edges:
            if edges.count(edge) > 1:
                raise NirFileError(
                    f"{self.origin}: the edge from {prefix}{edge[0]} to {prefix}{edge[1]} is there "
                    "twice"
                )
        return edges

    def _node(self, group: h5py.Group, name: str, kind: str) -> NirNode:
        if kind not in KINDS:
            raise UnsupportedLayerError(
                f"{self.origin}: node {name} is of the kind {kind!r}, which NIR 1.0 has not; known "
                f"are {', '.join(KINDS)}"
            )
        numbers: dict[str, NDArray[Any]] = {}
        words: dict[str, str] = {}
        for key in (*KINDS[kind].fields, *KINDS[kind].optional):
            dataset = hdf5.member(group, key)
            if dataset is None and key in KINDS[kind].optional:
                continue
            if not isinstance(dataset, h5py.Dataset):
                raise NirFileError(f"{self.origin}: node {name} ({kind}) has no {key}")
            values = self.content.numbers(dataset)
            if values is None and key in _WORDS:
                words[key] = self._text(group, key)
                continue
            if values is None or not np.isfinite(values).all() or not values.size:
                raise NirFileError(
                    f"{self.origin}: node {name} ({kind}): {key} holds no number, or one that is "
                    "not finite"
                )
            numbers[key] = values
        return NirNode(name=name, kind=kind, numbers=numbers, words=words)

    def _text(self, group: h5py.Group, key: str) -> str:
        dataset = hdf5.member(group, key)
        text = self.content.text(dataset) if isinstance(dataset, h5py.Dataset) else None
        if text is None or not text.isprintable():
            raise NirFileError(f"{self.origin}: key '{group.name}/{key}' is no text")
        return text

    def _metadata(self, root: h5py.Group) -> dict[str, str]:
        """Return what the file says beside the graph, numbers as texts."""
        group = hdf5.member(root, "metadata")
        found: dict[str, str] = {}
        for key in group if isinstance(group, h5py.Group) else ():
            dataset = hdf5.member(group, key)
            if not isinstance(dataset, h5py.Dataset) or dataset.size != 1:
                continue
            values = self.content.numbers(dataset)
            text = self.content.text(dataset) if values is None else repr(values.item())
            if text is not None and f"{key}{text}".isprintable():
                found[key] = text
        return found


def _without_wires(*, origin: str, parts: _Parts, metadata: dict[str, str], version: str) -> Nir:
    """Return the graph without the inputs and outputs of the graphs in it."""
    edges = list(dict.fromkeys(parts.edges))
    wires = [name for name, node in parts.nodes.items() if node.kind.startswith(_WIRE)]
    for wire in wires:
        before = [source for source, target in edges if target == wire]
        behind = [target for source, target in edges if source == wire]
        if wire in before:
            raise NirFileError(f"{origin}: node {wire} leads to itself and to nothing else")
        edges = [edge for edge in edges if wire not in edge]
        joined = [(source, target) for source in before for target in behind]
        for source, target in joined:
            if (source, target) in edges:
                raise NirFileError(f"{origin}: {source} reaches {target} twice")
            edges.append((source, target))
    nodes = {name: node for name, node in parts.nodes.items() if name not in wires}
    return Nir(
        origin=origin,
        nodes=nodes,
        edges=tuple(edges),
        metadata=metadata,
        version=version,
        notes=tuple(parts.notes),
    )
