"""Fitting the times of a chip, of which only what takes longest shows in a step."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls
from scipy.special import stdtrit

from tssl.hw_profiles.calibration.amounts import SEND, Amounts, selected, timed_prices
from tssl.hw_profiles.calibration.fit import CONFIDENCE, Fit, Rows, fit
from tssl.hw_profiles.cost.work import FloatArray
from tssl.hw_profiles.profile.figure import Figure
from tssl.hw_profiles.profile.tables import Profile

__all__ = ["figures_in", "time_fit"]

_STARTS = ((1.0, 1.0), (8.0, 1.0), (1 / 8, 1.0), (1.0, 16.0), (1 / 8, 1 / 16), (8.0, 16.0))
"""Factors to the times of sending and of the barrier, from which the search starts."""
_ROUNDS = 50
_PULL = 1e-3
"""Towards the base while it is not settled what takes longest, for times in no step."""
_EXACT = 1e-6


class _Way(NamedTuple):
    """One way to say what each step spends its time with, and what it leaves unexplained."""

    residual: float
    number: int
    rows: Rows


def figures_in(profile: Profile, section: str) -> dict[str, Figure]:
    """Return the figures of a table by key."""
    return {key: each for key, each in getattr(profile, section) if isinstance(each, Figure)}


def time_fit(profile: Profile, done: Sequence[Amounts], seconds: FloatArray) -> tuple[Rows, Fit]:
    """Return rows and times that explain the measured steps best.

    Parameters
    ----------
    seconds
        Mean time of a step, ``(runs,)``.

    Notes
    -----
    The times decide what takes longest in each step, and that decides the times: both in turn,
    from several starts, until nothing changes. Where another way to divide the steps explains
    them as well (by an F test, 5 %), the bands hold the times of both; a time that does not show
    in the other way may then be anything down to 0.
    """
    figures, keys = figures_in(profile, "time"), timed_prices(profile, done)
    start = np.array([figures[key].value for key in keys])
    fixed = [keys.index("minimum_step")]

    def rows_for(times: FloatArray) -> Rows:
        amounts = np.array([selected(profile, each, keys, times) for each in done])
        return Rows(keys, start, amounts, seconds, np.arange(len(done)))

    sending = np.array([key in SEND for key in keys])
    barrier = np.array([key.startswith("barrier") for key in keys])
    ways: list[_Way] = []
    for send, wait in _STARTS:
        rows = rows_for(start * np.where(sending, send, np.where(barrier, wait, 1.0)))
        for _ in range(_ROUNDS):
            factors, residual = _pulled(rows, fixed)
            again = rows_for(start * factors)
            if np.array_equal(again.amounts, rows.amounts):
                ways.append(_Way(residual, len(ways), rows))
                break
            rows = again
        else:
            ways.append(_Way(residual, len(ways), rows))
    best = min(ways)
    found = fit(best.rows, fixed)
    allowed = _as_good(best, len(found.groups))
    for way in ways:
        if way.residual <= allowed and not np.array_equal(way.rows.amounts, best.rows.amounts):
            found = _widened(found, fit(way.rows, fixed))
    return best.rows, found


def _as_good(best: _Way, prices: int) -> float:
    """Return the residual up to which another way explains the steps as well."""
    freedom = len(best.rows.measured) - prices
    if freedom < 1:
        return np.inf
    more = stdtrit(freedom, 0.5 + CONFIDENCE / 2) ** 2 / freedom  # F of one more price
    return float(np.hypot(best.residual * np.sqrt(1 + more), _EXACT))


def _widened(found: Fit, other: Fit) -> Fit:
    """Return a fit whose bands hold those of another way too."""
    low, high = np.minimum(found.low, other.low), np.maximum(found.high, other.high)
    for k in (*other.held, *other.absent):
        low[k] = 0.0
    return replace(found, low=low, high=high)


def _pulled(rows: Rows, fixed: Sequence[int]) -> tuple[FloatArray, float]:
    """Return factors to the base, and how far they leave the measured steps unexplained."""
    free = [k for k in range(len(rows.names)) if k not in fixed]
    shares = rows.shares
    target = 1.0 - shares[:, list(fixed)].sum(axis=1)
    weight = _PULL * np.eye(len(free))
    factors = np.ones(len(rows.names))
    factors[free], _ = nnls(
        np.vstack([shares[:, free], weight]), np.append(target, weight.sum(axis=0))
    )
    return factors, float(np.linalg.norm(shares @ factors - 1.0))
