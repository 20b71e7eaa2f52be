"""Non-negative least squares that says what the runs can tell, and what they cannot."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.special import stdtrit

__all__ = ["Fit", "Rows", "fit", "solved"]

FloatArray = NDArray[np.float64]
CONFIDENCE = 0.95
_FARTHEST = 4.0
"""Bases of whom nobody measured a price have bands of a factor 2.5; more would be noise."""
_SINGULAR = 1e10
"""Condition number from which on a system of equations says nothing in double precision."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Measured sums, and how often each price is in them.

    Parameters
    ----------
    names
        Of the prices.
    start
        What the base profile says, ``(prices,)``, all above 0.
    amounts
        ``(rows, prices)``.
    measured
        ``(rows,)``, above 0.
    runs
        Which run a row is of, ``(rows,)``. The first row of a run is the one that is predicted.
    """

    names: tuple[str, ...]
    start: FloatArray
    amounts: FloatArray
    measured: FloatArray
    runs: NDArray[np.int64]

    @property
    def shares(self) -> FloatArray:
        """What each price of the base explains of each measured sum, ``(rows, prices)``."""
        return np.asarray(self.amounts * self.start / self.measured[:, None])


@dataclass(frozen=True, eq=False)
class Fit:
    """Prices and how well the runs know them.

    Parameters
    ----------
    groups
        Indices of prices that were fitted as one, by a common factor to the base; those of a
        group of several cannot be told apart by these runs.
    held
        Of prices that are in the runs but too small to be seen; as in the base.
    absent
        Of prices that are in none of the runs.
    factors, halves
        Of each group to the base, and half the width of the interval of 95 %.
    values, low, high
        Of every price.
    condition
        Of the prices in the runs, each column at length one; infinite where two are parallel.
    errors, left_out
        Of each run: predicted over measured less 1; by prices fitted with it and without it. The
        latter is not a number where the other runs do not determine the prices.
    """

    groups: tuple[tuple[int, ...], ...]
    held: tuple[int, ...]
    absent: tuple[int, ...]
    factors: FloatArray
    halves: FloatArray
    values: FloatArray
    low: FloatArray
    high: FloatArray
    condition: float
    errors: FloatArray
    left_out: FloatArray


def fit(rows: Rows, fixed: Sequence[int] = ()) -> Fit:
    r"""Return the prices that explain the measured sums best, none below 0.

    .. math::
        \min_{x \ge 0} \sum_i \Big(\frac{\sum_k A_{ik} b_k x_k}{m_i} - 1\Big)^2

    over the factors :math:`x` to the prices :math:`b` of the base: relative errors count alike.

    Parameters
    ----------
    fixed
        Prices that stay as in the base.

    Notes
    -----
    Intervals are Student's for the residuals of the fit. The runs do not determine a price when
    half its interval is more than itself (but no less than the base's price, and no more than 4
    times that): when it would be so even if all others were known, it is held at the base;
    otherwise it is joined with the price whose amounts go along with its own most closely, and
    both get one factor. The price that is known least goes first, until none is left.
    """
    shares = rows.shares
    fixed = tuple(fixed)
    absent = [k for k in range(shares.shape[1]) if not shares[:, k].any()]
    seen = [k for k in range(shares.shape[1]) if k not in (*absent, *fixed)]
    condition = _condition(shares[:, seen])
    groups: list[tuple[int, ...]] = [(k,) for k in seen]
    held = list(fixed)
    while groups:
        columns, target = _system(shares, groups, held)
        factors, halves, alone = solved(columns, target)
        reach = np.clip(factors, 1.0, _FARTHEST)
        worst = _worst(columns, halves / reach, alone / reach)
        if halves[worst] <= reach[worst]:
            break
        if alone[worst] > reach[worst]:
            held += groups.pop(worst)
        elif len(groups) == 1:
            break
        else:
            groups = _joined(groups, columns, worst)
    if not groups:
        factors, halves = np.zeros(0), np.zeros(0)
    return _filled(rows, groups, held, absent, factors, halves, condition)


def solved(columns: FloatArray, target: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return factors, half widths of their intervals, and of each alone if all others were known.

    Without a residual to judge by, or where two columns are parallel, the intervals are infinite.
    """
    factors, residual = nnls(columns, target)
    freedom = len(target) - columns.shape[1]
    endless = np.full(columns.shape[1], np.inf)
    lengths = np.linalg.norm(columns, axis=0)
    if freedom < 1:
        return factors, endless, np.zeros(columns.shape[1])
    wide = stdtrit(freedom, 0.5 + CONFIDENCE / 2) * residual / np.sqrt(freedom)
    alone = wide / lengths
    if _condition(columns) > _SINGULAR:
        return factors, endless, alone
    unit = columns / lengths
    halves = wide * np.sqrt(np.diag(np.linalg.inv(unit.T @ unit))) / lengths
    return factors, halves, alone


def _condition(columns: FloatArray) -> float:
    if not columns.shape[1]:
        return 1.0
    if len(columns) < columns.shape[1]:
        return np.inf
    return float(np.linalg.cond(columns / np.linalg.norm(columns, axis=0)))


def _system(
    shares: FloatArray, groups: Sequence[tuple[int, ...]], held: Sequence[int]
) -> tuple[FloatArray, FloatArray]:
    columns = np.stack([shares[:, list(group)].sum(axis=1) for group in groups], axis=1)
    return columns, 1.0 - shares[:, list(held)].sum(axis=1)


def _worst(columns: FloatArray, halves: FloatArray, alone: FloatArray) -> int:
    """Return the group that is known least: where all are unknown, one of the most alike."""
    if np.isfinite(halves).all():
        return int(np.argmax(halves))
    if alone.max() > 1.0 or columns.shape[1] == 1:
        return int(np.argmax(alone))
    unit = columns / np.linalg.norm(columns, axis=0)
    likeness = unit.T @ unit - 2.0 * np.eye(columns.shape[1])
    return int(np.argmax(likeness.max(axis=0)))


def _joined(
    groups: list[tuple[int, ...]], columns: FloatArray, worst: int
) -> list[tuple[int, ...]]:
    """Join a group with the one whose column is most parallel."""
    unit = columns / np.linalg.norm(columns, axis=0)
    likeness = unit.T @ unit[:, worst]
    likeness[worst] = -1.0
    other = int(np.argmax(likeness))
    both = tuple(sorted((*groups[worst], *groups[other])))
    return [*(group for k, group in enumerate(groups) if k not in (worst, other)), both]


def _filled(
    rows: Rows,
    groups: Sequence[tuple[int, ...]],
    held: Sequence[int],
    absent: Sequence[int],
    factors: FloatArray,
    halves: FloatArray,
    condition: float,
) -> Fit:
    """Spread the factors of the groups over the prices, and look back at the runs."""
    shares = rows.shares
    value, low, high = np.ones((3, len(rows.start)))
    for group, factor, half in zip(groups, factors, halves, strict=True):
        together = shares[:, list(group)].sum()
        for k in group:
            value[k] = factor
            low[k] = max(0.0, factor - half) if len(group) == 1 else 0.0
            high[k] = (factor + half) * together / shares[:, k].sum()
    first = np.unique(rows.runs, return_index=True)[1]
    left_out = [_without(rows, groups, held, rows.runs[row], row) for row in first]
    return Fit(
        groups=tuple(groups),
        held=tuple(held),
        absent=tuple(absent),
        factors=factors,
        halves=halves,
        values=value * rows.start,
        low=low * rows.start,
        high=high * rows.start,
        condition=condition,
        errors=(shares @ value - 1.0)[first],
        left_out=np.array(left_out),
    )


def _without(
    rows: Rows, groups: Sequence[tuple[int, ...]], held: Sequence[int], run: int, row: int
) -> float:
    """Return the error of a run that is predicted from the others."""
    if not groups:
        return float(rows.shares[row].sum() - 1.0)
    columns, target = _system(rows.shares, groups, held)
    others = rows.runs != run
    if np.linalg.matrix_rank(columns[others]) < len(groups):
        return float("nan")
    factors, _ = nnls(columns[others], target[others])
    return float(columns[row] @ factors - target[row])
