"""What every cluster does: lend an executor for a while."""

from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

__all__ = ["Cluster", "Crew", "nothing_to_see"]


def nothing_to_see() -> None:
    """Look after nothing."""


class Crew(NamedTuple):
    """An executor with somebody behind it.

    Parameters
    ----------
    executor
        Where parts are submitted.
    parts
        How many parts a run should have: some for each of those who work at the same time, so
        that the slowest do not hold up all and a death costs little.
    look
        Called every second or so; raises ``BackendError`` when nobody is left to work.
    """

    executor: Executor
    parts: int
    look: Callable[[], None] = nothing_to_see


class Cluster(Protocol):
    """A place where functions run."""

    @property
    def text(self) -> str:
        """How the user named it."""

    def opened(self, folder: Path) -> AbstractContextManager[Crew]:
        """Lend a crew; what it has not begun when the block ends is given up.

        May be called again when a crew was lost.

        Parameters
        ----------
        folder
            Of the result, which all machines see, for those who exchange files.

        Raises
        ------
        BackendUnavailableError
            When nobody is there, or what it needs is not installed.
        """
