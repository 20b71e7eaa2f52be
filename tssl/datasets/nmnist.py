"""N-MNIST: recordings of an event camera, read straight from their ``.bin`` files."""

import math
import os
import re
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import pairwise, product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tssl.datasets import packed
from tssl.datasets.dataset import Dataset, Description, Progress
from tssl.datasets.events import Events, Frames, PackedFrames, Tally, framed
from tssl.datasets.fetch import folders
from tssl.errors import DataError

SHAPE = (2, 34, 34)
"""Polarity (0: darker, 1: brighter), y, x."""

_EVENT_BYTES = 5
_LARGEST_FILE = 1 << 24
_CLASSES = 10
_PUBLISHED = {"train": 60_000, "test": 10_000}
_FOLDERS = {"train": "Train", "test": "Test"}
_FILE = re.compile(r"(?:^|/)((train|test)/([0-9])/([0-9]{1,9})\.bin)$", re.IGNORECASE)

_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz")
_WANTED = (
    "put Train/<label>/<number>.bin and Test/<label>/<number>.bin, or Train.zip and Test.zip as "
    "published at https://www.garrickorchard.com/datasets/n-mnist, or an archive of both, into a "
    "folder and name it with --data-dir"
)


class Recording(NamedTuple):
    """Which recording a file holds; sorts as the pictures of MNIST that were recorded."""

    number: int
    label: int


Index = dict[str, tuple[Recording, ...]]
"""What there is of each split, in order."""


class _File(NamedTuple):
    name: str
    split: str
    recording: Recording
    read: Callable[[], bytes]


class _Place(NamedTuple):
    """Where the splits are: for each a folder that contains its folder, or an archive."""

    train: Path
    test: Path

    def __str__(self) -> str:
        return ", ".join(sorted({str(path) for path in self}))


class _Found(NamedTuple):
    place: _Place
    recordings: Index


class Nmnist:
    """N-MNIST, whole or in part: pictures of MNIST filmed by an event camera that moves.

    Notes
    -----
    Bin ``b`` holds times ``b * bin_us <= t < (b + 1) * bin_us``. The official code of TSSL-BP
    differs: it takes the camera's motion out of the events first (stabilize.m), its bins are
    closed above instead of below, and its loader shifts them by one, by accident or not, so
    that an event at time 0 lands on the last step.

    References
    ----------
    .. [1] Orchard, Jayawant, Cohen, Thakor, Converting static image datasets to spiking
       neuromorphic datasets using saccades, Front. Neurosci. 9:437, 2015.
    """

    default_frames = Frames(time_steps=30, bin_us=3000)
    """Of the paper: the first 90 of some 310 milliseconds."""

    def bin_us(self, time_steps: int) -> int:
        """Return how long a frame is, however many there are."""
        return self.default_frames.bin_us

    def describe(self, *, data_dir: Path | None, cache: Path | None) -> Description:
        """Return what the data set is, and how much of it is there."""
        counts, where = _PUBLISHED, "nowhere; it is not downloaded"
        found = None
        try:
            found, halves = _find(data_dir, cache)
            where = "; ".join(halves) or where
        except DataError as fault:
            where = str(fault)
        if found is not None:
            counts = {split: len(recordings) for split, recordings in found.recordings.items()}
            where = str(found.place)
        return Description(
            name="nmnist",
            title="N-MNIST, handwritten digits before an event camera, 34 x 34",
            shape=SHAPE,
            classes=_CLASSES,
            full_scale=1,
            licence="CC BY-SA 4.0",
            found=where,
            ready=found is not None,
            downloadable=False,
            train=counts["train"],
            test=counts["test"],
        )

    def load(
        self,
        split: str,
        *,
        frames: Frames,
        data_dir: Path | None,
        cache: Path | None,
        progress: Progress | None,
    ) -> Dataset:
        """Return one split in the order of the numbers; nothing is ever downloaded.

        Raises
        ------
        DataError
            When there is none, or a file is damaged.
        """
        found, halves = _find(data_dir, cache)
        if found is None:
            there = "".join(f"{half}; " for half in halves)
            raise DataError(
                f"data set nmnist: is not here and cannot be downloaded; {there}{_WANTED}"
            )
        path, recordings = getattr(found.place, split), found.recordings[split]
        inputs, tally = _packed_frames(path, split, recordings, frames)
        return Dataset(
            name="nmnist",
            split=split,
            inputs=inputs,
            labels=np.array([recording.label for recording in recordings], np.int64),
            classes=_CLASSES,
            full_scale=1,
            source=str(path),
            time_steps=frames.time_steps,
            warnings=tuple(f"data set nmnist, {split} split: {text}" for text in tally.warnings()),
        )


def decode(content: bytes) -> Events:
    """Return the events of a file: x, y, then polarity and 23 bits of microseconds.

    Raises
    ------
    DataError
        When one is cut or lies outside the picture.
    """
    if len(content) % _EVENT_BYTES:
        raise DataError(
            f"holds {len(content)} bytes, which is not a whole number of events of "
            f"{_EVENT_BYTES} bytes (an unfinished copy?)"
        )
    columns = np.frombuffer(content, np.uint8).reshape(-1, _EVENT_BYTES).T
    x, y = columns[:2].astype(np.int64)
    _, height, width = SHAPE
    outside = np.flatnonzero((x >= width) | (y >= height))
    if len(outside):
        first = outside[0]
        raise DataError(
            f"event {first + 1} is at x = {x[first]}, y = {y[first]}, outside {width} x {height}"
        )
    high, middle, low = columns[2:].astype(np.int64)
    time_us = (high & 0x7F) << 16 | middle << 8 | low
    return Events(time_us=time_us, polarity=high >> 7, y=y, x=x)


def _find(data_dir: Path | None, cache: Path | None) -> tuple[_Found | None, list[str]]:
    """Return the first place that has both splits; or None, and which places have one of them."""
    halves = []
    for folder in filter(os.path.isdir, folders("nmnist", data_dir, cache)):
        for place in _places(folder):
            if isinstance(place, str):
                halves.append(place)
                continue
            train = _index(place.train)
            test = train if place.test == place.train else _index(place.test)
            index = {"train": train["train"], "test": test["test"]}
            if all(index.values()):
                return _Found(place, index), []
            halves += [
                f"{place} holds {len(recordings)} recordings in {_FOLDERS[split]}/ and none in "
                f"{_FOLDERS['train' if split == 'test' else 'test']}/"
                for split, recordings in index.items()
                if recordings
            ]
    return None, halves


def _places(folder: Path) -> Iterator[_Place | str]:
    """Yield where recordings may be in a folder; of a zip without its partner, a sentence."""
    yield _Place(folder, folder)
    files = _files_in(folder)
    zips = {file.name.lower(): file for file in files}
    pair = [zips.get(f"{split}.zip") for split in _FOLDERS]
    match pair:
        case [Path() as train, Path() as test]:
            yield _Place(train, test)
        case [None, Path()] | [Path(), None]:
            missing = "Train.zip" if pair[0] is None else "Test.zip"
            yield f"{pair[0] or pair[1]} lies there without {missing}"
    for path in files:
        letters = re.sub(r"[^a-z]", "", path.name.lower())
        if path.name.lower().endswith(_ARCHIVES) and "nmnist" in letters:
            yield _Place(path, path)


def _files_in(folder: Path) -> list[Path]:
    try:
        return sorted(folder / name for name in os.listdir(folder) if os.path.isfile(folder / name))
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from error


def _index(path: Path) -> Index:
    """Return which recordings a folder or an archive holds."""
    try:
        state = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if path.is_dir():
        return _listed(path)
    return _listed_archive(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=8)
def _listed_archive(path: Path, *_stamp: int) -> Index:
    """Remember what is in an archive: a packed tar has to be unpacked for it."""
    return _listed(path)


def _listed(path: Path) -> Index:
    found: dict[str, list[Recording]] = {split: [] for split in _PUBLISHED}
    try:
        for file in _files(path):
            found[file.split].append(file.recording)
    except DataError as fault:
        raise DataError(f"{path}: {fault}") from fault
    for recordings in found.values():
        recordings.sort()
        for first, second in pairwise(recordings):
            if first == second:
                raise DataError(f"{path}: holds number {first.number} of digit {first.label} twice")
    return {split: tuple(recordings) for split, recordings in found.items()}


def _packed_frames(
    path: Path, split: str, recordings: tuple[Recording, ...], frames: Frames
) -> tuple[PackedFrames, Tally]:
    """Return the frames of recordings, in their order, and how many events they hold."""
    rows = {recording: row for row, recording in enumerate(recordings)}
    shape = (frames.time_steps, *SHAPE)
    bits = np.zeros((len(rows), -(-math.prod(shape) // 8)), np.uint8)
    where, tally = "", Tally(frames)
    try:
        for file in _files(path):
            if file.split == split and file.recording in rows:
                where = f"{file.name} "
                events = decode(file.read())
                tally.add(events)
                bits[rows[file.recording]] = np.packbits(framed(events, frames, SHAPE))
        where = f"{_FOLDERS[split]}/ "
        tally.check()
    except DataError as fault:
        raise DataError(f"{path}: {where}{fault}") from fault
    return PackedFrames(bits=bits, frame_shape=shape), tally


def _files(path: Path) -> Iterator[_File]:
    """Yield the recordings in a folder or an archive, in any order; other files are skipped."""
    members = _members(path) if path.is_dir() else packed.members(path, _LARGEST_FILE)
    for member in members:
        match = _FILE.search(member.name.replace("\\", "/"))  # as some zips of Windows have it
        if match is not None:
            name, folder, label, number = match.groups()
            yield _File(name, folder.lower(), Recording(int(number), int(label)), member.read)


def _members(folder: Path) -> Iterator[packed.Member]:
    splits = [name for name in sorted(os.listdir(folder)) if name.lower() in _FOLDERS]
    for split, label in product(splits, range(_CLASSES)):
        try:
            entries = list(os.scandir(folder / split / str(label)))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise DataError(f"{split}/{label} cannot be read: {error.strerror}") from error
        for entry in entries:
            name = f"{split}/{label}/{entry.name}"
            yield packed.Member(name, partial(packed.content, Path(entry.path), _LARGEST_FILE))


NMNIST = Nmnist()
