"""Lists of events ``x, y, t, p`` as arrays or text, and the tactile sets' arrays of frames."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tssl.datasets.events import Events
from tssl.datasets.formats.cameras import content_of
from tssl.datasets.formats.recordings import Recording
from tssl.datasets.reading import Reading
from tssl.datasets.tactile import RECORDED_US
from tssl.errors import DataError
from tssl.machine.npy import read_content

__all__ = ["read_csv", "read_npy"]

_UNITS = {"us": 1, "ms": 1000, "s": 1_000_000}
_ORDER = ("x", "y", "t", "p")
_NAMES = {
    "x": ("x",),
    "y": ("y",),
    "p": ("p", "pol", "polarity", "on"),
    "t": ("t", "time", "ts", "timestamp"),
}
_TIME = re.compile(r"(?P<name>[a-z]+?)_?(?P<unit>us|ms|s)?")
_LARGEST_TIME = 1 << 62

Columns = dict[str, NDArray[Any]]


def read_npy(path: Path, reading: Reading) -> Recording:
    """Return a list of events, an array (N, 4) or of named fields, or a tactile recording.

    A tactile recording is ``(taxels, polarities, frames)`` of 0 and 1, as TactileSGNet has it; a
    frame lasts 20 ms.
    """
    array = read_content(content_of(path))
    if array.dtype.names:
        return _listed({name: array[name].ravel() for name in array.dtype.names}, reading)
    if array.ndim == 2 and array.shape[1] == len(_ORDER):
        return _listed(dict(zip(_ORDER, array.T, strict=True)), reading)
    if array.ndim == 3:
        return _tactile(array)
    raise DataError(
        f"is {array.dtype} of shape {array.shape}; expected events (N, 4) of x, y, t, p, named "
        "fields of these, or (taxels, polarities, frames)"
    )


def read_csv(path: Path, reading: Reading) -> Recording:
    """Return a list of events in text: a line each, x, y, t, p in this order or under a heading."""
    try:
        lines = content_of(path).decode("utf-8-sig").splitlines()
    except UnicodeError as error:
        raise DataError("is no text") from error
    heading = [word.strip().lower() for word in lines[0].split(",")] if lines else []
    is_named = any(not _is_number(word) for word in heading)
    names = heading if is_named else list(_ORDER)
    rows = lines[is_named:]
    if not rows:
        return _listed({name: np.zeros(0) for name in names}, reading)
    try:
        values = np.loadtxt(rows, delimiter=",", ndmin=2)
    except ValueError as error:
        raise DataError(f"is no table of numbers: {error}") from error
    if values.shape[1] != len(names):
        raise DataError(f"has {values.shape[1]} columns; expected {', '.join(names)}")
    return _listed(dict(zip(names, values.T, strict=True)), reading)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _listed(columns: Columns, reading: Reading) -> Recording:
    """Return events from columns under their names."""
    by_name = {name.lower(): values for name, values in columns.items()}
    found = {
        key: next((by_name[name] for name in names if name in by_name), None)
        for key, names in _NAMES.items()
        if key != "t"
    }
    times, unit = _times(by_name)
    if times is None or found["x"] is None:
        raise DataError(
            f"has columns {', '.join(columns)}; expected x, y, t, p (t may be t_us, t_ms or t_s)"
        )
    y, p = found["y"], found["p"]
    where = {
        "x": _whole(found["x"], "x"),
        "y": np.zeros(len(times), np.int64) if y is None else _whole(y, "y"),
        "polarity": np.zeros(len(times), np.int64) if p is None else _polarity(p),
    }
    shape = (1 if p is None else 2, 1 if y is None else 0, 0)
    return Recording(Events(time_us=_microseconds(times, unit, reading), **where), shape)


def _times(columns: Columns) -> tuple[NDArray[Any] | None, str | None]:
    """Return the column of times and the unit in its name, if any."""
    for name, values in columns.items():
        match = _TIME.fullmatch(name)
        if match is not None and match["name"] in _NAMES["t"]:
            return values, match["unit"]
        if name in _NAMES["t"]:
            return values, None
    return None, None


def _microseconds(times: NDArray[Any], unit: str | None, reading: Reading) -> NDArray[np.int64]:
    stated = unit or reading.time_unit
    if unit is not None and reading.time_unit not in (None, unit):
        raise DataError(f"says t_{unit}; data.time_unit = {reading.time_unit!r} contradicts it")
    if times.dtype.kind not in "iuf" or not np.isfinite(times).all():
        raise DataError("holds times that are no finite numbers")
    if not len(times):
        return np.zeros(0, np.int64)
    if stated is None:
        raise DataError(
            f"has times from {times[0]:g} to {times[-1]:g} and does not say in what; call them "
            "t_us, t_ms or t_s in the file, or set data.time_unit = 'us', 'ms' or 's' in the recipe"
        )
    factor = _UNITS[stated]
    if not float(np.abs(times).max()) * factor < _LARGEST_TIME:
        raise DataError(
            f"has a time of {times[np.abs(times).argmax()]:g} {stated}, which cannot be"
        )
    if times.dtype.kind == "f":
        return np.floor(times.astype(np.float64) * factor + 1e-6).astype(np.int64)
    return times.astype(np.int64) * factor


def _whole(values: NDArray[Any], name: str) -> NDArray[np.int64]:
    if values.dtype.kind not in "biuf":
        raise DataError(f"holds {name} of type {values.dtype}; expected whole numbers")
    is_right = np.isfinite(values) & (np.abs(values.astype(np.float64)) < 1 << 31)
    is_right &= values == np.rint(values.astype(np.float64))
    if not is_right.all():
        at = np.flatnonzero(~is_right)[0]
        raise DataError(f"event {at + 1} has {name} = {values[at]}; expected a whole number")
    return values.astype(np.int64)


def _polarity(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return 0 and 1, which may be written as -1 and 1."""
    whole = _whole(values, "p")
    return np.where(whole == -1, 0, whole)


def _tactile(array: NDArray[Any]) -> Recording:
    if array.dtype.kind not in "biuf":
        raise DataError(f"holds {array.dtype}; expected 0 and 1")
    other = array[(array != 0) & (array != 1)]
    if other.size:
        raise DataError(f"holds the value {other[0]:g}; expected 0 and 1")
    at, polarity, taxel = np.nonzero(array.transpose(2, 1, 0))
    events = Events(time_us=at * RECORDED_US, polarity=polarity, y=np.zeros_like(taxel), x=taxel)
    taxels, polarities, _ = array.shape
    return Recording(events, (polarities, 1, taxels), RECORDED_US)
