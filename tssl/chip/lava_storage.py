"""How Lava stores dense weights, and which of them survive that unchanged."""

from typing import NamedTuple

import numpy as np

from tssl.chip.numbers import IntArray

_MIXED_MINIMUM, _MIXED_MAXIMUM = -256, 254
_ONE_SIGN_MAXIMUM = 255


def storage_problem(weight: IntArray) -> str | None:
    """Say what Lava would do to a dense weight matrix, or None when it keeps every weight.

    Notes
    -----
    lava-dl and lava-nc disagree about the sign of zero, and both about one-signed
    matrices. Signed matrices are the safe ones: then every integer in -256...254 survives.
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
    if _altered(weight, _chosen(weight)):
        return f"has no positive entry and reaches {smallest}; Lava alters it"
    return None


def recurrent_storage_problem(weight: IntArray, own: IntArray) -> str | None:
    """Say what Lava would do to input and recurrent weights, or None when it keeps them all.

    Notes
    -----
    lava-dl looks at both matrices as one to choose shift and bits, lava-nc then clips and cuts
    each by its own sign. Both steps are followed here, and tested against Lava's helpers.
    """
    both = np.concatenate([weight.reshape(-1), own.reshape(-1)])
    if not both.any():
        return "the weights are all zero, which Lava cannot load"
    smallest, largest = int(both.min()), int(both.max())
    if smallest < 0 < largest and (smallest < _MIXED_MINIMUM or largest > _MIXED_MAXIMUM):
        return f"the weights span {smallest}..{largest}; Lava clips them to -256..254"
    choice = _chosen(both)
    for name, half in (("input", weight), ("recurrent", own)):
        altered = _altered(half, choice)
        if altered:
            return (
                f"Lava would alter {altered} of the {half.size} {name} weights; it keeps all "
                "where both matrices have positive and negative entries in -256..254"
            )
    return None


class _Choice(NamedTuple):
    """What lava-dl settles for a matrix: its left shift, and how many low bits are cut."""

    shift: int
    cut: int
    """For one sign; with both signs one more is cut."""


def _chosen(weight: IntArray) -> _Choice:
    smallest, largest = int(weight.min()), int(weight.max())
    is_signed = smallest < 0 <= largest
    if is_signed:
        scale = min(127 / largest if largest else np.inf, 128 / -smallest)
    else:
        scale = 256 / -smallest if smallest < 0 else 255 / largest
    shift = int(np.floor(np.log2(scale))) + is_signed
    common = int(np.gcd.reduce(weight.reshape(-1)))  # its low bits are never needed
    even = min(8, (common & -common).bit_length() - 1)
    return _Choice(shift, shift + even - is_signed)


def _altered(weight: IntArray, choice: _Choice) -> int:
    """Return how many weights lava-nc would keep as others, given what lava-dl has chosen."""
    if choice.shift < 0:
        return int(np.count_nonzero(weight))
    shifted = weight << choice.shift
    has_both = bool(shifted.min() < 0 < shifted.max())
    sign = -1 if shifted.min() < 0 and not has_both else 1
    kept = np.clip(sign * shifted, -256 if has_both else 0, 255)
    cut = choice.cut + has_both
    kept = sign * (kept >> cut << cut) if cut >= 0 else 0 * kept
    return int(np.count_nonzero(kept != shifted))


def stored_shift(weight: IntArray) -> int:
    """Return the left shift under which Lava keeps a dense weight matrix.

    Products with graded spikes are summed in 32 bits *before* the shift is undone.
    """
    smallest, largest = int(weight.min(initial=0)), int(weight.max(initial=0))
    if smallest < 0 < largest:
        return 1 + int(np.floor(np.log2(min(127 / largest, 128 / -smallest))))
    return max(0, int(np.floor(np.log2(255 / max(largest, -smallest, 1)))))
