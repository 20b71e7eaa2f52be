"""What other installed distributions add to tssl's tables, by Python's entry points."""

from collections.abc import Mapping
from importlib.metadata import entry_points

__all__ = ["extended"]


def extended(table: Mapping[str, str], group: str) -> dict[str, str]:
    """Return a table of names with those that installed distributions add to it.

    Nothing of theirs is imported. A name that tssl has stays tssl's own, and of several
    distributions with one name the first that Python finds counts.

    Parameters
    ----------
    table
        Name -> "module:object".
    group
        Of entry points, ``tssl.datasets`` for data sets.
    """
    added = {entry.name: entry.value for entry in reversed(list(entry_points(group=group)))}
    return {**table, **{name: place for name, place in added.items() if name not in table}}
