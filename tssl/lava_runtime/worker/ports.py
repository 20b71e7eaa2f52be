"""Where spikes come from and go: the samples, the files, the output's membrane potential."""

import numpy as np

from .job import SAMPLES, STEP, Job
from .shims import Array, Foreign


class Feed:
    """The samples, in the order and shape of Lava's input port, some steps late."""

    def __init__(self, job: Job, train: Array, shape: tuple[int, ...], late: int) -> None:
        self.job, self.train, self.shape, self.late = job, train, shape, late

    def at(self, step: int) -> Array:
        """Return what enters at a time step: a sample's integers, or silence."""
        moment = self.job.moment(step, self.late)
        if moment is None:
            return np.zeros(self.shape, np.int32)
        values = self.train[min(moment.step, len(self.train) - 1), moment.sample]
        return to_lava(values, self.shape).astype(np.int32)


class Tape:
    """What one layer sends, written straight to a file that the parent also sees."""

    def __init__(self, job: Job, transport: int, rows: Array) -> None:
        self.job, self.transport, self.rows = job, transport, rows

    def store(self, step: int, spikes: Array) -> None:
        """Keep the spikes of a time step, without the delay of transport."""
        moment = self.job.moment(step, self.transport)
        if moment is not None and spikes.any():  # untouched rows stay holes in the file
            if self.rows.dtype == np.uint8 and (spikes.min() < 0 or spikes.max() > 1):
                raise ValueError("a layer of spiking neurons sends other values than 0 and 1")
            self.rows[moment.sample, moment.step] = from_lava(spikes)


class StateTape:
    """Currents and potentials of one layer after every step, written as :class:`Tape` does."""

    def __init__(self, job: Job, transport: int, current: Array, potential: Array) -> None:
        self.job, self.transport = job, transport
        self.current, self.potential = current, potential

    def store(self, step: int, current: Array, potential: Array) -> None:
        """Keep the state after a time step."""
        moment = self.job.moment(step, self.transport)
        if moment is not None:
            self.current[moment.sample, moment.step] = from_lava(current)
            self.potential[moment.sample, moment.step] = from_lava(potential)


class Probe:
    """The output's membrane potential after each sample's last step, and the heartbeat."""

    def __init__(self, job: Job, transport: int, deepest: int, rows: Array, status: Array) -> None:
        self.job, self.transport, self.rows, self.status = job, transport, rows, status
        self.deepest = deepest

    def store(self, step: int, _: Array, potential: Array) -> None:
        """Look at the potential after a time step."""
        self.status[STEP] = step
        moment = self.job.moment(step, self.transport)
        if moment is not None and moment.step == self.job.time_steps - 1:
            self.rows[moment.sample] = from_lava(potential)
        # at this step other layers may still be writing; of the one before, all is there
        finished = (step - 1 - self.deepest - self.job.time_steps) // self.job.period + 1
        self.status[SAMPLES] = min(max(finished, 0), self.job.samples)


def to_lava(values: Array, shape: tuple[int, ...]) -> Array:
    """Turn values in (C, H, W) order into Lava's (W, H, C) array."""
    return values.reshape(shape[::-1]).transpose()


def from_lava(values: Array) -> Array:
    """Turn Lava's (W, H, C) array into values in (C, H, W) order."""
    return values.transpose().reshape(-1)


def ring_buffers() -> tuple[type, type]:
    """Return models for Lava's ring buffers that read a feed and write a tape."""
    from lava.proc.io.sink import PyReceiveModelFixed
    from lava.proc.io.source import PySendModelFixed

    class Player(PySendModelFixed):  # type: ignore[misc]
        def __init__(self, proc_params: Foreign) -> None:
            super().__init__(proc_params)
            self.feed = proc_params["feed"]

        def run_spk(self) -> None:
            self.s_out.send(self.feed.at(self.time_step))

    class Recorder(PyReceiveModelFixed):  # type: ignore[misc]
        def __init__(self, proc_params: Foreign) -> None:
            super().__init__(proc_params)
            self.tape = proc_params["tape"]

        def run_spk(self) -> None:
            self.tape.store(self.time_step, self.a_in.recv())

    return Player, Recorder
