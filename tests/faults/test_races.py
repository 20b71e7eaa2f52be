"""Several commands at once on the same files: one of them wins, nothing is mixed."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.scenes import USAGE, Forker, Undisturbed, contents, parts

pytestmark = pytest.mark.slow

MOMENTS = 4
"""At how many, drawn from all, a command is overtaken."""
TAKEN = (
    "was replaced while it was read",
    "already holds a run",
    "another tssl is training here",
    "another tssl trained here",
)


def moments_of(name: str, of: Undisturbed) -> list[int]:
    return sorted(random.Random(name).sample(of.moments, min(MOMENTS, len(of.moments))))


def overtaken(
    first: list[str], second: list[str], moment: int, folder: Path, forker: Forker
) -> tuple[int, int]:
    """Stop a command before an operation, let another overtake it; return how both ended."""
    stopped = forker.start(*first, folder=folder, stop=moment)
    assert stopped.state() == "stopped"
    other = forker.start(*second)
    other.settle()  # it may have to wait for the one that was stopped
    stopped.go_on()
    ends = stopped.wait(), other.wait()
    for child, end in zip((stopped, other), ends, strict=True):
        if end:
            child.assert_one_line(next((why for why in TAKEN if why in child.err), "TAKEN"))
    return ends


@pytest.mark.parametrize("name", ["train", "resume"])
def test_two_trainings_in_one_folder(
    name: str,
    forker: Forker,
    work: Path,
    tmp_path: Path,
    undisturbed: Callable[[str], Undisturbed],
) -> None:
    expected = undisturbed(name)
    for moment in moments_of(name, expected):
        place = expected.copy(tmp_path / str(moment))
        words = expected.scene.on(place, work)
        assert 0 in overtaken(words, words, moment, place, forker)
        assert contents(place) == expected.after
        assert parts(place) == []


@pytest.mark.parametrize("name", ["train", "resume"])
def test_four_trainings_at_once(
    name: str,
    forker: Forker,
    work: Path,
    tmp_path: Path,
    undisturbed: Callable[[str], Undisturbed],
) -> None:
    expected = undisturbed(name)
    folder = expected.copy(tmp_path / "x")
    children = [forker.start(*expected.scene.on(folder, work)) for _ in range(4)]
    ends = [child.wait() for child in children]
    assert set(ends) <= {0, USAGE}
    assert ends.count(0) == 1 or name == "resume"  # it may find all epochs done
    assert contents(folder) == expected.after
    assert parts(folder) == []


def test_a_run_under_way_is_not_resumed(
    forker: Forker, work: Path, tmp_path: Path, undisturbed: Callable[[str], Undisturbed]
) -> None:
    """Not even its recipe changes."""
    expected = undisturbed("train")
    middle = len(expected.operations) // 2
    training = forker.start(*expected.scene.on(tmp_path, work), folder=tmp_path, stop=middle)
    assert training.state() == "stopped"
    before = contents(tmp_path)
    resumed = forker.start("train", "--resume", tmp_path / "run", "--epochs", 9, "--quiet")
    resumed.assert_one_line("another tssl is training here")
    assert contents(tmp_path) == before
    training.go_on()
    assert training.wait() == 0
    assert contents(tmp_path) == expected.after


def split(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the files that belong together: those of a bundle, and those beside it."""
    board = {path: found[path] for path in found if path.startswith("board/")}
    return [{path: found[path] for path in found if path not in board}, board]


PAIRS = [(name, f"{name} over another") for name in ("export", "run", "report", "bundle")]


@pytest.mark.parametrize("names", PAIRS, ids=lambda names: names[0])
def test_two_writers_of_the_same_files(
    names: tuple[str, str],
    forker: Forker,
    work: Path,
    tmp_path: Path,
    undisturbed: Callable[[str], Undisturbed],
) -> None:
    """One stops, the other one writes something else to the same names in the meantime."""
    expected, other = (undisturbed(name) for name in names)
    for moment in moments_of(names[0], expected):
        place = expected.copy(tmp_path / str(moment))
        second = [word.format(folder=place, work=work) for word in other.scene.older[0]]
        first_end, second_end = overtaken(
            expected.scene.on(place, work), second, moment, place, forker
        )
        assert second_end == 0
        assert first_end == 0 or names[0] == "bundle"
        found, *wholes = (split(x) for x in (contents(place), expected.after, other.before))
        for index, group in enumerate(found):
            assert group in [whole[index] for whole in wholes], f"stopped before {moment}"
        assert parts(place) == []


def test_a_reader_waits_for_files_that_belong_together(
    forker: Forker, work: Path, tmp_path: Path, undisturbed: Callable[[str], Undisturbed]
) -> None:
    expected = undisturbed("run over another")
    folder = expected.copy(tmp_path / "x")
    renames = [n for n, line in enumerate(expected.operations, 1) if "rename" in line]
    writer = forker.start(*expected.scene.on(folder, work), folder=folder, stop=renames[-1])
    assert writer.state() == "stopped"
    reader = forker.start("report", folder / "result", "--profile", "loihi2", "--quiet")
    assert reader.settle(), "it waits"
    writer.go_on()
    assert writer.wait() == 0
    assert reader.wait() == 0, reader.err


def test_a_network_that_is_exported_again_while_it_runs(
    forker: Forker, work: Path, tmp_path: Path, undisturbed: Callable[[str], Undisturbed]
) -> None:
    """The run is not in vain: its result stands beside the network that was run."""
    export, coarse = undisturbed("export"), undisturbed("export over another").scene.older[0]
    forker.run(*export.scene.on(tmp_path, work))
    result = tmp_path / "result"
    words = ["run", tmp_path / "x.net", "--backend", "engine", "--out", result, "--quiet"]
    running = forker.start(*words, folder=result, stop=2)
    assert running.state() == "stopped"
    forker.run(*(word.format(folder=tmp_path, work=work) for word in coarse))
    running.go_on()
    assert running.wait() == 0, running.err
    report = forker.run("report", result, "--profile", "loihi2", "--json")
    assert json.loads(report.out)["result"]["network"] == "rows"
    assert contents(result)["network.net"] == export.after["x.net"]
