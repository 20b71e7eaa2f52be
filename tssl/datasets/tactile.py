"""Ev-Objects and Ev-Containers: what a fingertip felt, read straight from the authors' zip."""

import hashlib
import io
import math
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tokenize import TokenError
from typing import NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from tssl.datasets import packed
from tssl.datasets.dataset import Dataset, Description, Progress
from tssl.datasets.events import Events, Frames, packed_frames
from tssl.datasets.fetch import Wanted, cache_folder, download, folders
from tssl.errors import ConfigError, DataError

SHAPE = (2, 1, 39)
"""Polarity, 1, taxel; both are numbered as the authors do."""

RECORDED_US = 20_000
"""Microseconds that a recorded frame lasts."""

_POLARITIES, _, _TAXELS = SHAPE
_DTYPE = np.dtype("<f4")
_HEADER_BYTES = 1 << 12
_UNREADABLE = (
    MemoryError,
    RecursionError,
    SyntaxError,
    TokenError,
    TypeError,
    UserWarning,
    ValueError,
)
_DOWNLOAD_SLACK = 1 << 16
_DEFAULT_STEPS = 25
_FILE = re.compile(
    r"(?:^|/)((train|test)/sample_([0-9]{1,9})_label_([0-9]{1,9})\.npy)$", re.IGNORECASE
)


class _Recording(NamedTuple):
    """A member of the archive."""

    number: int
    label: int
    name: str
    active: NDArray[np.bool_]
    """``(taxels, polarities, recorded frames)``."""


@dataclass(frozen=True, kw_only=True)
class TactileSource:
    """Recordings of NeuTouch, a fingertip of 39 taxels that report rising and falling pressure.

    Parameters
    ----------
    name, title, classes
        See :class:`Description`.
    archive, archive_bytes, sha256
        The published zip, its size, and the SHA-256 of it as it is.
    recorded
        Frames of a recording.
    train, test
        Recordings of each split, as the authors divided them.
    mirrors
        Addresses that end in a slash, under which the zip is.

    Notes
    -----
    The files hold frames already, 20 ms long [2]_. Recorded frame ``r`` starts at ``r * 20 ms``
    and belongs to frame ``r * 20000 // bin_us``: a frame is 1 where one of its recorded frames
    is. Left alone, ``bin_us`` is such that the frames cover the whole recording.

    The taxels keep the authors' order. Their published places (to_graph.py of [1]_) lie on no
    grid, so a frame is a row of them.

    Which polarity is a rising pressure and what the objects are called is not stated.

    References
    ----------
    .. [1] Gu, Sng, Taunyazov, Soh, TactileSGNet: A Spiking Graph Neural Network for Event-based
       Tactile Object Recognition, IROS 2020; github.com/clear-nus/TactileSGNet.
    .. [2] Taunyazov et al., Event-Driven Visual-Tactile Sensing and Learning for Robots, RSS
       2020; github.com/clear-nus/VT_SNN, vtsnn/preprocess.py: ``--bin_duration 0.02`` and
       ``grasp_lift_hold`` of 6.5 s, which are the 325 frames of Ev-Containers. Nothing is stated
       for Ev-Objects, of the same sensor and authors; it is taken to be alike.
    """

    name: str
    title: str
    classes: int
    archive: str
    archive_bytes: int
    sha256: str
    recorded: int
    train: int
    test: int
    mirrors: tuple[str, ...]

    @property
    def default_frames(self) -> Frames:
        """25 frames, which a recording divides into evenly."""
        return Frames(time_steps=_DEFAULT_STEPS, bin_us=self.bin_us(_DEFAULT_STEPS))

    def bin_us(self, time_steps: int) -> int:
        """Return how long a frame is when so many cover the recording."""
        return -(-self.recorded * RECORDED_US // max(1, time_steps))

    def describe(self, *, data_dir: Path | None, cache: Path | None) -> Description:
        """Return what the data set is and where its zip is, without opening it."""
        path = self._find(data_dir, cache)
        nowhere = f"download from {self.mirrors[0]}" if self.mirrors else "nowhere"
        return Description(
            name=self.name,
            title=self.title,
            shape=SHAPE,
            classes=self.classes,
            full_scale=1,
            train=self.train,
            test=self.test,
            licence="none stated; cite Gu et al. 2020",
            found=nowhere if path is None else str(path),
            ready=path is not None,
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
        """Return one split in the order of the numbers, from the first place that has the zip.

        Raises
        ------
        ConfigError
            When frames are shorter than the recorded ones.
        DataError
            When the zip is damaged, another, or in no place and on no mirror.
        """
        if frames.bin_us < RECORDED_US:
            raise ConfigError(
                f"data set {self.name}: a frame of bin_us = {frames.bin_us} is shorter than a "
                f"recorded one, {RECORDED_US} us; lower network.time_steps to {self.recorded} or "
                "less, or raise data.bin_us"
            )
        path = self._find(data_dir, cache) or self._download(cache, progress)
        try:
            recordings = self._read(path, split)
            self._check_digest(path)
        except DataError as fault:
            raise DataError(
                f"{path}: {fault}; replace the file by the published {self.archive}, or remove it "
                "to have it looked for elsewhere"
            ) from fault
        inputs, tally = packed_frames(map(_events, recordings), frames, SHAPE)
        try:
            tally.check()
        except DataError as fault:
            raise DataError(f"{path}: {split}/ {fault}") from fault
        return Dataset(
            name=self.name,
            split=split,
            inputs=inputs,
            labels=np.array([recording.label for recording in recordings], np.int64),
            classes=self.classes,
            full_scale=1,
            source=str(path),
            time_steps=frames.time_steps,
            warnings=tuple(
                f"data set {self.name}, {split} split: {text}" for text in tally.warnings()
            ),
        )

    def _find(self, data_dir: Path | None, cache: Path | None) -> Path | None:
        paths = (folder / self.archive for folder in folders(self.name, data_dir, cache))
        return next((path for path in paths if os.path.exists(path)), None)

    def _download(self, cache: Path | None, progress: Progress | None) -> Path:
        wanted = Wanted(
            file=self.archive,
            mirrors=self.mirrors,
            largest=self.archive_bytes + _DOWNLOAD_SLACK,
            check=self._check_digest,
            otherwise=f"copy {self.archive} into a folder and name it with --data-dir",
        )
        return download(wanted, (cache or cache_folder()) / self.name, progress)

    def _check_digest(self, path: Path) -> None:
        """Raise DataError when the file is not the published one."""
        try:
            with path.open("rb") as file:
                content = file.read(self.archive_bytes + 1)
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror or error}") from error
        if len(content) != self.archive_bytes:
            size = "longer" if len(content) > self.archive_bytes else f"{len(content)} bytes long"
            raise DataError(f"is not the published file of {self.archive_bytes} bytes but {size}")
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.sha256:
            raise DataError(
                f"is not the published file: it has SHA-256 {digest}, expected {self.sha256}"
            )

    def _read(self, path: Path, split: str) -> list[_Recording]:
        """Return the recordings of a split in the order of their numbers."""
        expected = getattr(self, split)
        found = []
        for recording in self._recordings(path, split):
            found.append(recording)
            if len(found) > expected:  # before they fill the memory
                raise DataError(f"holds more than the {expected} recordings expected in {split}/")
        found.sort(key=lambda one: one.number)
        for first, second in pairwise(found):
            if first.number == second.number:
                raise DataError(f"holds sample {first.number} of {split}/ twice")
        if len(found) < expected:
            raise DataError(f"holds {len(found)} recordings in {split}/, expected {expected}")
        return found

    def _recordings(self, path: Path, split: str) -> Iterator[_Recording]:
        shape = (_TAXELS, _POLARITIES, self.recorded)
        largest = math.prod(shape) * _DTYPE.itemsize + _HEADER_BYTES
        for member in packed.members(path, largest):
            match = _FILE.search(member.name.replace("\\", "/"))  # as some zips of Windows have it
            if match is None or match[2].lower() != split:
                continue
            name, label = match[1], int(match[4])
            try:
                if label >= self.classes:
                    raise DataError(f"has label {label}; labels are 0..{self.classes - 1}")
                active = decode(member.read(), shape)
            except DataError as fault:
                raise DataError(f"{name} {fault}") from fault
            yield _Recording(int(match[3]), label, name, active)


def decode(content: bytes, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return where the array in a ``.npy`` file is 1.

    Parameters
    ----------
    shape
        That it must have.

    Raises
    ------
    DataError
        When it is no such file, or not float32 of this shape, or has other values than 0 and 1.
    """
    stream = io.BytesIO(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # about headers that it has to mend
            version = npy.read_magic(stream)
            found, by_columns, dtype = npy.read_array_header_1_0(stream, _HEADER_BYTES)
    except _UNREADABLE as error:
        raise DataError("is no .npy file, or its header is damaged") from error
    if version != (1, 0):
        raise DataError(f"is a .npy file of version {version}; expected (1, 0)")
    if dtype != _DTYPE or found != shape or by_columns:
        order = ", by columns" if by_columns else ""
        raise DataError(f"holds {dtype} of shape {found}{order}; expected float32 of {shape}")
    values = content[stream.tell() :]
    if len(values) != math.prod(shape) * _DTYPE.itemsize:
        raise DataError(
            f"holds {len(values)} bytes of values, expected {math.prod(shape) * _DTYPE.itemsize} "
            "(an unfinished copy?)"
        )
    array = np.frombuffer(values, _DTYPE).reshape(shape)
    active = array == 1
    other = array[~active & (array != 0)]
    if other.size:
        raise DataError(f"holds the value {other[0]:g}; expected 0 and 1")
    return active


def _events(recording: _Recording) -> Events:
    """Return what a recording holds; an event is where a recorded frame is 1."""
    taxel, polarity, at = np.nonzero(recording.active)
    row = np.zeros_like(taxel)
    return Events(time_us=at * RECORDED_US, polarity=polarity, y=row, x=taxel)


def _mirrors(commit: str) -> tuple[str, ...]:
    repository = "clear-nus/TactileSGNet"
    return (
        f"https://raw.githubusercontent.com/{repository}/{commit}/",
        f"https://github.com/{repository}/raw/{commit}/",
    )


OBJECTS = TactileSource(
    name="tactile-objects",
    title="Ev-Objects, 36 things felt by a fingertip of 39 taxels",
    classes=36,
    archive="Ev-Objects.zip",
    archive_bytes=1_718_418,
    sha256="bd8e828064a85c4fc6567789283198ff0b92384ef58aeb2366fa36a963ded867",
    recorded=250,
    train=576,
    test=144,
    mirrors=_mirrors("bdb527b785a3714a482969499bdf771696244198"),
)

CONTAINERS = TactileSource(
    name="tactile-containers",
    title="Ev-Containers, 20 containers felt by a fingertip of 39 taxels",
    classes=20,
    archive="Ev-Containers.zip",
    archive_bytes=679_819,
    sha256="dc965e9425ca0060e0628ce8efe717c92a0b2e8f11163f4239569fc5434ab8e2",
    recorded=325,
    train=240,
    test=60,
    mirrors=_mirrors("f224d3878d165dd2525c7664582ef7449bf0c689"),
)
