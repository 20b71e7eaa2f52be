"""The batch scripts in ``examples/cluster/``, run by a stand-in for SLURM."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import slurm_stand_in
from tests.workflow.test_shards import assert_same
from tssl.checkpoint import Checkpoint
from tssl.workflow.run import load_result
from tssl.workflow.sweep_outcome import load_sweep

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "examples" / "cluster"
LAYERS = '[{"type": "dense", "neurons": 16}, {"type": "dense", "neurons": 10}]'


class Site:
    """A folder that all nodes see, and SLURM."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        programs = slurm_stand_in.install(folder / "slurm")
        own = Path(sys.executable).parent
        self.environment = {
            **os.environ, "PYTHONPATH": str(ROOT),
            "PATH": os.pathsep.join([str(programs), str(own), os.environ["PATH"]]),
        }  # fmt: skip

    def call(self, *words: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(word) for word in words], cwd=self.folder, env=self.environment,
            capture_output=True, text=True, check=False, timeout=400,
        )  # fmt: skip

    def tssl(self, *words: object) -> None:
        ran = self.call(sys.executable, "-m", "tssl", *words, "--quiet")
        assert ran.returncode == 0, ran.stderr

    def sbatch(self, *words: object) -> str:
        """Run a job to its end and return what its tasks wrote."""
        before = set(self.folder.glob("*.log"))
        ran = self.call("sbatch", "--wait", *words)
        logs = sorted(set(self.folder.glob("*.log")) - before)
        text = "".join(log.read_text() for log in logs)
        assert ran.returncode == 0, f"{ran.stderr}\n{text}"
        assert ran.stdout.startswith("Submitted batch job ")
        return text


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run and its network; not to be written to."""
    site = Site(tmp_path_factory.mktemp("network"))
    site.tssl("train", "digits", "--set", f"layers={LAYERS}", "--epochs", 1, "--out", "run")
    site.tssl("export", "run", "--target", "loihi2", "-o", "digits.net", "--no-lava",
              "--samples", 9, "--proof-samples", 3)  # fmt: skip
    return site.folder


@pytest.fixture
def trained(site: Site, network: Path) -> Site:
    shutil.copytree(network / "run", site.folder / "run")
    shutil.copy(network / "digits.net", site.folder)
    return site


def test_training_on_two_nodes(trained: Site) -> None:
    script = SCRIPTS / "train.sbatch"
    options = ("--cpus-per-task=1", script, "digits", "two")
    trained.sbatch(*options, "--set", f"layers={LAYERS}", "--epochs", 1)
    alone, together = (
        Checkpoint.load(trained.folder / run / "last.safetensors") for run in ("run", "two")
    )
    for name, weight in alone.weights.items():
        np.testing.assert_allclose(together.weights[name], weight, rtol=0, atol=1e-4)
    trained.sbatch(*options, "--epochs", 2)  # goes on
    metrics = (trained.folder / "two" / "metrics.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in metrics] == ["epoch", "1", "2"]


def test_a_sweep_as_a_job_array(site: Site) -> None:
    site.sbatch("--array=0-1", "--cpus-per-task=1", SCRIPTS / "sweep.sbatch", "digits", "--over",
                "tau_m=3,5", "--seeds", "0,1", "--set", f"layers={LAYERS}", "--set", "epochs=1",
                "--samples", 20, "--out", "sweep")  # fmt: skip
    assert sorted(path.name for path in site.folder.glob("*.log")) == [
        "tssl-sweep-1-0.log", "tssl-sweep-1-1.log",
    ]  # fmt: skip
    found = load_sweep(site.folder / "sweep")
    assert len(found.points) == 4


def test_an_evaluation_with_dask_in_a_job(trained: Site) -> None:
    trained.tssl("run", "digits.net", "--backend", "engine", "--samples", 60, "--out", "plain")
    trained.sbatch("--ntasks-per-node=1", SCRIPTS / "evaluate.sbatch", "digits.net", "--backend",
                   "engine", "--samples", 60, "--out", "shared")  # fmt: skip
    plain, shared = (load_result(trained.folder / name)[0] for name in ("plain", "shared"))
    assert_same(shared, plain)


def submitted(site: Site) -> dict[str, Any]:
    return json.loads((site.folder / "slurm" / "job-1" / "job.json").read_text())


def test_an_evaluation_by_submitit(trained: Site) -> None:
    """Through submitit's own code for SLURM: a job array, two tasks at a time."""
    trained.tssl("run", "digits.net", "--backend", "engine", "--samples", 60, "--out", "plain")
    trained.tssl("run", "digits.net", "--backend", "engine", "--samples", 60, "--out", "shared",
                 "--slurm", "partition=short,nodes=2,time=7,cpus=1,mem=2")  # fmt: skip
    plain, shared = (load_result(trained.folder / name)[0] for name in ("plain", "shared"))
    assert_same(shared, plain)
    job = submitted(trained)
    asked = ("array", "partition", "time", "cpus_per_task", "mem", "nodes")
    assert [job[name] for name in asked] == ["0-3%2", "short", "7", 1, "2GB", 1]


def test_jobs_that_are_refused(trained: Site) -> None:
    ran = trained.call(
        sys.executable, "-m", "tssl", "run", "digits.net", "--backend", "engine", "--samples", 9,
        "--out", "new", "--quiet", "--slurm", "partition=none",
    )  # fmt: skip
    assert ran.returncode == 5
    assert ran.stderr == (
        "tssl: error: --slurm: jobs are refused: sbatch: error: invalid partition specified: none\n"
    )
