"""Three processes do one sweep, and one of them is killed."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tssl.workflow.sweep_outcome import load_sweep

EPOCHS = 8
COMMAND = (
    "sweep", "digits", "--over", "tau_m=3,5", "--over", "weight_bits=3,8", "--seeds", "0,1",
    "--set", f"epochs={EPOCHS}", "--samples", "50", "--quiet", "--json",
)  # fmt: skip
FIRST = "tau_m=3,seed=0"
_RUNNING, _COMPLETE = 0, 1  # Optuna's TrialState
_SET_STATE = 6  # its JournalOperation
DEADLINE = 280


def started(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tssl", *COMMAND, "--out", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def states(folder: Path, state: int) -> list[int]:
    """Return the trials that came into a state, one entry each time."""
    journal = folder / "journal.log"
    if not journal.exists():
        return []
    entries = [json.loads(line) for line in journal.read_text().splitlines(keepends=True)
               if line.endswith("\n")]  # fmt: skip
    return [
        each["trial_id"]
        for each in entries
        if each["op_code"] == _SET_STATE and each["state"] == state
    ]


def epochs(folder: Path, run: str) -> int:
    path = folder / "runs" / run / "metrics.csv"
    if not path.exists():
        return 0
    with path.open() as file:
        return len(list(csv.DictReader(file)))


def wait_for(what: Any) -> None:
    until = time.monotonic() + DEADLINE
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_is_lost_or_done_twice(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    victim = started(folder)
    wait_for(lambda: epochs(folder, FIRST) >= 1)
    victim.send_signal(signal.SIGSTOP)  # it lives, and keeps its trial
    others = [started(folder), started(folder)]
    try:
        wait_for(lambda: len(states(folder, _COMPLETE)) >= 2)
        assert states(folder, _RUNNING).count(0) == 1
        victim.send_signal(signal.SIGKILL)
        victim.communicate()
        before = epochs(folder, FIRST)
        assert states(folder, _COMPLETE).count(0) == 0
        assert 1 <= before < EPOCHS
        began = (folder / "runs" / FIRST / "recipe.toml").stat().st_mtime_ns
        for process in others:
            out, err = process.communicate(timeout=DEADLINE)
            assert process.returncode == 0, err
            assert json.loads(out)["finished"]
    finally:
        for process in (victim, *others):
            process.kill()
            process.communicate()
    # the trial of the dead one went on from its epoch, in its folder
    assert (folder / "runs" / FIRST / "recipe.toml").stat().st_mtime_ns == began
    assert sorted(states(folder, _RUNNING)) == sorted(states(folder, _COMPLETE)) == [0, 1, 2, 3]
    for run in (folder / "runs").iterdir():
        assert epochs(folder, run.name) == EPOCHS
    alone = tmp_path / "alone"
    process = started(alone)
    out, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, err
    one, other = ([each.document() for each in load_sweep(each).points] for each in (folder, alone))
    assert len(one) == 8
    assert one == other


@pytest.mark.slow
def test_an_interrupt_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    process = started(folder)
    wait_for(lambda: epochs(folder, FIRST) >= 1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130, err
    assert json.loads(out)["trials"]["running"] == 1
    assert (folder / "runs" / FIRST / "state.safetensors").exists()
