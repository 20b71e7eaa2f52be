"""Logs of measured runs: CSV, or what lava-dl's benchmark notebooks print.

``docs/calibration.md`` describes both.
"""

import csv
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tssl.errors import DataError
from tssl.wording import count, did_you_mean

__all__ = ["COLUMNS", "Measured", "read_log"]

RAILS = ("vdd_power", "vddm_power", "vddio_power")
UNITS = {
    "time_per_step": "s",
    "total_power": "W",
    **dict.fromkeys(RAILS, "W"),
    "static_power": "W",
}
COLUMNS = ("result", "digest", "chips", *(f"{name} [{unit}]" for name, unit in UNITS.items()))
_NEEDED = ("result", "digest")
_MOST_BYTES = 4 << 20
_LONGEST_STEP, _MOST_WATTS = 10.0, 1e5
"""Beyond these somebody wrote microseconds or milliwatts."""
_RAILS_APART = 0.05
_PRINTED = {
    "result": r"result *: *(.+)",
    "digest": r"digest *: *(.+)",
    "total_power": r"Total Power *: *(\S+) W",
    "static_power": r"Static Power *: *(\S+) W",
    "vdd_power": r"VDD Power *: *(\S+) W",
    "vddm_power": r"VDD-M Power *: *(\S+) W",
    "vddio_power": r"VDD-IO Power *: *(\S+) W",
    "throughput": r"Throughput *: *(\S+) fps\.?",
}
"""Lines of the notebooks ``benchmark.ipynb`` of lava-dl, and the two that a user writes."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One measured run.

    Parameters
    ----------
    where
        File and line, for messages.
    result
        Folder of the result of the same network on the same input.
    digest
        Of the network that was on the board.
    watts
        Mean power while it ran, all rails and all ``chips``.
    static
        Power of the same chips with the network on them but at rest; None when not measured.
    seconds
        Mean time per step; None where ``throughput`` stands for it.
    throughput
        Samples per second.
    chips
        That the powers are of; those that the network lies on when None.
    """

    where: str
    result: Path
    digest: str
    watts: float
    static: float | None
    seconds: float | None
    throughput: float | None = None
    chips: int | None = None


def read_log(path: Path) -> list[Measured]:
    """Return the runs of a log; a ``.csv`` file holds many, a text that was printed holds one.

    Raises
    ------
    DataError
        When the file is no such log, a unit is another, or a number cannot be one.
    """
    text = _text(path)
    rows = _csv(path, text) if path.suffix == ".csv" else _printed(path, text)
    return [_measured(path, where, row) for where, row in rows]


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"{path}: is too large for a log: at most {count(_MOST_BYTES)} bytes")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no text in UTF-8, so no log") from error
    if not all(line.replace("\t", " ").isprintable() for line in text.splitlines()):
        raise DataError(f"{path}: holds characters that cannot be printed, so it is no log")
    return text


def _csv(path: Path, text: str) -> Iterator[tuple[str, dict[str, str]]]:
    lines = ["" if line.startswith("#") else line for line in text.splitlines()]
    reader = csv.reader(lines)
    try:
        rows = [(reader.line_num, row) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise DataError(f"{path}: is not valid CSV: {error}") from error
    if not rows:
        raise DataError(f"{path}: is empty; the first line names the columns {', '.join(COLUMNS)}")
    names = [_column(path, title.strip()) for title in rows[0][1]]
    if len(set(names)) < len(names):
        raise DataError(f"{path}: a column is there twice: {', '.join(rows[0][1])}")
    for line, row in rows[1:]:
        where = f"{path}: line {line}"
        if len(row) != len(names):
            raise DataError(f"{where}: {len(row)} fields, the first line names {len(names)}")
        yield where, dict(zip(names, map(str.strip, row), strict=True))


def _column(path: Path, title: str) -> str:
    """Return the name of a column without its unit."""
    name, _, unit = (part.strip() for part in title.partition("["))
    if title in COLUMNS:
        return name
    if name in UNITS:
        raise DataError(
            f"{path}: column {title!r}: the unit must be {UNITS[name]}: "
            f"'{name} [{UNITS[name]}]', not {unit.rstrip(']') or 'none'}"
        )
    raise DataError(
        f"{path}: column {title!r} is unknown{did_you_mean(title, COLUMNS)}; known are "
        f"{', '.join(COLUMNS)}"
    )


def _printed(path: Path, text: str) -> Iterator[tuple[str, dict[str, str]]]:
    row = {}
    for name, pattern in _PRINTED.items():
        found = re.search(rf"^\s*{pattern}\s*$", text, re.MULTILINE)
        if found is not None:
            row[name] = found[1]
    yield str(path), row


def _measured(path: Path, where: str, row: Mapping[str, str]) -> Measured:
    for name in _NEEDED:
        if not row.get(name):
            raise DataError(f"{where}: {name} is missing; a run names its result and its digest")
    numbers = {name: _number(where, name, text) for name, text in row.items() if _is_number(name)}
    given = {name: value for name, value in numbers.items() if value is not None}
    watts, static = _power(where, given), given.get("static_power")
    seconds, throughput = given.get("time_per_step"), given.get("throughput")
    if seconds is None and throughput is None:
        raise DataError(f"{where}: time_per_step [s] is missing")
    if seconds is not None and seconds > _LONGEST_STEP:
        raise DataError(f"{where}: time_per_step {seconds:g} s: at most {_LONGEST_STEP:g} s are "
                        "expected; is it in other units?")  # fmt: skip
    if static is not None and static > watts:
        raise DataError(f"{where}: static_power {static:g} W is above the power of the run, "
                        f"{watts:g} W; measure longer")  # fmt: skip
    return Measured(
        where=where,
        result=path.parent / row["result"],
        digest=row["digest"].lower(),
        watts=watts,
        static=static,
        seconds=seconds,
        throughput=throughput,
        chips=_chips(where, row.get("chips")),
    )


def _is_number(name: str) -> bool:
    return name in UNITS or name == "throughput"


def _number(where: str, name: str, text: str) -> float | None:
    """Return a number above 0; None for an empty field."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise DataError(f"{where}: {name} {text!r}: a number above 0 is expected")
    return value


def _power(where: str, given: Mapping[str, float]) -> float:
    """Return the power of all rails together; where the total is given too, both must agree."""
    rails = [given[name] for name in RAILS if name in given]
    total = given.get("total_power")
    if total is None and len(rails) < len(RAILS):
        raise DataError(f"{where}: total_power [W] is missing, or one of {', '.join(RAILS)}")
    watts = sum(rails) if total is None else total
    if len(rails) == len(RAILS) and abs(sum(rails) - watts) > _RAILS_APART * watts:
        raise DataError(f"{where}: the rails add up to {sum(rails):g} W, total_power is {watts:g} "
                        "W; are all in watts?")  # fmt: skip
    if watts > _MOST_WATTS:
        raise DataError(f"{where}: a power of {watts:g} W: at most {_MOST_WATTS:g} W are expected; "
                        "is it in other units?")  # fmt: skip
    return watts


def _chips(where: str, text: str | None) -> int | None:
    if not text:
        return None
    if not text.isdecimal() or not 1 <= int(text[:6]) <= 100_000:
        raise DataError(f"{where}: chips {text!r}: a whole number of at least 1 is expected")
    return int(text)
