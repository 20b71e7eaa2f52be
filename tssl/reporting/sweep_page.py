"""What the page of a sweep shows."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tssl.sweeps import Spread

__all__ = ["SweepEntry", "SweepPage"]


class SweepEntry(NamedTuple):
    """One combination.

    Parameters
    ----------
    number
        By which the plot calls it.
    chosen
        Values, in the order of the page's keys.
    figures
        Texts by column.
    spreads
        Mean and standard deviation by name of the figure.
    commands
        That make its first point again, one by one.
    """

    number: int
    chosen: Sequence[str]
    figures: Mapping[str, str]
    spreads: Mapping[str, Spread]
    seeds: Sequence[int]
    on_front: bool
    commands: Sequence[str]


class SweepPage(NamedTuple):
    """All combinations that have figures, those on the front first.

    Parameters
    ----------
    accuracy
        The figure that they are judged by.
    """

    title: str
    headline: str
    accuracy: str
    keys: Sequence[str]
    entries: Sequence[SweepEntry]
