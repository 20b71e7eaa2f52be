"""Lava's own simulator against our engine, spike for spike; and every way it can fail."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from tests.lava_runtime.networks import (
    EAGER,
    MAKERS,
    conv_net,
    dense_net,
    lava_file,
    mixed_net,
    weights,
)
from tssl import netx
from tssl.chip import ChipNetwork, InputLayer, IntArray, conv_layer, dense_layer
from tssl.engine import run_chunk
from tssl.errors import (
    BackendError,
    BackendTimeoutError,
    BackendUnavailableError,
    DataError,
    OutputError,
)
from tssl.lava_runtime import lava_sim, process
from tssl.lava_runtime.lava_sim import LavaSim, check
from tssl.lava_runtime.worker.simulation import SYNAPSE_MEMORY, memory_of
from tssl.proof.compare import SPIKES, compare, first_difference
from tssl.results import Recording


def run_all(backend: LavaSim, network: ChipNetwork, train: IntArray, steps: int) -> Recording:
    chunks = list(backend.run(network, train, steps, lambda _: None))
    assert np.array_equal(np.concatenate([part for part, _ in chunks], axis=1), train)
    return Recording.joined([recording for _, recording in chunks])


def assert_same(
    network: ChipNetwork, train: IntArray, steps: int, recording: Recording, *, silent: str = ""
) -> None:
    expected = run_chunk(network, train, steps)
    for row in compare(network, expected, recording):
        if row.quantity == SPIKES and row.layer != silent:
            assert 0 < row.left < row.compared, f"{row.layer}: nothing to compare"
    assert first_difference(network, expected, recording) is None


def inputs(rng: np.random.Generator, network: ChipNetwork, steps: int, samples: int) -> IntArray:
    if network.input.neuron is not None:
        return rng.integers(-20, 120, (1, samples, network.input.neurons))
    return rng.integers(-3, 12, (steps, samples, network.input.neurons))


@pytest.mark.lava
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_random_networks(rng, maker):
    """Graded input; many samples in one run; biases, delays, recurrence, input neurons."""
    network = maker(rng)
    train = inputs(rng, network, 9, 5)
    assert_same(network, train, 9, run_all(LavaSim(), network, train, 9), silent="out")


WHAT_CHANGES = """
import json, os, sys
import numpy as np
from tssl.lava_runtime.worker.shims import import_lava
import_lava()
from lava.lib.dl import netx
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.source import RingBuffer
network = netx.hdf5.Network(net_config=sys.argv[1], input_shape=(5, 4, 1))
source = RingBuffer(data=np.random.default_rng(0).integers(0, 2, (5, 4, 1, 8)))
source.s_out.connect(network.inp)
synapses = [layer.synapse for layer in network.layers]
synapses += [layer.synapse_rec for layer in network.layers if hasattr(layer, "synapse_rec")]
seen = [{} for _ in synapses]
for _ in range(8):
    network.run(RunSteps(num_steps=1), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    for synapse, values in zip(synapses, seen):
        for variable in synapse.vars:
            values.setdefault(variable.name, set()).add(variable.get().tobytes())
changing = {}
for synapse, values in zip(synapses, seen):
    names = changing.setdefault(type(synapse).__name__, set())
    names.update(name for name, found in values.items() if len(found) > 1)
print(json.dumps({kind: list(names) for kind, names in changing.items()}), flush=True)
network.stop()
"""


@pytest.mark.lava
def test_what_lavas_synapses_keep_between_steps(rng, tmp_path):
    """Every variable of every kind of synapse is looked at while Lava runs."""
    maps = conv_layer(
        name="c", source="input", weight=weights(rng, 2, 1, 2, 2), neuron=EAGER,
        map_shape=(1, 4, 5),
    )  # fmt: skip
    dense = dense_layer(name="d", source="c", weight=weights(rng, 6, 24), neuron=EAGER)
    delayed = dense_layer(
        name="l", source="d", weight=weights(rng, 6, 6), neuron=EAGER,
        delay=rng.integers(0, 3, (6, 6)),
    )  # fmt: skip
    recurrent = dense_layer(
        name="r", source="l", weight=weights(rng, 4, 6), neuron=EAGER,
        recurrent_weight=weights(rng, 4, 4),
    )  # fmt: skip
    layers = (maps, dense, delayed, recurrent)
    path = tmp_path / "every.net"
    netx.write(path, ChipNetwork(name="every", input=InputLayer(shape=(1, 4, 5)), layers=layers))
    command = [sys.executable, "-c", WHAT_CHANGES, str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    changing = json.loads(ran.stdout.splitlines()[-1])
    assert changing == {kind: [name] for kind, name in SYNAPSE_MEMORY.items()}


def test_a_synapse_of_an_unknown_kind_is_no_silent_guess():
    with pytest.raises(TypeError, match="what a SimpleNamespace keeps between steps is not known"):
        memory_of(SimpleNamespace(a_buff=1))


@pytest.mark.lava
def test_mixtures_of_layers(rng, request):
    """Any layers, any input, one to four samples; ``--lava-draws N`` compares N networks."""
    for number in range(request.config.getoption("--lava-draws")):
        network, train, steps = drawn_case(rng)
        expected = run_chunk(network, train, steps)
        recording = run_all(LavaSim(), network, train, steps)
        difference = first_difference(network, expected, recording)
        assert difference is None, f"network {number}: {difference}"


def drawn_case(rng: np.random.Generator) -> tuple[ChipNetwork, IntArray, int]:
    """Return a network, input and a number of steps in which its output fires."""
    while True:
        network, steps = mixed_net(rng), int(rng.integers(3, 9))
        train = inputs(rng, network, steps, int(rng.integers(1, 5)))
        if run_chunk(network, train, steps).trains[network.output.name].any():
            return network, train, steps


@pytest.mark.lava
@pytest.mark.parametrize("steps", [1, 2])
def test_fewer_steps_than_layers(rng, steps):
    network = dense_net(rng)
    train = rng.integers(0, 60, (steps, 6, 9))
    expected = run_chunk(network, train, steps)
    assert expected.trains["a"].any()
    recording = run_all(LavaSim(), network, train, steps)
    assert first_difference(network, expected, recording) is None


@pytest.mark.lava
def test_binary_input_in_several_jobs_and_chunks(rng, monkeypatch):
    network = conv_net(rng)
    train = rng.integers(0, 2, (8, 7, network.input.neurons))
    bytes_per_sample = 8 * sum(layer.neurons for layer in network.layers)
    monkeypatch.setattr(lava_sim, "_JOB_BYTES", 4 * bytes_per_sample)
    monkeypatch.setattr(lava_sim, "_CHUNK_BYTES", 2 * bytes_per_sample)
    reports: list[int] = []
    chunks = list(LavaSim().run(network, train, 8, reports.append))
    assert reports[-1] == 7
    assert len(chunks) >= 2
    first = 0
    for part, recording in chunks:
        assert np.array_equal(part, train[:, first : first + part.shape[1]])
        assert_same(network, part, 8, recording, silent="out")
        first += part.shape[1]
    assert first == 7


@pytest.mark.lava
@pytest.mark.parametrize(
    ("name", "steps", "low", "high", "silent"),
    [("mnist.net", 16, 0, 90, "dense3"), ("tiny.net", 20, -20, 60, "")],
)
def test_files_of_lava_dl(rng, name, steps, low, high, silent):
    """The very file goes to Lava; its input neurons are driven by biases."""
    path = lava_file(name)
    network = netx.read(path)
    train = rng.integers(low, high, (1, 4, network.input.neurons))
    recording = run_all(LavaSim(net_path=path), network, train, steps)
    assert_same(network, train, steps, recording, silent=silent)


@pytest.mark.lava
@pytest.mark.parametrize(
    ("name", "steps", "low", "high"),
    [
        ("mnist.net", 16, 0, 90),
        ("tiny.net", 20, -20, 60),
        ("gts/ntidigits/ntidigits.net", 80, 0, 2),
        pytest.param("gts/pilotnet_lif/network.net", 16, 0, 90, marks=pytest.mark.slow),
    ],
)
def test_files_of_lava_dl_written_by_us(rng, tmp_path, name, steps, low, high):
    """Lava computes the same from our file as from the one it came with."""
    theirs, ours = lava_file(name), tmp_path / "ours.net"
    network = netx.read(theirs)
    netx.write(ours, network)
    assert netx.read(ours).digest == network.digest
    train = rng.integers(
        low, high, (1 if network.input.neuron else steps, 1, network.input.neurons)
    )
    first, second = (run_all(LavaSim(net_path=p), network, train, steps) for p in (theirs, ours))
    assert first.trains.keys() == second.trains.keys()
    assert first.trains[network.layers[0].name].any()
    for layer, spikes in first.trains.items():
        assert np.array_equal(spikes, second.trains[layer]), layer
    assert np.array_equal(first.output_potential, second.output_potential)


def ntidigits() -> tuple[Path, ChipNetwork, IntArray]:
    """Axonal delays up to 62 steps, and an ``average`` at the end that Lava cannot load."""
    path = lava_file("gts/ntidigits/ntidigits.net")
    stored = np.load(lava_file("gts/ntidigits/input.npy"))  # (inputs, time)
    return path, netx.read(path), stored.T[:, None].astype(np.int64)


@pytest.mark.lava
@pytest.mark.slow
def test_delays_of_a_file_of_lava_dl():
    path, network, train = ntidigits()
    steps = 150
    parts = np.concatenate([train[:steps], train[steps : 2 * steps]], axis=1)
    assert_same(network, parts, steps, run_all(LavaSim(net_path=path), network, parts, steps))


def test_stored_output_of_ntidigits():
    """lava-dl's truth is the engine, late by a step per layer and one more."""
    _, network, train = ntidigits()
    late = len(network.layers) + 1
    stored = np.load(lava_file("gts/ntidigits/output.npy")).T
    ours = run_chunk(network, train, len(train)).trains[network.output.name][:, 0]
    assert not stored[:late].any()
    assert stored[late:].sum() > 20_000
    places = np.argwhere(stored[late:] != ours[:-late])
    if len(places):
        step, neuron = places[0]
        pytest.fail(
            f"layer {network.output.name}, neuron {neuron}, step {step}: "
            f"{ours[step, neuron]} against {stored[step + late, neuron]}"
        )


@pytest.mark.lava
def test_no_samples_yield_nothing(rng):
    assert list(LavaSim().run(dense_net(rng), np.zeros((4, 0, 9), int), 4, lambda _: None)) == []


def test_input_neurons_need_constant_biases(rng):
    network = MAKERS[4](rng)
    with pytest.raises(DataError, match="must stay the same"):
        list(LavaSim().run(network, inputs(rng, dense_net(rng), 4, 1)[:, :, :1], 4, lambda _: None))


def test_too_large_inputs_are_refused(rng):
    with pytest.raises(DataError, match="32-bit"):
        list(LavaSim().run(dense_net(rng), np.full((1, 1, 9), 1 << 31), 4, lambda _: None))


# --- faults ------------------------------------------------------------------------------


class Traces:
    """What a worker has in the system: processes, shared memory, its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sessions: set[int] = set()
        self.memory: set[str] = set()

    def look(self) -> None:
        for pid in children(os.getpid()):
            if b"/worker" in (Path("/proc") / str(pid) / "cmdline").read_bytes():
                self.sessions.add(pid)
        for pid in session_members(self.sessions):
            for line in read(Path("/proc") / str(pid) / "maps").splitlines():
                if "/dev/shm/" in line:
                    self.memory.add(line.split()[5])

    def assert_gone(self) -> None:
        deadline = time.monotonic() + 60  # init needs a moment to reap orphans
        while session_members(self.sessions) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert session_members(self.sessions) == []
        assert [name for name in self.memory if Path(name).exists()] == []
        assert list(self.folder.iterdir()) == []


def read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def stat_fields(pid: int) -> list[str]:
    """State, parent, group, session of a process, zombies included."""
    return read(Path("/proc") / str(pid) / "stat").rpartition(")")[2].split()[:4]


def processes() -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*"):
        if stat_fields(int(path.name)):
            yield int(path.name)


def children(parent: int) -> list[int]:
    return [pid for pid in processes() if stat_fields(pid)[1:2] == [str(parent)]]


def session_members(sessions: set[int]) -> list[int]:
    names = {str(session) for session in sessions}
    return [pid for pid in processes() if set(stat_fields(pid)[3:4]) & names]


@pytest.fixture
def traces(monkeypatch, tmp_path_factory) -> Iterator[Traces]:
    tmp_path_factory.getbasetemp()  # or pytest would make it in the folder that is looked at
    folder = Path(tempfile.mkdtemp(prefix="tssl-"))  # tmp_path is too long for a socket's name
    monkeypatch.setattr(process.tempfile, "tempdir", str(folder))
    found = Traces(folder)
    yield found
    found.assert_gone()
    folder.rmdir()


def long_run(
    rng: np.random.Generator,
    progress: Callable[[int], None],
    samples: int = 5000,
    **options: object,
) -> None:
    network = dense_net(rng)
    train = rng.integers(0, 10, (4, samples, 9))
    for _ in LavaSim(**options).run(network, train, 4, progress):
        pass


def edited(path: Path, network: ChipNetwork, key: str, value: object) -> Path:
    netx.write(path, network)
    with h5py.File(path, "r+") as file:
        del file[key]
        file[key] = value
    return path


several = pytest.mark.parametrize("workers", [1, 2])


@pytest.mark.lava
@several
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("layer/3/neuron/vThMant", 40.5, "TypeError|ufunc"),  # raised in a process model
        ("layer/1/type", np.bytes_("pool"), "NotImplementedError: pool"),  # while building
        ("layer/3/shape", np.array([5]), "Error"),  # while building or compiling
    ],
)
def test_exceptions_in_lava_are_told(rng, tmp_path, traces, key, value, message, workers):
    network = dense_net(rng)
    path = edited(tmp_path / "broken.net", network, key, value)
    backend = LavaSim(net_path=path, workers=workers)
    with pytest.raises(BackendError, match=message) as caught:
        run_all(backend, network, rng.integers(0, 9, (3, 2, 9)), 3)
    assert "\n" not in str(caught.value)


@pytest.mark.lava
@several
@pytest.mark.parametrize("victim", ["worker", "actor"])
def test_killed_processes_are_noticed(rng, traces, victim, workers):
    def progress(_: int) -> None:
        if traces.sessions:
            return
        traces.look()
        assert len(traces.sessions) == workers
        # the one that reported runs; another may still be starting, where nobody watches yet
        worker = max(traces.sessions, key=lambda leader: (members(leader), ticks(leader)))
        actors = [pid for pid in session_members({worker}) if pid != worker]
        assert len(actors) > 5
        assert traces.memory
        actors = [pid for pid in actors if b"tracker" not in cmdline(pid)]
        os.kill(worker if victim == "worker" else max(actors), signal.SIGKILL)

    with pytest.raises(BackendError, match=r"SIGKILL|code -9"):
        long_run(rng, progress, workers=workers)


def members(leader: int) -> int:
    return len(session_members({leader}))


def ticks(pid: int) -> int:
    """Return how long a process has computed."""
    fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def cmdline(pid: int) -> bytes:
    return (Path("/proc") / str(pid) / "cmdline").read_bytes()


@pytest.mark.lava
@several
def test_time_out(rng, traces, monkeypatch, workers):
    """The time passes when samples are done, so that a busy machine makes no difference."""
    passed = [0.0]
    clock = SimpleNamespace(monotonic=lambda: passed[0], sleep=time.sleep)
    monkeypatch.setattr(process, "time", clock)
    monkeypatch.setattr(lava_sim, "time", clock)

    def progress(_: int) -> None:
        traces.look()
        passed[0] += 1000.0

    with pytest.raises(BackendTimeoutError, match="time-out"):
        long_run(rng, progress, timeout=999.0, workers=workers, samples=50_000)
    assert traces.memory


@pytest.mark.lava
@several
def test_a_worker_that_no_longer_moves_is_stopped(rng, traces, monkeypatch, workers):
    monkeypatch.setattr(process, "_STEP_SECONDS", 1.0)

    def progress(_: int) -> None:
        if not traces.sessions:
            traces.look()
            for pid in session_members(traces.sessions):
                if b"tracker" not in cmdline(pid):
                    os.kill(pid, signal.SIGSTOP)

    with pytest.raises(BackendTimeoutError, match="did not advance"):
        long_run(rng, progress, workers=workers)


@pytest.mark.lava
@several
def test_interrupt_and_abandoned_runs_leave_nothing(rng, traces, workers):
    def progress(_: int) -> None:
        traces.look()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        long_run(rng, progress, workers=workers)
    assert traces.memory


def started(traces: Traces, workers: int) -> "subprocess.Popen[bytes]":
    """Start a Python that runs Lava, and return it when all its workers are at work."""
    code = (
        # a shell that runs the tests in the background lets them ignore Ctrl-C
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import numpy as np; from tests.lava_runtime.networks import dense_net\n"
        "from tssl.lava_runtime.lava_sim import LavaSim\n"
        "net = dense_net(np.random.default_rng(0))\n"
        "train = np.zeros((4, 100000, 9), int)\n"
        f"backend = LavaSim(workers={workers})\n"
        "list(backend.run(net, train, 4, lambda n: print(n, flush=True)))\n"
    )
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "TMPDIR": str(traces.folder)}
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    assert parent.stdout is not None
    parent.stdout.readline()
    traces.sessions.update(children(parent.pid))
    assert len(traces.sessions) == workers
    traces.look()
    assert traces.memory
    return parent


@pytest.mark.lava
@several
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent(traces, kind, workers):
    """After SIGKILL nobody is left to clean up, so the workers must notice by themselves."""
    with started(traces, workers) as parent:
        parent.send_signal(kind)
        assert parent.stdout is not None
        parent.stdout.read()
    assert parent.returncode != 0


@pytest.mark.lava
def test_what_killed_processes_leave_goes_at_the_next_start(traces):
    """Nobody is left who could clean up: tssl and all of its workers are killed."""
    with started(traces, 1) as parent:
        for pid in (parent.pid, *session_members(traces.sessions)):
            if b"tracker" not in cmdline(pid):
                os.kill(pid, signal.SIGKILL)
    assert list(traces.folder.iterdir())
    assert check() is None


@pytest.mark.lava
@pytest.mark.parametrize("maker", [dense_net, MAKERS[5]], ids=["dense", "block_recurrent"])
@pytest.mark.parametrize("workers", [2, 3])
def test_several_workers_yield_what_one_does(rng, maker, workers):
    """Eleven samples do not divide evenly; four among three workers neither."""
    network = maker(rng)
    train = inputs(rng, network, 6, 11 if maker is dense_net else 4)
    reports: list[int] = []
    chunks = list(LavaSim(workers=workers).run(network, train, 6, reports.append))
    assert len(chunks) >= workers - 1
    assert reports[-1] == train.shape[1]
    assert reports == sorted(reports)
    recording = run_all(LavaSim(workers=workers), network, train, 6)
    assert_same(network, train, 6, recording)


@pytest.mark.lava
def test_more_workers_than_samples(rng):
    network = dense_net(rng)
    train = inputs(rng, network, 9, 2)
    assert_same(network, train, 9, run_all(LavaSim(workers=5), network, train, 9))


@pytest.mark.lava
def test_only_the_output_is_recorded_when_asked_for(rng):
    network = dense_net(rng)
    train = inputs(rng, network, 9, 3)
    recording = run_all(LavaSim(output_only=True), network, train, 9)
    expected = run_chunk(network, train, 9)
    assert expected.trains["c"].any()
    assert np.array_equal(recording.trains["c"], expected.trains["c"])
    assert np.array_equal(recording.output_potential, expected.output_potential)
    assert not recording.trains["a"].any()


# --- no space -----------------------------------------------------------------------------

STEPS_OF_A_JOB = {
    "folder": (process.tempfile, "mkdtemp"),
    "input": (np, "save"),
    "file of others": (process.shutil, "copyfile"),
    "settings": (process.Path, "write_text"),
    "worker": (process, "worker_copy"),
}


@pytest.mark.parametrize("step", STEPS_OF_A_JOB)
def test_full_disk_while_a_job_is_set_up(rng, traces, tmp_path, monkeypatch, step):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    network = dense_net(rng)
    netx.write(tmp_path / "a.net", network)
    backend = LavaSim(net_path=tmp_path / "a.net")
    monkeypatch.setattr(*STEPS_OF_A_JOB[step], full)
    if step == "worker":
        monkeypatch.setattr(lava_sim, "worker_copy", full)
    with pytest.raises(OutputError, match="No space left on device; ") as caught:
        run_all(backend, network, np.zeros((1, 1, 9), int), 3)
    assert str(caught.value).startswith(f"{traces.folder}: ")
    if step in ("folder", "worker"):
        with pytest.raises(OutputError, match="No space left on device; "):
            check()


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """A function that limits the size of files, in this process and those it starts."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, old)


def test_files_that_may_not_grow(rng, traces, small_files):
    network, train = dense_net(rng), rng.integers(0, 9, (50, 100, 9))
    small_files(60_000)
    with pytest.raises(OutputError, match="scratch files cannot be written"):
        run_all(LavaSim(), network, train, 50)


@pytest.mark.lava
def test_a_worker_that_finds_no_space(rng, traces, small_files):
    """The input fits, what Lava records of 5000 samples does not."""
    network, train = dense_net(rng), rng.integers(0, 9, (1, 5000, 9))
    small_files(200_000)
    with pytest.raises(OutputError, match="File too large; "):
        run_all(LavaSim(), network, train, 10)


def shell(path: Path, *lines: str) -> str:
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("kind", "lines", "error", "message"),
    [
        ("full", ["exit 74"], OutputError, "No space left"),
        ("bus", ["kill -BUS $$"], OutputError, "No space left"),
        ("folder gone", ['rm -r "$2"', "exit 3"], BackendError, "ended with code 3: no message"),
        (
            "reported",
            ["""echo '{"kind": "space", "message": "Full", "traceback": ""}' > error.json"""],
            OutputError,
            "cannot be written: Full;",
        ),
        (
            "other",
            ["""echo '{"kind": "failed", "message": "OSError", "traceback": ""}' > error.json"""],
            BackendError,
            "Lava failed: OSError",
        ),
    ],
)
def test_how_a_worker_ends(rng, traces, tmp_path, kind, lines, error, message):
    python = shell(tmp_path / "python", "ulimit -c 0", *lines)
    with pytest.raises(error, match=message) as caught:
        run_all(LavaSim(python=python), dense_net(rng), np.zeros((1, 1, 9), int), 3)
    assert "\n" not in str(caught.value)


@pytest.mark.lava
def test_a_wrapper_that_stays_the_parent(rng, traces, tmp_path):
    """The worker's parent is the shell; it must not be taken for a dead tssl."""
    python = shell(tmp_path / "python", f'"{sys.executable}" "$@"', "exit $?")
    network = dense_net(rng)
    train = rng.integers(0, 12, (40, 60, 9))  # long enough for the watchdog to look
    recording = run_all(LavaSim(python=python), network, train, 40)
    assert_same(network, train, 40, recording, silent="c")


# --- what is missing ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("bare") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return str(folder / "bin" / "python")


def test_python_without_lava(rng, traces, bare_python):
    with pytest.raises(BackendUnavailableError, match=r"numpy.*run `tssl lava install`$"):
        run_all(LavaSim(python=bare_python), dense_net(rng), np.zeros((1, 1, 9), int), 3)
    assert "numpy" in str(check(bare_python))


def test_no_python_at_all(rng, traces):
    with pytest.raises(BackendUnavailableError, match=r"cannot be started.*tssl lava install`$"):
        run_all(LavaSim(python="/no/such"), dense_net(rng), np.zeros((1, 1, 9), int), 3)
    assert "cannot be started" in str(check("/no/such"))


@pytest.mark.lava
def test_check_finds_lava():
    assert check() is None


def test_an_interpreter_by_its_relative_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although the worker starts in a folder of its own."""
    script = tmp_path / "bin" / "python"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    assert lava_sim.check("bin/python") is None
