"""Events as frames of 0 and 1: how they are cut, and how many of them fit into memory."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.errors import ConfigError, DataError
from tssl.wording import several

Integers = NDArray[np.integer[Any]]

_WORTH_SAYING = 0.01
"""Share of the events that may lie behind the last frame without a word."""


@dataclass(frozen=True, kw_only=True)
class Frames:
    """How events become frames.

    Parameters
    ----------
    time_steps
        Frames of a sample; events behind the last one are left out.
    bin_us
        Microseconds that a frame lasts.

    Raises
    ------
    ConfigError
        When one of them is not positive.
    """

    time_steps: int
    bin_us: int

    def __post_init__(self) -> None:
        for name in ("time_steps", "bin_us"):
            value = getattr(self, name)
            if value < 1:
                raise ConfigError(f"frames of events: {name} = {value}; at least 1 is needed")


class Events(NamedTuple):
    """What a camera saw change: when, which way, and where; each ``(events,)``."""

    time_us: Integers
    polarity: Integers
    y: Integers
    x: Integers


def framed(events: Events, frames: Frames, shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Return where and when there was an event, ``(time, polarity, y, x)``.

    Several events of one kind in one place within a frame are one, as in the paper.

    Parameters
    ----------
    shape
        (polarities, height, width); all events must lie inside.
    """
    steps = events.time_us // frames.bin_us
    polarities, height, width = shape
    position = ((steps * polarities + events.polarity) * height + events.y) * width + events.x
    seen = np.zeros(frames.time_steps * math.prod(shape), np.bool_)
    seen[position[steps < frames.time_steps]] = True
    return seen.reshape(frames.time_steps, *shape)


class Tally:
    """Counts the events of recordings, and those that the frames hold.

    Parameters
    ----------
    frames
        How events become frames.
    """

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self._recordings = self._empty = self._events = self._inside = 0
        self._first, self._last = math.inf, 0

    def add(self, events: Events) -> None:
        """Count a recording."""
        times = events.time_us
        self._recordings += 1
        self._empty += not len(times)
        if len(times):
            self._events += len(times)
            self._inside += int((times < self._frames.time_steps * self._frames.bin_us).sum())
            self._first, self._last = min(self._first, times.min()), max(self._last, times.max())

    def check(self) -> None:
        """Raise DataError when the frames of all recordings are empty."""
        if not self._events:
            raise DataError(f"holds no event in its {several(self._recordings, 'recording')}")
        if not self._inside:
            raise DataError(
                f"holds no event inside {self._window}; its "
                f"{several(self._recordings, 'recording has its', 'recordings have their')} events "
                f"from {self._first / 1000:g} to {self._last / 1000:g} ms; raise "
                "network.time_steps or data.bin_us"
            )

    def warnings(self) -> Iterator[str]:
        """Yield what a user may not expect."""
        if self._empty:
            yield (
                f"{self._empty} of {self._recordings} recordings hold no event; they are samples "
                "without input"
            )
        left_out = 1 - self._inside / self._events
        if left_out >= _WORTH_SAYING:
            yield (
                f"{left_out:.0%} of the events lie outside {self._window} and are left out; the "
                f"recordings last up to {self._last / 1000:g} ms"
            )

    @property
    def _window(self) -> str:
        steps, bin_us = self._frames.time_steps, self._frames.bin_us
        return f"time_steps x bin_us = {steps} x {bin_us} us = {steps * bin_us / 1000:g} ms"


@dataclass(frozen=True, kw_only=True, eq=False)
class PackedFrames:
    """Frames of 0 and 1 of many samples, a bit each; indexing unpacks what it takes out.

    Parameters
    ----------
    bits
        uint8, ``(samples, bytes)``: every sample as ``numpy.packbits`` of all its frames.
        It becomes a read-only view.
    frame_shape
        (time, C, H, W) of a sample.

    Raises
    ------
    DataError
        When the two do not fit each other.
    """

    bits: NDArray[np.uint8]
    frame_shape: tuple[int, int, int, int]

    def __post_init__(self) -> None:
        row = -(-math.prod(self.frame_shape) // 8)
        if self.bits.dtype != np.uint8 or self.bits.ndim != 2 or self.bits.shape[1] != row:
            raise DataError(
                f"packed frames are {self.bits.dtype} of shape {self.bits.shape}; frames of "
                f"{self.frame_shape} need uint8 of shape (samples, {row})"
            )
        view = self.bits.view()
        view.setflags(write=False)
        object.__setattr__(self, "bits", view)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (samples, time, C, H, W) as unpacked."""
        return (len(self.bits), *self.frame_shape)

    @property
    def ndim(self) -> int:
        """Number of axes as unpacked."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of entries as unpacked."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """Type of what indexing returns."""
        return self.bits.dtype

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.bits)

    def __getitem__(self, chosen: int | slice | Integers) -> NDArray[np.uint8]:
        """Return the chosen samples, ``(n, time, C, H, W)`` of 0 and 1."""
        rows = self.bits[chosen]
        unpacked = np.unpackbits(rows, axis=-1, count=math.prod(self.frame_shape))
        return unpacked.reshape(*rows.shape[:-1], *self.frame_shape)


def pack(frames: NDArray[Any]) -> PackedFrames:
    """Return frames ``(samples, time, C, H, W)`` of 0 and 1 packed."""
    samples, steps, channels, height, width = frames.shape
    bits = np.packbits(frames.reshape(samples, -1).astype(np.bool_), axis=1)
    return PackedFrames(bits=bits, frame_shape=(steps, channels, height, width))


def packed_frames(
    recordings: Iterable[Events], frames: Frames, shape: tuple[int, int, int]
) -> tuple[PackedFrames, Tally]:
    """Return the frames of recordings, in their order, and how many events they hold.

    Parameters
    ----------
    shape
        As in :func:`framed`.
    """
    rows, tally = [], Tally(frames)
    for events in recordings:
        tally.add(events)
        rows.append(np.packbits(framed(events, frames, shape)))
    return PackedFrames(bits=np.stack(rows), frame_shape=(frames.time_steps, *shape)), tally
