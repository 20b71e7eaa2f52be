"""Documents that are run: their fenced blocks, and what these print.

A block of the kind ``sh`` or ``python`` is run, one of the kind ``toml`` whose first line is a
comment with a file name is written to that file, and a ``text`` block behind a block that was run
is what it prints. There a line ``…`` stands for any lines and ``…`` in a line for any text.

``python -m tests.documents docs/tutorial.md`` runs a page and puts the true output into it.
"""

import os
import re
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path

SOME = "…"
_FENCE = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n\n?)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_MACHINE = re.compile(r"<!-- outputs of: (.*) -->")
_PROCESSOR = ("model name", "cpu family", "model", "flags")
"""What /proc/cpuinfo says of it; virtual machines give different processors one name."""
_WAITING = "no batch is done yet"
"""How a line begins that is printed only where the first batch takes long."""
_SPEED = re.compile(r"[\d,\N{NARROW NO-BREAK SPACE}]+ samples/s")
_TRAINED_ON = re.compile(r"processor .*, python")
"""Of a network; another machine has another."""
_NUMBER = re.compile(r"-?[\d#][\d#.,:\N{NARROW NO-BREAK SPACE}]*")
_DIGEST = re.compile(r"\b[0-9a-f]{32,}\b")
_JUDGEMENT = re.compile(r"\b(?:times|of) the energy: it (?:loses|wins)(?:; within the bands .*)?")
"""Which network needs less energy; that follows from training."""


@dataclass(frozen=True)
class Block:
    """A fenced block; ``shown`` is the output in the document, None when it shows none."""

    kind: str
    text: str
    reason: str | None = None
    shown: str | None = None

    @property
    def file(self) -> str | None:
        """Return the file that the block is, if it is one."""
        named = re.match(r"# (\S+\.toml)\n", self.text)
        return named[1] if named and self.kind == "toml" else None

    @property
    def needs_lava(self) -> bool:
        """Return whether Lava's output is part of what is shown."""
        words = ("--backend sim", "tssl verify", 'backend="sim"')
        exports = "tssl export" in self.text and "--no-lava" not in self.text
        shows = self.shown is not None and "Lava" in self.shown
        return any(word in self.text for word in words) or (exports and shows)


def blocks(page: str) -> Iterator[Block]:
    """Yield the blocks of a page in order; outputs go with the block that prints them."""
    found = list(_FENCE.finditer(page))
    for match, after in zip_longest(found, found[1:]):
        runs = match["kind"] in ("sh", "python")
        shown = after["text"] if runs and after is not None and after["kind"] == "text" else None
        yield Block(match["kind"], match["text"], match["reason"], shown)


def run(block: Block, folder: Path) -> tuple[int, str]:
    """Run a block, or write the file that it is; return its exit status and all it printed."""
    if block.file is not None:
        (folder / block.file).write_text(block.text, encoding="utf-8")
        return 0, ""
    commands = {"sh": ["bash", "-eo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
    own = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
           "PYTHONUTF8": "1"}  # fmt: skip
    given = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    ran = subprocess.run(
        [*commands[block.kind], block.text],
        cwd=folder, env=given | own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL, encoding="utf-8", check=False,
    )  # fmt: skip
    return ran.returncode, "".join(
        line for line in ran.stdout.splitlines(keepends=True) if not line.startswith(_WAITING)
    )


def aligned(shown: str, printed: str, *, numbers: bool) -> list[str]:
    """Return the lines of ``shown`` with what was printed in their place.

    Parameters
    ----------
    numbers
        Whether all that follows from training must be equal too: numbers, digests, and which of
        two networks needs less energy. Another processor rounds otherwise and trains another
        network; its output has the same form.

    Raises
    ------
    AssertionError
        When a line that is shown was not printed there.
    """
    lines = [line.rstrip() for line in printed.rstrip("\n").splitlines()]
    wanted = shown.rstrip("\n").splitlines()
    ends = _ends(wanted, lines, numbers=numbers)
    whole = [end for end in ends[-1] if not any(lines[end:])] if len(ends) > len(wanted) else []
    if not whole:
        reached = len(ends) - 1
        line = wanted[reached] if reached < len(wanted) else "the end"
        raise AssertionError(f"shown: {line!r}, not printed there; all of it:\n{printed}")
    result, end = [], max(whole)
    for line, before in zip(reversed(wanted), reversed(ends[:-1]), strict=True):
        if line == SOME:
            result.append(line)
            end = max(place for place in before if place <= end)
        else:
            end -= 1
            result.append(lines[end])
    return result[::-1]


def _ends(wanted: list[str], lines: list[str], *, numbers: bool) -> list[set[int]]:
    """Return how many lines the first 0, 1, 2, ... that are shown may stand for."""
    ends = [{0}]
    for line in wanted:
        if line == SOME:
            following = set(range(min(ends[-1]), len(lines) + 1))
        else:
            following = {
                end + 1
                for end in ends[-1]
                if end < len(lines) and _same(line, lines[end], numbers=numbers)
            }
        if not following:
            break
        ends.append(following)
    return ends


def _same(shown: str, printed: str, *, numbers: bool) -> bool:
    if not numbers:
        shown, printed = _form(shown), _form(printed)
    pattern = ".*".join(map(re.escape, shown.rstrip().split(SOME)))
    return re.fullmatch(pattern, printed) is not None


def _form(line: str) -> str:
    """Return a line without what follows from training, and without the widths of its columns."""
    line = _JUDGEMENT.sub("the energy", _DIGEST.sub("#", line))
    line = re.sub(r"(?<=[\d ])[pnµmkM](?=[JsW]\b)", "", line)
    return " ".join(re.sub("─+", "─", _NUMBER.sub("#", line)).split())


def machine() -> str:
    """Return what decides the last digits of training here.

    Kernels are chosen by the processor's flags, of which a virtual machine may hide some.
    """
    found = (re.search(rf"^{key}\s*: (.*)$", _processor(), re.MULTILINE) for key in _PROCESSOR)
    *names, flags = (match[1] if match else "unknown" for match in found)
    processor = f"{' '.join(names)} ({zlib.crc32(flags.encode()):08x})"
    return ", ".join([processor, *(f"{name} {version(name)}" for name in ("torch", "numpy"))])


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8") if path.exists() else ""


def recorded_here(page: str) -> bool:
    """Return whether the numbers of a page come from such a machine as this."""
    found = _MACHINE.search(page)
    return found is not None and found[1] == machine()


def record(path: Path) -> None:
    """Run a page and write it again with what it prints on this machine."""
    page = path.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        for block in blocks(page):
            if block.reason is not None or (block.kind not in ("sh", "python") and not block.file):
                continue
            status, printed = run(block, Path(folder))
            sys.stderr.write(f"{status} {block.text.splitlines()[0]}\n")
            if block.shown is not None:
                page = _replaced(page, block, printed)
    page = _MACHINE.sub(f"<!-- outputs of: {machine()} -->", page)
    path.write_text(page, encoding="utf-8")


def _replaced(page: str, block: Block, printed: str) -> str:
    old = f"```text\n{block.shown}```"
    if block.shown == "?\n":  # a new block
        lines: Sequence[str] = [line.rstrip() for line in printed.rstrip("\n").splitlines()]
    else:
        lines = aligned(block.shown or "", printed, numbers=False)
    text = _SPEED.sub(f"{SOME} samples/s", "\n".join(lines))
    text = _TRAINED_ON.sub(f"processor {SOME}, python", text)
    at = page.index(old, page.index(block.text))
    return f"{page[:at]}```text\n{text}\n```{page[at + len(old) :]}"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        record(Path(name))
