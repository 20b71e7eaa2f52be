"""What other installed distributions add to tssl's tables, by Python's entry points."""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from tssl.errors import ConfigError

__all__ = ["extended", "loaded"]


def extended(table: Mapping[str, str], group: str) -> dict[str, str]:
    """Return a table of names with those that installed distributions add to it.

    Nothing of theirs is imported. A name that tssl has stays tssl's own, and of several
    distributions with one name the first that Python finds counts.

    Parameters
    ----------
    table
        Name -> "module:object".
    group
        Of entry points: ``tssl.datasets``, ``tssl.methods`` or ``tssl.backends``.
    """
    added = {entry.name: entry.value for entry in reversed(list(entry_points(group=group)))}
    return {**table, **{name: place for name, place in added.items() if name not in table}}


def loaded(place: str, who: str) -> Any:  # noqa: ANN401 - what it is depends on the table
    """Return the object at ``"module:object"``.

    Parameters
    ----------
    who
        What is loaded, for the error.

    Raises
    ------
    ConfigError
        When the package that adds it is broken.
    """
    module, _, attribute = place.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"{who}: {place} cannot be loaded ({error}); mend or remove the package that adds it"
        ) from error
