"""Reading files: those of other versions, graphs within graphs, and everything that is wrong."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.exchange.nir.files import (
    chain,
    conv,
    cuba,
    ends,
    flatten,
    integrate,
    lif,
    linear,
    pool,
    write,
)  # fmt: skip
from tssl.errors import ConfigError, NirFileError, TsslError, UnsupportedLayerError
from tssl.exchange import nir
from tssl.exchange.nir import Timing, shapes, timing

W = np.arange(12.0).reshape(3, 4)


def simple(**nodes: Mapping[str, Any]) -> dict[str, Any]:
    return {**ends([4], [3]), "fc": linear(W), "lif": lif(3), **nodes}


EDGES = chain("input", "fc", "lif", "output")


def test_a_file_of_the_package(tmp_path: Path) -> None:
    """What nir 1.0.8 writes is read as nir has it in memory."""
    package = pytest.importorskip("nir", reason="needs nir: pip install nir")
    nodes = {
        "input": package.Input(np.array([2, 6, 6])),
        "c": package.Conv2d((6, 6), np.ones((4, 1, 3, 3)), 1, "same", 1, 2, np.arange(4.0)),
        "l": package.IF(np.ones((4, 6, 6)), np.full((4, 6, 6), 2.0), np.full((4, 6, 6), 0.5)),
        "p": package.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "f": package.Flatten({"input": np.array([4, 3, 3])}, 0, -1),
        "w": package.Affine(np.ones((5, 36)), np.zeros(5)),
        "o": package.CubaLIF(*(np.full(5, value) for value in (0.1, 0.2, 3.0, 0.0, 1.0))),
        "output": package.Output(np.array([5])),
    }
    edges = chain("input", "c", "l", "p", "f", "w", "o", "output")
    graph = package.NIRGraph(nodes, edges, metadata={"by": "me", "dt": 1e-3}, type_check=False)
    package.write(tmp_path / "x.nir", graph)
    found = nir.read(tmp_path / "x.nir")
    assert found.version == package.version
    assert set(found.edges) == set(edges)
    assert found.metadata == {"by": "me", "dt": "0.001"}
    assert found.nodes["c"].words == {"padding": "same"}
    for name, node in nodes.items():
        for key, value in found.nodes[name].numbers.items():
            if key not in ("shape", "input_type"):
                assert np.array_equal(value, getattr(node, key)), (name, key)
    assert shapes(found) == {
        "input": (2, 6, 6), "c": (4, 6, 6), "l": (4, 6, 6), "p": (4, 3, 3), "f": (36,), "w": (5,),
        "o": (5,), "output": (5,),
    }  # fmt: skip


def nested(edges: list[tuple[str, str]]) -> dict[str, Any]:
    inner = {**ends([3], [3]), "lif": lif(3), "rec": linear(np.eye(3))}
    return {
        **ends([4], [3]),
        "fc": linear(W),
        "inner": {"type": "NIRGraph", "nodes": inner, "edges": edges},
    }


def test_graphs_within_graphs(tmp_path: Path) -> None:
    loop = [*chain("input", "lif", "output"), *chain("lif", "rec", "lif")]
    outer = chain("input", "fc", "inner", "output")
    found = nir.read(write(tmp_path / "x.nir", nested(loop), outer))
    assert set(found.nodes) == {"input", "output", "fc", "inner.lif", "inner.rec"}
    assert set(found.edges) == {
        ("input", "fc"), ("fc", "inner.lif"), ("inner.lif", "output"), ("inner.lif", "inner.rec"),
        ("inner.rec", "inner.lif"),
    }  # fmt: skip
    assert found.late == {("inner.lif", "inner.rec")}
    assert found.notes == ()


def test_a_node_called_otherwise_in_an_inner_graph(tmp_path: Path) -> None:
    """As in the stored Braille graphs: one name too many, one node without edges."""
    loop = [*chain("input", "soma", "output"), *chain("soma", "rec", "soma")]
    found = nir.read(
        write(tmp_path / "x.nir", nested(loop), chain("input", "fc", "inner", "output"))
    )
    assert found.late == {("inner.lif", "inner.rec")}
    (note,) = found.notes
    assert "'soma'" in note
    assert "'lif'" in note


def cyclic(file: h5py.File) -> None:
    """A loop without neurons."""
    file["node/nodes/x/type"] = "Linear"
    file["node/nodes/x/weight"] = np.eye(3)
    edges(file, [*EDGES, ("fc", "x"), ("x", "x"), ("x", "lif")])


def edges(file: h5py.File, pairs: list[tuple[str, str]]) -> None:
    del file["node/edges"]
    file["node/edges"] = np.array(pairs, dtype=h5py.string_dtype())


def put(key: str, value: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        if key in file:
            del file[key]
        file[key] = value

    return change


def gone(key: str) -> Callable[[h5py.File], None]:
    return lambda file: file.__delitem__(key)


def elsewhere(file: h5py.File) -> None:
    del file["node/nodes/fc/weight"]
    file["node/nodes/fc/weight"] = h5py.ExternalLink("other.h5", "x")


def two_inputs(file: h5py.File) -> None:
    file["node/nodes/more/type"] = "Input"
    file["node/nodes/more/shape"] = np.array([4])
    edges(file, [*EDGES, ("more", "fc")])


BAD: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "a loop without neurons": (cyclic, "the loop through x has no neurons that fire"),
    "a missing node": (
        lambda file: edges(file, [*EDGES[:2], ("lif", "soma"), ("soma", "output")]),
        "an edge names node 'soma', which is missing; there are fc, input, lif, output",
    ),
    "no edges": (gone("node/edges"), "the graph has no edges"),
    "edges that are no pairs": (
        put("node/edges", np.array(["a", "b"], dtype=h5py.string_dtype())), "has no edges, pairs",
    ),
    "an edge twice": (
        lambda file: edges(file, [*EDGES, EDGES[0]]), "the edge from input to fc is there twice",
    ),
    "a node off the way": (
        lambda file: edges(file, [*chain("input", "lif", "output"), ("input", "fc")]),
        "node fc (Linear): no edges lead from it to the output",
    ),
    "an unknown type": (put("node/nodes/lif/type", "Izhikevich"), "node lif is of the kind 'Izhi"),
    "a type that is none": (put("node/nodes/lif/type", 7), "key '/node/nodes/lif/type' is no text"),
    "a field too few": (gone("node/nodes/lif/tau"), "node lif (LIF) has no tau"),
    "NaN": (
        put("node/nodes/fc/weight", np.full((3, 4), np.nan)), "node fc (Linear): weight holds no",
    ),
    "infinity": (
        put("node/nodes/lif/r", np.full(3, np.inf)), "node lif (LIF): r holds no number, or one",
    ),
    "an empty array": (put("node/nodes/lif/r", np.zeros(0)), "node lif (LIF): r holds no number"),
    "two inputs": (two_inputs, "has 2 nodes of the kind Input (input, more)"),
    "no input": (put("node/nodes/input/type", "Output"), "has 0 nodes of the kind Input"),
    "no graph": (put("node/type", "LIF"), "holds no NIR graph"),
    "nothing": (gone("node"), "holds no NIR graph"),
    "a link": (elsewhere, "'weight' is a link"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_files(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x.nir", simple(), EDGES)
    change, says = BAD[name]
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises((NirFileError, UnsupportedLayerError)) as raised:
        shapes(nir.read(path))
    message = str(raised.value)
    assert message.startswith(f"{path}: ")
    assert says in message
    assert "\n" not in message


MISFITS: dict[str, tuple[dict[str, Any], str]] = {
    "weights": (simple(fc=linear(W.T)), "node fc (Linear): does not fit what reaches it"),
    "neurons": (simple(lif=lif(5)), "node lif (LIF): does not fit what reaches it, of shape (3,)"),
    "a bias": (simple(fc=linear(W, np.ones(2))), "node fc (Affine): does not fit"),
    "an output": (simple(**ends([4], [7])), "node output (Output): has shape (7,)"),
    "an input": (simple(**ends([-4], [3])), "node input (Input): shape [-4] is none"),
    "a vast input": (simple(**ends([1 << 40], [3])), "node input (Input): shape"),
    "a convolution": (simple(fc=conv(np.ones((3, 4, 1, 1)))), "node fc (Conv2d): does not fit"),
    "a pool": (simple(fc=pool("SumPool2d", [2, 2])), "node fc (SumPool2d): does not fit"),
    "a flatten": (simple(fc=flatten(3)), "node fc (Flatten): does not fit"),
    "a stride": (
        {**ends([1, 4, 4], [1, 4, 4]), "c": conv(np.ones((1, 1, 1, 1)), stride=np.array([0, 1]))},
        "node c (Conv2d): does not fit what reaches it, of shape (1, 4, 4): stride = [0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISFITS)
def test_misfits(name: str, tmp_path: Path) -> None:
    nodes, says = MISFITS[name]
    between = [key for key in nodes if key not in ("input", "output")]
    path = write(tmp_path / "x.nir", nodes, chain("input", *between, "output"))
    with pytest.raises(NirFileError) as raised:
        shapes(nir.read(path))
    assert says in str(raised.value)


def test_loops_through_several_layers(tmp_path: Path) -> None:
    nodes = {
        **ends([3], [3]),
        "a": lif(3),
        "w": linear(np.eye(3)),
        "b": lif(3),
        "v": linear(np.eye(3)),
    }
    loop = [*chain("input", "a", "w", "b", "output"), *chain("b", "v", "a")]
    with pytest.raises(UnsupportedLayerError, match=r"has 2 layers of neurons \(a, b\)"):
        nir.read(write(tmp_path / "x.nir", nodes, loop))


# ------------------------------------------------------------------------------ time steps


def read_with(tmp_path: Path, *neurons: Mapping[str, Any]) -> nir.Nir:
    nodes, names = ends([3], [3]), [f"n{number}" for number in range(len(neurons))]
    return nir.read(
        write(tmp_path / "x.nir", nodes | dict(zip(names, neurons, strict=True)),
              chain("input", *names, "output"))
    )  # fmt: skip


def rockpool(tau: float, dt: float) -> Mapping[str, Any]:
    return lif(3, tau=tau, r=np.full(3, tau * np.exp(-dt / tau) / dt, np.float32))


EVIDENCE: dict[str, tuple[list[Mapping[str, Any]], tuple[float, str, bool]]] = {
    "LIF": ([lif(3, dt=1e-4)], (1e-4, "euler", False)),
    "CubaLIF": ([cuba(3, dt=5e-4)], (5e-4, "euler", False)),
    "no round step, two time constants": (
        [lif(3, tau=0.0123, dt=1.23456e-4), lif(3, tau=0.02, dt=1.23456e-4)],
        (1.23456e-4, "euler", False),
    ),
    "a synapse without a filter": ([cuba(3, tau_syn=1e-3, dt=1e-3)], (1e-3, "euler", False)),
    "Rockpool": ([rockpool(0.0025, 1e-4)], (1e-4, "exp", True)),
    "Rockpool, two time constants": (
        [rockpool(0.0025, 1.2345e-4), rockpool(0.01, 1.2345e-4)], (1.2345e-4, "exp", True),
    ),
    "integrators": ([integrate(3, dt=1e-3)], (1e-3, "euler", False)),
    "integrators of sinabs": ([integrate(3, dt=1.0)], (1.0, "euler", False)),
}  # fmt: skip


@pytest.mark.parametrize("name", EVIDENCE)
def test_evidence(name: str, tmp_path: Path) -> None:
    neurons, wanted = EVIDENCE[name]
    found = timing(read_with(tmp_path, *neurons))
    assert (found.dt, found.rule, found.unit_gain) == (pytest.approx(wanted[0]), *wanted[1:])


NO_EVIDENCE = {
    "r of one": [lif(3, r=np.ones(3))],
    "steps that differ": [lif(3, dt=1e-4), lif(3, dt=2e-4)],
    "no round step, one time constant": [lif(3, tau=0.0123, dt=1.23456e-4)],
    "integrators that differ": [integrate(3), integrate(3, dt=2e-3)],
}


@pytest.mark.parametrize("name", NO_EVIDENCE)
def test_no_evidence(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give --dt DT, and --rule") as raised:
        timing(read_with(tmp_path, *NO_EVIDENCE[name]))
    assert "\n" not in str(raised.value)


def test_half_an_answer(tmp_path: Path) -> None:
    graph = read_with(tmp_path, lif(3, r=np.ones(3)))
    with pytest.raises(ConfigError, match=r"give --rule euler or --rule exp$"):
        timing(graph, 1e-3)
    found = timing(graph, 1e-3, "exp")
    assert found == Timing(dt=1e-3, rule="exp", evidence="as asked with --dt and --rule")


def test_units_that_are_hardly_seconds(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="20, which is hardly seconds: DT is in the same unit"):
        timing(read_with(tmp_path, lif(3, tau=20.0, r=np.ones(3))))


def test_evidence_may_be_overruled(tmp_path: Path) -> None:
    graph = read_with(tmp_path, rockpool(0.0025, 1e-4))
    assert timing(graph, 1e-4).unit_gain
    assert not timing(graph, 2e-4).unit_gain
    assert timing(graph, rule="euler") == Timing(
        dt=1e-4, rule="euler", evidence="as asked with --rule"
    )


@pytest.mark.parametrize("dt", [0.0, -1.0, float("nan"), float("inf")])
def test_steps_that_are_none(dt: float, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--dt"):
        timing(read_with(tmp_path, lif(3)), dt, "euler")


def test_time_constants_shorter_than_a_step(tmp_path: Path) -> None:
    with pytest.raises(TsslError, match=r"node n0 \(CubaLIF\): tau_syn = 0.004 is not as long as"):
        timing(read_with(tmp_path, cuba(3)), 5e-3, "exp")
