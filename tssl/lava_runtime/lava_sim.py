"""Lava's CPU simulator, in one or several processes that are watched and cleaned up."""

import contextlib
import functools
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tssl import netx
from tssl.chip import INPUT, ChipNetwork, IntArray, with_relays
from tssl.errors import DataError, UnsupportedLayerError
from tssl.lava_runtime.backend import BackendOptions, SampleProgress
from tssl.lava_runtime.process import (
    SCRATCH,
    Worker,
    WorkerSettings,
    last_line,
    scratch,
    startable,
    worker_copy,
)
from tssl.machine.files import scratch_folder
from tssl.results import Recording

__all__ = ["LavaSim", "check", "run_workers"]

_JOB_BYTES = 256 << 20
"""Spikes that all workers together may keep on disk."""
_CHUNK_BYTES = 8 << 20
_STATE_BYTES = 8
_POLL_SECONDS = 0.02
_CHECK_SECONDS = 60.0
_INT16, _INT32 = np.iinfo(np.int16), np.iinfo(np.int32)


class LavaSim:
    """Runs networks on Lava's bit-accurate CPU simulator.

    Chains are loaded by lava-dl itself. All others are built from Lava's own processes, with
    relays where paths differ in length; what relays do is not recorded.

    Parameters
    ----------
    python, timeout, net_path, workers, output_only, states
        See :class:`WorkerSettings`.
    """

    name = "sim"

    @classmethod
    def with_options(cls, options: BackendOptions) -> "LavaSim":
        """Return the simulator set up as asked."""
        return cls(**asdict(options))

    def __init__(
        self,
        *,
        python: str | None = None,
        timeout: float | None = None,
        net_path: Path | None = None,
        workers: int = 1,
        output_only: bool = False,
        states: frozenset[str] = frozenset(),
    ) -> None:
        self._settings = WorkerSettings(
            python=python,
            timeout=timeout,
            net_path=net_path,
            workers=workers,
            output_only=output_only,
            states=states,
        )

    def run(
        self, network: ChipNetwork, train: IntArray, time_steps: int, progress: SampleProgress
    ) -> Iterator[tuple[IntArray, Recording]]:
        """Yield chunks of samples with everything recorded; see ``Backend.run``."""
        return run_workers(self._settings, network, train, time_steps, progress)


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
    with scratch(), scratch_folder(SCRATCH) as folder:
        interpreter = python or sys.executable
        command = [startable(interpreter), str(worker_copy(folder)), "--check"]
        try:
            result = subprocess.run(
                command,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=_CHECK_SECONDS,
                check=False,
            )
        except OSError as error:
            return f"{interpreter}: cannot be started: {error.strerror}"
        except subprocess.TimeoutExpired:
            return f"{interpreter}: importing Lava took more than {_CHECK_SECONDS:.0f} seconds"
    if result.returncode == 0:
        return None
    return f"{interpreter}: cannot import Lava: {last_line(result.stderr)}"


def run_workers(
    settings: WorkerSettings,
    network: ChipNetwork,
    train: IntArray,
    time_steps: int,
    progress: SampleProgress,
) -> Iterator[tuple[IntArray, Recording]]:
    """Yield chunks of samples in their order, as ``Backend.run`` says.

    The samples are divided among ``settings.workers`` processes at a time, and among more, one
    after another, where what they record would take too much space.

    Raises
    ------
    DataError, UnsupportedLayerError
        When Lava cannot take the input, or the board the network.
    BackendUnavailableError, BackendError, BackendTimeoutError
        When Lava is missing, failed, or no longer moves; then all workers are stopped.
    OutputError
        When the scratch folder cannot be written.
    """
    _check_input(network, train)
    relayed = with_relays(network)
    if settings.hardware:
        _check_board(relayed)
    with contextlib.ExitStack() as stack:  # closes every worker, even when closing one fails
        crew = _Crew(settings, relayed, train, time_steps, stack)
        done = 0
        while crew.hire():
            time.sleep(_POLL_SECONDS)
            before, done = done, crew.poll()
            if done != before:
                progress(done)
            for part, recording in crew.chunks():
                yield part, _without_relays(recording, network)


def _check_board(network: ChipNetwork) -> None:
    """Refuse networks that nobody has tried on a board."""
    for layer in network.layers:
        if layer.neuron.graded:
            raise UnsupportedLayerError(
                f"layer {layer.name}: {layer.neuron.kind} neurons run on Lava's simulator only "
                "yet; use `tssl run --backend sim`"
            )
    if netx.is_graph(network):
        raise UnsupportedLayerError(
            f"network {network.name}: only chains run on a board yet; use `tssl run --backend sim`"
        )


def _without_relays(recording: Recording, network: ChipNetwork) -> Recording:
    """Return what the layers of the network itself did."""
    names = {INPUT, *(layer.name for layer in network.layers)}
    trains = {name: train for name, train in recording.trains.items() if name in names}
    return recording._replace(trains=trains)


class _Crew:
    """Workers side by side on consecutive slices of the samples.

    Parameters
    ----------
    stack
        Where the end of every worker is noted.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        network: ChipNetwork,
        train: IntArray,
        time_steps: int,
        stack: contextlib.ExitStack,
    ) -> None:
        timeout = settings.timeout
        deadline = None if timeout is None else time.monotonic() + timeout
        self._train, self._stack, self._most = train, stack, settings.workers
        self._start = functools.partial(
            Worker, settings, network, time_steps=time_steps, deadline=deadline
        )
        bytes_per_sample = max(
            1, time_steps * (_sent(network) + _STATE_BYTES * _traced(network, settings))
        )
        self._chunk = max(1, _CHUNK_BYTES // bytes_per_sample)
        share = -(-train.shape[1] // settings.workers)
        self._size = max(1, min(share, _JOB_BYTES // settings.workers // bytes_per_sample))
        self._waiting = deque(range(0, train.shape[1], self._size))
        self._members: deque[_Member] = deque()

    def hire(self) -> bool:
        """Start as many workers as may run; return whether any has work or something to say."""
        busy = sum(not member.worker.complete for member in self._members)
        for _ in range(min(self._most - busy, len(self._waiting))):
            first = self._waiting.popleft()
            worker = self._start(train=self._train[:, first : first + self._size])
            self._stack.callback(worker.close)
            self._members.append(_Member(worker, first))
        return bool(self._members)

    def poll(self) -> int:
        """Look after all workers; return how many samples are finished."""
        return self._members[0].first + sum(member.worker.poll() for member in self._members)

    def chunks(self) -> Iterator[tuple[IntArray, Recording]]:
        """Hand over what is finished, in the order of the samples."""
        while self._members:
            head = self._members[0]
            start, stop = head.yielded, head.worker.finished
            if stop > start and (stop - start >= self._chunk or head.worker.complete):
                head.yielded = stop
                part = self._train[:, head.first + start : head.first + stop]
                yield part, head.worker.recording(start, stop)
                for member in self._members:
                    member.worker.forgive()  # what the caller did is not their concern
            if not head.worker.complete:
                return
            head.worker.close()
            self._members.popleft()


def _sent(network: ChipNetwork) -> int:
    """Return the bytes that all layers send in a step."""
    return sum(np.dtype(layer.neuron.sends).itemsize * layer.neurons for layer in network.layers)


def _traced(network: ChipNetwork, settings: WorkerSettings) -> int:
    """Return the number of neurons whose states are recorded."""
    sizes = {INPUT: network.input.neurons, **{each.name: each.neurons for each in network.layers}}
    return sum(sizes[name] for name in settings.states)


@dataclass
class _Member:
    """A worker and how far its samples, from number ``first`` on, were handed over."""

    worker: Worker
    first: int
    yielded: int = 0


def _check_input(network: ChipNetwork, train: IntArray) -> None:
    if train.size and not (_INT32.min <= train.min() and train.max() <= _INT32.max):
        raise DataError(f"network {network.name}: inputs exceed Lava's 32-bit spikes")
    if not network.input.takes_biases:
        return
    if train.size and not (_INT16.min <= train.min() and train.max() <= _INT16.max):
        raise DataError(
            f"network {network.name}: biases {train.min()}...{train.max()} of its input neurons; "
            "Lava keeps 16 bits of them"
        )
    if (train != train[:1]).any():
        raise DataError(
            f"network {network.name}: has input neurons driven by their biases; its input "
            "must stay the same at all time steps of a sample"
        )
