"""Spoken digits as spikes of 64 channels in one HDF5 file, as N-TIDIGITS is published.

Of each split S, ``train`` or ``test``, the file has ``S_labels``, an array of names such as
``man-ah-a-1``: gender, speaker, take and what was said, a character for each digit. The groups
``S_timestamps`` and ``S_addresses`` hold an array under each of these names: seconds, and channels.
Names of one digit are samples. Those of several are left out: a network here says one class.

Notes
-----
The layout is that which public readers of the file rely on, independently of each other: the
``NTIDIGITS`` of tonic and the ``Ntidigits`` of events-tfds among them. Spikes need not lie in the
order of time.
"""

import os
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tssl.datasets.dataset import SPLITS
from tssl.datasets.events import Events
from tssl.datasets.formats._labelled import Labelled, Sample
from tssl.datasets.formats._splits import check_unused
from tssl.datasets.formats.recordings import Recording, RecordingSource
from tssl.datasets.reading import Reading
from tssl.errors import DataError
from tssl.wording import several

__all__ = ["CHANNELS", "CLASSES", "DAMAGED", "is_tidigits", "opened_tidigits", "recording"]

CLASSES = ("z", "1", "2", "3", "4", "5", "6", "7", "8", "9", "o")
"""Zero, one to nine, and oh, which is another word for zero."""
CHANNELS = 64
DAMAGED = (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, IndexError,
           OverflowError, MemoryError, UnicodeError)  # fmt: skip
"""What h5py raises of files that are damaged, or of others."""

_BLOCK = 256
_MOST_UNITS, _MOST_SECONDS = 1 << 20, 1e6
_MOST_VALUES = 1 << 24
"""Of an array; a recording has some thousands."""
_PARTS = 4
"""Of a name."""


def is_tidigits(path: Path) -> bool:
    """Return whether a file has the names of both splits."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return all(f"{split}_labels" in file for split in SPLITS)
    except DAMAGED:
        return False


def opened_tidigits(path: Path, reading: Reading) -> RecordingSource:
    """Return the samples of one digit.

    Raises
    ------
    ConfigError
        When a setting is of no use for them.
    DataError
        When the file is damaged, or holds none.
    """
    reading.only("spikes of N-TIDIGITS", ("frames", "test_share", "split_seed"))
    check_unused(reading, path)
    samples, others = {}, 0
    for split in SPLITS:
        names = _names(path, split)
        said = [name.rsplit("-", 1)[1] for name in names]
        single = [name for name, word in zip(names, said, strict=True) if word in CLASSES]
        others += len(names) - len(single)
        if not single:
            raise DataError(f"{path}: holds no sample of one digit among its {split}_labels")
        samples[split] = [
            Sample(
                f"{path}, {name}",
                CLASSES.index(name.rsplit("-", 1)[1]),
                partial(_sample, path, split, tuple(single[first : first + _BLOCK]), number),
            )
            for first in range(0, len(single), _BLOCK)
            for number, name in enumerate(single[first : first + _BLOCK])
        ]
    left = several(others, "sample of several digits is", "samples of several digits are")
    found = Labelled(
        name=Path(os.path.realpath(path)).stem,
        source=str(path),
        class_names=CLASSES,
        samples=samples,
        warnings=(f"{left} left out",) if others else (),
    )
    return RecordingSource(found, reading)


def _names(path: Path, split: str) -> list[str]:
    """Return the names of a split's samples, checked."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            stored = [*_array(file[f"{split}_labels"])]
            lacking = [key for key in ("timestamps", "addresses") if f"{split}_{key}" not in file]
            names = [name.decode() if isinstance(name, bytes) else str(name) for name in stored]
    except DAMAGED as error:
        raise DataError(
            f"{path}: {split}_labels cannot be read: {' '.join(str(error).split())}"
        ) from error
    if lacking:
        raise DataError(f"{path}: holds {split}_labels without {split}_{lacking[0]}")
    for name in names:
        digits = name.rsplit("-", 1)[-1]
        if len(name.split("-")) != _PARTS or not digits or not set(digits) <= set(CLASSES):
            raise DataError(
                f"{path}: {split}_labels has {name!r:.60}; expected gender-speaker-take-digits, "
                f"the digits being {', '.join(CLASSES)}"
            )
    return names


def _sample(path: Path, split: str, block: Sequence[str], number: int) -> Recording:
    """Return the spikes of a sample in the order of time."""
    seconds, channels = _block(path, split, block)[number]
    found = recording(seconds, _whole(channels))
    if len(found.events.x) and int(found.events.x.max()) >= CHANNELS:
        raise DataError(f"has channel {found.events.x.max()}; channels are 0..{CHANNELS - 1}")
    order = np.argsort(found.events.time_us, kind="stable")
    return Recording(Events(*(column[order] for column in found.events)), (1, 1, CHANNELS))


def _whole(channels: NDArray[Any]) -> NDArray[Any]:
    """Return channels that are whole numbers in floating point as such."""
    if channels.dtype.kind == "f" and (channels == np.rint(channels)).all():
        return channels.astype(np.int64)
    return channels


@lru_cache(maxsize=4)
def _block(path: Path, split: str, names: tuple[str, ...]) -> list[tuple[Any, Any]]:
    """Return times and channels of some samples: opening the file for each would be slow."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            times, channels = file[f"{split}_timestamps"], file[f"{split}_addresses"]
            return [(_array(times[name]), _array(channels[name])) for name in names]
    except DAMAGED as error:
        raise DataError(f"cannot be read: {' '.join(str(error).split())}") from error


def _array(stored: Any) -> NDArray[Any]:  # noqa: ANN401 - h5py has no types
    """Return what a file holds; a damaged one may say that it holds far more than it does."""
    if stored.size > _MOST_VALUES:
        raise ValueError(f"{stored.name} says that it holds {stored.size} values")
    return np.asarray(stored[()])


def recording(seconds: NDArray[Any], units: NDArray[Any]) -> Recording:
    """Return spikes of units at times; of how many units is not known.

    Raises
    ------
    DataError
        When these are no seconds and units.
    """
    if seconds.dtype.kind not in "iuf":
        raise DataError(f"has times of type {seconds.dtype}; expected seconds")
    seconds = seconds.astype(np.float64)
    if seconds.shape != units.shape or seconds.ndim != 1:
        raise DataError(f"has {seconds.size} times and {units.size} units")
    if not (np.isfinite(seconds) & (seconds >= 0) & (seconds < _MOST_SECONDS)).all():
        raise DataError("has times that are no seconds, which begin at 0")
    if units.dtype.kind not in "iu" or (
        units.size and not 0 <= units.min() <= units.max() < _MOST_UNITS
    ):
        raise DataError("has units that are no whole numbers from 0")
    nothing = np.zeros(len(units), np.int64)
    microseconds = np.rint(seconds * 1e6).astype(np.int64)
    events = Events(time_us=microseconds, polarity=nothing, y=nothing, x=units.astype(np.int64))
    return Recording(events, (1, 1, 0))
