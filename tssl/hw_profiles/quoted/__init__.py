"""Published figures of other networks and chips on the same data: quoted, never computed with."""

from functools import cache
from pathlib import Path

from tssl.costs import QuotedFigure
from tssl.machine.files import read_toml

__all__ = ["quoted_for"]

_FILE = Path(__file__).parent / "figures.toml"


def quoted_for(data: str | None) -> tuple[QuotedFigure, ...]:
    """Return what was published for an inference on a named data set."""
    return tuple(figure for figure in _all() if figure.data == data)


@cache
def _all() -> tuple[QuotedFigure, ...]:
    return tuple(QuotedFigure(**fields) for fields in read_toml(_FILE)["figure"])
