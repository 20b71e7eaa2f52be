"""What every data set looks like, whatever files it comes from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tssl.errors import DataError

SPLITS = ("train", "test")

Progress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes received and the bytes expected (0: unknown)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Labelled pictures; the arrays become read-only views.

    Parameters
    ----------
    name, split
        A key of ``DATASETS``; ``"train"`` or ``"test"``.
    inputs
        Pixels as published, uint8, ``(samples, C, H, W)``.
    labels
        Classes, int64, ``(samples,)``.
    classes
        Number of classes; labels are ``0 .. classes - 1``.
    full_scale
        Largest value that a pixel can take.
    source
        Where the data came from, in words for people.

    Raises
    ------
    DataError
        When shapes, types or values contradict this.
    """

    name: str
    split: str
    inputs: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: int
    full_scale: int
    source: str

    def __post_init__(self) -> None:
        self._check_arrays()
        self._check_values()
        for name in ("inputs", "labels"):
            view = getattr(self, name).view()
            view.setflags(write=False)
            object.__setattr__(self, name, view)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (C, H, W) of one sample."""
        return self.inputs.shape[1:]

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.labels)

    def _check_arrays(self) -> None:
        if self.inputs.dtype != np.uint8 or self.inputs.ndim != 4 or self.inputs.size == 0:
            raise self._fault(
                f"inputs are {self.inputs.dtype} of shape {self.inputs.shape}; expected uint8 "
                "of shape (samples, C, H, W), not empty"
            )
        if self.labels.dtype != np.int64 or self.labels.ndim != 1:
            raise self._fault(
                f"labels are {self.labels.dtype} of shape {self.labels.shape}; expected int64 "
                "of shape (samples,)"
            )
        if len(self.inputs) != len(self.labels):
            raise self._fault(f"{len(self.inputs)} inputs but {len(self.labels)} labels")

    def _check_values(self) -> None:
        smallest, largest = int(self.labels.min()), int(self.labels.max())
        if smallest < 0 or largest >= self.classes:
            raise self._fault(f"labels {smallest}..{largest} are outside 0..{self.classes - 1}")
        brightest = int(self.inputs.max())
        if brightest > self.full_scale:
            raise self._fault(f"a pixel of {brightest} exceeds full_scale = {self.full_scale}")

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
        (C, H, W) of one sample.
    classes, full_scale
        As in :class:`Dataset`.
    train, test
        Samples of each split.
    licence
        As its authors, or those who pass it on, state it.
    found
        Where :func:`tssl.datasets.load` would find it now.
    ready
        Whether it is on this machine already, so that loading downloads nothing.
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


class Source(Protocol):
    """What an entry of the table can do."""

    def describe(self, *, data_dir: Path | None, cache: Path | None) -> Description:
        """Return what the data set is and where it would be found."""

    def load(
        self, split: str, *, data_dir: Path | None, cache: Path | None, progress: Progress | None
    ) -> Dataset:
        """Return one split; see :func:`tssl.datasets.load`."""
