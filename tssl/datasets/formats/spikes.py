"""Spikes of many units in HDF5, as the Spiking Heidelberg Digits and Spiking Speech Commands are.

``spikes/times`` (seconds) and ``spikes/units`` hold an array for each sample, ``labels`` a whole
number, and ``extra/keys``, which may be missing, the name of each class.

N-TIDIGITS has both splits in a file, see :mod:`tssl.datasets.formats.tidigits`.
"""

import os
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.datasets.dataset import SPLITS
from tssl.datasets.formats._labelled import Labelled, Sample
from tssl.datasets.formats._splits import SPLIT_KEYS, check_unused, held_out
from tssl.datasets.formats.recordings import Recording, RecordingSource
from tssl.datasets.formats.tidigits import DAMAGED, is_tidigits, opened_tidigits, recording
from tssl.datasets.reading import Reading
from tssl.errors import DataError

__all__ = ["opened", "read_sample", "spike_file"]

_SUFFIXES = (".h5", ".hdf5")
_BLOCK = 256


class _File(NamedTuple):
    """What a file says of its samples."""

    path: Path
    labels: NDArray[np.int64]
    names: tuple[str, ...]


def opened(path: Path, reading: Reading) -> RecordingSource | None:
    """Return the spikes in a file, or in one file for training and one for testing in a folder."""
    if path.is_dir():
        files = _of_folder(path)
    elif path.suffix.lower() in _SUFFIXES:
        files = {"": path}
    else:
        return None
    if not files:
        return None
    if "" in files and is_tidigits(path):
        return opened_tidigits(path, reading)
    reading.only("spikes in HDF5", ("size", "frames", *SPLIT_KEYS))
    return RecordingSource(
        _labelled(path, {key: spike_file(f) for key, f in files.items()}, reading), reading
    )


def _of_folder(folder: Path) -> dict[str, Path]:
    """Return the only file of each split, or nothing."""
    files = [file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES]
    by_split = {split: [file for file in files if split in file.stem.lower()] for split in SPLITS}
    if any(len(found) > 1 for found in by_split.values()):
        raise DataError(
            f"{folder}: holds several files of one split; keep one of train, one of test"
        )
    return {split: found[0] for split, found in by_split.items()} if all(by_split.values()) else {}


def _labelled(path: Path, files: dict[str, _File], reading: Reading) -> Labelled[Recording]:
    said: list[str] = []
    parts: dict[str, list[tuple[_File, int]]] = {split: [] for split in SPLITS}
    if "" in files:
        file = files[""]
        chosen, sentence = held_out(file.labels, reading)
        said.append(sentence)
        for number, is_test in enumerate(chosen):
            parts[SPLITS[bool(is_test)]].append((file, number))
    else:
        check_unused(reading, path)
        for split, file in files.items():
            parts[split] = [(file, number) for number in range(len(file.labels))]
    if not all(parts.values()):
        raise DataError(f"{path}: too few samples for a test split")
    classes = 1 + max(int(file.labels.max()) for file in files.values())
    names = max((file.names for file in files.values()), key=len)
    return Labelled(
        name=Path(os.path.realpath(path)).stem,
        source=str(path),
        class_names=names if len(names) == classes else tuple(map(str, range(classes))),
        samples={
            split: [
                Sample(
                    f"{file.path}, sample {n}",
                    int(file.labels[n]),
                    partial(read_sample, file.path, n),
                )
                for file, n in found
            ]
            for split, found in parts.items()
        },
        warnings=tuple(said),
    )


def spike_file(path: Path) -> _File:
    """Return the labels in a file, checked."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            labels = np.asarray(file["labels"][()])
            lengths = {name: len(file["spikes"][name]) for name in ("times", "units")}
            keys = file["extra"]["keys"][()] if "extra" in file and "keys" in file["extra"] else []
            names = tuple(key.decode() if isinstance(key, bytes) else str(key) for key in keys)
    except DAMAGED as error:
        raise DataError(
            f"{path}: holds no spikes/times, spikes/units and labels that can be read: "
            f"{' '.join(str(error).split())}"
        ) from error
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or set(lengths.values()) != {len(labels)}:
        raise DataError(
            f"{path}: holds {labels.dtype} labels of shape {labels.shape}, {lengths['times']} "
            f"times and {lengths['units']} units; expected whole numbers and as many of each"
        )
    whole = labels.astype(np.int64)
    if len(whole) < 2 or whole.min() < 0 or whole.max() > max(1000, len(whole)):
        span = f"{whole.min()} to {whole.max()}" if len(whole) else "none"
        raise DataError(f"{path}: labels of {len(whole)} samples are {span}; they begin at 0")
    return _File(path, whole, names)


def read_sample(path: Path, number: int) -> Recording:
    """Return the spikes of a sample."""
    times, units = _block(path, number // _BLOCK)
    return recording(np.asarray(times[number % _BLOCK]), np.asarray(units[number % _BLOCK]))


@lru_cache(maxsize=4)
def _block(path: Path, block: int) -> tuple[Any, Any]:
    """Return times and units of some samples in a row: opening the file for each would be slow."""
    import h5py

    part = slice(block * _BLOCK, (block + 1) * _BLOCK)
    try:
        with h5py.File(path, "r") as file:
            return file["spikes"]["times"][part], file["spikes"]["units"][part]
    except DAMAGED as error:
        raise DataError(f"cannot be read: {' '.join(str(error).split())}") from error
