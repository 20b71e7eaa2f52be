"""Frames that say how many events there were: graded spikes on the chip."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.datasets.events import Events, Frames

__all__ = ["MOST", "Counted", "counted"]

MOST = 15
"""Events of one kind in one place within a frame; more count as so many."""


class Counted(NamedTuple):
    """Frames of a recording."""

    frames: NDArray[np.uint8]
    """``(time, C, H, W)``; of signed counts with ``MOST`` for none."""
    cut: int
    """Places and frames that hold more events than can be counted."""


def counted(
    events: Events, frames: Frames, shape: tuple[int, int, int], *, signed: bool
) -> Counted:
    """Return how many events there were, by polarity or brighter less darker.

    Parameters
    ----------
    shape
        (polarities, height, width); all events must lie inside, and there are two polarities
        where counts are signed.
    """
    steps = events.time_us // frames.bin_us
    polarities, height, width = shape
    position = ((steps * polarities + events.polarity) * height + events.y) * width + events.x
    inside = position[steps < frames.time_steps]
    whole = (frames.time_steps, *shape)
    numbers = np.bincount(inside, minlength=int(np.prod(whole))).reshape(whole)
    if signed:
        numbers = numbers[:, 1:] - numbers[:, :1]
    cut = int((np.abs(numbers) > MOST).sum())
    numbers = numbers.clip(-MOST, MOST) + (MOST if signed else 0)
    return Counted(numbers.astype(np.uint8), cut)
