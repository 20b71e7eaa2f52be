"""One forker for all tests, and a finished chain of files to start from."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.scenes import SCENES, Forker, Undisturbed, contents
from tests.trainer import tiny


@pytest.fixture(scope="session")
def shared_forker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forker]:
    environment = {
        **os.environ, "NUMBA_NUM_THREADS": "1",
        "NUMBA_THREADING_LAYER": "workqueue",  # the one that survives a fork
        "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1",
    }  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.forker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[2],
    ) as process:
        yield Forker(process, tmp_path_factory.mktemp("outputs"))
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def forker(shared_forker: Forker) -> Iterator[Forker]:
    """Starts commands; none outlives the test."""
    before = len(shared_forker.children)
    yield shared_forker
    for child in shared_forker.children[before:]:
        if not isinstance(child.state(0), int):
            os.kill(child.pid, signal.SIGKILL)
            child.wait()


@pytest.fixture(scope="session")
def work(shared_forker: Forker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a trained, exported and run network; not to be written to."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "rows.toml").write_text(tiny.recipe().to_toml())
    run, net = folder / "run", folder / "rows.net"
    shared_forker.run("train", folder / "rows.toml", "--out", run, "--quiet")
    export = ("export", run, "--target", "loihi2", "-o", net, "--no-lava", "--quiet")
    shared_forker.run(*export)
    ran = ("run", net, "--backend", "engine", "--data", "rows", "--out", folder / "result")
    shared_forker.run(*ran, "--quiet")
    return folder


@pytest.fixture(scope="session")
def undisturbed(
    shared_forker: Forker, work: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Undisturbed]:
    known: dict[str, Undisturbed] = {}

    def measure(name: str) -> Undisturbed:
        if name not in known:
            parent, scene = tmp_path_factory.mktemp("undisturbed"), SCENES[name]
            older, folder = parent / "older", parent / "folder"
            scene.prepare(older, work, shared_forker)
            shutil.copytree(older, folder)
            child = shared_forker.run(*scene.on(folder, work), folder=folder)
            known[name] = Undisturbed(
                scene, older, child.operations, contents(older), contents(folder)
            )
        return known[name]

    return measure
