"""A long run in parts that are kept, so that it goes on where it was stopped."""

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tssl.chip import ChipNetwork
from tssl.engine import collect
from tssl.errors import DataError
from tssl.lava_runtime import Backend, SampleProgress
from tssl.machine.files import read_json, write_json, written_together
from tssl.results import RunResult, TraceName, merged
from tssl.workflow.inputs import Inputs

__all__ = ["Part", "Shards", "gaps", "run_in_shards", "run_part"]

_FOLDER, _SHARD = "shards", "shard.json"
_SCHEMA = 1
_SECONDS = 60.0
"""That a part should take, once it is known how fast the network is."""
_FIRST = 20_000_000
"""Neurons times steps times samples of the first part: half a minute of Lava, or less."""


class Part(NamedTuple):
    """Consecutive samples."""

    first: int
    stop: int


@dataclass(frozen=True, kw_only=True)
class Shards:
    """The parts of one run, in the folder of its result.

    Parameters
    ----------
    directory
        Of the result.
    record
        Traces that are kept.
    """

    directory: Path
    network: ChipNetwork
    inputs: Inputs
    backend: str
    record: Sequence[TraceName]

    def kept(self) -> dict[Part, RunResult]:
        """Return the parts that an earlier run of the same network on the same samples left."""
        found: dict[Part, RunResult] = {}
        end = 0
        for path in sorted((self.directory / _FOLDER).glob("*")):
            with suppress(DataError):  # half of one, or of another run: done again
                part, result = self._read(path)
                if part.first >= end:
                    found[part] = result
                    end = part.stop
        return found

    def keep(self, part: Part, result: RunResult) -> None:
        """Write a part.

        Raises
        ------
        OutputError
            When the disk refuses.
        """
        path = self.directory / _FOLDER / f"{part.first:09d}-{part.stop:09d}"
        with written_together(path, _SHARD) as folder:
            result.save(folder)
            write_json(folder / _SHARD, self._facts(part))

    def clear(self) -> None:
        """Remove all parts: the result has what is in them."""
        shutil.rmtree(self.directory / _FOLDER, ignore_errors=True)

    def _read(self, path: Path) -> tuple[Part, RunResult]:
        facts = read_json(path / _SHARD, DataError)
        first, stop = facts.get("first"), facts.get("stop")
        if not isinstance(first, int) or not isinstance(stop, int):
            raise DataError(f"{path}: is no part of a result")
        part = Part(first, stop)
        if not 0 <= first < stop <= self.inputs.samples or facts != self._facts(part):
            raise DataError(f"{path}: is a part of another run")
        result = RunResult.load(path)
        if result.digest != self.network.digest or result.counts.samples != stop - first:
            raise DataError(f"{path}: is a part of another run")
        return part, replace(
            result,
            network=self.network.name,
            source=self.inputs.source,
            data=self.inputs.text,
        )

    def _facts(self, part: Part) -> dict[str, object]:
        """Return what must be the same for a part to be of this run, as JSON data."""
        return {
            "schema_version": _SCHEMA,
            "network": self.network.digest,
            "backend": self.backend,
            "time_steps": self.inputs.time_steps,
            "traces": [str(name) for name in self.record],
            "first": part.first,
            "stop": part.stop,
            "samples": self._digest(part),
        }

    def _digest(self, part: Part) -> str:
        """Return the SHA-256 of the integers of samples and of their labels."""
        inputs, digest = self.inputs, hashlib.sha256()
        for sample in range(part.first, part.stop):  # one by one: a copy of all may be large
            digest.update(inputs.train[:, sample].astype("<i8").tobytes())
        if inputs.labels is not None:
            labels = inputs.labels[part.first : part.stop]
            digest.update(b"labels" + labels.astype(f"<{labels.dtype.kind}8").tobytes())
        return digest.hexdigest()


def run_in_shards(
    shards: Shards,
    backend_after: Callable[[float], Backend],
    progress: SampleProgress,
) -> RunResult:
    """Run what is not kept yet, and return the result of all samples.

    Parts are kept while more is to come; a short run is one part and writes none.

    Parameters
    ----------
    backend_after
        Returns the backend for a part when so many seconds of the run are over.

    Raises
    ------
    BackendError, BackendTimeoutError, OutputError
        When a part fails; those before are kept.
    """
    samples, found = shards.inputs.samples, shards.kept()
    done = sum(part.stop - part.first for part in found)
    if done:
        progress(done)
    spent, size = 0.0, _first_size(shards)
    for gap in gaps(found, samples):
        first = gap.first
        while first < gap.stop:
            part = Part(first, min(first + size, gap.stop))
            result = run_part(shards, part, backend_after(spent), partial(_moved, progress, done))
            found[part], first, spent = result, part.stop, spent + result.seconds
            done += part.stop - part.first
            if done < samples:
                shards.keep(part, result)
            rate = (part.stop - part.first) / max(result.seconds, 1e-9)
            size = max(size, int(rate * _SECONDS))
    return merged([found[part] for part in sorted(found)])


def _moved(progress: SampleProgress, before: int, now: int) -> None:
    progress(before + now)


def run_part(shards: Shards, part: Part, backend: Backend, progress: SampleProgress) -> RunResult:
    """Return the result of some of the samples."""
    inputs, own = shards.inputs, slice(part.first, part.stop)
    started = time.perf_counter()
    return collect(
        shards.network,
        backend.run(shards.network, inputs.train[:, own], inputs.time_steps, progress),
        backend=backend.name,
        data=inputs.text,
        labels=None if inputs.labels is None else inputs.labels[own],
        started=started,
        source=inputs.source,
        record=shards.record,
    )


def _first_size(shards: Shards) -> int:
    network = shards.network
    neurons = network.input.neurons + sum(layer.neurons for layer in network.layers)
    return max(1, _FIRST // (neurons * shards.inputs.time_steps))


def gaps(found: dict[Part, RunResult], samples: int) -> Iterator[Part]:
    """Yield what no part covers, in order."""
    end = 0
    for part in sorted(found):
        if part.first > end:
            yield Part(end, part.first)
        end = part.stop
    if end < samples:
        yield Part(end, samples)
