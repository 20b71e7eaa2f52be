"""A bundle on a board that is played: what its script measures is what a calibration reads."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tssl.hw_profiles.calibration.log import read_log
from tssl.lava_runtime.install import LAVA
from tssl.workflow.bundle import bundle
from tssl.workflow.calibrate import calibrate
from tssl.workflow.export import ExportOutcome
from tssl.workflow.inputs import InputChoice

MAIN = """
import sys
sys.path.insert(0, sys.argv[1])
from worker.command import main
main(sys.argv[1:])
"""
COMMAND = """
import json, sys
from pathlib import Path
from types import SimpleNamespace
from . import simulation
def main(arguments):
    folder = Path(arguments[0])
    job = SimpleNamespace(**json.loads((folder / "job.json").read_text()))
    simulation.Simulation(job, folder).run()
"""
SIMULATION = """
import shutil
from types import SimpleNamespace
def configuration(job):
    return SimpleNamespace(callback_fxs=[])
class Simulation:
    def __init__(self, job, folder):
        self.job, self.folder, self.configuration = job, folder, configuration(job)
    def run(self):
        for logger in self.configuration.callback_fxs:
            logger.finish()
        for file in EXPECTED.iterdir():
            shutil.copyfile(file, self.folder / file.name)
"""
PROFILER = """
import numpy as np
class Loihi2Power:
    def __init__(self, num_steps):
        self.num_steps = num_steps
    def finish(self):
        self.vdd_power, self.vddm_power, self.vddio_power = (
            np.full(self.num_steps, watts) for watts in (0.2, 0.1, 0.01))
        self.total_power = self.vdd_power + self.vddm_power + self.vddio_power
        self.static_total_power = 0.25
class Loihi2ExecutionTime:
    def finish(self):
        self.avg_time_per_step = 12.5  # microseconds
"""


@pytest.fixture
def board(exported: ExportOutcome, tmp_path: Path) -> Path:
    """A bundle whose worker plays a board: it gives what is expected, and has a profiler."""
    folder = tmp_path / "board"
    bundle(exported.path, folder, InputChoice(samples=5))
    worker = folder / "worker"
    (worker / "__main__.py").write_text(MAIN)
    (worker / "command.py").write_text(COMMAND)
    expected = f"from pathlib import Path\nEXPECTED = Path({str(folder / 'expected')!r})"
    (worker / "simulation.py").write_text(expected + SIMULATION)
    utils = tmp_path / "lava" / "utils"
    utils.mkdir(parents=True)
    (utils / "loihi2_profiler.py").write_text(PROFILER)
    for place in (utils, utils.parent):
        (place / "__init__.py").write_text("")
    return folder


def check(board: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(board / "check.py"), *options]
    environment = {**os.environ, "PYTHONPATH": str(board.parent)}
    return subprocess.run(
        command, cwd=board.parent, env=environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


def test_a_log_is_what_a_calibration_reads(board: Path, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "board.csv"
    log.parent.mkdir()
    for _ in range(3):
        ran = check(board, "--backend", "loihi2", "--log", str(log), "--chips", "8")
        assert ran.returncode == 0, ran.stderr
        assert "0.31 W, 1.25e-05 s per step" in ran.stdout
    runs = read_log(log)
    assert len(runs) == 3
    assert {run.result.resolve() for run in runs} == {board / "result"}
    facts = json.loads((board / "bundle.json").read_text())
    assert {(run.digest, run.chips) for run in runs} == {(facts["digest"], 8)}
    assert runs[0].watts == pytest.approx(0.31)
    assert (runs[0].static, runs[0].seconds) == (0.25, 12.5e-6)
    made = calibrate([log], "loihi2", tmp_path / "mine.toml")
    (power,) = [price for price in made.fitted if "static" in price.key]
    assert power.figure is not None
    assert power.figure.value * 8 == pytest.approx(0.25)


def test_accuracy_is_printed(board: Path, tmp_path: Path) -> None:
    result = np.load(board / "result" / "result.npz")
    right = int((result["predictions"] == result["labels"]).sum())
    assert f"accuracy: {right} of 5, {right / 5:.2%}" in check(board).stdout
    np.save(tmp_path / "mine.npy", result["predictions"])
    labels = ["--labels", str(tmp_path / "mine.npy")]
    assert "accuracy: 5 of 5, 100.00%" in check(board, *labels).stdout
    np.save(tmp_path / "mine.npy", np.zeros(3))
    assert "has shape (3,), expected (5,)" in check(board, *labels).stdout


def test_a_log_of_a_simulator_is_refused(board: Path) -> None:
    ran = check(board, "--log", "x.csv")
    assert ran.returncode == 2
    assert "give --backend loihi2 too" in ran.stderr


def test_a_log_of_something_else_stays(board: Path, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    ran = check(board, "--backend", "loihi2", "--log", "x.csv")
    assert ran.returncode == 5
    assert "has other columns" in ran.stderr
    assert (tmp_path / "x.csv").read_text() == "a,b\n1,2\n"


def test_no_profiler(board: Path, tmp_path: Path) -> None:
    (tmp_path / "lava" / "utils" / "loihi2_profiler.py").unlink()
    ran = check(board, "--backend", "loihi2", "--log", "x.csv")
    assert ran.returncode == 5
    assert "measuring failed: " in ran.stderr
    assert "lava.utils.loihi2_profiler" in ran.stderr
    assert not (tmp_path / "x.csv").exists()


def test_another_lava_is_left_alone(board: Path, tmp_path: Path) -> None:
    made = tmp_path / "lava_nc-0.9.0.dist-info"
    made.mkdir()
    (made / "METADATA").write_text("Metadata-Version: 2.1\nName: lava-nc\nVersion: 0.9.0\n")
    ran = check(board)
    assert f"lava-nc 0.9.0 is here, {LAVA['lava-nc']} was tested; do not install over" in ran.stderr
    assert "install nothing over it" in (board / "README.md").read_text()
    assert "warning" not in check_without(made, board)


def check_without(made: Path, board: Path) -> str:
    (made / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: lava-nc\nVersion: {LAVA['lava-nc']}\n"
    )
    return check(board).stderr
