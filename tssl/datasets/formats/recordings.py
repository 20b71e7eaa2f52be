"""Recordings of events of a user's own, as frames: one sensor, one length, one test split."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.datasets.dataset import SPLITS, Dataset, Description, Progress
from tssl.datasets.events import Events, Frames, PackedFrames, Tally, framed
from tssl.datasets.formats._counting import MOST, counted
from tssl.datasets.formats._labelled import Labelled, Sample
from tssl.datasets.reading import Reading
from tssl.errors import ConfigError, DataError
from tssl.wording import several

__all__ = ["Recording", "RecordingSource"]

_DEFAULT_STEPS = 25
_LONGEST_US = 3600 * 10**6


class Recording(NamedTuple):
    """What a file holds."""

    events: Events
    """In the order of the file."""
    shape: tuple[int, int, int]
    """Polarities, height and width of the sensor; 0 where the file does not say."""
    tick_us: int = 1
    """Frames of a length that is no multiple of it would cut unevenly."""


class _Survey(NamedTuple):
    """What all recordings together are like."""

    shape: tuple[int, int, int]
    length_us: int
    tick_us: int


@dataclass(frozen=True, eq=False)
class RecordingSource:
    """Labelled recordings of a sensor.

    Parameters
    ----------
    found
        The recordings.
    reading
        How they are read.

    Notes
    -----
    Bin ``b`` holds times ``b * bin_us <= t < (b + 1) * bin_us``. Left alone, ``bin_us`` is such
    that the frames cover the longest recording of both splits. The size of a sensor that the
    files do not say is that of the largest coordinates of both.
    """

    found: Labelled[Recording]
    reading: Reading

    @property
    def default_frames(self) -> Frames:
        """A few that cover the longest recording."""
        return Frames(time_steps=_DEFAULT_STEPS, bin_us=self.bin_us(_DEFAULT_STEPS))

    def bin_us(self, time_steps: int) -> int:
        """Return such a length that so many frames cover the longest recording."""
        survey = self._survey
        tick = survey.tick_us
        return -(-survey.length_us // (tick * max(1, time_steps))) * tick

    def describe(self, *, data_dir: Path | None, cache: Path | None) -> Description:
        """Return what the recordings are, from all of them; the folders play no part."""
        channels, height, width = self._sensor
        shape = (1 if self._is_signed else channels, height, width)
        return self.found.description("recordings of events", shape, self._full_scale)

    def load(
        self,
        split: str,
        *,
        frames: Frames,
        data_dir: Path | None,
        cache: Path | None,
        progress: Progress | None,
    ) -> Dataset:
        """Return one split; the folders play no part.

        Raises
        ------
        DataError
            When a recording is damaged, contradicts itself or the others, or all are empty.
        """
        shape, tally = self._sensor, Tally(frames)
        rows, labels, empty, cut = [], [], [], 0
        for sample in self.found.samples[split]:
            events = self._events(sample, shape)
            tally.add(events)
            if len(events.time_us):
                row, more = self._row(events, frames)
                rows.append(row)
                labels.append(sample.label)
                cut += more
            else:
                empty.append(sample.name)
        try:
            tally.check()
        except DataError as fault:
            raise DataError(f"{self.found.source}: {split} split {fault}") from fault
        said = [text for text in tally.warnings() if "no event" not in text]
        if empty:
            one, many = "recording without events is", "recordings without events are"
            said.append(f"{several(len(empty), one, many)} left out, as {empty[0]}")
        if cut:
            one, many = f"count is above {MOST} and becomes", f"counts are above {MOST} and become"
            said.append(f"{several(cut, one, many)} {MOST}")
        return self._dataset(split, frames, np.stack(rows), labels, said)

    def _row(self, events: Events, frames: Frames) -> tuple[NDArray[np.uint8], int]:
        """Return the frames of a recording, and how many counts had to be cut."""
        if self.reading.frames in (None, "presence"):
            return np.packbits(framed(events, frames, self._sensor)), 0
        return counted(events, frames, self._sensor, signed=self._is_signed)

    def _dataset(
        self,
        split: str,
        frames: Frames,
        rows: NDArray[np.uint8],
        labels: list[int],
        said: list[str],
    ) -> Dataset:
        is_packed = rows.ndim == 2  # else frames of counts
        packed_shape = (frames.time_steps, *self._sensor)
        own = list(self.found.warnings) if split == "train" else []
        return Dataset(
            name=self.found.name,
            split=split,
            inputs=PackedFrames(bits=rows, frame_shape=packed_shape) if is_packed else rows,
            labels=np.array(labels, np.int64),
            classes=len(self.found.class_names),
            full_scale=self._full_scale,
            zero=MOST if self._is_signed else 0,
            unit=1,
            source=self.found.source,
            time_steps=frames.time_steps,
            class_names=self.found.class_names,
            warnings=tuple(
                f"data set {self.found.name}, {split} split: {text}" for text in [*own, *said]
            ),
        )

    @property
    def _is_signed(self) -> bool:
        return self.reading.frames == "signed"

    @property
    def _full_scale(self) -> int:
        """1 where frames say whether there was an event, otherwise the largest pixel."""
        return {"counts": MOST, "signed": 2 * MOST}.get(self.reading.frames or "", 1)

    @cached_property
    def _sensor(self) -> tuple[int, int, int]:
        shape = self._shape
        if self._is_signed and shape[0] != 2:
            raise ConfigError(
                f"data.frames = 'signed': {self.found.source} has {shape[0]} polarities, and two "
                "are needed; use 'counts'"
            )
        return shape

    @cached_property
    def _shape(self) -> tuple[int, int, int]:
        """The sensor, from the first recording where that says it."""
        first = self._sized(self.found.read(self.found.samples["train"][0]).shape)
        return first if all(first) else self._survey.shape

    def _sized(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return the shape of a sensor with what the user says of its size."""
        if self.reading.size is None:
            return shape
        return (shape[0], *self.reading.size)

    @cached_property
    def _survey(self) -> _Survey:
        """Go through all recordings."""
        largest, length, tick = np.zeros(3, np.int64), 1, 1
        for split in SPLITS:
            for sample in self.found.samples[split]:
                recording = self.found.read(sample)
                events = recording.events
                if not len(events.time_us):
                    continue
                own = [1 + int(axis.max()) for axis in (events.polarity, events.y, events.x)]
                stated = self._sized(recording.shape)
                own = [said or seen for said, seen in zip(stated, own, strict=True)]
                largest = np.maximum(largest, own)
                length = max(length, 1 + int(events.time_us.max()))
                tick = max(tick, recording.tick_us)
        if not largest.all():
            raise DataError(f"{self.found.source}: holds no event in any of its recordings")
        polarities, height, width = largest.tolist()
        return _Survey((polarities, height, width), length, tick)

    def _events(self, sample: Sample[Recording], shape: tuple[int, int, int]) -> Events:
        """Return the events of a recording that lie inside the sensor and come one by one."""
        recording = self.found.read(sample)
        try:
            _check(recording, shape)
        except DataError as error:
            raise DataError(f"{sample.name}: {error}") from error
        return recording.events


def _check(recording: Recording, shape: tuple[int, int, int]) -> None:
    """Refuse what cannot be, or not on this sensor."""
    events = recording.events
    stated = recording.shape
    if any(own and own > all_ for own, all_ in zip(stated, shape, strict=True)):
        raise DataError(f"is of a sensor of {stated}; the first recording's is {shape}")
    limits = zip(("polarity", "y", "x"), shape, strict=True)
    for name, limit in limits:
        values = getattr(events, name)
        outside = np.flatnonzero((values < 0) | (values >= limit))
        if len(outside):
            at = outside[0]
            raise DataError(
                f"event {at + 1} has {name} = {values[at]}, outside the sensor, polarities x "
                f"height x width = {' x '.join(map(str, shape))}"
            )
    times = events.time_us
    back = np.flatnonzero(np.diff(times) < 0)
    if len(back):
        at = back[0]
        raise DataError(
            f"event {at + 2} is at {times[at + 1]} us, after one at {times[at]} us: times must not "
            "go back (a counter that wrapped around, or events out of order?)"
        )
    if len(times) and not 0 <= int(times[0]) <= int(times[-1]) <= _LONGEST_US:
        raise DataError(
            f"lasts from {times[0] / 1e6:g} to {times[-1] / 1e6:g} s; 0 to {_LONGEST_US // 10**6} "
            "are possible (is the unit of time wrong?)"
        )
