"""Two processes sharing every batch train what one process trains."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.trainer import tiny
from tssl.checkpoint import Checkpoint
from tssl.spec import Recipe
from tssl.trainer.parallel import Group, is_first_process

WORKER = """
import sys
from pathlib import Path

import torch

from tests.trainer import tiny

torch.set_num_threads(1)
directory, loss, batch_size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
fit = tiny.fit(directory, tiny.recipe(loss=loss, batch_size=batch_size, epochs=2))
assert fit.group.size == 2
assert fit.fit(tiny.Watcher())
print(fit.group.rank, fit.progress.metrics[-1].loss)
"""


def free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def run_two(
    directory: Path, loss: str, batch_size: int, worker: str = WORKER, of: Recipe | None = None
) -> None:
    port, processes = free_port(), []
    tiny.prepare(directory, of or tiny.recipe(loss=loss, batch_size=batch_size, epochs=2))
    for rank in range(2):
        environment = {
            **os.environ, "WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank),
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        command = [sys.executable, "-c", worker, str(directory), loss, str(batch_size)]
        processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE))
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "batch_size"), [("kernel", 10), ("softmax", 7), ("count", 53)])
def test_two_processes_train_what_one_trains(tmp_path: Path, loss: str, batch_size: int) -> None:
    """Batches of 7 split unevenly; of 54 samples, 53 leave one process without any."""
    run_two(tmp_path / "two", loss, batch_size)
    one = tiny.fit(tmp_path / "one", tiny.recipe(loss=loss, batch_size=batch_size, epochs=2))
    assert one.fit(tiny.Watcher())
    together = Checkpoint.load(tmp_path / "two" / "last.safetensors")
    alone = Checkpoint.load(one.run.last)
    for name, weight in alone.weights.items():
        np.testing.assert_allclose(together.weights[name], weight, rtol=0, atol=1e-5)
    assert together.provenance["test_accuracy"] == alone.provenance["test_accuracy"]


def test_alone_without_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.delenv("RANK", raising=False)
    group = Group("cpu")
    assert is_first_process()
    assert list(range(5))[group.share] == [0, 1, 2, 3, 4]
    assert group.totals([1.5, 2.0]) == [1.5, 2.0]
