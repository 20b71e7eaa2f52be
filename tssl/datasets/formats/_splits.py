"""Labels as numbers, and a test split for those who have none."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tssl.datasets.reading import Reading
from tssl.errors import UnusedSettingError

__all__ = ["SPLIT_KEYS", "check_unused", "held_out"]

SPLIT_KEYS = ("test_share", "split_seed")
_SHARE, _SEED = 0.2, 0


def check_unused(reading: Reading, who: object) -> None:
    """Refuse settings that draw a test split, of data that have one.

    Raises
    ------
    UnusedSettingError
        When one is given.
    """
    for key in SPLIT_KEYS:
        if getattr(reading, key) is not None:
            raise UnusedSettingError(f"data.{key}: {who} has a test split; leave it out", key)


def held_out(labels: NDArray[Any], reading: Reading) -> tuple[NDArray[np.bool_], str]:
    """Return which samples are held out for testing, and a sentence that says so.

    Of every class the same share is drawn, at least one sample where there are two; of samples with
    numbers, the share of all.
    """
    share = _SHARE if reading.test_share is None else reading.test_share
    seed = _SEED if reading.split_seed is None else reading.split_seed
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), np.bool_)
    groups, whose = labels, "each class"
    if labels.ndim == 2:
        groups, whose = np.zeros(len(labels), np.int64), "all"
    for label in np.unique(groups):
        members = np.flatnonzero(groups == label)
        number = min(max(1, round(share * len(members))), len(members) - 1)
        chosen[rng.permutation(members)[:number]] = True
    said = (
        f"no test split is there: {chosen.sum()} of {len(labels)} samples, {share:g} of {whose}, "
        f"are held out for it, drawn with data.split_seed = {seed}"
    )
    return chosen, said
