"""A process that imports everything once and forks a child for every command with a fault.

``python -m tests.faults.forker`` answers one JSON line with one JSON line. A child counts its
*operations*: whatever changes a folder, as Python's audit hooks tell it, and every ``fsync``.
"""

import errno
import gc
import io
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_TEN_YEARS = 10 * 365 * 86400.0


class Fault:
    """What happens to a child.

    Parameters
    ----------
    folder
        Operations in it are counted.
    kill, stop
        Before which operation, counted from 1, it gets SIGKILL or SIGSTOP.
    refuse
        Which operation fails with ``code``; 0 for all from ``folder``'s first on.
    largest_file
        Bytes after which a write fails, or kills when ``kill`` is 0.
    """

    def __init__(
        self,
        *,
        folder: str,
        kill: int = -1,
        stop: int = -1,
        refuse: int = -1,
        code: int = errno.ENOSPC,
        largest_file: int = -1,
        clock: int = -1,
        slow_read: float = -1.0,
    ) -> None:
        self._folder = folder
        self._kill, self._stop, self._refuse, self._code = kill, stop, refuse, code
        self.operations: list[str] = []
        if largest_file >= 0:
            deadly = signal.SIG_DFL if kill == 0 else signal.SIG_IGN
            signal.signal(signal.SIGXFSZ, deadly)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))
        if clock >= 0:
            _make_clock_jump(random.Random(clock))
        if slow_read >= 0:
            from tssl.datasets import fetch

            fetch._SECONDS = slow_read  # type: ignore[assignment]
        sync = os.fsync

        def counted_sync(handle: int) -> None:
            self._count("fsync", os.readlink(f"/proc/self/fd/{handle}"))
            sync(handle)

        os.fsync = counted_sync  # type: ignore[assignment]
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            if not isinstance(arguments[0], int) and arguments[2] & _WRITING:
                self._count(event, os.fsdecode(arguments[0]))
        elif event in _CHANGES and not isinstance(arguments[0], int):
            self._count(event, " ".join(os.fsdecode(a) for a in arguments[:2] if _is_path(a)))

    def _count(self, event: str, path: str) -> None:
        if not path.startswith(self._folder):
            return
        self.operations.append(f"{event} {path}")
        number = len(self.operations)
        if number == self._kill:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == self._stop:
            os.kill(os.getpid(), signal.SIGSTOP)
        if self._refuse in (0, number):
            raise OSError(self._code, os.strerror(self._code))


def _is_path(argument: object) -> bool:
    return isinstance(argument, str | bytes | os.PathLike)


def _make_clock_jump(rng: random.Random) -> None:
    """Let the wall clock show another time, years before or after, whenever it is asked."""
    true_time, true_local = time.time, time.localtime

    def jumping() -> float:
        return true_time() + rng.uniform(-_TEN_YEARS, _TEN_YEARS)

    time.time = jumping
    time.time_ns = lambda: int(jumping() * 1e9)
    time.localtime = lambda seconds=None: true_local(jumping() if seconds is None else seconds)


class Children:
    """The commands that run."""

    def __init__(self) -> None:
        self._ended: dict[int, int] = {}

    def start(self, arguments: list[str], output: str, fault: dict[str, Any], **job: Any) -> int:
        """Start a command; its output goes to ``output`` and what it did to ``output.json``."""
        pid = os.fork()
        if not pid:
            os._exit(_child(arguments, output, fault, **job))
        return pid

    def wait(self, pid: int, seconds: float) -> int | str:
        """Return the exit status, minus the signal that killed it, ``stopped`` or ``running``."""
        deadline = time.monotonic() + seconds
        while pid not in self._ended:
            found, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
            if found and os.WIFSTOPPED(status):
                return "stopped"
            if found:
                self._ended[pid] = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > deadline:
                return "running"
            else:
                time.sleep(0.002)
        return self._ended[pid]


def _child(
    arguments: list[str],
    output: str,
    fault: dict[str, Any],
    environment: dict[str, str],
    mirrors: list[str],
) -> int:
    """Run a command as the ``tssl`` of a new process would."""
    from tests.datasets import test_idx
    from tssl import datasets

    os.environ.update(environment)
    streams = [os.open(f"{output}.{end}", os.O_RDWR | os.O_CREAT, 0o666) for end in ("out", "err")]
    report = os.open(f"{output}.json", os.O_RDWR | os.O_CREAT, 0o666)
    for number, stream in enumerate(streams, start=1):
        os.dup2(stream, number)
    sys.stdout, sys.stderr = io.StringIO(), io.StringIO()  # a limit of files is not for them
    globals()["SMALL"] = test_idx.small_source(mirrors=tuple(mirrors))
    datasets.DATASETS["small"] = f"{__name__}:SMALL"
    sys.modules.setdefault("tests.faults.forker", sys.modules[__name__])
    seen = Fault(**fault)
    try:
        status = _call(arguments)
    except BaseException:  # noqa: BLE001 - the interpreter would do the same
        traceback.print_exc()
        status = 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for stream, text in zip(streams, (sys.stdout, sys.stderr), strict=True):
        os.write(stream, text.getvalue().encode())
    os.write(report, json.dumps(seen.operations).encode())
    return status


def _call(arguments: list[str]) -> int:
    """Run a command of ``tssl``, or one of the writers."""
    from tests.faults.writers import WRITERS
    from tssl.cli import run_command
    from tssl.errors import OutputError

    if arguments[0] not in WRITERS:
        return run_command(arguments)
    try:
        WRITERS[arguments[0]](Path(arguments[1]), arguments[2])
    except OutputError as error:
        sys.stderr.write(f"tssl: error: {error}\n")
        return error.exit_code
    return 0


def _warm_up() -> None:
    """Run every command once, so that a child finds all imported, compiled and drawn before."""
    from tests.trainer import tiny
    from tssl import datasets
    from tssl.cli import run_command

    datasets.DATASETS["rows"] = "tests.trainer.tiny:ROWS"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rows.toml").write_text(tiny.recipe(epochs=1).to_toml())
        for command in (
            "train {0}/rows.toml --out {0}/run --quiet",
            "export {0}/run --target loihi2 --no-lava -o {0}/x.net --quiet",
            "run {0}/x.net --backend engine --data rows --out {0}/result --quiet",
            "report {0}/result --profile loihi2 --html {0}/page.html --quiet",
        ):
            if run_command(command.format(folder).split()):
                sys.exit(f"cannot warm up: {command}")


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)  # what the commands print is no answer
    _warm_up()
    gc.freeze()  # what is here stays; a child need not copy it to look at it
    children = Children()
    calls: dict[str, Callable[..., Any]] = {"start": children.start, "wait": children.wait}
    for line in sys.stdin:
        request = json.loads(line)
        answer = calls[request.pop("do")](**request)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
