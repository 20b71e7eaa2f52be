"""Lava's CPU simulator, run in a process of its own that is watched and cleaned up."""

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from tssl import netx
from tssl.chip import INPUT, ChipNetwork, ConvLayer, IntArray
from tssl.errors import (
    BackendError,
    BackendTimeoutError,
    BackendUnavailableError,
    DataError,
    OutputError,
    TsslError,
    UnsupportedLayerError,
)
from tssl.lava_runtime.backend import Progress
from tssl.results import Recording

_JOB_BYTES = 256 << 20
_CHUNK_BYTES = 8 << 20
_POLL_SECONDS = 0.02
_START_SECONDS = 180.0
_STEP_SECONDS = 90.0
_SYNAPSES_PER_SECOND = 1e6
"""A pessimistic rate of Lava's convolutions, only used to decide when it hangs."""
_EXIT_SECONDS = 15.0
_CHECK_SECONDS = 60.0
_FULL = 74
"""Exit code of a worker that had no space left to say so."""
_LONGEST_FOLDER = 64
"""Python puts a socket in it, whose whole path may have about a hundred characters."""
_INT32 = np.iinfo(np.int32)
_INSTALL = "run `tssl lava install`"


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """How Lava is run.

    Parameters
    ----------
    python
        Interpreter that has Lava; None for the one that runs tssl.
    timeout
        Seconds that a run may take altogether; None to stop only what no longer moves.
    net_path
        The file to give to Lava, when the network was read from one; None to write it.
    hardware
        Whether to run on Loihi 2 instead of the simulator.
    """

    python: str | None = None
    timeout: float | None = None
    net_path: Path | None = None
    hardware: bool = False


class LavaSim:
    """Runs networks on Lava's bit-accurate CPU simulator, loaded by lava-dl itself.

    Parameters
    ----------
    python, timeout, net_path
        See :class:`WorkerSettings`.
    """

    name = "sim"

    def __init__(
        self,
        *,
        python: str | None = None,
        timeout: float | None = None,
        net_path: Path | None = None,
    ) -> None:
        self._settings = WorkerSettings(python=python, timeout=timeout, net_path=net_path)

    def run(
        self, network: ChipNetwork, train: IntArray, time_steps: int, progress: Progress
    ) -> Iterator[tuple[IntArray, Recording]]:
        """Yield chunks of samples with everything recorded; see ``Backend.run``."""
        return run_worker(self._settings, network, train, time_steps, progress)


def check(python: str | None = None) -> str | None:
    """Say what an interpreter lacks to run Lava, or None when it can.

    Parameters
    ----------
    python
        Path of the interpreter; None for the one that runs tssl.

    Raises
    ------
    OutputError
        When the scratch folder cannot be written.
    """
    with _scratch(), tempfile.TemporaryDirectory(prefix="tssl-lava-") as name:
        command = [python or sys.executable, str(_worker_copy(Path(name))), "--check"]
        try:
            result = subprocess.run(
                command,
                cwd=name,
                capture_output=True,
                text=True,
                timeout=_CHECK_SECONDS,
                check=False,
            )
        except OSError as error:
            return f"{command[0]}: cannot be started: {error.strerror}"
        except subprocess.TimeoutExpired:
            return f"{command[0]}: importing Lava took more than {_CHECK_SECONDS:.0f} seconds"
    if result.returncode == 0:
        return None
    return f"{command[0]}: cannot import Lava: {_last_line(result.stderr)}"


def run_worker(
    settings: WorkerSettings,
    network: ChipNetwork,
    train: IntArray,
    time_steps: int,
    progress: Progress,
) -> Iterator[tuple[IntArray, Recording]]:
    """Yield chunks of samples, as ``Backend.run`` says, from as many workers as memory asks.

    Raises
    ------
    BackendUnavailableError, BackendError, BackendTimeoutError
        When Lava is missing, failed, or no longer moves.
    OutputError
        When the scratch folder cannot be written.
    """
    _check_input(network, train)
    bytes_per_sample = time_steps * sum(layer.neurons for layer in network.layers)
    size = max(1, _JOB_BYTES // max(1, bytes_per_sample))
    chunk = max(1, _CHUNK_BYTES // max(1, bytes_per_sample))
    deadline = None if settings.timeout is None else time.monotonic() + settings.timeout
    for first in range(0, train.shape[1], size):
        part = train[:, first : first + size]
        with _Worker(settings, network, part, time_steps, deadline) as worker:
            start = 0
            for finished in worker.finished_samples():
                progress(first + finished)
                complete = finished == part.shape[1]
                if finished - start >= chunk or (complete and finished > start):
                    yield part[:, start:finished], worker.recording(start, finished)
                    start = finished


def _check_input(network: ChipNetwork, train: IntArray) -> None:
    if not network.is_chain:
        raise UnsupportedLayerError(
            f"network {network.name}: Lava's netx runs chains only; use --backend engine"
        )
    if train.size and not (_INT32.min <= train.min() and train.max() <= _INT32.max):
        raise DataError(f"network {network.name}: inputs exceed Lava's 32-bit spikes")
    if network.input.neuron is not None and (train != train[:1]).any():
        raise DataError(
            f"network {network.name}: has input neurons driven by their biases; its input "
            "must stay the same at all time steps of a sample"
        )


def _period(network: ChipNetwork, time_steps: int, *, hardware: bool) -> int:
    """Return the time steps from the start of a sample to the start of the next.

    Without spikes held back in synapses, samples follow each other like beads: each layer
    is reset when the first spikes of the next sample arrive. Loihi 2 resets neurons at
    powers of two only, so a pause fills the rest.
    """
    if network.has_memory_in_synapses:
        return time_steps + len(network.layers)
    return 1 << (time_steps - 1).bit_length() if hardware else time_steps


class _Worker:
    """One worker process and its folder; leaves nothing behind."""

    def __init__(
        self,
        settings: WorkerSettings,
        network: ChipNetwork,
        train: IntArray,
        time_steps: int,
        deadline: float | None,
    ) -> None:
        self._network = network
        self._samples = train.shape[1]
        self._deadline = deadline
        self._patience = _STEP_SECONDS + _synapses(network) / _SYNAPSES_PER_SECOND
        self._process: subprocess.Popen[bytes] | None = None
        with _scratch():
            self._folder = Path(tempfile.mkdtemp(prefix="tssl-lava-"))
            try:
                self._write_job(settings, train, time_steps)
                self._start(settings.python or sys.executable)
            except BaseException:
                self._clean_up()
                raise

    def __enter__(self) -> "_Worker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._clean_up()

    def _write_job(self, settings: WorkerSettings, train: IntArray, time_steps: int) -> None:
        network, folder = self._network, self._folder
        net = folder / "network.net"
        if settings.net_path is None:
            netx.write(net, network)
        else:
            shutil.copyfile(settings.net_path, net)  # Lava locks the file it reads
        binary = not train.size or (train.min() >= 0 and train.max() <= 1)
        first = network.layers[0]
        job = {
            "net": str(net),
            "samples": train.shape[1],
            "time_steps": time_steps,
            "period": _period(network, time_steps, hardware=settings.hardware),
            "block": network.input.neuron is not None,
            "one_by_one": network.has_memory_in_synapses,
            "input_message_bits": 0 if binary else 32,
            "input_shape": first.input_shape[::-1] if isinstance(first, ConvLayer) else None,
            "hardware": settings.hardware,
        }
        np.save(folder / "input.npy", train.astype(np.int32))
        np.save(folder / "status.npy", np.zeros(3, np.int64))
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        self._status = np.load(folder / "status.npy", mmap_mode="r")

    def _start(self, python: str) -> None:
        command = [python, str(_worker_copy(self._folder)), str(self._folder)]
        # Lava runs two processes per layer; threads of a BLAS in each would only fight.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        if len(str(self._folder)) < _LONGEST_FOLDER:
            environment["TMPDIR"] = str(self._folder)  # what a killed worker leaves goes with it
        with (self._folder / "log").open("wb") as log:
            try:
                self._process = subprocess.Popen(
                    command,
                    cwd=self._folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise BackendUnavailableError(
                    f"{python}: cannot be started: {error.strerror}; {_INSTALL}"
                ) from error

    def finished_samples(self) -> Iterator[int]:
        """Yield the growing number of finished samples, up to all of them.

        Raises
        ------
        BackendUnavailableError, BackendError, BackendTimeoutError
            When the worker reports a failure, dies, or no longer moves.
        OutputError
            When the worker found the scratch folder full.
        """
        seen: tuple[int, ...] = ()
        finished, moved = 0, time.monotonic()
        while finished < self._samples:
            ended = self._wait(_POLL_SECONDS)
            status = tuple(int(value) for value in self._status)
            if status != seen:
                seen, moved = status, time.monotonic()
            if status[1] > finished:
                finished = status[1]
                yield finished
                moved = time.monotonic()  # what the caller did in between is not our concern
            elif ended:
                raise self._failure()
            self._check_clock(moved, started=status[0] > 0)
        self._wait(_EXIT_SECONDS)

    def recording(self, start: int, stop: int) -> Recording:
        """Return what was recorded for samples ``start`` to ``stop``.

        Raises
        ------
        BackendError
            When Lava built other layers than the network has.
        """
        names = [layer.name for layer in self._network.layers]
        sizes = [layer.neurons for layer in self._network.layers]
        if self._network.input.neuron is not None:
            names, sizes = [INPUT, *names], [self._network.input.neurons, *sizes]
        trains = {}
        for index, (name, neurons) in enumerate(zip(names, sizes, strict=True)):
            rows = np.load(self._folder / f"layer_{index}.npy", mmap_mode="r")
            if rows.shape[2] != neurons:
                raise BackendError(
                    f"layer {name}: Lava built {rows.shape[2]} neurons, the network has {neurons}"
                )
            trains[name] = np.ascontiguousarray(rows[start:stop].transpose(1, 0, 2))
        potential = np.load(self._folder / "potential.npy", mmap_mode="r")
        return Recording(trains, np.array(potential[start:stop]))

    def _wait(self, seconds: float) -> bool:
        """Give the worker time; return whether it has ended."""
        if self._process is None:
            return True
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.returncode is not None

    def _check_clock(self, moved: float, *, started: bool) -> None:
        now = time.monotonic()
        if self._deadline is not None and now > self._deadline:
            raise BackendTimeoutError(
                "Lava did not finish within the time-out and was stopped; allow more time "
                "or run fewer samples"
            )
        patience = self._patience if started else max(_START_SECONDS, self._patience)
        if now - moved > patience:
            raise BackendTimeoutError(
                f"Lava did not advance for {patience:.0f} seconds and was stopped; "
                "another engine for the same network: --backend engine"
            )

    def _failure(self) -> TsslError:
        """Return the error that says why the worker ended early."""
        path = self._folder / "error.json"
        if path.exists():
            return _error(json.loads(path.read_text(encoding="utf-8")))
        code = self._process.returncode if self._process is not None else None
        log = ""
        with contextlib.suppress(OSError):  # whoever removed the folder took it along
            log = (self._folder / "log").read_text(encoding="utf-8", errors="replace")
        if _last_line(log).startswith(("ImportError", "ModuleNotFoundError")):
            return BackendUnavailableError(
                f"Lava cannot be imported: {_last_line(log)}; {_INSTALL}"
            )
        if code in (_FULL, -signal.SIGBUS):  # a mapped file that cannot grow ends in SIGBUS
            return _unwritable(os.strerror(errno.ENOSPC))
        if code is not None and code < 0:
            return BackendError(
                f"Lava's process was killed by {signal.Signals(-code).name}; "
                "if memory ran out, run fewer samples or a smaller network"
            )
        return BackendError(f"Lava's process ended with code {code}: {_last_line(log)}")

    def _clean_up(self) -> None:
        if self._process is not None:
            end_session(self._process)
        shutil.rmtree(self._folder, ignore_errors=True)


def end_session(process: "subprocess.Popen[bytes]") -> None:
    """Kill all processes of a session but Python's resource tracker, and wait for them.

    Notes
    -----
    The tracker ends by itself when all others have, and then removes the shared memory
    that Lava had no chance to remove. Killing it too would leak the memory.
    """
    deadline = time.monotonic() + _EXIT_SECONDS
    while members := _members(process.pid):
        for pid, command in members.items():
            if b"resource_tracker" not in command or time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        process.poll()
        time.sleep(_POLL_SECONDS)
    if process.poll() is None:  # no /proc here to look into
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_EXIT_SECONDS)


def _members(session: int) -> dict[int, bytes]:
    """Return the command lines of a session's living processes, by process number."""
    members = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):  # it may end while we look
            state, _, _, number = (path / "stat").read_bytes().rpartition(b")")[2].split()[:4]
            if int(number) == session and state not in (b"Z", b"X"):
                members[int(path.name)] = (path / "cmdline").read_bytes()
    return members


@contextlib.contextmanager
def _scratch() -> Iterator[None]:
    """Turn what fails while a job is set up into an error about the scratch folder."""
    try:
        yield
    except OSError as error:
        raise _unwritable(error.strerror or str(error)) from error


def _unwritable(reason: str) -> OutputError:
    folder = tempfile.tempdir or "no folder found"
    return OutputError(
        f"{folder}: scratch files cannot be written: {reason}; "
        "free space there, or set TMPDIR to another folder"
    )


def _error(document: dict[str, Any]) -> TsslError:
    """Turn a worker's ``error.json`` into the error to raise."""
    message = document["message"]
    if document["kind"] == "space":
        return _unwritable(message)
    if document["kind"] == "missing":
        return BackendUnavailableError(f"Lava cannot be imported: {message}; {_INSTALL}")
    if document["kind"] == "hardware":
        return BackendUnavailableError(f"Loihi 2 is not available: {message}")
    error = BackendError(f"Lava failed: {message}")
    error.__cause__ = RuntimeError(document["traceback"])  # shown by --debug
    return error


def _synapses(network: ChipNetwork) -> int:
    """Return how many synapses Lava works through in a time step."""
    return sum(int(layer.fan_out().sum()) for layer in network.layers)


def _worker_copy(folder: Path) -> Path:
    """Copy the worker's source, so that none of tssl's files lies beside what Lava runs."""
    return Path(shutil.copyfile(Path(__file__).with_name("_lava_worker.py"), folder / "worker.py"))


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
