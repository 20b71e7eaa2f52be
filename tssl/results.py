"""What running a network yields: spikes, the one read-out, and counted operations."""

import math
import struct
import time
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.chip import (
    INPUT,
    BoolArray,
    ChipNetwork,
    IntArray,
    Layer,
    SpikeArray,
    Train,
)
from tssl.cores import spread
from tssl.errors import DataError
from tssl.events import SynapseRows, active_neurons, rows_of
from tssl.files import read_json, remove, write_json, written

SCHEMA_VERSION = 1
_BLOCK_BYTES = 1 << 20
_MOST_BYTES = 1 << 30
_ARRAYS = "result.npz"
_DOCUMENT = "result.json"
_DAMAGE = (  # what numpy and zipfile raise on damaged archives, beside what is missing in them
    OSError,
    ValueError,
    LookupError,
    TypeError,
    EOFError,
    AttributeError,
    RuntimeError,
    OverflowError,
    MemoryError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    SyntaxError,  # numpy reads the header of an array as Python's literals
    tokenize.TokenError,
)


class Recording(NamedTuple):
    """Everything a backend recorded for some samples, aligned as if nothing were delayed."""

    trains: dict[str, SpikeArray]
    """By layer name, ``(time, samples, neurons)``; also ``"input"`` for an input block."""
    output_voltage: IntArray
    """Membrane potential of the output layer after the last step, ``(samples, outputs)``."""


@dataclass(frozen=True, kw_only=True, eq=False)
class OpCounts:
    """Operations counted from spikes, summed over samples.

    Parameters
    ----------
    samples
        How many samples the sums cover.
    layers
        Names of the layers.
    neurons
        Neurons of each layer; all of them are updated at every time step.
    synaptic_operations
        Spikes times the non-zero synapses they drive, ``(layers, time)``.
    active_updates
        Updates of neurons that received a spike or fired, ``(layers, time)``.
    spikes
        Spikes fired, ``(layers, time)``.
    input_spikes
        Non-zero inputs, ``(time,)``.
    stored_zeros
        Spikes times the synapses of weight zero that lie among the non-zero ones they drive,
        ``(layers, time)``. Loihi's counter leaves them out of its synaptic operations. None
        in results of a tssl that did not count them.
    """

    samples: int
    layers: tuple[str, ...]
    neurons: IntArray
    synaptic_operations: IntArray
    active_updates: IntArray
    spikes: IntArray
    input_spikes: IntArray
    stored_zeros: IntArray | None = None

    def __add__(self, other: "OpCounts") -> "OpCounts":
        """Return the counts of both, which must come from the same network."""
        return OpCounts(
            samples=self.samples + other.samples,
            layers=self.layers,
            neurons=self.neurons,
            synaptic_operations=self.synaptic_operations + other.synaptic_operations,
            active_updates=self.active_updates + other.active_updates,
            spikes=self.spikes + other.spikes,
            input_spikes=self.input_spikes + other.input_spikes,
            stored_zeros=_sum(self.stored_zeros, other.stored_zeros),
        )

    @property
    def time_steps(self) -> int:
        """Number of time steps of a sample."""
        return len(self.input_spikes)


class OperationCounter:
    """Counts what a chip would do, from spikes alone and so equally for every backend."""

    def __init__(self, network: ChipNetwork) -> None:
        self._network = network
        self._fan_outs = [_fan_outs(layer) for layer in network.layers]
        self._rows = [rows_of(layer) for layer in network.layers]

    def count(self, train: IntArray, recording: Recording) -> OpCounts:
        """Return the operations of some samples.

        Parameters
        ----------
        train
            The network's input, ``(time or 1, samples, inputs)``.
        recording
            Spikes of all layers.
        """
        network = self._network
        time_steps = len(recording.trains[network.output.name])
        sources: dict[str, Train] = {
            INPUT: recording.trains.get(INPUT, train),
            **recording.trains,
        }
        operations, active, spikes = [], [], []
        for layer, fan_outs, rows in zip(network.layers, self._fan_outs, self._rows, strict=True):
            fired = recording.trains[layer.name]
            operations.append(_driven(layer, sources, fired, fan_outs))
            active.append(_active(layer, rows, sources, fired))
            spikes.append(fired.sum(axis=(1, 2), dtype=np.int64))
        input_spikes = np.count_nonzero(sources[INPUT], axis=(1, 2))
        driven = np.array(operations)
        return OpCounts(
            samples=train.shape[1],
            layers=tuple(layer.name for layer in network.layers),
            neurons=np.array([layer.neurons for layer in network.layers]),
            synaptic_operations=driven[:, :, 0],
            active_updates=np.array(active),
            spikes=np.array(spikes),
            input_spikes=np.broadcast_to(input_spikes, (time_steps,)).copy(),
            stored_zeros=driven[:, :, 1],
        )


def count_operations(network: ChipNetwork, train: IntArray, recording: Recording) -> OpCounts:
    """Count the operations of some samples; see :meth:`OperationCounter.count`."""
    return OperationCounter(network).count(train, recording)


def read_out(output_spikes: SpikeArray, output_voltage: NDArray[np.generic]) -> IntArray:
    """Return the predicted class of each sample, by the one rule of this project.

    The class with the most output spikes wins; between equals, the one whose spikes came
    earlier; then the lower index. Where no output of a sample ever fires, the largest
    membrane potential decides.

    Parameters
    ----------
    output_spikes
        ``(samples, time, outputs)``.
    output_voltage
        After the last step, ``(samples, outputs)``.
    """
    time_steps = output_spikes.shape[1]
    counts = output_spikes.sum(axis=1, dtype=np.int64)
    earliness = np.tensordot(time_steps - np.arange(time_steps), output_spikes, axes=(0, 1))
    most = counts == counts.max(axis=1, keepdims=True)
    earliest = np.where(most, earliness.astype(np.int64), -1).argmax(axis=1)
    return np.where(counts.any(axis=1), earliest, output_voltage.argmax(axis=1))


@dataclass(frozen=True, kw_only=True)
class InputSource:
    """Where the input of a run came from, so that it can be run again; all None for random input.

    Parameters
    ----------
    data, split
        Name of the data set, and which part of it.
    data_dir, file
        Absolute paths: the folder that the data set was looked for in first, or the ``.npy`` file
        that was run instead of a data set.
    """

    data: str | None = None
    split: str | None = None
    data_dir: str | None = None
    file: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class RunResult:
    """One network run on one backend over some samples.

    Parameters
    ----------
    backend
        Name of what ran the network.
    network, digest
        Name and SHA-256 of the network.
    data
        What was run, in words for people: data set and split, or a file name.
    input_range
        Smallest and largest integer that entered; None in results of a tssl that did not say.
    source
        The same as ``data``, for programs; None in results of a tssl that did not say.
    output_spikes
        ``(samples, time, outputs)``.
    spike_counts
        Spikes of each layer and sample, ``(samples, layers)``.
    predictions
        ``(samples,)``, see :func:`read_out`.
    labels
        ``(samples,)``, or None when unknown.
    seconds
        Wall time of the run.
    """

    backend: str
    network: str
    digest: str
    data: str
    output_spikes: SpikeArray
    spike_counts: IntArray
    predictions: IntArray
    labels: IntArray | None
    counts: OpCounts
    seconds: float
    input_range: tuple[int, int] | None = None
    source: InputSource | None = None

    @property
    def accuracy(self) -> float | None:
        """Share of correct predictions, or None without labels."""
        if self.labels is None:
            return None
        return float(np.mean(self.predictions == self.labels))

    @staticmethod
    def files(directory: Path) -> tuple[Path, Path]:
        """Return the paths that :meth:`save` writes."""
        return directory / _ARRAYS, directory / _DOCUMENT

    def save(self, directory: Path) -> None:
        """Write ``result.npz`` and, last, ``result.json``: without it there is no result."""
        arrays: dict[str, Any] = {
            "output_spikes": self.output_spikes,
            "spike_counts": self.spike_counts,
            "predictions": self.predictions,
        }
        if self.labels is not None:
            arrays["labels"] = self.labels
        for name, value in asdict(self.counts).items():
            if isinstance(value, np.ndarray):
                arrays[f"counts.{name}"] = value
        remove(directory / _DOCUMENT)
        with written(directory / _ARRAYS) as path, path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        write_json(directory / _DOCUMENT, self.document())

    def document(self) -> dict[str, Any]:
        """Return the result without its arrays, as JSON data."""
        return {
            "schema_version": SCHEMA_VERSION,
            "backend": self.backend,
            "network": self.network,
            "digest": self.digest,
            "data": self.data,
            "source": None if self.source is None else asdict(self.source),
            "input_range": None if self.input_range is None else list(self.input_range),
            "samples": self.counts.samples,
            "time_steps": self.counts.time_steps,
            "layers": list(self.counts.layers),
            "accuracy": self.accuracy,
            "seconds": self.seconds,
        }

    @staticmethod
    def load(directory: Path) -> "RunResult":
        """Read what :meth:`save` wrote.

        Raises
        ------
        DataError
            When a file is missing, damaged or of another schema.
        """
        if directory.is_dir() and not (directory / _DOCUMENT).exists():
            raise DataError(
                f"{directory}: holds no {_DOCUMENT}; give a folder that `tssl run` wrote"
            )
        document = read_json(directory / _DOCUMENT, DataError)
        version = document.get("schema_version")
        if version != SCHEMA_VERSION:
            shown = " ".join(str(version).split())
            raise DataError(
                f"{directory / _DOCUMENT}: schema_version = {shown:.40}; "
                f"this tssl reads {SCHEMA_VERSION}; run the network again"
            )
        path = directory / _ARRAYS
        try:
            # opened here: numpy leaves a damaged archive open
            with path.open("rb") as opened:
                _check_size(opened)
                with np.load(opened, allow_pickle=False) as file:
                    arrays = dict(file)
            return _from_files(document, arrays)
        except _DAMAGE as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise DataError(
                f"{path}: cannot be read as a run result: {reason} (by {_DOCUMENT} beside it)"
            ) from error


def collect(
    network: ChipNetwork,
    chunks: Iterable[tuple[IntArray, Recording]],
    *,
    backend: str,
    data: str,
    labels: IntArray | None,
    started: float,
    source: InputSource | None = None,
) -> RunResult:
    """Join the recordings of consecutive chunks of samples into one result.

    Parameters
    ----------
    chunks
        Pairs of input train and what the backend recorded for it; at least one.
    started
        Reading of ``time.perf_counter`` when the run began.
    """
    counts: OpCounts | None = None
    spikes, totals, predictions = [], [], []
    entered: list[int] = []
    counter = OperationCounter(network)
    for train, recording in chunks:
        part = counter.count(train, recording)
        entered += [int(train.min()), int(train.max())]
        counts = part if counts is None else counts + part
        output = recording.trains[network.output.name].transpose(1, 0, 2)
        spikes.append(output)
        totals.append(_layer_totals(network, recording))
        predictions.append(read_out(output, recording.output_voltage))
    if counts is None:
        raise DataError("no samples to run")
    return RunResult(
        backend=backend,
        network=network.name,
        digest=network.digest,
        data=data,
        output_spikes=np.concatenate(spikes),
        spike_counts=np.concatenate(totals),
        predictions=np.concatenate(predictions),
        labels=labels,
        counts=counts,
        seconds=time.perf_counter() - started,
        input_range=(min(entered), max(entered)),
        source=source,
    )


def _layer_totals(network: ChipNetwork, recording: Recording) -> IntArray:
    totals = [
        recording.trains[layer.name].sum(axis=(0, 2), dtype=np.int64) for layer in network.layers
    ]
    return np.stack(totals, axis=1)


def _sum(one: IntArray | None, other: IntArray | None) -> IntArray | None:
    return None if one is None or other is None else one + other


def _fan_outs(layer: Layer) -> list[IntArray]:
    """Return, for each connection, what each input drives, ``(inputs, 2)``.

    That is the number of non-zero synapses, and of the stored zeros.
    """
    found = []
    for each in layer.connections:
        present = each.synapses.fan_out()
        found.append(np.stack([present, each.synapses.stored() - present], axis=1))
    return found


def _driven(
    layer: Layer, sources: Mapping[str, Train], fired: SpikeArray, fan_outs: list[IntArray]
) -> IntArray:
    """Return synaptic operations and stored zeros of each step, ``(time, 2)``.

    Those of recurrent synapses are included.
    """
    driven = np.zeros((len(fired), 2), np.int64)
    for each, fan_out in zip(layer.connections, fan_outs, strict=True):
        if each.source == layer.name:
            driven[1:] += _per_step(fired[:-1], fan_out, len(fired) - 1)
        else:
            driven += _per_step(sources[each.source], fan_out, len(fired))
    return driven


def _active(
    layer: Layer, rows: Sequence[SynapseRows], sources: Mapping[str, Train], fired: SpikeArray
) -> IntArray:
    """Return how many neurons receive a spike or fire at each step, ``(time,)``."""
    if not rows:
        reached = _reached(layer, sources, fired)
        return np.asarray((reached | (fired != 0)).sum(axis=(1, 2)))
    heard = [sources[each.source] for each in layer.arriving]

    def count(samples: slice) -> IntArray:
        trains = [np.ascontiguousarray(source[:, samples].transpose(1, 0, 2)) for source in heard]
        return active_neurons(rows, trains, fired[:, samples].transpose(1, 0, 2))

    most = max(len(source) * source.shape[2] for source in heard)
    size = max(1, _BLOCK_BYTES // max(1, most))
    return np.sum(spread(count, fired.shape[1], size), axis=0, dtype=np.int64)


def _reached(layer: Layer, sources: Mapping[str, Train], fired: SpikeArray) -> BoolArray:
    """Return which neurons receive a spike at each step, from the layer itself included."""
    reached = np.zeros(fired.shape, np.bool_)
    for each in layer.connections:
        if each.source == layer.name:
            reached[1:] |= each.synapses.reached(fired[:-1])
        else:  # spelt out: through delays a static input reaches other neurons at later steps
            source = sources[each.source]
            source = np.broadcast_to(source, (len(fired), *source.shape[1:]))
            reached |= each.synapses.reached(source)
    return reached


def _per_step(spikes: Train, fan_out: IntArray, time_steps: int) -> IntArray:
    """Return what the spikes ``(time or 1, samples, n)`` drive per step, ``(time, 2)``."""
    driven = np.count_nonzero(spikes, axis=1) @ fan_out
    return np.broadcast_to(driven, (time_steps, driven.shape[1])).copy()


def _check_size(file: BinaryIO) -> None:
    """Refuse an archive that would fill the memory, before anything in it is unpacked."""
    with zipfile.ZipFile(file) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > _MOST_BYTES:
        raise ValueError(f"unpacks to {unpacked} bytes; at most {_MOST_BYTES} are expected")
    file.seek(0)


def _from_files(document: dict[str, Any], arrays: dict[str, Any]) -> RunResult:
    """Return the result in a document and arrays; any misfit is an error of ``_DAMAGE``."""
    counts = {name[7:]: value for name, value in arrays.items() if name.startswith("counts.")}
    result = RunResult(
        backend=document["backend"],
        network=document["network"],
        digest=document["digest"],
        data=document["data"],
        output_spikes=arrays["output_spikes"],
        spike_counts=arrays["spike_counts"],
        predictions=arrays["predictions"],
        labels=arrays.get("labels"),
        counts=OpCounts(samples=document["samples"], layers=tuple(document["layers"]), **counts),
        seconds=float(document["seconds"]),
        input_range=_range(document.get("input_range")),
        source=_source(document.get("source")),
    )
    _check_types(result)
    _check_shapes(result)
    _check_sums(result)
    return result


def _range(stored: Any) -> tuple[int, int] | None:  # noqa: ANN401 - JSON
    match stored:
        case None:
            return None
        case [int(low), int(high)] if low <= high:
            return low, high
    raise ValueError(f"input_range = {stored!r:.40}")


def _source(stored: Any) -> InputSource | None:  # noqa: ANN401 - JSON
    if stored is None:
        return None
    source = InputSource(**stored)
    for name, value in vars(source).items():
        if value is not None and not isinstance(value, str):
            raise TypeError(f"source: {name} is no text")
        (value or "").encode()  # half a character cannot be printed
    return source


def _check_types(result: RunResult) -> None:
    """Raise when a text is none or cannot be printed, or numbers are not counts."""
    for value in (
        result.backend,
        result.network,
        result.digest,
        result.data,
        *result.counts.layers,
    ):
        if not isinstance(value, str):
            raise TypeError(f"{type(value).__name__} in the place of a text")
        value.encode()
    if not 0 <= result.seconds < math.inf:
        raise ValueError(f"seconds = {result.seconds}")
    for name, array in {**vars(result.counts), **vars(result)}.items():
        if isinstance(array, np.ndarray) and (array.dtype.kind not in "iu" or (array < 0).any()):
            raise ValueError(f"{name} holds other than counts")


def _check_shapes(result: RunResult) -> None:
    """Raise ValueError when the arrays do not belong together."""
    counts = result.counts
    samples, layers, steps = counts.samples, len(counts.layers), counts.time_steps
    outputs = int(counts.neurons[-1])
    expected: dict[str, tuple[NDArray[Any] | None, tuple[int, ...]]] = {
        "output_spikes": (result.output_spikes, (samples, steps, outputs)),
        "spike_counts": (result.spike_counts, (samples, layers)),
        "predictions": (result.predictions, (samples,)),
        "labels": (result.labels, (samples,)),
        "neurons": (counts.neurons, (layers,)),
        "synaptic_operations": (counts.synaptic_operations, (layers, steps)),
        "active_updates": (counts.active_updates, (layers, steps)),
        "spikes": (counts.spikes, (layers, steps)),
        "stored_zeros": (counts.stored_zeros, (layers, steps)),
        "input_spikes": (counts.input_spikes, (steps,)),
    }
    for name, (array, shape) in expected.items():
        if array is not None and array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, expected {shape}")


def _check_sums(result: RunResult) -> None:
    """Raise ValueError when numbers contradict each other."""
    counts = result.counts
    if (result.predictions >= counts.neurons[-1]).any():
        raise ValueError("a prediction names no output")
    if not np.array_equal(result.spike_counts.sum(axis=0), counts.spikes.sum(axis=1)):
        raise ValueError("the spikes of samples and of time steps do not add up to the same")
    if not np.array_equal(result.output_spikes.sum(axis=(0, 2)), counts.spikes[-1]):
        raise ValueError("the output spikes are other than those counted")
