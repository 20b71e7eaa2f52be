"""What users do with networks that are no chains: look, verify, run, report, take to a board."""

import json
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from tests.graphs import sew_net
from tssl import netx
from tssl.chip import ChipNetwork
from tssl.engine import run_chunk
from tssl.lava_runtime.backend import BackendOptions
from tssl.results import RunResult
from tssl.workflow.bundle import bundle
from tssl.workflow.inputs import InputChoice
from tssl.workflow.inspect import inspect
from tssl.workflow.proof import verify
from tssl.workflow.run import run

RANDOM = InputChoice(samples=3, steps=7, seed=1)


def quiet(_: str, __: int) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda _: None)


@pytest.fixture
def network(rng) -> ChipNetwork:
    return sew_net(rng)


@pytest.fixture
def net(network: ChipNetwork, tmp_path: Path) -> Path:
    netx.write(tmp_path / "sew.net", network)
    return tmp_path / "sew.net"


def test_inspect_names_all_sources_and_no_lines_of_lava_dl(net: Path) -> None:
    document = inspect(net).document()
    sources = [["input"], ["conv1"], ["conv2", "conv1"]]
    assert [layer["sources"] for layer in document["layers"]] == sources
    assert [layer["kind"] for layer in document["layers"]] == ["conv", "conv", "conv + conv"]
    assert document["layers"][2]["source"] == "conv2, conv1"
    assert document["lava_dl"]["lines"] == []


@pytest.mark.lava
def test_verify_and_run(net: Path, network: ChipNetwork, rng, tmp_path: Path) -> None:
    proof = verify(net, RANDOM, BackendOptions(), lambda _: None)
    assert proof.problem is None
    (stage,) = proof.stages
    assert {row.layer for row in stage.rows} == {"conv1", "conv2", "conv3"}
    train = rng.integers(0, 2, (3, 7, 60))
    choice = InputChoice(file=train, steps=7)
    outcome = run(net, "sim", choice, tmp_path / "R", BackendOptions(), quiet)
    expected = run_chunk(network, train.transpose(1, 0, 2), 7)
    loaded = RunResult.load(tmp_path / "R")
    spikes = [int(expected.trains[layer.name].sum()) for layer in network.layers]
    assert loaded.counts.spikes.sum(axis=1).tolist() == spikes
    assert outcome.result.digest == network.digest


@pytest.mark.lava
def test_a_bundle_has_the_relays_and_passes(net: Path, tmp_path: Path, clean_python: str) -> None:
    folder = tmp_path / "board"
    bundle(net, folder, RANDOM)
    facts = json.loads((folder / "bundle.json").read_text())
    assert facts["layers"] == ["conv1", "conv2", "relay1_of_conv1", "conv3"]
    assert netx.read(folder / "network.net").digest == facts["digest"]
    readme = (folder / "README.md").read_text()
    assert "lava-dl cannot load" in readme
    assert "hdf5.Network" not in readme
    command = [clean_python, str(folder / "check.py")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("PASS") == 6
    ran = subprocess.run(
        [*command, "--backend", "loihi2"], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 5
    assert "no chains run on Lava's simulator only" in ran.stderr
