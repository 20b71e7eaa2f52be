"""kill -9 between any two changes of a folder, and in the middle of a write.

That a training killed in the middle of an epoch goes on bit for bit is in
``tests/trainer/test_fit.py``, Ctrl-C in ``tests/test_cli.py``, downloads in ``test_downloads.py``.
"""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.scenes import (
    VERBS,
    WRITERS,
    Child,
    Forker,
    Undisturbed,
    contents,
    is_unfinished,
    parts,
)

pytestmark = pytest.mark.slow

KILLED = -9
KILLED_WRITING = -25


def some_moments(name: str, of: Undisturbed, count: int) -> list[int]:
    """Return moments drawn from the scene's name, half of them where it matters."""
    rng = random.Random(name)
    important = rng.choices(of.moments, k=count - count // 2)
    return sorted({*important, *rng.choices(range(1, len(of.operations) + 1), k=count // 2)})


def assert_whole_and_repeatable(
    killed: Child, expected: Undisturbed, folder: Path, work: Path, forker: Forker
) -> None:
    """What has a final name is whole; the command given again ends as if nothing had been."""
    for path, content in contents(folder).items():
        if expected.scene.again:  # training: files of an earlier epoch may be there
            continue
        assert content in (expected.before.get(path), expected.after.get(path)), path
    goes_on = expected.scene.again and (folder / "run" / "recipe.toml").exists()
    forker.run(*expected.scene.on(folder, work, "again" if goes_on else "command"))
    assert contents(folder) == expected.after, killed.output
    assert parts(folder) == []


def killed_at(moment: int, expected: Undisturbed, folder: Path, work: Path, forker: Forker) -> None:
    """Kill a command before an operation, look at what it left, and give it again."""
    place = expected.copy(folder / str(moment))
    killed = forker.start(*expected.scene.on(place, work), folder=place, kill=moment)
    assert killed.wait() == KILLED, killed.err
    assert_whole_and_repeatable(killed, expected, place, work, forker)


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_killed_at_some_moment(
    name: str,
    forker: Forker,
    work: Path,
    tmp_path: Path,
    undisturbed: Callable[[str], Undisturbed],
) -> None:
    """A training writes many files one after another, so it is killed more often."""
    expected = undisturbed(name)
    for moment in some_moments(name, expected, 4 if expected.scene.again else 1):
        killed_at(moment, expected, tmp_path, work, forker)


@pytest.mark.parametrize("name", WRITERS)
def test_a_writer_killed_at_every_moment(
    name: str,
    forker: Forker,
    work: Path,
    tmp_path: Path,
    undisturbed: Callable[[str], Undisturbed],
) -> None:
    expected = undisturbed(name)
    assert len(expected.operations) >= 5
    for moment in range(1, len(expected.operations) + 1):
        killed_at(moment, expected, tmp_path, work, forker)


@pytest.mark.parametrize("largest", [0, 3000])
@pytest.mark.parametrize("name", [*WRITERS, "train", "bundle"])
def test_killed_in_the_middle_of_a_write(
    name: str,
    largest: int,
    forker: Forker,
    work: Path,
    tmp_path: Path,
    undisturbed: Callable[[str], Undisturbed],
) -> None:
    """The system kills at the byte after so many of any file."""
    expected = undisturbed(name)
    folder = expected.copy(tmp_path / "x")
    words = expected.scene.on(folder, work)
    killed = forker.start(*words, folder=folder, kill=0, largest_file=largest)
    assert killed.wait() == KILLED_WRITING, killed.err
    assert parts(folder), "it was writing"
    assert_whole_and_repeatable(killed, expected, folder, work, forker)


def test_killed_again_and_again_leaves_no_heap(
    forker: Forker, work: Path, tmp_path: Path, undisturbed: Callable[[str], Undisturbed]
) -> None:
    expected = undisturbed("run")
    words = expected.scene.on(tmp_path, work)
    for _ in range(4):
        killed = forker.start(*words, folder=tmp_path, kill=len(expected.operations) - 3)
        assert killed.wait() == KILLED
        assert len([path for path in parts(tmp_path) if path.is_dir()]) == 1
    assert_whole_and_repeatable(killed, expected, tmp_path, work, forker)


@pytest.mark.parametrize("name", ["train", "export", "run", "report", "bundle"])
def test_nothing_is_written_under_its_final_name(
    name: str, undisturbed: Callable[[str], Undisturbed]
) -> None:
    """Only moved there; so whatever kills a writer, no half file is taken for whole."""
    opened = [line.split(" ", 1)[1] for line in undisturbed(name).operations if "open " in line]
    assert opened
    for path in opened:
        assert is_unfinished(Path(path)), path
