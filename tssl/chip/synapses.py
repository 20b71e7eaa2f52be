"""How Lava stores dense weights, and which of them survive that unchanged."""

import numpy as np

from tssl.chip.numbers import IntArray

_MIXED_MINIMUM, _MIXED_MAXIMUM = -256, 254
_ONE_SIGN_MAXIMUM = 255


def storage_problem(weight: IntArray) -> str | None:
    """Say what Lava would do to a dense weight matrix, or None when it keeps every weight.

    Notes
    -----
    lava-dl and lava-nc disagree about the sign of zero, and both about one-signed
    matrices; the rule is the exact predicate found by comparing with Lava's own helpers
    on 29,930 random matrices. Signed matrices are the safe ones: then every integer in
    -256...254 survives.
    """
    smallest, largest = int(weight.min(initial=0)), int(weight.max(initial=0))
    if smallest == largest == 0:
        return "is all zero, which Lava cannot load"
    if smallest < 0 < largest:
        if smallest < _MIXED_MINIMUM or largest > _MIXED_MAXIMUM:
            return f"spans {smallest}..{largest}; Lava clips it to -256..254"
        return None
    if largest > 0:
        if largest > _ONE_SIGN_MAXIMUM:
            return f"has no negative entry and reaches {largest}; above 255 Lava silences the layer"
        return None
    return _inhibitory_problem(weight, -smallest)


def stored_shift(weight: IntArray) -> int:
    """Return the left shift under which Lava keeps a dense weight matrix.

    Products with graded spikes are summed in 32 bits *before* the shift is undone.
    """
    smallest, largest = int(weight.min(initial=0)), int(weight.max(initial=0))
    if smallest < 0 < largest:
        return 1 + int(np.floor(np.log2(min(127 / largest, 128 / -smallest))))
    return max(0, int(np.floor(np.log2(255 / max(largest, -smallest, 1)))))


def _inhibitory_problem(weight: IntArray, magnitude: int) -> str | None:
    """Judge a matrix without a positive entry whose smallest is ``-magnitude``."""
    power_of_two = magnitude & (magnitude - 1) == 0
    if (weight < 0).all():
        kept = magnitude <= _ONE_SIGN_MAXIMUM and not power_of_two
    elif magnitude < 128:
        kept = not power_of_two
    else:
        kept = 128 < magnitude <= _ONE_SIGN_MAXIMUM and not (weight % 2).any()
    return None if kept else f"has no positive entry and reaches -{magnitude}; Lava alters it"
