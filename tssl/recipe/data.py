"""Which data a network is trained on, and how training pictures are varied."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tssl.datasets import Reading
from tssl.errors import ConfigError
from tssl.settings import Above0, Entries, NonNegative, Number, Positive, PositivePair, Seed

__all__ = ["GIVEN", "AugmentationSpec", "DataSpec"]

GIVEN = "arrays"
"""Name of data that a program gave, so that nobody else can find them again."""


class DataSpec(Entries):
    """Which data the network is trained on.

    Parameters
    ----------
    name
        Of a data set, see ``tssl data list``.
    path
        File or folder of data, in place of a name. In a recipe's file it is relative to that file.
    bin_us
        Events: microseconds of a time step; the data set's own when None.
    time, range, targets, size, time_unit, frames, bands, band_hz, spike_threshold, test_share,
    split_seed
        How data by path are read, see :class:`tssl.datasets.Reading`.
    """

    name: str | None = None
    path: Annotated[str, Field(min_length=1)] | None = None
    bin_us: Positive | None = None
    time: Annotated[bool, Field(strict=True)] | None = None
    range: tuple[Number, Number] | None = None
    targets: Literal["classes", "numbers"] | None = None
    size: PositivePair | None = None
    time_unit: Literal["us", "ms", "s"] | None = None
    frames: Literal["presence", "counts", "signed"] | None = None
    bands: Annotated[Positive, Field(le=1024)] | None = None
    band_hz: tuple[Above0, Above0] | None = None
    spike_threshold: Above0 | None = None
    test_share: Annotated[Number, Field(gt=0, lt=1)] | None = None
    split_seed: Seed | None = None

    @property
    def shown(self) -> str:
        """The name, or the path."""
        return self.name or self.path or ""

    @property
    def reading(self) -> Reading:
        """How data by path are read."""
        own = self.model_dump(exclude={"name", "path", "bin_us"}, exclude_none=True)
        return Reading(**own)

    @model_validator(mode="after")
    def _check_one(self) -> "DataSpec":
        if (self.name is None) == (self.path is None):
            raise ValueError("give either name, of a data set, or path, of a file or folder")
        if self.name not in (None, GIVEN):
            try:
                self.reading.only(f"named data sets, as {self.name},", ())
            except ConfigError as error:
                raise ValueError(str(error)) from error
        return self

    @model_validator(mode="after")
    def _check_ranges(self) -> "DataSpec":
        for key in ("range", "band_hz"):
            ends = getattr(self, key)
            if ends is not None and ends[0] >= ends[1]:
                raise ValueError(f"{key} = {list(ends)}: the second number must be larger")
        return self


class AugmentationSpec(Entries):
    """How training pictures are varied from epoch to epoch.

    Parameters
    ----------
    crop_padding
        Pictures are moved by up to so many pixels each way; black moves in.
    flip
        Whether every second picture is mirrored left to right.
    """

    crop_padding: Annotated[NonNegative, Field(le=64)] = 0
    flip: Annotated[bool, Field(strict=True)] = False
