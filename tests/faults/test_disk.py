"""Disks that are full, too small, or may only be read.

What one writer does when it is refused is in ``tests/machine/test_files.py``; that every command
says so in one line, in ``tests/test_cli.py``.
"""

import errno
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import pytest

from tests.faults.scenes import (
    SCENES,
    USAGE,
    VERBS,
    WRITERS,
    Forker,
    Undisturbed,
    contents,
    parts,
)

pytestmark = pytest.mark.slow

REASONS = {
    errno.ENOSPC: "No space left on device",
    errno.EROFS: "Read-only file system",
    errno.EIO: "Input/output error",
}


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Return a maker of small file systems in memory."""
    made: list[Path] = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"disk{len(made)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"cannot mount a file system here: {error}")
        made.append(folder)
        return folder

    yield mount
    for folder in made:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Forbid writing to a mounted file system, even to root."""
    for mode in ("ro", "rw"):
        subprocess.run(["mount", "-o", f"remount,{mode}", str(folder)], check=True)
        if mode == "ro":
            yield


def refusable(name: str, of: Undisturbed) -> list[int]:
    """Return the operations that a disk may refuse, counted from 1.

    Not the moves of a bundle: after half of them the folder is no bundle any more and must be
    emptied by hand, which the command says.
    """
    operations = range(1, len(of.operations) + 1)
    if not name.startswith("bundle"):
        return list(operations)
    return [n for n in operations if n < of.moments[-1] - 8 and "rmdir" not in of.operations[n - 1]]


def refused_at(
    name: str,
    moment: int,
    code: int,
    folder: Path,
    work: Path,
    forker: Forker,
    expected: Undisturbed,
) -> None:
    """Refuse one operation. The command either did without it, or says why and lost nothing."""
    words = expected.scene.on(expected.copy(folder), work)
    child = forker.start(*words, folder=folder, refuse=moment, code=code)
    if child.wait():
        child.assert_one_line(REASONS[code])
        if moment < expected.moments[0]:
            assert contents(folder) == expected.before, "older files are lost"
    for path, content in contents(folder).items():
        if not expected.scene.again:
            assert content in (expected.before.get(path), expected.after.get(path)), path
    goes_on = expected.scene.again and (folder / "run" / "recipe.toml").exists()
    forker.run(*expected.scene.on(folder, work, "again" if goes_on else "command"))
    assert contents(folder) == expected.after
    assert parts(folder) == []


@pytest.mark.parametrize("name", VERBS)
def test_one_operation_of_a_verb_is_refused(
    name: str,
    forker: Forker,
    work: Path,
    tmp_path: Path,
    undisturbed: Callable[[str], Undisturbed],
) -> None:
    expected, rng = undisturbed(name), random.Random(name)
    moment, code = rng.choice(refusable(name, expected)), rng.choice(list(REASONS))
    refused_at(name, moment, code, tmp_path / "x", work, forker, expected)


@pytest.mark.parametrize("name", WRITERS)
def test_any_operation_of_a_writer_is_refused(
    name: str,
    forker: Forker,
    work: Path,
    tmp_path: Path,
    undisturbed: Callable[[str], Undisturbed],
) -> None:
    expected = undisturbed(name)
    for moment, code in zip(refusable(name, expected), cycle(REASONS), strict=False):
        refused_at(name, moment, code, tmp_path / str(moment), work, forker, expected)


@pytest.mark.parametrize("name", ["train", "resume", "export", "run", "report", "bundle"])
def test_every_operation_is_refused(
    name: str,
    forker: Forker,
    work: Path,
    tmp_path: Path,
    undisturbed: Callable[[str], Undisturbed],
) -> None:
    """As on a disk that may only be read, without the right to mount one."""
    expected = undisturbed(name)
    folder = expected.copy(tmp_path / "x")
    child = forker.start(
        *expected.scene.on(folder, work), folder=folder, refuse=0, code=errno.EROFS
    )
    child.assert_one_line(REASONS[errno.EROFS])
    assert contents(folder) == expected.before
    assert parts(folder) == []


@pytest.mark.parametrize("name", ["train", "export over another", "run over another", "report"])
def test_a_file_may_not_grow(
    name: str,
    forker: Forker,
    work: Path,
    tmp_path: Path,
    undisturbed: Callable[[str], Undisturbed],
) -> None:
    expected = undisturbed(name)
    folder = expected.copy(tmp_path / "x")
    child = forker.start(*expected.scene.on(folder, work), folder=folder, largest_file=1000)
    child.assert_one_line("File too large")
    assert expected.before.items() <= contents(folder).items()
    assert not [path for path in parts(folder) if path.name != ".lock"]


@pytest.mark.parametrize("pages", [2, 5])
@pytest.mark.parametrize("name", ["train", "export over another", "run over another", "bundle"])
def test_a_full_disk(
    name: str,
    pages: int,
    forker: Forker,
    work: Path,
    mounted: Callable[[str], Path],
    undisturbed: Callable[[str], Undisturbed],
) -> None:
    """A real one, of so many pages beyond what is there."""
    expected = undisturbed(name)
    disk = mounted("size=64M")
    folder = expected.copy(disk / "x")
    fill(disk, pages * 4096)
    child = forker.start(*expected.scene.on(folder, work))
    if child.wait():
        child.assert_one_line(REASONS[errno.ENOSPC])
        assert expected.before.items() <= contents(folder).items()
        assert parts(folder) == []
    (disk / "filler").unlink()
    goes_on = expected.scene.again and (folder / "run" / "recipe.toml").exists()
    forker.run(*expected.scene.on(folder, work, "again" if goes_on else "command"))
    assert contents(folder) == expected.after


def fill(disk: Path, left: int) -> None:
    """Fill a disk but for so many bytes."""
    status = os.statvfs(disk)
    with (disk / "filler").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize - left)


@pytest.mark.parametrize("name", SCENES)
def test_a_disk_that_may_only_be_read(
    name: str,
    forker: Forker,
    work: Path,
    mounted: Callable[[str], Path],
    undisturbed: Callable[[str], Undisturbed],
) -> None:
    expected = undisturbed(name)
    folder = expected.copy(mounted("size=4M") / "x")
    with read_only(folder.parent):
        child = forker.start(*expected.scene.on(folder, work))
        child.assert_one_line(REASONS[errno.EROFS])
    assert contents(folder) == expected.before


def test_reading_needs_no_right_to_write(
    forker: Forker, work: Path, tmp_path: Path, mounted: Callable[[str], Path]
) -> None:
    """Runs, networks and results on a disk that may only be read, the outcome elsewhere."""
    import shutil

    disk = mounted("size=4M")
    kept = Path(shutil.copytree(work, disk / "kept"))
    with read_only(disk):
        for name in ("export", "run", "report", "bundle"):
            forker.run(*SCENES[name].on(tmp_path, kept))
    assert (tmp_path / "page.html").exists()


def test_a_network_whose_older_result_stays_when_the_new_one_does_not_fit(
    forker: Forker, work: Path, mounted: Callable[[str], Path]
) -> None:
    """The older result can still be reported."""
    disk = mounted("size=64M")
    run = SCENES["run"].on(disk, work)
    forker.run(*run)
    fill(disk, 4096)
    forker.run(*run, "--split", "train", status=USAGE)
    forker.run("report", disk / "result", "--profile", "loihi2", "--quiet")
