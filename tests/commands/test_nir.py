"""`tssl nir`, and `tssl export` of NIR files: what is printed and written, in both languages."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import tssl as python
from tests.command import Ran, in_this_process
from tests.exchange.nir.files import chain, cuba, ends, linear, write
from tssl import netx
from tssl.engine import Compiled

STEPS = 30


@pytest.fixture
def tssl(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    return in_this_process(capsys)


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """Two layers, the second with a bias into its synapses."""
    rng = np.random.default_rng(8)
    nodes = ends([6], [3]) | {
        "fc": linear(rng.normal(0.3, 0.5, (8, 6))), "lif.1": cuba(8),
        "fc2": linear(rng.normal(0.3, 0.5, (3, 8)), [0.1, 0.0, -0.1]), "lif.2": cuba(3),
    }  # fmt: skip
    return write(
        tmp_path / "theirs.nir", nodes, chain("input", "fc", "lif.1", "fc2", "lif.2", "output")
    )


def test_read_export_run_and_write(tssl: Callable[..., Ran], graph: Path, tmp_path: Path) -> None:
    run, net = tmp_path / "run", tmp_path / "theirs.net"
    found = tssl("nir", "read", graph, "-o", run, "--json").document
    assert (found["dt"], found["rule"]) == (1e-3, "euler")
    assert [layer["node"] for layer in found["layers"]] == ["lif.1", "lif.2"]
    assert [decay["integer"] for decay in found["decays"]] == [1024, 410] * 2
    assert sorted(path.name for path in run.iterdir()) == [
        "best.safetensors", "graph.nir", "recipe.toml",
    ]  # fmt: skip
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(1).random((9, STEPS, 6)) < 0.3)
    ran = tssl(
        "export", run, "--target", "loihi2", "--no-lava", "-o", net, "--data", tmp_path / "x.npz",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    phrases = (
        "Decays", "1024/4096", "Spikes of the graph in floating point", "Proof of theirs",
        "one step later", "r = tau/dt",
    )  # fmt: skip
    for phrase in phrases:
        assert phrase in ran.out
    assert netx.read(net).time_steps == STEPS
    np.save(tmp_path / "x.npy", np.ones((2, STEPS, 6), np.int64))
    ran = tssl(
        "run", net, "--backend", "engine", "--input", tmp_path / "x.npy", "--out", tmp_path / "r"
    )
    assert ran.status == 0, ran.err
    written = tssl("nir", "write", net, "-o", tmp_path / "ours.nir", "--json").document
    assert written["mode"] == "chip"
    assert (tmp_path / "ours.spikes.h5").exists()
    assert any("24 bits" in loss for loss in written["not_carried"])


def test_the_same_from_python(graph: Path, tmp_path: Path) -> None:
    values = (np.random.default_rng(1).random((9, STEPS, 6)) < 0.3).astype(int)
    run = python.nir_read(graph, tmp_path / "run")
    both = [
        python.export(source, "loihi2", out=tmp_path / f"{name}.net", lava=False, data=values,
                      progress=False)
        for name, source in (("a", run), ("b", graph))
    ]  # fmt: skip
    assert both[0].network.digest == both[1].network.digest
    train = values.transpose(1, 0, 2)
    fired = [Compiled(each.network).run(train, STEPS).trains for each in both]
    assert all(np.array_equal(fired[0][name], fired[1][name]) for name in fired[0])
    assert both[0].nir is not None
    assert [row.node for row in both[0].nir.agreements] == ["lif.1", "lif.2"]
    again = python.nir_write(both[0], tmp_path / "chip.nir", dt=2e-3)
    assert (again.mode, again.dt) == ("chip", 2e-3)
    assert python.nir_write(tmp_path / "run", tmp_path / "float.nir").mode == "float"
    with h5py.File(tmp_path / "float.nir") as file:
        assert file["node/nodes/lif_1/type"][()] == b"CubaLIF"
        assert file["node/nodes/lif_1/v_threshold"][()].shape[0] in (8, 9)
