"""Commands with faults, and what a folder must look like afterwards."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from tests.faults import writers
from tssl import netx

USAGE = 2
_TIMES = ("made", "seconds", "samples_per_second", "sha256")
PATIENCE = 100.0


@dataclass
class Child:
    """A command under way."""

    pid: int
    output: Path
    ask: Callable[..., Any]

    def state(self, seconds: float = PATIENCE) -> int | str:
        """Return ``stopped``, ``running`` after so many seconds, or the exit status."""
        found: int | str = self.ask("wait", pid=self.pid, seconds=seconds)
        return found

    def settle(self) -> bool:
        """Let it run until it ends or waits for a lock; return whether it waits."""
        deadline = time.monotonic() + PATIENCE
        while not isinstance(self.state(0), int):
            if _waits_for_a_lock(self.pid):
                return True
            assert time.monotonic() < deadline, "it neither ends nor waits"
            time.sleep(0.005)
        return False

    def wait(self) -> int:
        """Return the exit status, or minus the signal that ended it."""
        found = self.state()
        assert isinstance(found, int), found
        return found

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    @property
    def err(self) -> str:
        return Path(f"{self.output}.err").read_text()

    @property
    def out(self) -> str:
        return Path(f"{self.output}.out").read_text()

    @property
    def operations(self) -> list[str]:
        """What it changed, in order; it must have ended by itself."""
        found: list[str] = json.loads(Path(f"{self.output}.json").read_text())
        return found

    def assert_one_line(self, phrase: str) -> None:
        """It was refused by one line with a reason and the contract's status."""
        assert self.wait() == USAGE, self.err
        assert phrase in self.err
        assert len(self.err.splitlines()) == 1, self.err
        assert self.err.startswith("tssl: error: ")
        assert ".part" not in self.err, "a temporary file is no business of the user"


def _waits_for_a_lock(pid: int) -> bool:
    """Return whether the system says so: number, ``->``, kind, mode, access, process, ..."""
    lines = map(str.split, Path("/proc/locks").read_text().splitlines())
    return any(line[1] == "->" and line[5] == str(pid) for line in lines)


@dataclass
class Forker:
    """Starts commands; see ``tests/faults/forker.py``."""

    process: "subprocess.Popen[str]"
    outputs: Path
    children: list[Child] = field(default_factory=list)

    def ask(self, do: str, **request: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, **request}) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the forker is gone"
        return json.loads(answer)

    def start(
        self,
        *arguments: object,
        folder: Path | None = None,
        environment: dict[str, str] | None = None,
        mirrors: tuple[str, ...] = (),
        **fault: float,
    ) -> Child:
        """Start a command; faults count the operations in ``folder``."""
        output = self.outputs / str(len(self.children))
        pid = self.ask(
            "start",
            arguments=[str(argument) for argument in arguments],
            output=str(output),
            fault={"folder": "nowhere" if folder is None else str(folder), **fault},
            environment=environment or {},
            mirrors=mirrors,
        )
        child = Child(pid, output, self.ask)
        self.children.append(child)
        return child

    def run(self, *arguments: object, status: int = 0, **options: Any) -> Child:
        """Run a command to its end."""
        child = self.start(*arguments, **options)
        assert child.wait() == status, child.err
        return child


@dataclass(frozen=True)
class Scene:
    """A command that writes into a folder, and what was there before.

    Parameters
    ----------
    again
        What a user types after it was killed.
    older
        Commands that made what is in the folder when it starts.
    """

    command: tuple[str, ...]
    again: tuple[str, ...] = ()
    older: tuple[tuple[str, ...], ...] = ()

    def on(self, folder: Path, work: Path, which: str = "command") -> list[str]:
        """Return the words of one of its commands."""
        words = getattr(self, which) or self.command
        return [word.format(folder=folder, work=work) for word in words]

    def prepare(self, folder: Path, work: Path, forker: Forker) -> None:
        """Make what was there before."""
        folder.mkdir()
        for words in self.older:
            forker.run(*(word.format(folder=folder, work=work) for word in words))


_TRAIN = ("train", "{work}/rows.toml", "--out", "{folder}/run", "--quiet")
_RESUME = ("train", "--resume", "{folder}/run", "--quiet")
_MORE = (*_RESUME, "--epochs", "3")
_EXPORT = (
    "export", "{work}/run", "--target", "loihi2", "--no-lava", "-o", "{folder}/x.net",
    "--proof-samples", "5", "--samples", "20", "--quiet",
)  # fmt: skip
_COARSE = (*_EXPORT, "--weight-bits", "4")
_RUN = (
    "run", "{work}/rows.net", "--backend", "engine", "--data", "rows", "--samples", "20",
    "--out", "{folder}/result", "--quiet",
)  # fmt: skip
_TRAIN_SPLIT = (*_RUN, "--split", "train")
_REPORT = (
    "report", "{work}/result", "--profile", "loihi2", "--html", "{folder}/page.html", "--quiet",
)  # fmt: skip
_BUNDLE = (*_EXPORT, "--bundle", "{folder}/board")
_COARSE_BUNDLE = (*_COARSE, "--bundle", "{folder}/board")

VERBS = {
    "train": Scene(_TRAIN, again=_RESUME),
    "resume": Scene(_MORE, older=(_TRAIN,)),
    "export": Scene(_EXPORT),
    "export over another": Scene(_EXPORT, older=(_COARSE,)),
    "run": Scene(_RUN),
    "run over another": Scene(_RUN, older=(_TRAIN_SPLIT,)),
    "report": Scene(_REPORT),
    "report over another": Scene(_REPORT, older=((*_REPORT, "--profile", "loihi1"),)),
    "bundle": Scene(_BUNDLE),
    "bundle over another": Scene(_BUNDLE, older=(_COARSE_BUNDLE,)),
}
WRITERS = {
    name: Scene((name, "{folder}", "new"), older=((name, "{folder}", "old"),))
    for name in writers.WRITERS
}
"""All that a verb writes goes through one of these (``test_kill.py`` shows it)."""
SCENES = VERBS | WRITERS


@dataclass(frozen=True)
class Undisturbed:
    """A scene without a fault: how much it does, and what it gives.

    Parameters
    ----------
    older
        A folder as the command finds it.
    operations
        What the command changes, in order.
    """

    scene: Scene
    older: Path
    operations: list[str]
    before: dict[str, Any]
    after: dict[str, Any]

    @property
    def moments(self) -> list[int]:
        """Operations before which something appears or vanishes under a final name, and after.

        Counted from 1. What happens to a temporary file before that is of one kind.
        """
        found: set[int] = set()
        for number, operation in enumerate(self.operations, start=1):
            kind, *paths = operation.split(" ")
            is_final = kind in ("os.rename", "os.remove") and not is_unfinished(Path(paths[-1]))
            if is_final or paths[0].endswith(".lock"):
                found |= {number, number + 1}
        return sorted(found & set(range(1, len(self.operations) + 1)))

    def copy(self, folder: Path) -> Path:
        """Return a fresh folder as the command finds it."""
        shutil.copytree(self.older, folder)
        return folder


def parts(folder: Path) -> list[Path]:
    """Return what writers left unfinished, and the locks of runs."""
    return [path for path in folder.rglob("*") if is_unfinished(path)]


def contents(folder: Path) -> dict[str, Any]:
    """Return what is in every file under a final name, without wall times; all must be whole."""
    return {
        str(path.relative_to(folder)): _content(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not is_unfinished(path)
    }


def is_unfinished(path: Path) -> bool:
    """Return whether a path is, or is in, what a writer has not finished, or a lock."""
    return path.name == ".lock" or any(name.endswith(".part") for name in path.parts)


def _content(path: Path) -> Any:
    match path.suffix:
        case ".safetensors":
            return _tensors(path)
        case ".csv":
            with path.open(newline="") as file:
                return [_timeless(row) for row in csv.DictReader(file)]
        case ".json":
            return _timeless(json.loads(path.read_text()))
        case ".npz":
            with np.load(path) as arrays:
                return {name: arrays[name].tolist() for name in arrays}
        case ".net":
            return netx.read(path).digest, netx.read_notes(path)
        case ".png":
            assert path.read_bytes().endswith(b"IEND\xaeB\x60\x82")
        case ".html":
            assert path.read_text().rstrip().endswith("</html>")
            text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "DATE", path.read_text())
            return re.sub(r"<[^>]*>|[0-9.,\s]+ ?m?s\b", " ", text)
    return path.read_bytes()


def _tensors(path: Path) -> Any:
    with safe_open(path, framework="numpy") as file:
        document = json.loads(file.metadata()["tssl"])
        tensors = {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118
    rows = [_timeless(row) for row in document.pop("metrics", [])]
    return tensors, _timeless(document), rows


def _timeless(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document without wall times, and without the digest that covers them."""
    return {name: value for name, value in document.items() if name not in _TIMES}
