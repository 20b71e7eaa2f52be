"""What is noticed of a scheduler; real ones are in ``tests/workflow/test_cluster_processes.py``."""

import sys
from pathlib import Path

import pytest

from tssl.clusters import Cluster, chosen_cluster, dask_scheduler
from tssl.errors import BackendError, BackendUnavailableError


@pytest.mark.parametrize(
    ("module", "address", "slurm"),
    [("distributed", "tcp://127.0.0.1:9", None), ("submitit", None, {"cluster": "local"})],
)
def test_what_is_not_installed(
    module: str,
    address: str | None,
    slurm: dict[str, str] | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    cluster = chosen_cluster(address, slurm)
    assert cluster is not None
    with pytest.raises(BackendUnavailableError, match=r"^--.*pip install 'tssl\[cluster\]'"):
        enter(cluster, tmp_path)
    assert list(tmp_path.iterdir()) == []


def enter(cluster: Cluster, folder: Path) -> None:
    with cluster.opened(folder):
        pass


class Client:
    """A connection to so many workers."""

    status = "running"
    workers: dict[str, int]

    def nthreads(self) -> dict[str, int]:
        return self.workers


def test_workers_may_be_away_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(dask_scheduler.time, "monotonic", lambda: now[0])
    client = Client()
    watch = dask_scheduler._Watch("--cluster x", client)
    for seconds, workers in ((50, {}), (5, {"a": 1}), (59, {})):
        now[0] += seconds
        client.workers = workers
        watch.look()
    now[0] += 2
    client.status = "connecting"  # Dask cancels its futures then: nothing to say here
    watch.look()
    client.status = "running"
    with pytest.raises(
        BackendError, match=r"^--cluster x: has had no workers for 60 s; start some"
    ):
        watch.look()
