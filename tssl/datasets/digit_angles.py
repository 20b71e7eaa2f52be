"""By how much a digit is turned: numbers to be told, from what scikit-learn brings along."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tssl.datasets.dataset import Dataset, Description, Progress
from tssl.datasets.digits import DIGITS

__all__ = ["DIGIT_ANGLES", "DigitAngles"]

TURNS = 4
"""Of each digit."""
WIDEST = 45.0
"""Degrees, to either side."""
_SIDE = 16
_SEED = 0
_BYTE = 255


class DigitAngles:
    """The digits of :class:`tssl.datasets.digits.Digits`, each turned four times.

    Angles are drawn evenly from -45 to 45 degrees by a fixed seed, counter-clockwise ones being
    positive. A digit belongs to the split of the data set that it is from.
    """

    def describe(self, *, data_dir: Path | None, cache: Path | None) -> Description:
        """Return what the data set is; the folders play no part."""
        own = DIGITS.describe(data_dir=data_dir, cache=cache)
        return Description(
            name="digit-angles",
            title=f"Turned digits of UCI, {_SIDE} x {_SIDE}, and their angles in degrees",
            shape=(1, _SIDE, _SIDE),
            classes=0,
            full_scale=_BYTE,
            train=TURNS * own.train,
            test=TURNS * own.test,
            licence=own.licence,
            found=own.found,
            ready=own.ready,
            numbers=1,
        )

    def load(
        self, split: str, *, data_dir: Path | None, cache: Path | None, progress: Progress | None
    ) -> Dataset:
        """Return one split, the turns of a digit one after the other; the folders play no part.

        Raises
        ------
        DataError
            When scikit-learn is missing or brings other data.
        """
        own = DIGITS.load(split, data_dir=data_dir, cache=cache, progress=progress)
        rng = np.random.default_rng((_SEED, split == "test"))
        angles = rng.uniform(-WIDEST, WIDEST, (TURNS * len(own), 1))
        shown = np.asarray(own.inputs)[:, 0] * (_BYTE / own.full_scale)
        pictures = [
            _turned(picture, float(angle))
            for picture, angle in zip(shown.repeat(TURNS, axis=0), angles[:, 0], strict=True)
        ]
        return Dataset(
            name="digit-angles",
            split=split,
            inputs=np.stack(pictures)[:, None],
            labels=angles,
            classes=0,
            full_scale=_BYTE,
            source=f"{own.source}, turned",
        )


def _turned(picture: NDArray[np.float64], degrees: float) -> NDArray[np.uint8]:
    """Return a picture twice as large, turned about its centre, linearly between pixels."""
    larger = ndimage.zoom(picture, _SIDE / len(picture), order=1)
    turned = ndimage.rotate(larger, degrees, reshape=False, order=1)
    return np.rint(turned).clip(0, _BYTE).astype(np.uint8)


DIGIT_ANGLES = DigitAngles()
