"""The workers of a Dask scheduler."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tssl.clusters.cluster import Crew
from tssl.errors import BackendError, BackendUnavailableError
from tssl.version import __version__

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["DaskScheduler"]

_PATIENCE = 5
"""Seconds for the scheduler to answer, and for its first worker."""
_LONELY = 60.0
"""Seconds without any worker: a new one may be on its way."""
_PARTS_OF_EACH = 4
_LOGGERS = ("distributed", "distributed.client", "distributed.comm")


@dataclass(frozen=True)
class DaskScheduler:
    """A scheduler that runs somewhere.

    Parameters
    ----------
    address
        ``tcp://HOST:PORT``.
    """

    address: str

    @property
    def text(self) -> str:
        """How the user named it."""
        return f"--cluster {self.address}"

    @contextmanager
    def opened(self, folder: Path) -> Iterator[Crew]:
        """Connect; Dask itself gives the work of a dead worker to others."""
        try:
            import dask
            from distributed import Client
        except ImportError as error:
            raise BackendUnavailableError(
                f"{self.text}: {error}; install Dask with: pip install 'tssl[cluster]'"
            ) from error
        # parts carry their samples; Dask would tell programmers to send large data otherwise
        large = {"distributed.admin.large-graph-warning-threshold": "1TiB"}
        with _quiet(), dask.config.set(large):
            try:
                client = Client(self.address, timeout=_PATIENCE, set_as_default=False)
            except (OSError, ValueError, ImportError) as error:
                raise BackendUnavailableError(
                    f"{self.text}: no scheduler answers: {error}; start one with `dask scheduler`"
                ) from error
            with client:
                threads = self._threads(client)
                self._check(client)
                executor = client.get_executor(pure=False)
                try:
                    yield Crew(executor, threads * _PARTS_OF_EACH, _Watch(self.text, client).look)
                finally:
                    executor.shutdown(wait=False)

    def _threads(self, client: "Client") -> int:
        """Return how many parts the workers take at the same time."""
        try:
            client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError as error:
            raise BackendUnavailableError(
                f"{self.text}: the scheduler has no workers; start some with "
                f"`dask worker {self.address}`"
            ) from error
        return max(1, sum(client.nthreads().values()))

    def _check(self, client: "Client") -> None:
        """Refuse workers without this tssl: they die of what they cannot unpack."""

        def version() -> str | None:  # inside of a function it travels as code, not as a name
            try:
                from tssl.version import __version__
            except ImportError:
                return None
            return __version__

        for where, found in client.run(version).items():
            if found != __version__:
                raise BackendUnavailableError(
                    f"{self.text}: {where} has {'no tssl' if found is None else f'tssl {found}'}; "
                    f"install tssl {__version__} there"
                )


class _Watch:
    """Notices when all workers are gone for good."""

    def __init__(self, text: str, client: "Client") -> None:
        self._text, self._client, self._seen = text, client, time.monotonic()

    def look(self) -> None:
        if self._client.status != "running":  # it connects again, or its futures are cancelled
            return
        if self._client.nthreads():
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > _LONELY:
            raise BackendError(
                f"{self._text}: has had no workers for {_LONELY:.0f} s; start some with `dask "
                "worker`; the same command goes on from the parts that are done"
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Dask logs of lost connections from stderr: errors say it in one line."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
