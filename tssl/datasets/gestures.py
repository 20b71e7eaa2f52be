"""DVS128 Gesture: gestures of hands and arms before an event camera, from the published folder."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tssl.datasets.dataset import Dataset, Description, Progress
from tssl.datasets.events import Events, Frames, packed_frames
from tssl.datasets.fetch import folders
from tssl.datasets.formats.aedat import read_as_stamped
from tssl.errors import DataError

__all__ = ["DVS_GESTURE", "SHAPE"]

SHAPE = (2, 128, 128)
"""Polarity (0: darker, 1: brighter), y, x."""
LASTING_US = 1_500_000
"""What frames cover when nobody says otherwise, as in the publications of SLAYER."""
CLASSES = (
    "hand clapping",
    "right hand wave",
    "left hand wave",
    "right arm clockwise",
    "right arm counter clockwise",
    "left arm clockwise",
    "left arm counter clockwise",
    "arm roll",
    "air drums",
    "air guitar",
    "other gestures",
)
"""In the order of the published labels 1 to 11."""

_NAME = "dvs-gesture"
_FOLDER = "DvsGesture"
_TRIALS = {"train": "trials_to_train.txt", "test": "trials_to_test.txt"}
_PUBLISHED = {"train": 1_176, "test": 288}
_COLUMNS = ("class", "startTime_usec", "endTime_usec")
_DEFAULT_STEPS = 25
_WANTED = (
    f"unpack the published {_FOLDER}.tar.gz (IBM Research, DVS128 Gesture Dataset) and name the "
    f"folder that holds {_FOLDER} with --data-dir"
)


class _Gesture(NamedTuple):
    """A row of a table of labels: part of a recording."""

    label: int
    """From 0."""
    begin: int
    end: int
    """Time stamps, in microseconds; the end is not part of it."""


class _Trial(NamedTuple):
    recording: Path
    gestures: tuple[_Gesture, ...]


class DvsGesture:
    """Gestures of 29 persons under three kinds of light, as the authors published them.

    The folder holds recordings ``userNN_LIGHT.aedat`` (AEDAT 3.1), tables
    ``userNN_LIGHT_labels.csv`` of the gestures in each, and ``trials_to_train.txt`` and
    ``trials_to_test.txt``, which list the recordings of a split. A sample is one gesture; its time
    begins where the table says.

    Notes
    -----
    Left alone, frames cover the first 1.5 s of a gesture; most last longer. The data set is not
    downloaded: its authors offer no address that a program can fetch it from.

    References
    ----------
    .. [1] A. Amir et al., A Low Power, Fully Event-Based Gesture Recognition System, CVPR 2017.
    """

    @property
    def default_frames(self) -> Frames:
        """25 frames of 60 ms."""
        return Frames(time_steps=_DEFAULT_STEPS, bin_us=self.bin_us(_DEFAULT_STEPS))

    def bin_us(self, time_steps: int) -> int:
        """Return how long a frame is when so many last 1.5 s."""
        return -(-LASTING_US // max(1, time_steps))

    def describe(self, *, data_dir: Path | None, cache: Path | None) -> Description:
        """Return what there is, by the tables of labels; no recording is opened."""
        place = _place(data_dir, cache)
        counts = _PUBLISHED
        if place is not None:
            counts = {
                split: sum(len(each.gestures) for each in _trials(place, split))
                for split in _TRIALS
            }
        return Description(
            name=_NAME,
            title="DVS128 Gesture, 11 gestures of hands and arms, 128 x 128",
            shape=SHAPE,
            classes=len(CLASSES),
            full_scale=1,
            train=counts["train"],
            test=counts["test"],
            licence="CC BY 4.0, as others quote it",
            found=_WANTED if place is None else str(place),
            ready=place is not None,
            downloadable=False,
            class_names=CLASSES,
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
        """Return one split, in the order of the list of its recordings and of their tables.

        Raises
        ------
        DataError
            When it is not there, or a file of it is damaged.
        """
        place = _place(data_dir, cache)
        if place is None:
            raise DataError(f"data set {_NAME}: is not on this machine; {_WANTED}")
        trials = _trials(place, split)
        inputs, tally = packed_frames(_samples(trials), frames, SHAPE)
        try:
            tally.check()
        except DataError as fault:
            raise DataError(f"{place}: {split} split {fault}") from fault
        return Dataset(
            name=_NAME,
            split=split,
            inputs=inputs,
            labels=np.array([one.label for each in trials for one in each.gestures], np.int64),
            classes=len(CLASSES),
            full_scale=1,
            source=str(place),
            time_steps=frames.time_steps,
            class_names=CLASSES,
            warnings=tuple(f"data set {_NAME}, {split} split: {text}" for text in tally.warnings()),
        )


def _place(data_dir: Path | None, cache: Path | None) -> Path | None:
    """Return the first folder that has the lists of recordings."""
    tried = (
        each for folder in folders(_NAME, data_dir, cache) for each in (folder, folder / _FOLDER)
    )
    return next((each for each in tried if (each / _TRIALS["train"]).is_file()), None)


def _trials(place: Path, split: str) -> list[_Trial]:
    """Return the recordings of a split with their gestures."""
    names = _lines(place / _TRIALS[split])
    if not names:
        raise DataError(f"{place / _TRIALS[split]}: names no recording")
    return [
        _Trial(place / name, tuple(_gestures(place / f"{Path(name).stem}_labels.csv")))
        for name in names
    ]


def _gestures(table: Path) -> Iterator[_Gesture]:
    for number, row in enumerate(csv.DictReader(_lines(table)), start=2):
        try:
            label, begin, end = (int(row[name]) for name in _COLUMNS)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{table}, line {number}: expected whole numbers in the columns "
                f"{', '.join(_COLUMNS)}"
            ) from error
        if not (1 <= label <= len(CLASSES) and begin < end):
            raise DataError(
                f"{table}, line {number}: class {label} from {begin} to {end}; classes are 1..11, "
                "and the end comes after the beginning"
            )
        yield _Gesture(label - 1, begin, end)


def _lines(path: Path) -> list[str]:
    """Return the lines of a text file that are not empty."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read: {reason}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _samples(trials: Iterable[_Trial]) -> Iterator[Events]:
    """Yield the gestures of recordings, each of which is read once."""
    for trial in trials:
        recorded = _recorded(trial.recording)
        for gesture in trial.gestures:
            yield _during(gesture, recorded)


def _during(gesture: _Gesture, recorded: Events) -> Events:
    """Return the events of a gesture, its time from 0."""
    first, last = np.searchsorted(recorded.time_us, [gesture.begin, gesture.end])
    part = Events(*(column[first:last] for column in recorded))
    return part._replace(time_us=part.time_us - gesture.begin)


def _recorded(recording: Path) -> Events:
    """Return all events of a recording in the order of time."""
    try:
        events = read_as_stamped(recording)
    except DataError as error:
        raise DataError(f"{recording}: {error}") from error
    if ((events.x >= SHAPE[2]) | (events.y >= SHAPE[1])).any():
        raise DataError(f"{recording}: has events outside {SHAPE[2]} x {SHAPE[1]} pixels")
    order = np.argsort(events.time_us, kind="stable")
    return Events(*(column[order] for column in events))


DVS_GESTURE = DvsGesture()
