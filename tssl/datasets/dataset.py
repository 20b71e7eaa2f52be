"""What every data set looks like, whatever files it comes from."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tssl.chip import CLASS, ReadOut, ValueReadOut
from tssl.datasets.events import Frames, PackedFrames
from tssl.errors import DataError
from tssl.tables import Shown, Table, count
from tssl.wording import several

SPLITS = ("train", "test")
_BYTE = 255

Progress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes received and the bytes expected (0: unknown)."""

Warn = Callable[[str], None]
"""Called with each of the warnings of a data set."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Dataset(Shown):
    """Pictures, or frames of events, with what is to be said of each; arrays are read-only views.

    Parameters
    ----------
    name
        A key of ``DATASETS``, or of data by path what the path ends in.
    split
        ``"train"`` or ``"test"``.
    inputs
        Pixels as published, uint8, ``(samples, C, H, W)``; of what changes in time
        ``(samples, time, C, H, W)``, packed or not, of events whether there was one.
    labels
        Classes, int64, ``(samples,)``; or numbers, float64, ``(samples, outputs)``.
    classes
        Number of classes; labels are ``0 .. classes - 1``. 0 where they are numbers.
    full_scale
        Largest value that a pixel can take; 1 for events that are there or not.
    zero
        Value of a pixel that stands for nothing; above 0 where values of both signs are counted.
    unit
        Steps of a pixel from zero to what the encoding of a recipe takes for 1: full scale when
        None, one where events are counted.
    source
        Where the data came from, in words for people.
    time_steps
        Frames of a sample of events; 0 for pictures, which do not change.
    class_names
        In the order of the labels; empty where they have no names.
    warnings
        What a user may not expect of these data, a sentence each.

    Raises
    ------
    DataError
        When shapes, types or values contradict this.
    """

    name: str
    split: str
    inputs: NDArray[np.uint8] | PackedFrames
    labels: NDArray[np.int64] | NDArray[np.float64]
    classes: int
    full_scale: int
    source: str
    zero: int = 0
    unit: int | None = None
    time_steps: int = 0
    class_names: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._check_arrays()
        self._check_values()
        for name in ("inputs", "labels"):
            array = getattr(self, name)
            if isinstance(array, np.ndarray):
                view = array.view()
                view.setflags(write=False)
                object.__setattr__(self, name, view)

    @property
    def headline(self) -> str:
        """Which split it is, and what is in it."""
        steps = f"{self.time_steps} x " if self.time_steps else ""
        return (
            f"{self.name}, {self.split} split: {several(len(self.labels), 'sample')} of "
            f"{steps}{' x '.join(map(str, self.shape))}, {self.answers}"
        )

    def tables(self) -> list[Table]:
        """Return what is in it, and how many samples are of each class."""
        title = f"{self.name}, {self.split} split"
        rows = [
            ["samples", count(len(self.labels))],
            ["shape (C, H, W)", " x ".join(map(str, self.shape))],
            ["time steps", str(self.time_steps or "pictures, shown at every step")],
            ["brightest pixel", str(self.full_scale)],
            ["source", self.source],
        ]
        found = [Table(title, ["what", "value"], rows)]
        if self.classes:
            names = self.class_names or tuple(map(str, range(self.classes)))
            numbers = np.bincount(self.labels.astype(np.int64), minlength=self.classes).tolist()
            classes = [list(row) for row in zip(names, map(count, numbers), strict=True)]
            found.append(Table("Classes", ["class", "samples"], classes))
        return found

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (C, H, W) of one sample, or of one frame of it."""
        return self.inputs.shape[-3:]

    @property
    def outputs(self) -> int:
        """Neurons that say it of a sample: one for each class, or for each number."""
        return self.classes if self.labels.ndim == 1 else self.labels.shape[1]

    @property
    def answers(self) -> str:
        """How many classes there are, or how many numbers of a sample, in words."""
        return several(self.outputs, *(("class", "classes") if self.classes else ("number",)))

    @property
    def read_out(self) -> ReadOut:
        """How a network that is trained on them is read."""
        return CLASS if self.labels.ndim == 1 else ValueReadOut.over(self.labels)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of shape, inputs and labels.

        Frames of events that are cut otherwise are other data.
        """
        is_packed = isinstance(self.inputs, PackedFrames)
        inputs = self.inputs.bits if isinstance(self.inputs, PackedFrames) else self.inputs
        state = hashlib.sha256(repr((self.inputs.shape, is_packed)).encode())
        for array in (inputs, self.labels.astype(f"<{self.labels.dtype.kind}8", copy=False)):
            state.update(np.ascontiguousarray(array).data)
        return state.hexdigest()

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.labels)

    def pass_on_warnings(self, warn: Warn | None) -> None:
        """Call ``warn``, if given, with each warning."""
        if warn is not None:
            for warning in self.warnings:
                warn(warning)

    def _check_arrays(self) -> None:
        time = (self.time_steps,) if self.time_steps else ()
        between = self.inputs.shape[1:-3]  # samples and (C, H, W)
        is_right = self.inputs.ndim == 4 + len(time) and between == time
        if self.inputs.dtype != np.uint8 or not is_right or self.inputs.size == 0:
            expected = ", ".join(["samples", *map(str, time), "C, H, W"])
            raise self._fault(
                f"inputs are {self.inputs.dtype} of shape {self.inputs.shape}; expected uint8 "
                f"of shape ({expected}), not empty"
            )
        form = (self.labels.dtype, self.labels.ndim)
        if form not in ((np.dtype(np.int64), 1), (np.dtype(np.float64), 2)):
            raise self._fault(
                f"labels are {self.labels.dtype} of shape {self.labels.shape}; expected int64 "
                "of shape (samples,), or float64 of shape (samples, outputs)"
            )
        if len(self.inputs) != len(self.labels):
            raise self._fault(f"{len(self.inputs)} inputs but {len(self.labels)} labels")

    def _check_values(self) -> None:
        self._check_labels()
        if not 1 <= self.full_scale <= _BYTE:
            raise self._fault(f"full_scale = {self.full_scale}; expected 1 to {_BYTE}")
        if not 0 <= self.zero < self.full_scale:
            raise self._fault(f"zero = {self.zero}; expected 0 to {self.full_scale - 1}")
        if self.class_names and len(self.class_names) != self.classes:
            raise self._fault(f"{len(self.class_names)} class names for {self.classes} classes")
        # packed bits can be nothing else
        brightest = int(self.inputs.max()) if isinstance(self.inputs, np.ndarray) else 1
        if brightest > self.full_scale:
            raise self._fault(f"a pixel of {brightest} exceeds full_scale = {self.full_scale}")

    def _check_labels(self) -> None:
        if self.labels.ndim == 2:
            if self.classes or not self.outputs or not np.isfinite(self.labels).all():
                raise self._fault("labels that are numbers must be finite, and have no classes")
            return
        smallest, largest = int(self.labels.min()), int(self.labels.max())
        if smallest < 0 or largest >= self.classes:
            raise self._fault(f"labels {smallest}..{largest} are outside 0..{self.classes - 1}")

    def _fault(self, text: str) -> DataError:
        return DataError(f"data set {self.name}, {self.split} ({self.source}): {text}")


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a data set is, for a list.

    Parameters
    ----------
    name, title
        A key of ``DATASETS``; the name in words.
    shape
        (C, H, W) of one sample, or of one frame of events.
    classes, full_scale
        As in :class:`Dataset`.
    train, test
        Samples of each split: those found of a set that need not be whole, otherwise those
        published.
    licence
        As its authors, or those who pass it on, state it.
    found
        Where :func:`tssl.datasets.load` would find it now.
    ready
        Whether it is on this machine already, so that loading downloads nothing.
    downloadable
        Whether loading downloads what is not.
    class_names
        As in :class:`Dataset`.
    numbers
        How many numbers a sample has to be told; 0 where samples have classes.
    time_steps
        Frames that a sample holds; 0 for pictures, and for events, which are cut into any number.
    """

    name: str
    title: str
    shape: tuple[int, int, int]
    classes: int
    full_scale: int
    train: int
    test: int
    licence: str
    found: str
    ready: bool
    downloadable: bool = True
    class_names: tuple[str, ...] = ()
    numbers: int = 0
    time_steps: int = 0


class Source(Protocol):
    """What an entry of the table can do, when it holds pictures."""

    def describe(self, *, data_dir: Path | None, cache: Path | None) -> Description:
        """Return what the data set is and where it would be found."""

    def load(
        self, split: str, *, data_dir: Path | None, cache: Path | None, progress: Progress | None
    ) -> Dataset:
        """Return one split; see :func:`tssl.datasets.load`."""


class EventSource(Protocol):
    """What an entry of the table can do, when it holds events."""

    @property
    def default_frames(self) -> Frames:
        """How its events become frames when nobody says otherwise."""

    def bin_us(self, time_steps: int) -> int:
        """Return the microseconds of each of so many frames when nobody says otherwise."""

    def describe(self, *, data_dir: Path | None, cache: Path | None) -> Description:
        """Return what the data set is and where it would be found."""

    def load(
        self,
        split: str,
        *,
        frames: Frames,
        data_dir: Path | None,
        cache: Path | None,
        progress: Progress | None,
    ) -> Dataset:
        """Return one split; see :func:`tssl.datasets.load`."""
