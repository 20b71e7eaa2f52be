"""Prices of a profile from measured runs: rows for the fit, and figures from what it finds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from tssl.chip import ChipNetwork
from tssl.costs import Quantity
from tssl.errors import DataError
from tssl.hw_profiles.calibration.amounts import (
    Amounts,
    amounts_of,
    check_base,
)
from tssl.hw_profiles.calibration.fit import Fit, Rows, fit
from tssl.hw_profiles.calibration.log import Measured
from tssl.hw_profiles.calibration.times import figures_in, time_fit
from tssl.hw_profiles.cost.work import FloatArray
from tssl.hw_profiles.profile.figure import Figure
from tssl.hw_profiles.profile.tables import Profile
from tssl.results import OpCounts
from tssl.wording import several

__all__ = ["Learnt", "LearntPrice", "calibrated", "learn"]

FEWEST = 3
"""Runs; two numbers and no residual say nothing about how sure they are."""

_STATIC = "static_power_per_chip"
_FLOOR = 1e-9
"""Seconds of a barrier: a step takes time."""

How = Literal["fitted", "fitted with", "too small", "absent"]


@dataclass(frozen=True, kw_only=True)
class LearntPrice:
    """One price before and after.

    Parameters
    ----------
    key
        Of the profile: ``energy.synaptic_operation``.
    figure
        The fitted one; None where the base's stays.
    how
        "fitted"; "fitted with" those in ``others``, as these runs cannot tell them apart; "too
        small" to be seen in these runs; "absent" from them.
    """

    key: str
    base: Quantity
    figure: Figure | None
    how: How
    others: tuple[str, ...] = ()


class _Part(NamedTuple):
    section: str
    rows: Rows
    fit: Fit


@dataclass(frozen=True, kw_only=True, eq=False)
class Learnt:
    """What measured runs say about the prices of a profile.

    Parameters
    ----------
    joules, seconds
        Measured energy of a sample and time of a step, ``(runs,)``.
    energy, time
        Both fits; errors and conditions are there.
    """

    prices: tuple[LearntPrice, ...]
    joules: FloatArray
    seconds: FloatArray
    energy: Fit
    time: Fit


def learn(
    profile: Profile,
    runs: Sequence[tuple[Measured, ChipNetwork, OpCounts]],
    source: str,
) -> Learnt:
    """Fit the prices of a profile to measured runs.

    Parameters
    ----------
    runs
        What was measured, the network that ran, and its counts on the same input.
    source
        Where the runs are from, in words; it goes into every fitted figure.

    Raises
    ------
    ConfigError
        When the profile has no prices of this kind.
    DataError
        When there are too few runs.
    TargetError
        When a network does not fit the chip.
    """
    check_base(profile)
    if len(runs) < FEWEST:
        raise DataError(
            f"{source}: {several(len(runs), 'run')}; at least {FEWEST} are needed, better twice as "
            "many as prices, of networks that differ"
        )
    done = [amounts_of(profile, network, counts) for _, network, counts in runs]
    measured = [each for each, _, _ in runs]
    seconds = np.array([_seconds(*pair) for pair in zip(measured, done, strict=True)])
    energy = _energy_rows(profile, measured, done, seconds)
    parts = [
        _Part("energy", energy, fit(energy)),
        _Part("time", *time_fit(profile, done, seconds)),
    ]
    prices = [price for part in parts for price in _prices(profile, part, source)]
    first = np.unique(energy.runs, return_index=True)[1]
    return Learnt(
        prices=tuple(prices),
        joules=energy.measured[first],
        seconds=seconds,
        energy=parts[0].fit,
        time=parts[1].fit,
    )


def calibrated(profile: Profile, learnt: Learnt) -> Profile:
    """Return the profile with the fitted figures in the place of its own."""
    tables = profile.model_dump(by_alias=True, exclude_none=True)
    for price in learnt.prices:
        if price.figure is not None:
            section, key = price.key.split(".")
            tables[section][key] = price.figure.model_dump(exclude_none=True)
    return Profile.model_validate(tables)


def _seconds(measured: Measured, done: Amounts) -> float:
    """Return the mean time of a step."""
    if measured.seconds is not None:
        return measured.seconds
    assert measured.throughput is not None  # noqa: S101 - the log has one of both
    return 1.0 / (measured.throughput * done.interval)


def _energy_rows(
    profile: Profile, measured: Sequence[Measured], done: Sequence[Amounts], seconds: FloatArray
) -> Rows:
    """Return one row for the energy of each sample, and one for that at rest where it is known."""
    figures = figures_in(profile, "energy")
    used = {key for each in done for key in each.energy} | {_STATIC}
    names = tuple(key for key in figures if key in used)
    amounts, sums, runs = [], [], []
    for run, (each, sample, step) in enumerate(zip(measured, done, seconds, strict=True)):
        lasts = step * sample.interval
        chips = each.chips or sample.chips
        paid = {**sample.energy, _STATIC: chips * lasts}
        amounts.append([paid.get(key, 0.0) for key in names])
        sums.append(each.watts * lasts)
        runs.append(run)
        if each.static is not None and _STATIC in names:
            amounts.append([chips * lasts if key == _STATIC else 0.0 for key in names])
            sums.append(each.static * lasts)
            runs.append(run)
    start = np.array([figures[key].value for key in names])
    return Rows(names, start, np.array(amounts), np.array(sums), np.array(runs))


def _prices(profile: Profile, part: _Part, source: str) -> Iterator[LearntPrice]:
    """Yield what became of every price of a table that the runs could have told."""
    figures, found = figures_in(profile, part.section), part.fit
    names = [f"{part.section}.{name}" for name in part.rows.names]
    groups = {k: group for group in found.groups for k in group}
    for k, name in enumerate(part.rows.names):
        if name == "minimum_step":
            continue
        base = figures[name]
        others = tuple(names[other] for other in groups.get(k, ()) if other != k)
        how: How = "absent" if k in found.absent else "too small"
        if k in groups:
            how = "fitted with" if others else "fitted"
        figure = _figure(base, name, found, k, source) if k in groups else None
        yield LearntPrice(key=names[k], base=base.quantity, figure=figure, how=how, others=others)


def _figure(base: Figure, name: str, found: Fit, k: int, source: str) -> Figure:
    floor = _FLOOR if name.startswith("barrier") else 0.0
    value, low, high = (
        max(floor, float(each[k])) for each in (found.values, found.low, found.high)
    )
    text = f"fitted to {source}; 95 % interval"
    return Figure(value=value, unit=base.unit, kind="fitted", source=text, low=low, high=high)
