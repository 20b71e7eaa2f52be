"""Packages that only some formats need."""

from importlib import import_module
from types import ModuleType

from tssl.errors import BackendUnavailableError

__all__ = ["imported"]


def imported(module: str, what: str) -> ModuleType:
    """Return a module of the extra ``data``.

    Raises
    ------
    BackendUnavailableError
        When it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise BackendUnavailableError(
            f"{what}: {error}; install what reads them with: pip install 'tssl[data]'"
        ) from error
