"""The only file that imports Lava: runs one job, files in and out, in a process of its own.

Others may use it too, to import Lava on current Pythons: ``import lava_worker``, then
``lava_worker.import_lava()``, then anything of Lava.

Started by ``tssl.lava_runtime.lava_sim`` as a *copy* in the job's folder, with any Python
that has lava-nc, lava-dl, numpy, scipy, h5py, networkx and asteval; it imports nothing of
tssl. Usage: ``python worker.py FOLDER`` or ``python worker.py --check``.

In FOLDER: ``job.json`` and ``input.npy`` ``(time or 1, samples, inputs)``. Out of it:
``status.npy`` (phase, finished samples, time step: the heartbeat), ``layer_<i>.npy``
``(samples, time, neurons)`` for every layer in Lava's order, ``potential.npy``
``(samples, outputs)``, or ``error.json`` (kind, message, traceback).
"""

import dataclasses
import errno
import functools
import importlib.metadata
import importlib.util
import json
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
import traceback
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

Array = NDArray[Any]
Foreign: TypeAlias = Any
"""An object of Lava, which has no types."""

PHASE, SAMPLES, STEP = range(3)
RUNNING, FINISHED = 1, 2
WATCH_SECONDS = 0.2
"""Time between looks at Lava's processes."""
REPORTING = threading.Lock()
"""Taken for good by the thread that reports a failure."""
PARENT = os.getppid()
"""Who started us: tssl, or a wrapper script around the interpreter."""
SYNAPSE_MEMORY = {"Conv": "a_buf", "Dense": "a_buff", "DelayDense": "a_buff"}
"""What each kind of synapse that netx builds keeps from one step to the next."""
NO_SPACE = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
FULL = 74
"""Exit code when there is no space even for ``error.json``."""


class LavaProcessError(RuntimeError):
    """A process of Lava raised or died; carries the traceback of that process."""

    def __init__(self, message: str, details: str) -> None:
        super().__init__(message)
        self.details = details


class HardwareError(RuntimeError):
    """Loihi 2, or Intel's extension for it, is not there."""


# --- importing Lava on current Pythons ---------------------------------------------------


class WithoutTorch:
    """Import hook that hides torch: Lava's model search would load it for nothing."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """Refuse torch, leave everything else to the other finders."""
        if name == "torch":
            raise ModuleNotFoundError("torch is hidden from Lava", name=name)


def import_lava() -> None:
    """Import ``netx`` and the process models, cured of what breaks them today."""
    warnings.filterwarnings("ignore", message="Cannot import module")
    import_var_model()
    stub_slayer()
    from lava.lib.dl import netx
    from lava.magma.core import run_configs
    from lava.proc.io import sink, source  # noqa: F401

    if not hasattr(run_configs, "Loihi2SimCfg"):
        raise ImportError(f"{netx.__file__}: this lava-nc has no Loihi2SimCfg", name="lava")
    patch_reshape()
    patch_convolution()
    patch_scalars()


def import_var_model() -> None:
    """Import a module whose dataclass default is unhashable, which Python 3.11 refuses."""
    name = "lava.magma.compiler.var_model"
    original = dataclasses.dataclass

    def dataclass(cls: Foreign = None, /, **options: Foreign) -> Foreign:
        def decorated(owner: Foreign) -> Foreign:
            owner = original(owner, **options)
            if owner.__module__ == name and owner.__hash__ is None:
                owner.__hash__ = object.__hash__
            return owner

        return decorated if cls is None else decorated(cls)

    dataclasses.dataclass = dataclass
    try:
        importlib.import_module(name)
    finally:
        dataclasses.dataclass = original


def stub_slayer() -> None:
    """Put empty modules where netx wants slayer, which needs torch, OpenCV and matplotlib."""

    def neuron_params(*_: object) -> None:
        raise NotImplementedError("resonate-and-fire neurons need lava-dl's slayer")

    for name in ("lava.lib.dl.slayer", "lava.lib.dl.slayer.neuron"):
        sys.modules[name] = types.ModuleType(name)
    resonators: Foreign = types.ModuleType("lava.lib.dl.slayer.neuron.rf")
    resonators.neuron_params = neuron_params
    sys.modules[resonators.__name__] = resonators
    name = "lava.lib.dl.netx.sequential_modules"
    stub = types.ModuleType(name)
    folder = importlib.util.find_spec("lava.lib.dl.netx")
    if folder is not None and folder.origin is not None:  # Lava's model search asks for the file
        stub.__file__ = str(Path(folder.origin).with_name("sequential_modules.py"))
    sys.modules[name] = stub


def reshape(shape: tuple[int, ...], values: Array) -> Array:
    """Call ``numpy.reshape`` without the keyword that numpy 2.4 dropped."""
    return np.reshape(values, shape)


def patch_reshape() -> None:
    """Replace the two transforms of flattened connections."""
    from lava.magma.core.process.ports import ports

    def forward(port: Foreign) -> Callable[[Array], Array]:
        return functools.partial(reshape, port.shape)

    def backward(port: Foreign) -> Callable[[Array], Array]:
        return functools.partial(reshape, port.old_shape)

    ports.ReshapePort.get_transform_func_fwd = forward
    ports.ReshapePort.get_transform_func_bwd = backward


def patch_convolution() -> None:
    """Pass geometry as Python integers: Lava keeps it in int8, where numpy 2 overflows."""
    from lava.proc.conv import utils

    def plain(value: Foreign) -> Foreign:
        return int(value) if np.ndim(value) == 0 else tuple(int(item) for item in value)

    def with_plain_geometry(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(first: Foreign, second: Foreign, *geometry: Foreign, **named: Foreign) -> Foreign:
            named = {key: plain(value) for key, value in named.items()}
            return function(first, second, *map(plain, geometry), **named)

        return call

    for name in ("output_shape", "conv", "conv_scipy"):
        setattr(utils, name, with_plain_geometry(getattr(utils, name)))


def patch_scalars() -> None:
    """Give one-element weights and biases as scalars: numpy 2.4 has no ``int()`` of arrays."""
    from lava.lib.dl.netx.utils import NetDict

    original = NetDict.__getitem__

    def item(self: Foreign, key: Foreign) -> Foreign:
        value = original(self, key)
        is_input = key in ("weight", "bias") and original(self, "type") == "input"
        return value.reshape(()) if is_input and np.size(value) == 1 else value

    NetDict.__getitem__ = item


# --- where spikes come from and go -------------------------------------------------------


class Moment(NamedTuple):
    """A time step as the samples see it."""

    sample: int
    step: int


@dataclasses.dataclass(frozen=True)
class Job:
    """What ``job.json`` says.

    Parameters
    ----------
    net
        Path of the ``.net`` file.
    period
        Time steps from the start of a sample to the start of the next.
    block
        Whether the network begins with input neurons, driven by their biases.
    one_by_one
        Whether spikes can stay in synapses, so that samples must not follow each other
        without clearing them.
    input_shape
        (W, H, C), for networks that begin with a convolution and do not say it.
    output_only
        Whether to record the output alone; the other layers' files then hold zeros.
    graph
        Whether the file lists the connections of each layer, all of whose sources are equally
        deep; lava-dl cannot load it.
    """

    net: str
    samples: int
    time_steps: int
    period: int
    block: bool
    one_by_one: bool
    input_message_bits: int
    input_shape: list[int] | None
    hardware: bool
    output_only: bool
    graph: bool

    def moment(self, step: int, transport: int) -> Moment | None:
        """Return sample and step that neurons ``transport`` layers in see, if any."""
        sample, since = divmod(step - 1 - transport, self.period)
        inside = 0 <= sample < self.samples and since < self.time_steps
        return Moment(sample, since) if inside else None


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
    """The spikes of one layer, written straight to a file that the parent also sees."""

    def __init__(self, job: Job, transport: int, rows: Array) -> None:
        self.job, self.transport, self.rows = job, transport, rows

    def store(self, step: int, spikes: Array) -> None:
        """Keep the spikes of a time step, without the delay of transport."""
        moment = self.job.moment(step, self.transport)
        if moment is not None and spikes.any():  # untouched rows stay holes in the file
            if spikes.min() < 0 or spikes.max() > 1:
                raise ValueError("a layer sends graded spikes; only binary ones are supported")
            self.rows[moment.sample, moment.step] = from_lava(spikes)


class Probe:
    """The output's membrane potential after each sample's last step, and the heartbeat."""

    def __init__(self, job: Job, transport: int, deepest: int, rows: Array, status: Array) -> None:
        self.job, self.transport, self.rows, self.status = job, transport, rows, status
        self.deepest = deepest

    def store(self, step: int, potential: Array) -> None:
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


def probed(process: Foreign, probe: Probe) -> type:
    """Return Lava's own model of some neurons, which a probe looks at after each step.

    Reading the potential from outside takes a pause and a message per neuron and sample,
    longer than the run itself.
    """
    from lava.proc.lif.models import PyLifModelBitAcc, PyLifResetModelBitAcc
    from lava.proc.lif.process import LIFReset

    model = PyLifResetModelBitAcc if isinstance(process, LIFReset) else PyLifModelBitAcc
    process.proc_params["probe"] = probe

    class Probed(model):  # type: ignore[misc, valid-type]
        def __init__(self, proc_params: Foreign) -> None:
            super().__init__(proc_params)
            self.probe = proc_params["probe"]

        def run_spk(self) -> None:
            super().run_spk()
            self.probe.store(self.time_step, self.v)

    return Probed


# --- building ----------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Layer:
    """The processes of a layer, whoever made them.

    Parameters
    ----------
    out
        Port from which its spikes come.
    depth
        Steps that the input takes to it; 0 for input neurons.
    arriving, own
        Synapses from other layers, and from itself.
    """

    neuron: Foreign
    out: Foreign
    depth: int
    arriving: list[Foreign]
    own: list[Foreign]


@dataclasses.dataclass(frozen=True)
class Network:
    """A network of Lava's processes.

    Parameters
    ----------
    process
        The one through which Lava runs them all.
    input_shape
        Of a step of input: lava-dl's (W, H, C), or flat.
    entrances
        Ports that read the input, by how many steps late they do so: as many as deeper layers
        need to reach the same neurons. None where input neurons make the input.
    """

    process: Foreign
    input_shape: tuple[int, ...]
    entrances: dict[int, list[Foreign]]
    layers: list[Layer]

    @property
    def output(self) -> Layer:
        """The last layer."""
        return self.layers[-1]

    @property
    def deepest(self) -> int:
        """The largest depth of a layer."""
        return max(layer.depth for layer in self.layers)


def build_chain(job: Job) -> Network:
    """Let lava-dl build the network from its file."""
    from lava.lib.dl.netx import hdf5, utils

    kinds = utils.NetDict(job.net)["layer"]
    count = len(kinds)
    if kinds[count - 1]["type"] == "average":  # a read-out that lava-dl writes and cannot load
        count -= 1
    kinds.f.file.close()
    network = hdf5.Network(
        net_config=job.net,
        num_layers=count,
        input_message_bits=job.input_message_bits,
        input_shape=None if job.input_shape is None else tuple(job.input_shape),
        reset_interval=None if job.one_by_one else job.period,
        reset_offset=0 if job.block else 1,
    )
    network.net_config.f.close()  # or the file stays locked
    layers = []
    for depth, block in enumerate(network.layers, start=0 if job.block else 1):
        arriving = [block.synapse] if hasattr(block, "synapse") else []
        own = [block.synapse_rec] if hasattr(block, "synapse_rec") else []
        layers.append(Layer(block.neuron, block.out, depth, arriving, own))
    return Network(network, network.inp.shape, {} if job.block else {0: [network.inp]}, layers)


def build_graph(job: Job) -> Network:
    """Build a network from Lava's own processes: one for each layer and each connection.

    Neurons are flat, in (C, H, W) order. What several connections send to one, Lava adds up.
    """
    import h5py

    layers: dict[str, Layer] = {}
    entrances: dict[int, list[Foreign]] = {}
    with h5py.File(job.net, "r") as file:
        first, *entries = children(file["layer"])
        size = int(np.prod(first["shape"][()]))
        if job.block:
            neuron = neurons(job, first, 0)
            layers["input"] = Layer(neuron, neuron.s_out, 0, [], [])
        for entry in entries:
            connections = [(text(each, "source"), each) for each in children(entry["connection"])]
            name = text(entry, "name")
            depth = depth_of(name, [source for source, _ in connections], layers)
            neuron = neurons(job, entry, depth)
            layers[name] = layer = Layer(neuron, neuron.s_out, depth, [], [])
            for source, connection in connections:
                is_data = source == "input" and not job.block
                synapse = synapses(connection, job.input_message_bits if is_data else 0)
                join(synapse.a_out, neuron.a_in)
                (layer.own if source == name else layer.arriving).append(synapse)
                if is_data:
                    entrances.setdefault(depth - 1, []).append(synapse.s_in)
                else:
                    join(layers[source].out, synapse.s_in)
    built = list(layers.values())
    return Network(built[0].neuron, (size,), entrances, built)


def children(group: Foreign) -> list[Foreign]:
    """Return the numbered entries of a group of the file."""
    return [group[str(number)] for number in range(len(group))]


def text(entry: Foreign, attribute: str) -> str:
    """Return a text that goes with an entry of the file."""
    return str(entry.attrs[attribute].decode())


def depth_of(name: str, sources: list[str], layers: dict[str, Layer]) -> int:
    """Return the depth of a layer; fail where spikes of different steps would meet."""
    depths = {layers[each].depth for each in sources if each in layers}
    if len(depths) > 1:
        raise ValueError(f"layer {name}: its sources {sources} are not equally deep")
    return max(depths, default=0) + 1  # input from outside is sent when it is needed


def neurons(job: Job, entry: Foreign, depth: int) -> Foreign:
    """Return the neurons of an entry, reset as lava-dl would when a new sample arrives."""
    from lava.proc.lif.process import LIF, LIFReset

    def value(group: Foreign, key: str) -> Foreign:
        found = group[key][()]
        return from_lava(found) if np.ndim(found) else found

    of = entry["neuron"]
    fields = {
        "shape": (int(np.prod(entry["shape"][()])),),
        "vth": value(of, "vThMant"),
        "du": value(of, "iDecay") - 1,
        "dv": value(of, "vDecay"),
        "bias_exp": 6,
    }
    if "bias" in entry:
        fields["bias_mant"] = value(entry, "bias").astype(np.int32)
    if job.one_by_one:
        return LIF(**fields)
    return LIFReset(reset_interval=job.period, reset_offset=depth + 1, **fields)


def synapses(entry: Foreign, message_bits: int) -> Foreign:
    """Return the synapses of a connection, made as lava-dl makes them."""
    from lava.lib.dl.netx.utils import optimize_weight_bits
    from lava.proc.conv.process import Conv
    from lava.proc.dense.process import DelayDense, Dense

    weight = entry["weight"][()].astype(int)
    if entry["type"][()] == b"conv":
        return Conv(
            weight=weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1),
            input_shape=tuple(entry["input_shape"][()][::-1].tolist()),
            groups=int(entry["groups"][()]),
            num_message_bits=message_bits,
            **{key: entry[key][()][::-1] for key in ("stride", "padding", "dilation")},
        )
    stored, bits, exponent, _ = optimize_weight_bits(weight)
    fields = {
        "weights": stored,
        "weight_exp": exponent,
        "num_weight_bits": bits,
        "num_message_bits": message_bits,
    }
    if "delay" in entry:
        return DelayDense(delays=entry["delay"][()].astype(int), max_delay=62, **fields)
    return Dense(**fields)


def join(out: Foreign, port: Foreign) -> None:
    """Connect two ports, one of which may be flat, in (C, H, W) order, and one Lava's (W, H, C)."""
    if len(out.shape) < len(port.shape):
        out = out.reshape(port.shape[::-1]).transpose((2, 1, 0))
    elif len(out.shape) > len(port.shape):
        out = out.transpose((2, 1, 0)).flatten()
    out.connect(port)


# --- running -----------------------------------------------------------------------------


class Simulation:
    """A network, its input, its recorders, and the run under way."""

    def __init__(self, job: Job, folder: Path) -> None:
        self.job, self.folder = job, folder
        self.watchdog: Watchdog | None = None
        self.train = np.load(folder / "input.npy", mmap_mode="r")
        self.status = np.load(folder / "status.npy", mmap_mode="r+")
        self.network = build_graph(job) if job.graph else build_chain(job)
        self.now = 0
        if job.block:
            bias = self.network.layers[0].neuron.bias_mant
            bias.init = to_lava(self.train[0, 0], bias.shape).astype(np.int32)
        self.devices = [*self._sources(), *self._sinks(folder)]
        output = self.network.output
        shape = (job.samples, int(np.prod(output.out.shape)))
        self.potential = open_memmap(
            folder / "potential.npy", mode="w+", dtype=np.int64, shape=shape
        )
        self.configuration = configuration(job)
        if not job.hardware:
            deepest = self.network.deepest
            probe = Probe(job, output.depth, deepest, self.potential, self.status)
            models = self.configuration.exception_proc_model_map
            models[output.neuron] = probed(output.neuron, probe)

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
            path = folder / f"layer_{index}.npy"
            rows = open_memmap(path, mode="w+", dtype=np.uint8, shape=sizes)
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
            if self.job.block and start:
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
                variables += [layer.neuron.u, layer.neuron.v, *map(memory_of, layer.own)]
            elif layer.depth == depth + 1:
                variables += map(memory_of, layer.arriving)
        for variable in variables:
            variable.set(np.zeros(variable.shape, np.int32))

    def _finish(self, sample: int) -> None:
        """Read the output's membrane potential from outside, and end a run.

        On the chip every sample needs it; in the simulator it checks the probe.
        """
        variable = self.network.output.neuron.v
        potential = np.rint(from_lava(variable.get())).astype(np.int64)
        if not self.job.hardware and (self.potential[sample] != potential).any():
            raise RuntimeError("the probe and Lava disagree about the membrane potential")
        self.potential[sample] = potential
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


class Watchdog(threading.Thread):
    """Ends the worker when a process of Lava fails, or the parent is gone.

    Lava itself would wait for ever, in a run as well as in reading or setting a variable.
    """

    def __init__(self, folder: Path, runtime: Foreign) -> None:
        super().__init__(daemon=True)
        self.folder = folder
        self.actors = runtime._messaging_infrastructure.actors
        self.disarmed = threading.Event()

    def run(self) -> None:
        """Look at all processes again and again, until disarmed."""
        while not self.disarmed.wait(WATCH_SECONDS):
            if os.getppid() != PARENT:
                end_children()
                shutil.rmtree(self.folder, ignore_errors=True)
                os._exit(1)
            if not all(actor.is_alive() for actor in self.actors):
                report_and_exit(self.folder, self.failure())

    def failure(self) -> Exception:
        """Return why a process of Lava has ended."""
        self.disarmed.wait(WATCH_SECONDS)  # one that raised may be just writing down why
        for actor in self.actors:
            if actor.exception:
                error, details = actor.exception
                if out_of_space(error):
                    return OSError(error.errno, error.strerror)
                return LavaProcessError(describe(error), details)
        code = next((actor.exitcode for actor in self.actors if actor.exitcode), 0)
        if code == -signal.SIGBUS:  # a mapped file that cannot grow
            return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        hint = "; it was killed, perhaps for want of memory" if code < 0 else ""
        return LavaProcessError(f"a process of Lava ended with code {code}{hint}", "")


def await_answer(runtime: Foreign) -> bool:
    """Wait until the run under way is over; return whether it succeeded."""
    from lava.magma.runtime.mgmt_token_enums import MGMT_RESPONSE, enum_equal

    port = runtime.service_to_runtime[0]
    pause = 0.0001
    while not port.probe():
        time.sleep(pause)
        pause = min(2 * pause, 0.005)
    return not enum_equal(port.peek(), MGMT_RESPONSE.ERROR)


def end_children() -> None:
    """Kill what Lava started; its shared memory is then removed by the resource tracker."""
    for child in multiprocessing.active_children():
        child.kill()


def check_hardware(job: Job) -> None:
    """Raise when this machine cannot run a job on Loihi 2."""
    if job.graph:
        raise HardwareError("networks that are no chains run on Lava's simulator only")
    if importlib.util.find_spec("lava.utils.loihi2_profiler") is None:
        raise HardwareError(
            "Intel's lava-loihi extension is not installed; it and a Loihi 2 board come "
            "with membership in Intel's neuromorphic research community"
        )


# --- reporting ---------------------------------------------------------------------------


def describe(error: BaseException) -> str:
    """Return one line for an exception."""
    text = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def out_of_space(error: BaseException) -> bool:
    """Return whether a file could not grow."""
    return isinstance(error, OSError) and error.errno in NO_SPACE


def kind_of(error: BaseException) -> str:
    """Classify a failure: ``missing``, no ``hardware``, no ``space``, or Lava ``failed``."""
    if isinstance(error, HardwareError):
        return "hardware"
    if isinstance(error, NameError) and "CLoihiProcessModel" in str(error):
        return "hardware"  # Loihi2HwCfg without Intel's extension
    if out_of_space(error):
        return "space"
    return "missing" if isinstance(error, ImportError) else "failed"


def report_and_exit(folder: Path, error: BaseException) -> None:
    """Write ``error.json`` and leave without Python's clean-up, in which Lava hangs."""
    REPORTING.acquire()
    details = getattr(error, "details", "") or "".join(
        traceback.format_exception(type(error), error, error.__traceback__)
    )
    message = str(error) if hasattr(error, "details") else describe(error)
    if isinstance(error, HardwareError):
        message = str(error)
    if isinstance(error, OSError) and out_of_space(error):
        message = error.strerror or message
    document = {"kind": kind_of(error), "message": message, "traceback": details}
    temporary = folder / "error.json.part"
    code = 1
    try:
        temporary.write_text(json.dumps(document), encoding="utf-8")
        temporary.replace(folder / "error.json")
    except OSError as failure:
        code = FULL if out_of_space(failure) else 1
    end_children()
    os._exit(code)


def main(folder: Path) -> None:
    """Do the job of a folder."""
    worker = os.getpid()

    def hook(_: object, error: BaseException, __: object) -> None:
        if os.getpid() == worker:  # not in the processes that Lava forks
            report_and_exit(folder, error)

    sys.excepthook = hook
    job = Job(**json.loads((folder / "job.json").read_text(encoding="utf-8")))
    if job.hardware:
        check_hardware(job)
    sys.meta_path.insert(0, WithoutTorch)
    import_lava()
    Simulation(job, folder).run()
    os._exit(0)


def check() -> None:
    """Print the versions of Lava, or fail on import."""
    sys.meta_path.insert(0, WithoutTorch)
    import_lava()
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("lava-nc", "lava-dl")]
    sys.stdout.write(", ".join(versions) + "\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        check()
    else:
        main(Path(sys.argv[1]))
