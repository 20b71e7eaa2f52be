"""Texts of ``--over`` and ``--seeds``: the values that a sweep tries."""

import re
from collections.abc import Iterable
from typing import Any

from tssl.commands.options import value_of
from tssl.errors import ConfigError

_LONGEST_NUMBER = 20
_MOST_VALUES = 10_000
_NUMBER = r"(-?[0-9]+(?:[.][0-9]+)?(?:[eE][+-]?[0-9]+)?)"
_RANGE = re.compile(rf"{_NUMBER}\.\.{_NUMBER}(:log)?")


def spaces_of(texts: Iterable[str], *, search: bool) -> dict[str, Any]:
    """Return the values to try in texts ``KEY=V1,V2`` and ``KEY=LOW..HIGH[:log]`` by key.

    Parameters
    ----------
    search
        Whether a range of whole numbers stands for all between, and not for each of them.

    Raises
    ------
    ConfigError
        When a text is of another form, or a key repeats.
    """
    from tssl.sweeps import Choices, Range

    spaces: dict[str, Any] = {}
    for given in texts:
        key, separator, text = (part.strip() for part in given.partition("="))
        if not separator or not key:
            raise ConfigError(f"--over {given!r}: expected KEY=V1,V2,... or KEY=LOW..HIGH")
        if key in spaces:
            raise ConfigError(f"--over {key}: is given twice; give all its values at once")
        ends = _RANGE.fullmatch(text)
        try:
            if ends is None:
                spaces[key] = Choices(values=tuple(value_of(each) for each in _apart(text)))
                continue
            found = Range(low=value_of(ends[1]), high=value_of(ends[2]), log=bool(ends[3]))
        except ValueError as error:
            message = error.errors()[0]["msg"] if hasattr(error, "errors") else str(error)
            text = message.removeprefix("Value error, ")
            raise ConfigError(f"--over {given}: {text}") from error
        every = found.is_whole and not search and found.high - found.low < _MOST_VALUES
        whole = range(int(found.low), int(found.high) + 1)
        spaces[key] = Choices(values=tuple(whole)) if every else found
    return spaces


def _apart(text: str) -> list[str]:
    """Return what commas outside of brackets and quotes part."""
    parts, depth, quoted = [""], 0, False
    for sign in text:
        quoted ^= sign == '"'
        if not quoted:
            depth += (sign in "[{") - (sign in "]}")
        if sign == "," and not depth and not quoted:
            parts.append("")
        else:
            parts[-1] += sign
    return [part.strip() for part in parts if part.strip()]


def whole_numbers(option: str, text: str) -> tuple[int, ...]:
    """Return the numbers in a text ``N,N,...``.

    Raises
    ------
    ConfigError
        When one is none.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and len(part) < _LONGEST_NUMBER for part in parts):
        raise ConfigError(f"{option} {text!r:.60}: expected whole numbers, e.g. 0,1,2")
    return tuple(map(int, parts))
