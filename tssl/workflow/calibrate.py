"""Fit the prices of a profile to runs that were measured on a board."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from tssl.chip import ChipNetwork
from tssl.errors import ConfigError, DataError
from tssl.hw_profiles import Profile, load_profile
from tssl.hw_profiles.calibration.amounts import check_base
from tssl.hw_profiles.calibration.learn import Learnt, LearntPrice, calibrated, learn
from tssl.hw_profiles.calibration.log import Measured, read_log
from tssl.machine.files import write_text
from tssl.results import OpCounts
from tssl.tables import Shown, Table
from tssl.workflow.run import load_result

__all__ = ["Calibration", "calibrate"]

_SHORT = 8
_HOW = {
    "fitted": "fitted",
    "too small": "kept: too small to be seen in these runs",
    "absent": "kept: in none of these runs",
}
_COMMENT = """\
# Written by `tssl profiles calibrate`: the profile {base} with the prices that {runs} measured runs
# determine ({logs}). Figures of kind "fitted" are new, their bands are intervals of 95 %.

"""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Calibration(Shown):
    """A profile whose prices were fitted to measured runs.

    Parameters
    ----------
    path
        The profile's file.
    base
        Name of the profile that it started from.
    logs
        What was read.
    results
        Folders of the results, one per run.
    learnt
        Prices, and how well the runs are explained.
    """

    path: Path
    base: str
    logs: tuple[Path, ...]
    results: tuple[Path, ...]
    learnt: Learnt

    @property
    def fitted(self) -> tuple[LearntPrice, ...]:
        """The prices that the runs gave."""
        return tuple(price for price in self.learnt.prices if price.figure is not None)

    @property
    def headline(self) -> str:
        """How many prices are new, and how far off a run is that was left out."""
        off = [_mean(each.left_out) for each in (self.learnt.energy, self.learnt.time)]
        return (
            f"{self.path}: {len(self.fitted)} of {len(self.learnt.prices)} prices fitted to "
            f"{len(self.results)} runs; a run left out is off by {off[0]} (energy), {off[1]} (time)"
        )

    def tables(self) -> list[Table]:
        """Return the prices, and the runs."""
        return [self._prices(), self._runs()]

    def _prices(self) -> Table:
        rows = []
        for price in self.learnt.prices:
            figure, base = price.figure, price.base
            new = ["", ""]
            if figure is not None:
                band = figure.quantity
                new = [f"{figure.value:.4g}", f"{band.low:.4g} to {band.high:.4g}"]
            rows.append([price.key, base.unit, f"{base.value:.4g}", *new, _said(price)])
        columns = ["price", "unit", self.base, "fitted", "95 % interval", "how"]
        conditions = [f"{each.condition:.3g}" for each in (self.learnt.energy, self.learnt.time)]
        title = f"Prices; condition number {conditions[0]} (energy), {conditions[1]} (time)"
        return Table(title, columns, rows)

    def _runs(self) -> Table:
        learnt = self.learnt
        rows = [
            [str(folder), f"{joules:.4g} J", _percent(fits[0]), _percent(fits[1]),
             f"{seconds:.4g} s", _percent(fits[2]), _percent(fits[3])]
            for folder, joules, seconds, *fits in zip(
                self.results, learnt.joules, learnt.seconds, learnt.energy.errors,
                learnt.energy.left_out, learnt.time.errors, learnt.time.left_out, strict=True)
        ]  # fmt: skip
        columns = ["run", "energy per sample", "fit", "left out", "time per step", "fit",
                   "left out"]  # fmt: skip
        return Table("Runs: error of the fit, and of a fit without the run", columns, rows)

    def document(self) -> dict[str, Any]:
        """Return the calibration as JSON data."""
        learnt = self.learnt
        return {
            "schema_version": 1,
            "path": str(self.path),
            "base": self.base,
            "logs": [str(path) for path in self.logs],
            "prices": [
                {
                    "key": price.key,
                    "base": asdict(price.base),
                    "fitted": None if price.figure is None else asdict(price.figure.quantity),
                    "how": price.how,
                    "with": list(price.others),
                }
                for price in learnt.prices
            ],
            "runs": [
                {
                    "result": str(folder),
                    "joules_per_sample": float(learnt.joules[run]),
                    "seconds_per_step": float(learnt.seconds[run]),
                    "energy_error": float(learnt.energy.errors[run]),
                    "energy_error_left_out": _finite(learnt.energy.left_out[run]),
                    "time_error": float(learnt.time.errors[run]),
                    "time_error_left_out": _finite(learnt.time.left_out[run]),
                }
                for run, folder in enumerate(self.results)
            ],
            "condition": {
                "energy": _finite(learnt.energy.condition),
                "time": _finite(learnt.time.condition),
            },
        }


def calibrate(logs: Sequence[Path], base: str, out: Path) -> Calibration:
    """Fit the prices of a profile to the runs of logs, and write the profile that comes out.

    Parameters
    ----------
    logs
        See ``docs/calibration.md``; results are looked for beside each log.
    base
        Name or path of the profile whose prices are fitted; all else is taken from it.
    out
        A ``.toml`` file.

    Raises
    ------
    ConfigError
        When the base is no profile with such prices, or ``out`` no name of one.
    DataError
        When a log is wrong, is of another network, or has too few runs.
    TargetError
        When a network does not fit the chip.
    OutputError
        When the profile cannot be written.
    """
    if out.suffix != ".toml":
        raise ConfigError(f"-o {out}: a profile is a .toml file; choose such a name")
    if not logs:
        raise ConfigError("LOG is missing: give one log or more")
    profile = load_profile(base)
    check_base(profile)
    measured = [each for path in logs for each in read_log(path)]
    runs = [(each, *_ran(each)) for each in measured]
    names = ", ".join(path.name for path in logs)
    learnt = learn(profile, runs, f"{names} ({len(runs)} runs, from {profile.name})")
    made = Calibration(
        path=out,
        base=profile.name,
        logs=tuple(logs),
        results=tuple(each.result for each in measured),
        learnt=learnt,
    )
    comment = _COMMENT.format(base=profile.name, runs=len(runs), logs=" ".join(names.split()))
    write_text(out, comment + _toml(calibrated(profile, learnt)))
    return made


def _toml(profile: Profile) -> str:
    return tomli_w.dumps(profile.model_dump(mode="json", by_alias=True, exclude_none=True))


def _ran(measured: Measured) -> tuple[ChipNetwork, OpCounts]:
    """Return the network of a run and what it does on its input.

    Raises
    ------
    DataError
        When the result is none, or of another network than was on the board.
    """
    try:
        result, network, _ = load_result(measured.result)
    except DataError as error:
        raise DataError(f"{measured.where}: {error}") from error
    if result.digest != measured.digest:
        raise DataError(
            f"{measured.where}: network {measured.digest[:_SHORT]!r}... was on the board, but "
            f"{measured.result} is a result of {result.digest[:_SHORT]!r}...; name the result of "
            "the same network (`tssl run`)"
        )
    return network, result.counts


def _said(price: LearntPrice) -> str:
    if price.how == "fitted with":
        return f"one factor with {', '.join(price.others)}: the runs cannot tell them apart"
    return _HOW[price.how]


def _percent(error: float) -> str:
    return f"{error:+.1%}" if np.isfinite(error) else "not determined"


def _mean(errors: Any) -> str:  # noqa: ANN401 - an array of floats
    known = np.abs(errors[np.isfinite(errors)])
    return f"{known.mean():.1%}" if len(known) else "an unknown amount"


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
