"""One network run on one backend, to a folder and back."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tssl.chip import CLASS, IntArray, ReadOut, Train, read_out_of
from tssl.errors import DataError
from tssl.machine.files import read_json, remove, write_json, written
from tssl.results._checks import DAMAGE, check, check_size
from tssl.results.operations import OpCounts
from tssl.results.traces import TraceName
from tssl.tables import Shown, Table, count
from tssl.wording import reason_of, several

__all__ = ["InputSource", "RunResult"]

SCHEMA_VERSION = 1
_ARRAYS = "result.npz"
_TRACE = "trace."
_DOCUMENT = "result.json"


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


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class RunResult(Shown):
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
        What the output sent, ``(samples, time, outputs)``: spikes of 0 and 1, or values.
    spike_counts
        Spikes or messages of each layer and sample, ``(samples, layers)``.
    predictions
        What the read-out says: classes ``(samples,)``, or numbers ``(samples, outputs)``.
    labels
        What was wanted, in the same form; None when unknown.
    seconds
        Wall time of the run.
    made
        ``"date"``, ``"tssl"``, ``"python"`` and ``"processor"`` of the run; empty in results of a
        tssl that did not say.
    traces
        What was recorded of single layers, ``(samples, time, neurons)``; see
        :class:`tssl.results.States`.
    read_out
        How the output was read.
    """

    backend: str
    network: str
    digest: str
    data: str
    output_spikes: Train
    spike_counts: IntArray
    predictions: NDArray[Any]
    labels: NDArray[Any] | None
    counts: OpCounts
    seconds: float
    input_range: tuple[int, int] | None = None
    source: InputSource | None = None
    traces: Mapping[TraceName, IntArray] = field(default_factory=dict)
    made: Mapping[str, str] = field(default_factory=dict)
    read_out: ReadOut = CLASS

    @property
    def figures(self) -> dict[str, float]:
        """How good it was: the accuracy, or R² and mean squared error; nothing without labels."""
        if self.labels is None:
            return {}
        return self.read_out.figures(self.predictions, self.labels)

    @property
    def score(self) -> float | None:
        """Of these the one that is higher the better, or None without labels."""
        return self.figures.get(self.read_out.key)

    @property
    def accuracy(self) -> float | None:
        """Share of correct predictions, or None without labels and where numbers are read."""
        return self.figures.get(CLASS.key)

    @property
    def told(self) -> str:
        """How good it was, in words."""
        return self.read_out.said(self.figures) if self.figures else "no labels"

    @property
    def headline(self) -> str:
        """What ran where, and how much of it was right."""
        counts = self.counts
        samples = f"{several(counts.samples, 'sample')} of {several(counts.time_steps, 'step')}"
        return f"{self.network} on {self.data}, {self.backend}: {samples}, {self.told}"

    def tables(self) -> list[Table]:
        """Return what was run and how much of it was right, and what values were sent, if any."""
        row = [
            self.backend,
            count(self.counts.samples),
            count(self.counts.time_steps),
            "no labels" if self.score is None else f"{self.score:.2%}",
        ]
        columns = ["backend", "samples", "time steps", self.read_out.measure]
        for name, figure in self.figures.items():
            if name != self.read_out.key:
                columns.append(name.upper())
                row.append(f"{figure:.4g}")
        tables = [Table(f"{self.network} on {self.data}", columns, [row])]
        return tables if self.output_spikes.dtype == np.uint8 else [*tables, self._messages()]

    def _messages(self) -> Table:
        """Return how many values each layer sent, and how often there was no change to tell."""
        sums = zip(
            self.counts.layers,
            self.counts.spikes.sum(axis=1).tolist(),
            self.counts.unchanged.tolist(),
            self.counts.synaptic_operations.sum(axis=1).tolist(),
            strict=True,
        )
        rows = [
            [layer, count(sent), count(still), f"{sent / (sent + still):.1%}", count(operations)]
            for layer, sent, still, operations in sums
        ]
        columns = ["layer", "messages", "no change", "sent", "graded operations"]
        return Table(f"Messages of {several(self.counts.samples, 'sample')}", columns, rows)

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
        for name, value in vars(self.counts).items():
            if isinstance(value, np.ndarray):
                arrays[f"counts.{name}"] = value
        for trace, values in self.traces.items():
            arrays[f"{_TRACE}{trace.quantity}.{trace.layer}"] = values
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
            "read_out": self.read_out.document,
            "figures": self.figures,
            "seconds": self.seconds,
            "traces": [str(name) for name in self.traces],
            "made": dict(self.made),
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
                check_size(opened)
                with np.load(opened, allow_pickle=False) as file:
                    arrays = dict(file)
            return _from_files(document, arrays)
        except FileNotFoundError as error:
            raise DataError(f"{path}: is missing; run the network again") from error
        except DAMAGE as error:
            raise DataError(
                f"{path}: cannot be read as a run result: {reason_of(error)} "
                f"(by {_DOCUMENT} beside it)"
            ) from error


def _from_files(document: dict[str, Any], arrays: dict[str, Any]) -> RunResult:
    """Return the result in a document and arrays; any misfit is an error of ``DAMAGE``."""
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
        traces=dict(_traces(arrays)),
        made=_made(document.get("made")),
        read_out=read_out_of(document.get("read_out")),
    )
    check(result)
    return result


def _traces(arrays: Mapping[str, IntArray]) -> Iterator[tuple[TraceName, IntArray]]:
    for key, values in arrays.items():
        if key.startswith(_TRACE):
            quantity, _, layer = key.removeprefix(_TRACE).partition(".")
            yield TraceName(layer, quantity), values


def _range(stored: Any) -> tuple[int, int] | None:  # noqa: ANN401 - JSON
    match stored:
        case None:
            return None
        case [int(low), int(high)] if low <= high:
            return low, high
    raise ValueError(f"input_range = {stored!r:.40}")


def _made(stored: Any) -> dict[str, str]:  # noqa: ANN401 - JSON
    made = {str(name): str(text) for name, text in dict(stored or {}).items()}
    "".join((*made, *made.values())).encode()  # half a character cannot be printed
    return made


def _source(stored: Any) -> InputSource | None:  # noqa: ANN401 - JSON
    if stored is None:
        return None
    source = InputSource(**stored)
    for name, value in vars(source).items():
        if value is not None and not isinstance(value, str):
            raise TypeError(f"source: {name} is no text")
        (value or "").encode()  # half a character cannot be printed
    return source
