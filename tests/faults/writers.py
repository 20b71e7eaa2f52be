"""The two ways to write of ``tssl.machine.files``, each as a command of its own."""

from collections.abc import Callable
from pathlib import Path

from tssl.machine.files import written, written_together

LARGE = 5000
"""Bytes; more than a small limit of a file's size."""


def write_file(folder: Path, text: str) -> None:
    """Write one file."""
    with written(folder / "below" / "page.txt") as temporary:
        temporary.write_text(text * LARGE)


def write_together(folder: Path, text: str) -> None:
    """Write files that belong together, one of them in a folder."""
    with written_together(folder / "result", "last.txt") as temporary:
        (temporary / "inner").mkdir()
        for name in ("last.txt", "arrays.txt", "inner/network.txt"):
            (temporary / name).write_text(text * LARGE)


WRITERS: dict[str, Callable[[Path, str], None]] = {
    "write a file": write_file,
    "write together": write_together,
}
