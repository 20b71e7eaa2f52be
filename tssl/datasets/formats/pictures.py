"""Pictures of a user's own, in grey or in colour."""

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tssl.datasets.dataset import Dataset, Description, Progress
from tssl.datasets.formats._extras import imported
from tssl.datasets.formats._labelled import Labelled
from tssl.datasets.reading import Reading
from tssl.errors import DataError
from tssl.wording import reason_of

__all__ = ["PictureSource", "read"]

_FULL_SCALE = 255
_DAMAGED = (OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, OverflowError,
            EOFError, MemoryError, AttributeError, RuntimeError, Warning)  # fmt: skip
"""What Pillow raises of damaged files, and of pictures too large to be any."""


def read(path: Path, reading: Reading) -> NDArray[np.uint8]:
    """Return a picture as (C, H, W): grey has one channel, all else three; transparency is dropped.

    With ``size`` it is made so large, by Pillow's bilinear filter. Grey of 16 bits keeps the
    upper 8. Of a moving picture it is the first.
    """
    pillow = imported("PIL.Image", "pictures")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a bomb is one
            with pillow.open(path) as picture:
                eight = _eight_bits(pillow, picture)
                if reading.size is not None:
                    height, width = reading.size
                    eight = eight.resize((width, height), pillow.Resampling.BILINEAR)
                pixels = np.array(eight, np.uint8)
    except (*_DAMAGED, pillow.DecompressionBombError) as error:
        raise DataError(f"cannot be read as a picture: {reason_of(error)}") from error
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _eight_bits(pillow: Any, picture: Any) -> Any:  # noqa: ANN401 - Pillow's
    """Return a picture of one or three channels of 8 bits."""
    if picture.mode.startswith("I"):
        upper = np.asarray(picture) >> 8
        return pillow.fromarray(upper.clip(0, _FULL_SCALE).astype(np.uint8))
    return picture.convert("L" if picture.mode in ("1", "L", "LA") else "RGB")


@dataclass(frozen=True, eq=False)
class PictureSource:
    """Labelled pictures of one size.

    Parameters
    ----------
    found
        The pictures, ``(C, H, W)``.
    reading
        How they are read.
    """

    found: Labelled[NDArray[np.uint8]]
    reading: Reading

    def describe(self, *, data_dir: Path | None, cache: Path | None) -> Description:
        """Return what the pictures are, by the first; the folders play no part."""
        return self.found.description("pictures", self._shape, _FULL_SCALE)

    def load(
        self, split: str, *, data_dir: Path | None, cache: Path | None, progress: Progress | None
    ) -> Dataset:
        """Return one split; the folders play no part.

        Raises
        ------
        DataError
            When a picture is damaged or of another size than the first.
        BackendUnavailableError
            When Pillow is not installed.
        """
        samples = self.found.samples[split]
        inputs = np.empty((len(samples), *self._shape), np.uint8)
        for row, sample in zip(inputs, samples, strict=True):
            picture = self.found.read(sample)
            if picture.shape[1:] != row.shape[1:]:
                raise DataError(
                    f"{sample.name}: is of height and width {picture.shape[1:]}, and the first "
                    f"picture of {row.shape[1:]}; data.size = {list(row.shape[1:])} makes all so"
                )
            if len(picture) > len(row):
                raise DataError(f"{sample.name}: has colours, and the first picture is grey")
            row[:] = picture  # grey among colours is grey in each of them
        return Dataset(
            name=self.found.name,
            split=split,
            inputs=inputs,
            labels=np.array([sample.label for sample in samples], np.int64),
            classes=len(self.found.class_names),
            full_scale=_FULL_SCALE,
            source=self.found.source,
            class_names=self.found.class_names,
            warnings=tuple(
                f"data set {self.found.name}: {text}"
                for text in (self.found.warnings if split == "train" else ())
            ),
        )

    @cached_property
    def _shape(self) -> tuple[int, int, int]:
        channels, height, width = self.found.read(self.found.samples["train"][0]).shape
        return channels, height, width
