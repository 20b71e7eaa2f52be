"""Two processes sharing every batch train what one process trains."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainer import tiny
from tests.trainer.test_branches import branched_recipe
from tssl.checkpoint import Checkpoint
from tssl.recipe import Recipe
from tssl.trainer.parallel import Group, is_first_process

WORKER = """
import sys
from pathlib import Path

from tests.trainer import tiny
from tssl.recipe import load_recipe

directory = Path(sys.argv[1])
fit = tiny.fit(directory, load_recipe(directory / "recipe.toml"))
assert fit.group.size == 2
assert fit.fit(tiny.Watcher())
print(fit.group.rank, fit.progress.metrics[-1].loss)
"""


def free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def run_two(directory: Path, recipe: Recipe, worker: str = WORKER) -> None:
    port, processes = free_port(), []
    tiny.prepare(directory, recipe)
    for rank in range(2):
        environment = {
            **os.environ, "WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank),
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
        }  # fmt: skip
        command = [sys.executable, "-c", worker, str(directory)]
        processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE))
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "batch_size"), [("kernel", 10), ("softmax", 7), ("count", 53)])
def test_two_processes_train_what_one_trains(tmp_path: Path, loss: str, batch_size: int) -> None:
    """Batches of 7 split unevenly; of 54 samples, 53 leave one process without any."""
    recipe = tiny.recipe(loss=loss, batch_size=batch_size, epochs=2)
    run_two(tmp_path / "two", recipe)
    one = tiny.fit(tmp_path / "one", recipe)
    assert one.fit(tiny.Watcher())
    together = Checkpoint.load(tmp_path / "two" / "last.safetensors")
    alone = Checkpoint.load(one.run.last)
    for name, weight in alone.weights.items():
        np.testing.assert_allclose(together.weights[name], weight, rtol=0, atol=1e-5)
    assert together.provenance["test_accuracy"] == alone.provenance["test_accuracy"]


NORM_WORKER = (
    WORKER
    + """
import torch

torch.save(dict(fit.network.weights.items()), directory / f"rank{fit.group.rank}.pt")
"""
)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [7, 53])
def test_processes_share_the_averages_of_norms(tmp_path: Path, batch_size: int) -> None:
    """Of 54 samples, batches of 53 leave one process without any."""
    recipe = branched_recipe({"norm": "batch"}, loss="count", batch_size=batch_size, epochs=2)
    run_two(tmp_path, recipe, NORM_WORKER)
    first, second = (torch.load(tmp_path / f"rank{n}.pt", weights_only=True) for n in range(2))
    assert first["a_norm_mean"].any()
    for name, values in first.items():
        assert values.isfinite().all(), name
        assert torch.equal(values, second[name]), name


CHIP_WORKER = """
import sys
from pathlib import Path

import torch

from tests.trainer import tiny
from tssl.hw_profiles import load_profile
from tssl.recipe import load_recipe
from tssl.trainer.fit import Fit
from tssl.workflow.export import chip_plan

directory, train = Path(sys.argv[1]), tiny.dataset()
recipe = load_recipe(directory / "recipe.toml")
run = tiny.prepare(directory, recipe)
fit = Fit(recipe, run, train, tiny.dataset("test"), "cpu",
          planner=lambda found: chip_plan(found, load_profile("loihi2"), train))
assert fit.fit(tiny.Watcher())
assert fit.progress.integers_from == 3
weights = dict(fit.network.weights.items())
torch.save((weights, fit.plan.scales), directory / f"rank{fit.group.rank}.pt")
"""


@pytest.mark.slow
def test_processes_share_the_chips_integers(tmp_path: Path) -> None:
    run_two(tmp_path, tiny.recipe(forward="chip", batch_size=7, epochs=4), CHIP_WORKER)
    first, second = (torch.load(tmp_path / f"rank{n}.pt", weights_only=True) for n in range(2))
    assert first[1] == second[1]
    for name, values in first[0].items():
        assert torch.equal(values, second[0][name]), name
    trained = Checkpoint.load(tmp_path / "best.safetensors")
    assert trained.plan is not None
    assert trained.plan.scales == first[1]


def test_alone_without_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.delenv("RANK", raising=False)
    group = Group("cpu")
    assert is_first_process()
    assert list(range(5))[group.share] == [0, 1, 2, 3, 4]
    assert group.totals([1.5, 2.0]) == [1.5, 2.0]
