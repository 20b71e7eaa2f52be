"""One process that runs Lava: its folder, its start, its watching, its end."""

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
from typing import Any

import numpy as np

from tssl import netx
from tssl.chip import INPUT, ChipNetwork, IntArray
from tssl.errors import (
    BackendError,
    BackendTimeoutError,
    BackendUnavailableError,
    OutputError,
    TsslError,
)
from tssl.lava_runtime.backend import BackendOptions
from tssl.machine.cores import cores
from tssl.machine.files import scratch_folder
from tssl.results import Recording, States

__all__ = [
    "SCRATCH",
    "Worker",
    "WorkerSettings",
    "is_binary",
    "job",
    "last_line",
    "period",
    "scratch",
    "startable",
    "worker_copy",
]

SCRATCH = "tssl-lava-"
"""What the names of all folders for Lava begin with."""
_POLL_SECONDS = 0.02
_START_SECONDS = 180.0
_STEP_SECONDS = 90.0
_SYNAPSES_PER_SECOND = 1e6
"""A pessimistic rate of Lava's convolutions, only used to decide when it hangs."""
_EXIT_SECONDS = 15.0
_FULL = 74
"""Exit code of a worker that had no space left to say so."""
_LONGEST_FOLDER = 64
"""Python puts a socket in it, whose whole path may have about a hundred characters."""
_INSTALL = "run `tssl lava install`"
_WORKER = Path(__file__).with_name("worker")


@dataclass(frozen=True, kw_only=True)
class WorkerSettings(BackendOptions):
    """How Lava is run.

    Parameters
    ----------
    hardware
        Whether to run on Loihi 2 instead of the simulator.
    output_only
        Whether to record the output alone, which is a little faster; the other layers then
        seem silent.
    """

    hardware: bool = False
    output_only: bool = False


def period(network: ChipNetwork, time_steps: int, *, hardware: bool) -> int:
    """Return the time steps from the start of a sample to the start of the next.

    Without spikes held back in synapses, samples follow each other like beads: each layer
    is reset when the first spikes of the next sample arrive. Loihi 2 resets neurons at
    powers of two only, so a pause fills the rest.
    """
    if network.has_memory_in_synapses:
        return time_steps + len(network.layers)
    return 1 << (time_steps - 1).bit_length() if hardware else time_steps


def is_binary(train: IntArray) -> bool:
    """Return whether all spikes of the input are 0 or 1."""
    return not train.size or bool(train.min() >= 0 and train.max() <= 1)


def job(network: ChipNetwork, train: IntArray, time_steps: int) -> dict[str, Any]:
    """Return what ``job.json`` says about network and samples, wherever they are run."""
    is_graph = netx.is_graph(network)
    first = () if is_graph else network.layers[0].synapses.input_shape
    return {
        "samples": train.shape[1],
        "time_steps": time_steps,
        "block": network.input.neuron is not None,
        "by_bias": network.input.takes_biases,
        "one_by_one": network.has_memory_in_synapses,
        "input_message_bits": _message_bits(network, train),
        "input_shape": first[::-1] if len(first) > 1 else None,
        "output_only": False,
        "graph": is_graph,
        "states": [],
    }


def _message_bits(network: ChipNetwork, train: IntArray) -> int:
    """Return how wide input from outside is: 0 for spikes, unless a recurrence shares the bits."""
    first = network.layers[0]
    return 0 if is_binary(train) and not (first.own and first.neuron.graded) else 32


class Worker:
    """One worker process and its folder; leaves nothing behind.

    Parameters
    ----------
    train
        The samples of this worker, ``(time or 1, samples, inputs)``.
    deadline
        Reading of ``time.monotonic`` at which it is stopped, or None.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        network: ChipNetwork,
        train: IntArray,
        time_steps: int,
        deadline: float | None,
    ) -> None:
        self._network = network
        self.samples = train.shape[1]
        self.finished = 0
        self._deadline, self._settings = deadline, settings
        crowd = max(1.0, settings.workers / cores())
        self._patience = crowd * (_STEP_SECONDS + _synapses(network) / _SYNAPSES_PER_SECOND)
        self._process: subprocess.Popen[bytes] | None = None
        self._seen: tuple[int, ...] = ()
        self.forgive()
        self._owned = contextlib.ExitStack()
        with scratch():
            self._folder = self._owned.enter_context(scratch_folder(SCRATCH))
            try:
                self._write_job(settings, train, time_steps)
                self._start(settings.python or sys.executable)
            except BaseException:
                self._clean_up()
                raise

    def _write_job(self, settings: WorkerSettings, train: IntArray, time_steps: int) -> None:
        network, folder = self._network, self._folder
        net = folder / "network.net"
        if settings.net_path is None or netx.is_graph(network):  # whose relays no file has
            netx.write(net, network)
        else:
            shutil.copyfile(settings.net_path, net)  # Lava locks the file it reads
        document = {
            **job(network, train, time_steps),
            "net": str(net),
            "period": period(network, time_steps, hardware=settings.hardware),
            "hardware": settings.hardware,
            "output_only": settings.output_only,
            "states": [
                index for index, (name, _) in enumerate(self._sizes) if name in settings.states
            ],
        }
        np.save(folder / "input.npy", train.astype(np.int32))
        np.save(folder / "status.npy", np.zeros(3, np.int64))
        (folder / "job.json").write_text(json.dumps(document), encoding="utf-8")
        self._status = np.load(folder / "status.npy", mmap_mode="r")

    def _start(self, python: str) -> None:
        command = [startable(python), str(worker_copy(self._folder)), str(self._folder)]
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

    def poll(self) -> int:
        """Look after the worker and return how many samples it has finished.

        Raises
        ------
        BackendUnavailableError, BackendError, BackendTimeoutError
            When the worker reports a failure, dies, or no longer moves.
        OutputError
            When the worker found the scratch folder full.
        """
        # asked first: what it says may come just before its end
        ended = self._process is None or self._process.poll() is not None
        status = tuple(int(value) for value in self._status)
        if status != self._seen:
            self._seen = status
            self.forgive()
        self.finished = status[1]
        if self.complete:
            return self.finished
        if ended:
            raise self._failure()
        self._check_clock(started=status[0] > 0)
        return self.finished

    @property
    def complete(self) -> bool:
        """Whether all samples are finished."""
        return self.finished == self.samples

    def forgive(self) -> None:
        """Start the clock of the last movement anew."""
        self._moved = time.monotonic()

    def recording(self, start: int, stop: int) -> Recording:
        """Return what was recorded for samples ``start`` to ``stop``.

        Raises
        ------
        BackendError
            When Lava built other layers than the network has.
        """
        trains, states = {}, {}
        for index, (name, neurons) in enumerate(self._sizes):
            rows = np.load(self._folder / f"layer_{index}.npy", mmap_mode="r")
            if rows.shape[2] != neurons:
                raise BackendError(
                    f"layer {name}: Lava built {rows.shape[2]} neurons, the network has {neurons}"
                )
            trains[name] = np.ascontiguousarray(rows[start:stop].transpose(1, 0, 2))
            if name in self._settings.states:
                files = (self._folder / f"{what}_{index}.npy" for what in States._fields)
                states[name] = States(*(self._part(file, start, stop) for file in files))
        potential = np.load(self._folder / "potential.npy", mmap_mode="r")
        return Recording(trains, np.array(potential[start:stop]), states)

    @staticmethod
    def _part(file: Path, start: int, stop: int) -> IntArray:
        rows = np.load(file, mmap_mode="r")
        return np.ascontiguousarray(rows[start:stop].transpose(1, 0, 2))

    @property
    def _sizes(self) -> list[tuple[str, int]]:
        """Names and neurons of all layers in Lava's order, which input neurons lead."""
        block = self._network.input
        own = [] if block.neuron is None else [(INPUT, block.neurons)]
        return [*own, *((layer.name, layer.neurons) for layer in self._network.layers)]

    def _check_clock(self, *, started: bool) -> None:
        now = time.monotonic()
        if self._deadline is not None and now > self._deadline:
            raise BackendTimeoutError(
                f"Lava did not finish within the time-out of {self._settings.timeout} seconds "
                "and was stopped; allow more time with --timeout, or run fewer samples"
            )
        patience = self._patience if started else max(_START_SECONDS, self._patience)
        if now - self._moved > patience:
            raise BackendTimeoutError(
                f"Lava did not advance for {patience:.0f} seconds and was stopped; "
                "`tssl run --backend engine` runs the same network without Lava"
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
        if last_line(log).startswith(("ImportError", "ModuleNotFoundError")):
            return BackendUnavailableError(f"Lava cannot be imported: {last_line(log)}; {_INSTALL}")
        if code in (_FULL, -signal.SIGBUS):  # a mapped file that cannot grow ends in SIGBUS
            return _unwritable(os.strerror(errno.ENOSPC))
        if code is not None and code < 0:
            return BackendError(
                f"Lava's process was killed by {signal.Signals(-code).name}; "
                "if memory ran out, run fewer samples or a smaller network"
            )
        python = self._settings.python or sys.executable
        return BackendError(f"{python}: Lava's process ended with code {code}: {last_line(log)}")

    def close(self) -> None:
        """Give a worker that is done time to leave, then kill whatever is left and clean up."""
        if self._process is not None and self.complete:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_EXIT_SECONDS)
        self._clean_up()

    def _clean_up(self) -> None:
        if self._process is not None:
            _end_session(self._process)
            self._process = None  # its number may be another's by now
        self._owned.close()


def _end_session(process: "subprocess.Popen[bytes]") -> None:
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
def scratch() -> Iterator[None]:
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
    return sum(
        int(each.synapses.fan_out().sum()) for layer in network.layers for each in layer.connections
    )


def startable(python: str) -> str:
    """Return how an interpreter is started from any folder: a relative path is made absolute."""
    return os.path.abspath(python) if os.sep in python else python


def worker_copy(folder: Path) -> Path:
    """Copy the worker's files, so that none of tssl's lies beside what Lava runs.

    Returns
    -------
    What Python is to run: a folder in ``folder``.
    """
    copy = folder / _WORKER.name
    copy.mkdir(exist_ok=True)
    for file in sorted(_WORKER.glob("*.py")):
        shutil.copyfile(file, copy / file.name)
    return copy


def last_line(text: str) -> str:
    """Return the last line that is not empty."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
