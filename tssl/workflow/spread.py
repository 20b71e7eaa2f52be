"""The parts of a run on many machines: what travels, what a machine does, what is done again."""

import platform
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from tssl import netx
from tssl.clusters import Cluster, Crew
from tssl.errors import BackendError, BackendUnavailableError, DataError, TsslError
from tssl.lava_runtime import BackendOptions, SampleProgress, create_backend
from tssl.machine.files import scratch_folder
from tssl.results import RunResult, TraceName, merged
from tssl.version import __version__
from tssl.workflow.inputs import Inputs
from tssl.workflow.shards import Part, Shards, gaps, run_part

__all__ = ["Work", "run_spread", "work_on"]

Answer: TypeAlias = RunResult | TsslError
"""An error is an answer like any other: executors differ in what they make of exceptions."""

_ATTEMPTS = 3
_LOOK = 1.0
"""Seconds between two looks at who is still there."""
_LARGEST = 64 << 20
"""Bytes of the samples of a part."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a machine needs to run a part.

    Parameters
    ----------
    content, name, digest
        The network's file, and what it must hold.
    inputs
        The samples of the part.
    """

    content: bytes
    name: str
    digest: str
    backend: str
    options: BackendOptions
    inputs: Inputs
    record: Sequence[TraceName]


def work_on(version: str, work: Work) -> Answer:
    """Run a part on the machine that this is called on.

    Parameters
    ----------
    version
        Of the tssl that asks. Another one might compute otherwise.

    Returns
    -------
    answer
        The result, or why there is none.
    """
    if version != __version__:
        return BackendUnavailableError(
            f"{platform.node()}: has tssl {__version__}, and {version} asks; install the same "
            "version everywhere"
        )
    try:
        with scratch_folder("tssl-part-") as folder:
            return _result(work, folder)
    except TsslError as error:
        return type(error)(f"{platform.node()}: {error}")


def _result(work: Work, folder: Path) -> RunResult:
    path = folder / "network.net"
    path.write_bytes(work.content)
    network = replace(netx.read(path), name=work.name)
    if network.digest != work.digest:
        raise DataError(f"the network arrived as {network.digest:.12}, it was {work.digest:.12}")
    python = work.options.python or BackendOptions().python
    backend = create_backend(work.backend, replace(work.options, net_path=path, python=python))
    shards = Shards(
        directory=folder,
        network=network,
        inputs=work.inputs,
        backend=work.backend,
        record=work.record,
    )
    return run_part(shards, Part(0, work.inputs.samples), backend, lambda _: None)


def run_spread(
    cluster: Cluster,
    shards: Shards,
    content: bytes,
    options: BackendOptions,
    progress: SampleProgress,
) -> RunResult:
    """Run what is not kept yet on a cluster, and return the result of all samples.

    A part that a machine took with it when it died is given out again.

    Parameters
    ----------
    content
        The network's file.

    Raises
    ------
    BackendUnavailableError
        When nobody is there, or has no tssl, or another version.
    BackendError
        When a part was lost three times. Parts that were finished are kept.
    TsslError
        What a machine said of its part.
    """
    spread = _Spread(cluster, shards, content, options, progress)
    while spread.missing():
        with cluster.opened(shards.directory) as crew:
            spread.give_out(crew)
    return merged([spread.found[part] for part in sorted(spread.found)])


class _Spread:
    """Which parts are done, and how often others were lost."""

    def __init__(
        self,
        cluster: Cluster,
        shards: Shards,
        content: bytes,
        options: BackendOptions,
        progress: SampleProgress,
    ) -> None:
        self.found = shards.kept()
        self._who, self._shards, self._progress = cluster.text, shards, progress
        self._content, self._options = content, options
        self._lost: Counter[int] = Counter()
        self._moved()

    def missing(self) -> list[Part]:
        """Return the samples without a result."""
        return list(gaps(self.found, self._shards.inputs.samples))

    def give_out(self, crew: Crew) -> None:
        """Give out what is missing, once, and take what comes back."""
        pending: dict[Future[Answer], Part] = {}
        try:
            for part in self._parts(crew.parts):
                try:
                    future = crew.executor.submit(work_on, __version__, self._work(part))
                except RuntimeError as error:  # it broke already
                    self._lose(part, error)
                    break
                pending[future] = part
            while pending:
                done, _ = wait(pending, _LOOK, FIRST_COMPLETED)
                for future in done:
                    self._take(pending.pop(future), future)
                crew.look()
        finally:
            for future in pending:
                future.cancel()

    def _parts(self, count: int) -> Iterator[Part]:
        missing, inputs = self.missing(), self._shards.inputs
        samples = sum(part.stop - part.first for part in missing)
        bytes_each = inputs.train.nbytes // inputs.samples + 1
        size = min(-(-samples // count), max(1, _LARGEST // bytes_each))
        for gap in missing:
            for first in range(gap.first, gap.stop, size):
                yield Part(first, min(first + size, gap.stop))

    def _work(self, part: Part) -> Work:
        shards, own = self._shards, slice(part.first, part.stop)
        labels = shards.inputs.labels
        inputs = replace(
            shards.inputs,
            train=shards.inputs.train[:, own],
            labels=None if labels is None else labels[own],
        )
        return Work(
            content=self._content,
            name=shards.network.name,
            digest=shards.network.digest,
            backend=shards.backend,
            options=self._options,
            inputs=inputs,
            record=shards.record,
        )

    def _take(self, part: Part, future: "Future[Answer]") -> None:
        try:
            answer = future.result()
        except Exception as error:  # noqa: BLE001 - a process died, a machine, a connection
            self._lose(part, error)
            return
        if isinstance(answer, TsslError):
            raise type(answer)(f"{self._who}: {answer}")
        self.found[part] = answer
        if self.missing():
            self._shards.keep(part, answer)
        self._moved()

    def _lose(self, part: Part, error: Exception) -> None:
        said = _last_line(error)
        if "No module named 'tssl" in said:
            raise BackendUnavailableError(
                f"{self._who}: a machine has no tssl, or another version: {said}; install tssl "
                f"{__version__} everywhere"
            ) from error
        self._lost[part.first] += 1
        if self._lost[part.first] == _ATTEMPTS:
            raise BackendError(
                f"{self._who}: samples {part.first} to {part.stop - 1} were lost {_ATTEMPTS} "
                f"times: {said}; the same command goes on from the parts that are done"
            ) from error

    def _moved(self) -> None:
        self._progress(sum(part.stop - part.first for part in self.found))


def _last_line(error: BaseException) -> str:
    """Return what was said first and last: where the cause is, differs between executors."""
    lines = [type(error).__name__]
    cause: BaseException | None = error
    while cause is not None:
        lines += [line.strip() for line in str(cause).splitlines() if line.strip()]
        cause = cause.__cause__
    missing = [line for line in lines if "No module named 'tssl" in line]
    return (missing or [lines[min(1, len(lines) - 1)]])[-1][:300]
