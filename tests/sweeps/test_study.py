import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from tests.sweeps.test_outcome import point
from tests.sweeps.test_spec import spec
from tssl.errors import DataError
from tssl.sweeps import Choices, Range, Study, SweepSpec
from tssl.sweeps.study import cut_to_lines

GRID = spec(over={"network.tau_m": Choices(values=(3, 5))}, seeds=(0, 1))


def opened(folder: Path, of: SweepSpec = GRID) -> Study:
    study = Study(folder, of)
    study.fill()
    return study


def test_every_trial_is_claimed_once_and_in_order(tmp_path: Path) -> None:
    one, other = opened(tmp_path), opened(tmp_path)
    seen = []
    with one.claim() as first, other.claim() as second, one.claim() as third:
        for claim in (first, second, third):
            assert claim is not None
            seen.append((claim.number, dict(claim.values)))
            claim.done([point(0, claim.number, 0.5, 1.0)], [0.5])
    assert seen == list(enumerate(GRID.grid()))[:3]
    with other.claim() as last:
        assert last is not None
        assert last.number == 3
        with one.claim() as none:
            assert none is None
        assert one.count().running == 1
        last.failed([], "it does not fit")
    assert other.count().is_finished
    assert (other.count().done, other.count().failed) == (3, 1)
    assert one.problems() == {3: "it does not fit"}
    assert [each.settings["bits"] for each in one.points()] == [0, 1, 2]


def test_what_was_left_is_claimed_again_with_its_number(tmp_path: Path) -> None:
    study = opened(tmp_path)
    with study.claim() as claim:
        assert claim is not None
        left = (claim.number, dict(claim.values))
    with opened(tmp_path).claim() as again:
        assert again is not None
        assert (again.number, dict(again.values)) == left


def _claim_and_die(folder: Path) -> None:
    import os

    with opened(folder).claim():
        os._exit(9)


def test_a_trial_of_a_dead_process_is_free(tmp_path: Path) -> None:
    study = opened(tmp_path)
    process = multiprocessing.get_context("spawn").Process(target=_claim_and_die, args=[tmp_path])
    process.start()
    process.join()
    assert process.exitcode == 9
    assert study.count().running == 1
    with study.claim() as claim:
        assert claim is not None
        assert claim.number == 0


def test_a_queue_that_was_cut_is_filled_up(tmp_path: Path) -> None:
    opened(tmp_path)
    journal = tmp_path / "journal.log"
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 5  # the study, and a line for each trial
    journal.write_bytes(b"".join(lines[:3]) + lines[3][:20])
    study = opened(tmp_path)
    values = []
    for _ in range(4):
        with study.claim() as claim:
            assert claim is not None
            values.append(dict(claim.values))
            claim.done([], [0.0])
    assert values == list(GRID.grid())


@pytest.mark.parametrize("keep", range(12))
def test_what_follows_the_last_line_is_cut_off(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "x"
    text = b"one\ntwo\nthree"[:keep]
    path.write_bytes(text)
    cut_to_lines(path)
    assert path.read_bytes() == text[: text.rfind(b"\n") + 1]


def test_a_search_says_when_to_give_up(tmp_path: Path) -> None:
    mine = spec(over={"training.lr": Range(low=0.1, high=1.0)}, optimize=("accuracy",), trials=9)
    study = opened(tmp_path, mine)
    given_up: list[Any] = []
    for number in range(8):
        with study.claim() as claim:
            assert claim is not None
            assert 0.1 <= claim.values["training.lr"] <= 1.0
            hopeless = claim.report(0.9 if number < 7 else 0.1, step=1)
            given_up.append(hopeless)
            if hopeless:
                claim.pruned()
            else:
                claim.done([], [0.9])
    assert given_up == [False] * 7 + [True]
    assert study.count().pruned == 1
    values = [trial.params["training.lr"] for trial in study._trials() if trial.params]
    assert len(set(values)) == 8


def test_a_report_of_the_process_before_is_not_given_again(tmp_path: Path) -> None:
    mine = spec(over={"training.lr": Range(low=0.1, high=1.0)}, optimize=("accuracy",), trials=1)
    for _ in range(2):
        with opened(tmp_path, mine).claim() as claim:
            assert claim is not None
            assert not claim.report(0.5, step=1)  # a second report would be a warning


CURE = "; delete it and give the command of the sweep again: finished trainings are kept"


@pytest.mark.parametrize("text", ["{}\n", "x\n{}\n", '{"op_code": 99, "worker_id": ""}\n'])
def test_a_damaged_journal_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "journal.log").write_text(text)
    with pytest.raises(DataError, match=rf"journal\.log: is damaged: .*{CURE}$"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"params": 7}, "'int' object has no attribute 'items'"),
        ({"op_code": 8, "trial_id": 0, "user_attr": {}}, "its lines contradict each other"),
    ],
)
def test_a_journal_with_a_damaged_trial(
    tmp_path: Path, changed: dict[str, Any], reason: str
) -> None:
    """Optuna's errors of such lines are of any kind, and some have no text."""
    opened(tmp_path)
    journal = tmp_path / "journal.log"
    first, second, *others = journal.read_text().splitlines(keepends=True)
    damaged = json.dumps({**json.loads(second), **changed}) + "\n"
    journal.write_text("".join([first, second, damaged, *others]))
    with pytest.raises(DataError, match=f": is damaged: {reason}{CURE}$"):
        opened(tmp_path)
    journal.unlink()
    assert opened(tmp_path).count().total == 4
