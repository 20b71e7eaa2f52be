"""Processes of this machine, and executors that a program brings."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tssl.clusters.cluster import Crew

__all__ = ["Lent", "LocalProcesses"]

_PARTS_OF_EACH = 4
_PARTS_OF_UNKNOWN = 32


@dataclass(frozen=True)
class LocalProcesses:
    """So many new processes."""

    processes: int

    @property
    def text(self) -> str:
        """How the user named it."""
        return f"--cluster local:{self.processes}"

    @contextmanager
    def opened(self, folder: Path) -> Iterator[Crew]:
        """Start them; they end with the block."""
        # a fork would copy the threads of numba and torch in whatever state they are
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(self.processes, mp_context=context)
        try:
            yield Crew(pool, self.processes * _PARTS_OF_EACH)
        finally:
            pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class Lent:
    """An executor of somebody else, who shuts it down."""

    executor: Executor

    @property
    def text(self) -> str:
        """How the user named it."""
        return f"--cluster {type(self.executor).__name__}"

    @contextmanager
    def opened(self, folder: Path) -> Iterator[Crew]:
        """Hand it on."""
        yield Crew(self.executor, _PARTS_OF_UNKNOWN)
