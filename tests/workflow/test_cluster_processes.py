"""Runs on real clusters, of which a process is killed, are equal to one of this process."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import tssl
from tests.workflow.test_shards import assert_same
from tssl.results import RunResult
from tssl.workflow.export import ExportOutcome
from tssl.workflow.run import load_result

pytestmark = pytest.mark.slow

SAMPLES, DEADLINE = 61, 200
ROOT = Path(__file__).parents[2]
FILES = ["network.net", "result.json", "result.npz"]

FRAGILE = """
import os, signal
from tssl.engine import Engine

class Fragile(Engine):
    '''The engine, that kills its process once: at the call of this number, in the middle.'''

    calls = 0

    def run(self, *given):
        Fragile.calls += 1
        for chunk in super().run(*given):
            if Fragile.calls == int(os.environ["FRAGILE_AT"]):
                try:
                    os.close(os.open(os.environ["FRAGILE_MARK"], os.O_CREAT | os.O_EXCL))
                except FileExistsError:
                    pass
                else:
                    os.kill(os.getpid(), signal.SIGKILL)
            yield chunk
"""
OTHER_VERSION = "import tssl.version\ntssl.version.__version__ = '0.0.9'\n"
NO_TSSL = """
import sys

class Missing:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "tssl":
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Missing())
"""


class Place:
    """A folder with a network, samples, and a backend as another distribution would bring it."""

    def __init__(self, folder: Path, exported: ExportOutcome) -> None:
        self.folder, self.net = folder, exported.path
        rng = np.random.default_rng(0)
        np.save(folder / "x.npy", rng.integers(0, 8, (SAMPLES, 1, 4, 4)))
        np.save(folder / "y.npy", rng.integers(0, 3, SAMPLES))
        plugin = folder / "plugin"
        facts = plugin / "fragile-1.dist-info"
        facts.mkdir(parents=True)
        (plugin / "fragile.py").write_text(FRAGILE)
        (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: fragile\nVersion: 1\n")
        (facts / "entry_points.txt").write_text("[tssl.backends]\nfragile = fragile:Fragile\n")
        self.environment = {
            **os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{plugin}",
            "FRAGILE_AT": "2", "FRAGILE_MARK": str(folder / "killed"),
        }  # fmt: skip
        given = {"input": folder / "x.npy", "labels": folder / "y.npy", "progress": False}
        self.whole: RunResult = tssl.run(self.net, out=folder / "whole", **given).result

    @property
    def killed(self) -> bool:
        """Whether a process died in the middle of a part."""
        return (self.folder / "killed").exists()

    def started(self, *command: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", *map(str, command)],
            cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    def run(self, *options: str) -> tuple[int, str]:
        """Return status and errors of a run that is shared."""
        samples = ("--input", self.folder / "x.npy", "--labels", self.folder / "y.npy")
        process = self.started(
            "tssl", "run", self.net, "--backend", "fragile", *samples, "--out", "out", "--quiet",
            *options,
        )  # fmt: skip
        try:
            _, errors = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
        return process.returncode, errors

    def assert_equal(self, *options: str) -> None:
        """Run, and compare all that the folder then holds with a run of one process."""
        status, errors = self.run(*options)
        assert (status, errors) == (0, "")
        assert sorted(path.name for path in (self.folder / "out").iterdir()) == FILES
        assert_same(load_result(self.folder / "out")[0], self.whole)


@pytest.fixture
def place(exported: ExportOutcome, tmp_path: Path) -> Place:
    return Place(tmp_path, exported)


@contextmanager
def dask(place: Place, preloads: list[str]) -> Iterator[str]:
    """Yield the address of a scheduler with a worker for each preloaded text."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    processes = [place.started("dask", "scheduler", "--host", "127.0.0.1", "--port", port,
                               "--no-dashboard")]  # fmt: skip
    for number, text in enumerate(preloads):
        preload = place.folder / f"preload{number}.py"
        preload.write_text(text)
        processes.append(
            place.started("dask", "worker", address, "--no-nanny", "--nthreads", 1,
                          "--no-dashboard", "--preload", preload)
        )  # fmt: skip
    try:
        _wait_for_workers(address, len(preloads))
        yield address
    finally:
        for process in processes:
            process.send_signal(signal.SIGKILL)
            process.communicate()


def _answers(host: str, port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex((host, port)) == 0


def _wait_for_workers(address: str, count: int) -> None:
    from distributed import Client

    host, port = address.removeprefix("tcp://").split(":")
    until = time.monotonic() + DEADLINE
    while not _answers(host, int(port)):  # it starts
        assert time.monotonic() < until
        time.sleep(0.2)
    with Client(address, timeout=DEADLINE, set_as_default=False) as client:
        client.wait_for_workers(count, timeout=DEADLINE)


@pytest.mark.timeout(600)
def test_dask_loses_a_worker(place: Place) -> None:
    with dask(place, ["", ""]) as address:
        place.assert_equal("--cluster", address)
    assert place.killed


@pytest.mark.timeout(600)
def test_dask_with_machines_of_another_kind(place: Place) -> None:
    for preloads, words in (
        (["", OTHER_VERSION], " has tssl 0.0.9; install tssl "),
        (["", NO_TSSL], " has no tssl; install tssl "),
    ):
        with dask(place, preloads) as address:
            status, errors = place.run("--cluster", address)
        assert status == 5
        assert errors.count("\n") == 1
        assert words in errors
        assert f"--cluster {address}: tcp://127.0.0.1:" in errors
        assert not (place.folder / "out").exists()


@pytest.mark.timeout(600)
def test_processes_here_lose_one(place: Place) -> None:
    place.assert_equal("--cluster", "local:2")
    assert place.killed


@pytest.mark.timeout(600)
def test_jobs_of_submitit_lose_one(place: Place) -> None:
    place.environment["FRAGILE_AT"] = "1"  # each job is a process of its own
    place.assert_equal("--slurm", "cluster=local,nodes=3")
    assert place.killed
