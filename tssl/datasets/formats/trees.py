"""Folders with a file for each sample: which class and split each belongs to, and what it is."""

import csv
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tssl.datasets.dataset import SPLITS, EventSource, Source
from tssl.datasets.formats._labelled import Labelled, Sample
from tssl.datasets.formats._splits import SPLIT_KEYS, check_unused, held_out
from tssl.datasets.reading import Reading
from tssl.errors import DataError
from tssl.wording import several

__all__ = ["KINDS", "Kind", "opened"]

TABLE = "labels.csv"
_MOST_FILES = 1 << 22


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of file.

    Parameters
    ----------
    what
        In words.
    suffixes
        Of file names, in small letters.
    read
        "module:function": called with a path and a :class:`Reading`.
    source
        "module:class": what makes a data set of such samples.
    keys
        Settings of ``Reading`` that it has a use for.
    """

    what: str
    suffixes: tuple[str, ...]
    read: str
    source: str
    keys: tuple[str, ...]


_HERE = "tssl.datasets.formats"
_EVENTS = f"{_HERE}.recordings:RecordingSource"

KINDS: tuple[Kind, ...] = (
    Kind(
        what="pictures",
        suffixes=(
            ".png",
            ".jpg",
            ".jpeg",
            ".bmp",
            ".gif",
            ".tif",
            ".tiff",
            ".webp",
            ".pgm",
            ".ppm",
        ),
        read=f"{_HERE}.pictures:read",
        source=f"{_HERE}.pictures:PictureSource",
        keys=("size",),
    ),
    Kind(
        what="recordings of 5 bytes an event",
        suffixes=(".bin", ".bs2"),
        read=f"{_HERE}.cameras:read_bin",
        source=_EVENTS,
        keys=("size",),
    ),
    Kind(
        what="AEDAT recordings",
        suffixes=(".aedat", ".aedat4"),
        read=f"{_HERE}.aedat:read",
        source=_EVENTS,
        keys=("size",),
    ),
    Kind(
        what="Prophesee recordings",
        suffixes=(".dat",),
        read=f"{_HERE}.cameras:read_dat",
        source=_EVENTS,
        keys=("size",),
    ),
    Kind(
        what="arrays of events",
        suffixes=(".npy",),
        read=f"{_HERE}.lists:read_npy",
        source=_EVENTS,
        keys=("size", "time_unit"),
    ),
    Kind(
        what="tables of events",
        suffixes=(".csv",),
        read=f"{_HERE}.lists:read_csv",
        source=_EVENTS,
        keys=("size", "time_unit"),
    ),
    Kind(
        what="sound",
        suffixes=(".wav",),
        read=f"{_HERE}.sound:read",
        source=_EVENTS,
        keys=("bands", "band_hz", "spike_threshold"),
    ),
)
"""All kinds of files; one folder holds samples of one kind."""

_BY_SUFFIX = {suffix: kind for kind in KINDS for suffix in kind.suffixes}


class _File(NamedTuple):
    path: Path
    label: str
    split: str | None


class _Named(NamedTuple):
    """A way to name files by their class."""

    pattern: re.Pattern[str]
    is_test: Callable[[re.Match[str]], bool] | None
    """Whether a file is of the test split; None where names do not say it."""


_NAMED = (
    _Named(re.compile(r"sample_\d+_label_(?P<label>\d+)\.npy"), None),  # of TactileSGNet
    _Named(  # of the Free Spoken Digit Dataset, with its official split
        re.compile(r"(?P<label>\d)_[A-Za-z]+_(?P<index>\d+)\.wav"),
        lambda match: int(match["index"]) < 5,
    ),
)


def opened(path: Path, reading: Reading) -> Source | EventSource | None:
    """Return the samples in a folder, or None when there are none of a kind that is known."""
    if not path.is_dir():
        return None
    files = list(_tabled(path) if (path / TABLE).exists() else _found(path))
    counts = Counter(_BY_SUFFIX.get(file.path.suffix.lower()) for file in files)
    others = counts.pop(None, 0)
    if not counts:
        return None
    if len(counts) > 1:
        mixed = " and ".join(f"{count} {kind.what}" for kind, count in counts.items() if kind)
        raise DataError(f"{path}: holds {mixed}; keep samples of one kind in a folder")
    (kind,) = (kind for kind in counts if kind)
    reading.only(kind.what, (*kind.keys, "frames", *SPLIT_KEYS))
    known = [file for file in files if file.path.suffix.lower() in kind.suffixes]
    found = _labelled(path, known, kind, reading, others)
    module, name = kind.source.split(":")
    source: Source | EventSource = getattr(import_module(module), name)(found, reading)
    return source


def _found(folder: Path) -> Iterator[_File]:
    """Yield the files of a folder by the folders in it, or by their names."""
    splits = {name.lower(): folder / name for name in _listed(folder) if name.lower() in SPLITS}
    if set(splits) == set(SPLITS) and all(path.is_dir() for path in splits.values()):
        for split, path in splits.items():
            yield from (file._replace(split=split) for file in _classes(path))
        return
    yield from _classes(folder)


def _classes(folder: Path) -> Iterator[_File]:
    """Yield the files in folders of classes, and those whose names say their class."""
    for name in _listed(folder):
        path = folder / name
        if path.is_dir():
            files = (path / one for one in _listed(path))
            yield from (_File(file, name, None) for file in files if file.is_file())
        else:
            yield from _by_name(path)


def _by_name(path: Path) -> Iterator[_File]:
    for named in _NAMED:
        match = named.pattern.fullmatch(path.name)
        if match is not None:
            is_test = named.is_test and named.is_test(match)
            yield _File(path, match["label"], None if is_test is None else SPLITS[bool(is_test)])


def _tabled(folder: Path) -> Iterator[_File]:
    """Yield the files that a table of labels names."""
    table = folder / TABLE
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, UnicodeError, csv.Error) as error:
        raise DataError(f"{table}: cannot be read: {error}") from error
    if not rows or not {"file", "label"} <= set(rows[0]) <= {"file", "label", "split"}:
        raise DataError(f"{table}: needs rows, and the columns file, label and perhaps split")
    root = os.path.realpath(folder)
    for number, row in enumerate(rows, 2):
        name, label, split = (row.get(key) for key in ("file", "label", "split"))
        if not name or not label or (split is not None and split not in SPLITS):
            raise DataError(
                f"{table}, line {number}: needs a file, a label and, where there is a column "
                "for it, a split, train or test"
            )
        path = folder / name
        if os.path.commonpath([root, os.path.realpath(path)]) != root or "\0" in name:
            raise DataError(f"{table}, line {number}: {name!r} leads out of the folder")
        if not path.is_file():
            raise DataError(f"{table}, line {number}: {name!r} is not there")
        yield _File(path, label, split)


def _listed(folder: Path) -> list[str]:
    """Return the names in a folder as people count, without hidden ones."""
    try:
        names = [name for name in os.listdir(folder) if not name.startswith((".", "__"))]
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from error
    if len(names) > _MOST_FILES:
        raise DataError(f"{folder}: holds more than {_MOST_FILES} files")
    return sorted(names, key=_natural)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Return what sorts names with numbers in them by the numbers."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _labelled(
    path: Path, files: list[_File], kind: Kind, reading: Reading, others: int
) -> Labelled[Any]:
    """Return the samples with numbers for labels, and a test split."""
    names = sorted({file.label for file in files}, key=_natural)
    numbers = {name: number for number, name in enumerate(names)}
    left_out = several(others, "other file is", "other files are")
    said = [f"{left_out} left out"] if others else []
    if len(names) < 2:
        raise DataError(
            f"{path}: holds {len(files)} {kind.what}, all of class {names[0]!r}; a folder for each "
            "of at least two classes is needed"
        )
    if any(file.split is None for file in files):
        labels = np.array([numbers[file.label] for file in files])
        chosen, sentence = held_out(labels, reading)
        if not chosen.any():
            raise DataError(
                f"{path}: holds one sample of each class, so that none can be held out for "
                "testing; give at least two of a class, or the folders train/ and test/"
            )
        said.append(sentence)
        files = [
            file._replace(split=SPLITS[bool(is_test)])
            for file, is_test in zip(files, chosen, strict=True)
        ]
    else:
        check_unused(reading, path)
    module, function = kind.read.split(":")
    read = getattr(import_module(module), function)
    samples: dict[str, list[Sample[Any]]] = {split: [] for split in SPLITS}
    for file in files:
        sample = Sample(str(file.path), numbers[file.label], partial(read, file.path, reading))
        samples[file.split or "train"].append(sample)
    _check_splits(path, samples, names)
    return Labelled(
        name=Path(os.path.realpath(path)).name,
        source=str(path),
        class_names=tuple(names),
        samples={split: _in_turn(found) for split, found in samples.items()},
        warnings=tuple(said),
    )


def _in_turn(samples: list[Sample[Any]]) -> list[Sample[Any]]:
    """Return one sample of each class, then another of each, and so on.

    Calibration, proofs and ``--samples`` take the first ones, which must not be of one class.
    """
    seen: Counter[int] = Counter()
    turns = []
    for sample in samples:
        turns.append((seen[sample.label], sample.label))
        seen[sample.label] += 1
    order = sorted(range(len(samples)), key=turns.__getitem__)
    return [samples[number] for number in order]


def _check_splits(path: Path, samples: dict[str, list[Sample[Any]]], names: list[str]) -> None:
    trained = {sample.label for sample in samples["train"]}
    for split, found in samples.items():
        if not found:
            raise DataError(f"{path}: holds no sample in {split}/")
    unknown = [names[one.label] for one in samples["test"] if one.label not in trained]
    if unknown:
        raise DataError(f"{path}: class {unknown[0]!r} is in test/ and not in train/")
