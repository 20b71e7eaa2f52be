"""Which data a network is trained on, and how training pictures are varied."""

from typing import Annotated

from pydantic import Field

from tssl.settings import Entries, NonNegative, Positive

__all__ = ["AugmentationSpec", "DataSpec"]


class DataSpec(Entries):
    """Which data set the network is trained on.

    Parameters
    ----------
    name
        See ``tssl data list``.
    bin_us
        Events: microseconds of a time step; the data set's own when None.
    """

    name: str
    bin_us: Positive | None = None


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
