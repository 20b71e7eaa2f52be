"""Running a network over all samples, and recording it."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from .building import Layer, build_chain, build_graph, join
from .convolving import load_signal
from .failures import HardwareError
from .job import FINISHED, PHASE, RUNNING, SAMPLES, Job
from .neurons import Rest, kind_of, watched
from .ports import Feed, Probe, StateTape, Tape, from_lava, ring_buffers, to_lava
from .shims import Foreign
from .watching import Watchdog, await_answer

SYNAPSE_MEMORY = {"Conv": "a_buf", "Dense": "a_buff", "DelayDense": "a_buff"}
"""What each kind of synapse that netx builds keeps from one step to the next."""


class Simulation:
    """A network, its input, its recorders, and the run under way."""

    def __init__(self, job: Job, folder: Path) -> None:
        self.job, self.folder = job, folder
        self.watchdog: Watchdog | None = None
        self.train = np.load(folder / "input.npy", mmap_mode="r")
        self.status = np.load(folder / "status.npy", mmap_mode="r+")
        self.network = build_graph(job) if job.graph else build_chain(job)
        load_signal(self.network)
        self.now = 0
        if job.by_bias:
            bias = self.network.layers[0].neuron.bias_mant
            bias.init = to_lava(self.train[0, 0], bias.shape).astype(np.int32)
        self.devices = [*self._sources(), *self._sinks(folder)]
        output = self.network.output
        shape = (job.samples, int(np.prod(output.out.shape)))
        self.potential = open_memmap(
            folder / "potential.npy", mode="w+", dtype=np.int64, shape=shape
        )
        self.configuration = configuration(job)
        if job.hardware:
            check_resets([layer.neuron for layer in self.network.layers])
        else:
            models = self.configuration.exception_proc_model_map
            for layer, probes in self._probes():
                is_reset = kind_of(layer.neuron).resets or job.one_by_one
                rest = None if is_reset else Rest(job, layer.depth)
                if probes or rest is not None:
                    look = [probe.store for probe in probes]
                    models[layer.neuron] = watched(layer.neuron, look, rest)

    def _probes(self) -> "Iterator[tuple[Layer, list[Probe | StateTape]]]":
        """Yield layers, and what looks at them: at the output always, at others if asked for."""
        job, layers = self.job, self.network.layers
        for index, layer in enumerate(layers):
            probes: list[Probe | StateTape] = []
            if index in job.states:
                shape = (job.samples, job.time_steps, int(np.prod(layer.out.shape)))
                files = (self.folder / f"{what}_{index}.npy" for what in ("current", "potential"))
                rows = (open_memmap(file, mode="w+", dtype=np.int32, shape=shape) for file in files)
                probes.append(StateTape(job, layer.depth, *rows))
            if layer is self.network.output:
                deepest = self.network.deepest
                probes.append(Probe(job, layer.depth, deepest, self.potential, self.status))
            yield layer, probes

    def _sources(self) -> Iterator[Any]:
        from lava.proc.io.source import RingBuffer

        shape = self.network.input_shape
        for late, ports in self.network.entrances.items():
            source = RingBuffer(data=np.zeros((*shape, 1)))
            source.proc_params["feed"] = Feed(self.job, self.train, shape, late)
            if self.job.hardware:
                from lava.proc import embedded_io

                adapter = embedded_io.spike.PyToNxAdapter(shape=shape)
                source.s_out.connect(adapter.inp)
                adapter.out.connect(ports[0])
            else:
                for port in ports:
                    join(source.s_out, port)
            yield source

    def _sinks(self, folder: Path) -> Iterator[Any]:
        from lava.proc.io.sink import RingBuffer

        for index, layer in enumerate(self.network.layers):
            shape = layer.out.shape
            sizes = (self.job.samples, self.job.time_steps, int(np.prod(shape)))
            path, sends = folder / f"layer_{index}.npy", kind_of(layer.neuron).sends
            rows = open_memmap(path, mode="w+", dtype=sends, shape=sizes)
            if self.job.output_only and index < len(self.network.layers) - 1:
                continue
            sink = RingBuffer(shape=shape, buffer=1)
            sink.proc_params["tape"] = Tape(self.job, layer.depth, rows)
            if self.job.hardware:
                from lava.proc import embedded_io

                adapter = embedded_io.spike.NxToPyAdapter(shape=shape)
                layer.out.connect(adapter.inp)
                adapter.out.connect(sink.a_in)
            else:
                layer.out.connect(sink.a_in)
            yield sink

    def run(self) -> None:
        """Run all samples, pausing where something must be set or read."""
        for step, _, action in sorted(self._pauses(), key=lambda pause: pause[:2]):
            if step > self.now:
                self._advance(step - self.now)
                self.now = step
            action()
        self.status[SAMPLES] = self.job.samples
        self.status[PHASE] = FINISHED
        if self.watchdog is not None:
            self.watchdog.disarmed.set()
            self.watchdog.join()
        self.network.process.stop()

    def _pauses(self) -> Iterator[tuple[int, int, Callable[[], None]]]:
        """Yield (after which step, in which order, what) must be done."""
        # The first step starts the processes; nothing can be set before it. Biases of the
        # first sample are therefore given when the network is built.
        for sample in range(self.job.samples):
            start = sample * self.job.period
            if self.job.hardware or sample == self.job.samples - 1:
                finish = functools.partial(self._finish, sample)
                yield start + self.job.time_steps + self.network.output.depth, 0, finish
            if self.job.one_by_one:
                for depth in range(self.network.deepest + 1):
                    if start + depth:
                        yield start + depth, 1, functools.partial(self._clear, depth)
            if self.job.by_bias and start:
                yield start, 2, functools.partial(self._drive, sample)
        end = (self.job.samples - 1) * self.job.period + self.job.time_steps
        yield end + self.network.deepest, 3, lambda: None  # layers may lie deeper than the output

    def _drive(self, sample: int) -> None:
        """Give a sample to the input neurons."""
        bias = self.network.layers[0].neuron.bias_mant
        bias.set(to_lava(self.train[0, sample], bias.shape).astype(np.int32))

    def _clear(self, depth: int) -> None:
        """Put the layers of a depth to rest just before the sample reaches them.

        Whatever they sent until now came from biases or the sample before; it sits in their
        own recurrent synapses and in those of the layers behind them.
        """
        variables = []
        for layer in self.network.layers:
            if layer.depth == depth:
                states = kind_of(layer.neuron).state
                variables += [getattr(layer.neuron, name) for name in states]
                variables += map(memory_of, layer.own)
            variables += [memory_of(way.synapse) for way in layer.arriving if way.since == depth]
        for variable in variables:
            variable.set(np.zeros(variable.shape, np.int32))

    def _finish(self, sample: int) -> None:
        """Read the output's membrane potential from outside, and end a run.

        On the chip every sample needs it; in the simulator it checks the probe.
        """
        neuron = self.network.output.neuron
        variable = getattr(neuron, kind_of(neuron).potential)
        potential = np.rint(from_lava(variable.get())).astype(np.int64)
        if not self.job.hardware and (self.potential[sample] != potential).any():
            raise RuntimeError("the probe and Lava disagree about the membrane potential")
        self.potential[sample] = potential
        if self.network.output.depth == self.network.deepest:  # else others are not done yet
            self.status[SAMPLES] = sample + 1

    def _advance(self, steps: int) -> None:
        """Run time steps; unlike Lava's blocking run, fail when a process fails."""
        from lava.magma.core.run_conditions import RunSteps

        condition = RunSteps(num_steps=steps, blocking=False)
        process = self.network.process
        process.run(condition, run_cfg=self.configuration)
        self.status[PHASE] = RUNNING
        if self.watchdog is None:
            self.watchdog = Watchdog(self.folder, process.runtime)
            self.watchdog.start()
        if not await_answer(process.runtime):
            raise self.watchdog.failure()
        process.wait()


def check_resets(neurons: list[Foreign]) -> None:
    """Refuse neurons that nobody puts to rest on a board: Lava does not, and tssl cannot there."""
    for neuron in neurons:
        if not kind_of(neuron).resets:
            raise HardwareError(
                f"neurons of type {type(neuron).__name__} run on Lava's simulator only yet"
            )


def memory_of(synapse: Foreign) -> Foreign:
    """Return the variable in which a synapse keeps what is under way; fail for unknown kinds."""
    kind = type(synapse).__name__
    if kind not in SYNAPSE_MEMORY:
        known = ", ".join(SYNAPSE_MEMORY)
        raise TypeError(f"what a {kind} keeps between steps is not known; known are {known}")
    return getattr(synapse, SYNAPSE_MEMORY[kind])


def configuration(job: Job) -> Foreign:
    """Return Lava's run configuration: bit-accurate models, and our source and sinks."""
    from lava.magma.core.run_configs import Loihi2HwCfg, Loihi2SimCfg
    from lava.proc.io import sink, source

    player, recorder = ring_buffers()
    models = {source.RingBuffer: player, sink.RingBuffer: recorder}
    chosen = Loihi2HwCfg if job.hardware else Loihi2SimCfg
    return chosen(select_tag="fixed_pt", exception_proc_model_map=models)
