"""Spoilt NIR files: what is read can be lowered or is refused by name, and runs. And bad ones."""

import io
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.contract.bad_files import Make
from tests.contract.mutations import regrown, spoiled
from tests.exchange.nir.files import chain, conv, cuba, ends, flatten, lif, linear, pool, write
from tssl.exchange import nir
from tssl.exchange.nir import check_conventions, lower, shapes, simulate, timing


def graph(edges: Sequence[tuple[str, str]] = (), **nodes: Mapping[str, Any] | None) -> Make:
    """Write ``bad.nir``: input, weights ``w``, neurons ``l``, output, with nodes that are other."""

    def make() -> None:
        usual = {**ends([4], [3]), "w": linear(np.ones((3, 4))), "l": lif(3)}
        found = {name: node for name, node in {**usual, **nodes}.items() if node is not None}
        pairs = list(edges) or chain("input", "w", "l", "output")
        write(Path("bad.nir"), found, pairs)

    return make


MOST = 1 << 14
"""Values of a step that are simulated."""


@cache
def good(number: int) -> bytes:
    """Return a file: a convolutional network, a recurrent one, one with a graph inside."""
    rng = np.random.default_rng(3)
    maps = {
        **ends([2, 6, 6], [3]),
        "c": conv(rng.normal(size=(4, 1, 3, 3)), groups=2), "l": cuba((4, 4, 4)),
        "p": pool("SumPool2d", [2, 2]), "f": flatten(),
        "w": linear(rng.normal(size=(3, 16)), np.ones(3)), "o": cuba(3),
    }  # fmt: skip
    loop = {
        **ends([4], [3]), "w": linear(rng.normal(size=(3, 4))), "l": lif(3),
        "r": linear(rng.normal(size=(3, 3))),
    }  # fmt: skip
    inner = {**ends([3], [3]), "l": cuba(3), "r": linear(np.eye(3), np.ones(3))}
    edges = [*chain("input", "l", "output"), *chain("l", "r", "l")]
    nested = {
        **ends([4], [3]), "w": linear(rng.normal(size=(3, 4))),
        "g": {"type": "NIRGraph", "nodes": inner, "edges": edges},
    }  # fmt: skip
    files = (
        (maps, chain("input", "c", "l", "p", "f", "w", "o", "output")),
        (loop, [*chain("input", "w", "l", "output"), *chain("l", "r", "l")]),
        (nested, chain("input", "w", "g", "output")),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "x.nir", *files[number], metadata={"by": "me", "dt": 1e-3})
        return path.read_bytes()


def spoil_bytes(rng: np.random.Generator, folder: Path) -> str:
    (folder / "x.nir").write_bytes(spoiled(good(int(rng.integers(3))), rng))
    return "bytes"


def spoil_tree(rng: np.random.Generator, folder: Path) -> str:
    buffer = io.BytesIO(good(int(rng.integers(3))))
    with h5py.File(buffer, "r+") as file:
        said = regrown(file, rng, "node")
    (folder / "x.nir").write_bytes(buffer.getvalue())
    return said


def read_graph(folder: Path) -> None:
    graph = nir.read(folder / "x.nir")
    found = timing(graph)
    check_conventions(graph, found, as_nir=True)
    lowered = lower(graph, found, name="x", time_steps=3, provenance={})
    lowered.checkpoint.check(folder / "x")
    sizes = shapes(graph)
    if sum(int(np.prod(shape)) for shape in sizes.values()) < MOST:
        with np.errstate(all="ignore"):
            traces = simulate(graph, found, np.ones((3, 2, *lowered.input_shape)))
        assert set(lowered.layers.values()) <= set(traces)
