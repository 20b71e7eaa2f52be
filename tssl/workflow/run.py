"""Run a network on a backend and keep the result."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tssl import netx
from tssl.chip import INPUT, ChipNetwork
from tssl.clusters import Cluster
from tssl.engine import collect
from tssl.errors import ConfigError, DataError
from tssl.lava_runtime import Backend, BackendOptions, SampleProgress, create_backend
from tssl.machine.files import locked, make_directory, read_json, written_together
from tssl.results import QUANTITIES, SPIKES, RunResult, TraceName
from tssl.tables import Shown, Table, count
from tssl.wording import did_you_mean, several
from tssl.workflow import tables
from tssl.workflow.inputs import InputChoice, Inputs, completed, load_inputs
from tssl.workflow.origin import made_here
from tssl.workflow.shards import Shards, run_in_shards
from tssl.workflow.spread import run_spread

NETWORK_FILE = "network.net"
_MOST_TRACES = 512 << 20
"""Bytes; half of what a result may unpack to."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class RunOutcome(Shown):
    """What a run on a backend gave, and the folder that holds it."""

    result: RunResult
    directory: Path
    exported: Mapping[str, Any] = field(default_factory=dict)
    """What the export measured, of a network that was run elsewhere before; else nothing."""

    @property
    def headline(self) -> str:
        """Where the result is, and what it is."""
        return f"{self.directory}: {self.result.headline}"

    @property
    def comparison(self) -> list[Table]:
        """How good the network is elsewhere, at export and in this run, where an export says it."""
        score = self.result.score
        if score is None or not self.exported:
            return []
        title = f"this run: {self.result.backend}, {self.result.data}"
        return [tables.accuracies(self.exported, [(title, score, self.result.counts.samples)])]

    def tables(self) -> list[Table]:
        """Return those of the result."""
        return [*self.result.tables(), *self.comparison]

    def document(self) -> dict[str, Any]:
        """Return the outcome as JSON data."""
        exported = {"exported": dict(self.exported)} if self.exported else {}
        return {**self.result.document(), **exported, "directory": str(self.directory)}


def run(
    net: Path,
    backend: str,
    choice: InputChoice,
    out: Path | None,
    options: BackendOptions,
    bar: Callable[[str, int], AbstractContextManager[SampleProgress]],
    record: Mapping[str, Collection[str]] | None = None,
    cluster: Cluster | None = None,
) -> RunOutcome:
    """Run a ``.net`` file and keep the result, the network's file beside it.

    A long run keeps parts in the folder, and goes on from those of the same network and samples.

    Parameters
    ----------
    choice
        What to feed; the network's own data set when it names nothing.
    out
        Folder of the result; ``NET-BACKEND`` beside the file when None.
    bar
        Called with a title and the number of samples; shows progress.
    record
        What to record of single layers at every step, see :func:`traces_of`; nothing when None.
    cluster
        Who runs the parts; this process when None.

    Raises
    ------
    ConfigError
        When the choice is wrong, or neither it nor the network names data.
    DataError, NetFileError, BackendError, OutputError
        When a file is wrong, the backend fails, or the result cannot be written.
    """
    network = netx.read(net)
    traces = traces_of(network, record or {})
    states = frozenset(trace.layer for trace in traces if trace.quantity != SPIKES)
    options = replace(options, net_path=net, states=states)
    create_backend(backend, options)  # a wrong choice is noticed before data are read
    full = completed(choice, net)
    if full.data is None and full.file is None:
        raise ConfigError(f"{net}: names no data set; give --data NAME|PATH or --input FILE.npy")
    inputs = load_inputs(network, full)
    _check_room(network, traces, inputs)
    folder = out or net.with_name(f"{net.stem}-{backend}")
    content = content_of(net, network)  # now: an export may replace it while the network runs
    with result_folder(folder):
        shards = Shards(
            directory=folder, network=network, inputs=inputs, backend=backend, record=traces
        )
        with bar(backend, inputs.samples) as progress:
            if cluster is not None:
                result = run_spread(cluster, shards, content, options, progress)
            else:
                result = run_in_shards(
                    shards, lambda spent: _backend(backend, options, spent), progress
                )
        result = replace(result, made=made_here())
        earlier = _earlier(folder)  # now: another run may have ended here in the meantime
        save_result(result, content, folder)
        shards.clear()
    if earlier is not None and choice.on_warning is not None:
        choice.on_warning(f"{folder}: the result replaces an earlier one{earlier}")
    return RunOutcome(result=result, directory=folder, exported=full.notes.measured_elsewhere)


def _earlier(folder: Path) -> str | None:
    """Return what the result in a folder is of, for a message; None where there is none."""
    _, document = RunResult.files(folder)
    if not document.exists():
        return None
    try:
        kept = read_json(document, DataError)
        samples, made = several(kept["samples"], "sample"), kept["made"]["date"]
        return f": {kept['network']} on {kept['data']}, {samples}, of {made}"
    except (DataError, KeyError, TypeError, ValueError):
        return ", which could not be read"


def _backend(name: str, options: BackendOptions, spent: float) -> Backend:
    """Return a backend that may take what is left of the seconds for all parts of a run."""
    if options.timeout is not None and spent:
        options = replace(options, timeout=max(round(options.timeout - spent, 3), 1e-3))
    return create_backend(name, options)


def run_network(
    network: ChipNetwork,
    inputs: Inputs,
    backend: Backend,
    progress: SampleProgress,
    record: Sequence[TraceName] = (),
) -> RunResult:
    """Run all samples and count operations."""
    started = time.perf_counter()
    return collect(
        network,
        backend.run(network, inputs.train, inputs.time_steps, progress),
        backend=backend.name,
        data=inputs.text,
        labels=inputs.labels,
        started=started,
        source=inputs.source,
        record=record,
    )


def traces_of(network: ChipNetwork, record: Mapping[str, Collection[str]]) -> list[TraceName]:
    """Return the traces that somebody asks for.

    Parameters
    ----------
    record
        Quantities by the name of a layer, or ``"all"`` for every layer; no quantity stands for all
        of :data:`tssl.results.QUANTITIES`.

    Raises
    ------
    ConfigError
        When there is no such layer or quantity.
    """
    known = [layer.name for layer in network.layers]
    if network.input.neuron is not None:
        known.insert(0, INPUT)
    wanted: dict[TraceName, None] = {}
    for layer, quantities in record.items():
        if layer not in ("all", *known):
            raise ConfigError(
                f"--record {layer}: no such layer{did_you_mean(layer, ['all', *known])}; there are "
                f"all, {', '.join(known)}"
            )
        for quantity in quantities or QUANTITIES:
            if quantity not in QUANTITIES:
                raise ConfigError(
                    f"--record {layer}:{quantity}: expected one of {', '.join(QUANTITIES)}"
                    f"{did_you_mean(quantity, QUANTITIES)}"
                )
            names = known if layer == "all" else [layer]
            wanted.update(dict.fromkeys(TraceName(name, quantity) for name in names))
    return list(wanted)


def _check_room(network: ChipNetwork, traces: Sequence[TraceName], inputs: Inputs) -> None:
    """Refuse traces that no result could be read back from."""
    sizes = {INPUT: network.input.neurons, **{each.name: each.neurons for each in network.layers}}
    graded = network.graded
    values = sum(
        sizes[trace.layer] * (1 if trace.quantity == SPIKES and trace.layer not in graded else 4)
        for trace in traces
    )
    needed = values * inputs.samples * inputs.time_steps
    if needed > _MOST_TRACES:
        raise ConfigError(
            f"--record: {count(needed)} bytes of {inputs.samples} samples; at most "
            f"{count(_MOST_TRACES)} are kept; record fewer layers, or use a smaller --samples"
        )


@contextmanager
def result_folder(directory: Path) -> Iterator[None]:
    """Create the folder of a result before the run, so that a wrong one is noticed early.

    A folder created for a run that fails is removed again.

    Raises
    ------
    ConfigError
        When it is the folder of a training run.
    OutputError
        When it cannot be created.
    """
    if (directory / "recipe.toml").exists():
        raise ConfigError(f"{directory}: is the folder of a training run; choose another --out")
    is_new = not directory.exists()
    make_directory(directory)
    try:
        yield
    except BaseException:
        if is_new:
            with suppress(OSError):  # it is not empty
                directory.rmdir()
        raise


def save_result(result: RunResult, net: Path | bytes, directory: Path) -> None:
    """Write a copy of the network and the result, so that the folder stands alone.

    Parameters
    ----------
    net
        The network's file, or what was in it.

    Raises
    ------
    OutputError
        When something cannot be written; an older result is then untouched.
    """
    _, document = result.files(directory)
    with written_together(directory, document.name) as folder:
        content = net.read_bytes() if isinstance(net, Path) else net
        (folder / NETWORK_FILE).write_bytes(content)
        result.save(folder)


def content_of(net: Path, network: ChipNetwork) -> bytes:
    """Return what is in the file that a network was just read from.

    Raises
    ------
    DataError
        When the file holds another network by now.
    """
    try:
        content = net.read_bytes()
    except OSError as error:
        raise DataError(f"{net}: cannot be read any more: {error.strerror}") from error
    if netx.read(net).digest != network.digest:
        raise DataError(f"{net}: was replaced while it was read; give the command again")
    return content


def load_result(directory: Path) -> tuple[RunResult, ChipNetwork, Path]:
    """Return a result, its network and the network's file.

    Raises
    ------
    DataError, NetFileError
        When something is missing or damaged, or the network is not the one that was run.
    """
    net = directory / NETWORK_FILE
    with locked(directory, shared=True):
        result = RunResult.load(directory)
        network = netx.read(net)
    if network.digest != result.digest:
        raise DataError(f"{net}: is not the network that this result came from; run it again")
    # a file that does not name its network is called otherwise in here than where it was run
    return result, replace(network, name=result.network), net
