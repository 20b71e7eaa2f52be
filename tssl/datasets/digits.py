"""The 8 x 8 digits that scikit-learn brings along: always there, small, quick to train."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tssl.datasets.dataset import Dataset, Description, Progress
from tssl.errors import DataError

SAMPLES = 1797
TRAIN_SAMPLES = 1437
"""The first 80 % in file order: writers of the two parts overlap little, and no seed is needed."""


class Digits:
    """Optical recognition of handwritten digits, the test part of the UCI data set."""

    def describe(self, *, data_dir: Path | None, cache: Path | None) -> Description:
        """Return what the data set is; the folders play no part."""
        ready = find_spec("sklearn") is not None
        return Description(
            name="digits",
            title="Handwritten digits of UCI, 8 x 8",
            shape=(1, 8, 8),
            classes=10,
            full_scale=16,
            train=TRAIN_SAMPLES,
            test=SAMPLES - TRAIN_SAMPLES,
            licence="CC BY 4.0 (UCI); shipped with scikit-learn (BSD-3-Clause)",
            found="bundled with scikit-learn" if ready else "needs scikit-learn, not installed",
            ready=ready,
        )

    def load(
        self, split: str, *, data_dir: Path | None, cache: Path | None, progress: Progress | None
    ) -> Dataset:
        """Return one split, in file order; the folders play no part.

        Raises
        ------
        DataError
            When scikit-learn is missing or brings other data.
        """
        found = find_spec("sklearn")
        if found is None or found.origin is None:
            raise DataError("data set digits: scikit-learn is not installed; install scikit-learn")
        rows = _rows(Path(found.origin).with_name("datasets") / "data" / "digits.csv.gz")
        part = slice(TRAIN_SAMPLES) if split == "train" else slice(TRAIN_SAMPLES, None)
        return Dataset(
            name="digits",
            split=split,
            inputs=rows[part, :-1].astype(np.uint8).reshape(-1, 1, 8, 8),
            labels=rows[part, -1].astype(np.int64),
            classes=10,
            full_scale=16,
            source="scikit-learn, load_digits",
        )


def _rows(path: Path) -> NDArray[np.float64]:
    """Return the pixels of every digit and its label; importing scikit-learn takes a second.

    Raises
    ------
    DataError
        When the file is another one.
    """
    try:
        rows = np.loadtxt(path, delimiter=",")
    except (OSError, ValueError) as error:
        raise DataError(
            f"data set digits: {path} of scikit-learn cannot be read ({error}); "
            "install another version of scikit-learn"
        ) from error
    if rows.shape != (SAMPLES, 8 * 8 + 1):
        raise DataError(
            f"data set digits: {path} of scikit-learn has rows of shape {rows.shape}; "
            f"expected ({SAMPLES}, 65); install another version of scikit-learn"
        )
    return rows


DIGITS = Digits()
