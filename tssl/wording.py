"""How messages and tables write numbers and names."""

import difflib
import re
from collections.abc import Iterable

from tssl.version import __version__

__all__ = [
    "THIN",
    "count",
    "did_you_mean",
    "nearest",
    "of_version",
    "reason_of",
    "several",
    "visible",
]

THIN = "\N{NARROW NO-BREAK SPACE}"
"""The one separator of thousands."""


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What terminals obey instead of showing it; the last two ranges turn the direction of writing."""

_LIKE = 0.6
"""Of 1, how alike two names must be: two letters of five may be wrong."""


def count(value: int) -> str:
    """Return a whole number, groups of thousands apart."""
    return f"{value:,}".replace(",", THIN)


def several(value: int, one: str, many: str = "") -> str:
    """Return how many there are of what is called so: ``1 class``, ``2 classes``.

    Parameters
    ----------
    many
        What several are called; ``one`` with an s when empty.
    """
    return f"{count(value)} {one if value == 1 else many or f'{one}s'}"


def reason_of(error: BaseException) -> str:
    """Return what an error says, in one line; a ``KeyError`` says nothing but a name."""
    said = " ".join(str(error).split())
    return f"{said} is missing" if isinstance(error, KeyError) else said or "it is damaged"


def of_version(version: object) -> str:
    """Return the end of a message about a file that another version wrote; nothing for this one."""
    if version in (None, __version__):
        return ""
    return f"; tssl {version!s:.40} wrote it, and this is tssl {__version__}"


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the known name most like a word, or nothing."""
    name = nearest(word, known)
    return "" if name is None else f" (did you mean {name!r}?)"


def nearest(word: object, known: Iterable[str]) -> str | None:
    """Return the known name most like a word; capitals and kinds of dashes make no difference."""
    names = {_plain(name): name for name in known}
    close = difflib.get_close_matches(_plain(str(word)), names, n=1, cutoff=_LIKE)
    return names[close[0]] if close else None


def visible(text: str) -> str:
    """Return a text with its control characters written out, as ``repr`` writes them.

    Texts of files could otherwise colour, move or hide what a terminal shows. Ends of lines and
    tabs stay.
    """
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(" ", "-")
