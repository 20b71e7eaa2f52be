"""What a sweep has brought so far, on its own: nothing here trains."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tssl.machine.files import write_text
from tssl.sweeps import (
    Combination,
    Count,
    Point,
    Study,
    SweepSpec,
    check_installed,
    combinations,
)
from tssl.tables import Shown, Table
from tssl.wording import several
from tssl.workflow.sweep_tables import (
    accuracy_first,
    csv_of,
    document_of,
    front_table,
    page_of,
    refused_table,
    table_of,
)

__all__ = ["SweepOutcome", "load_sweep", "outcome_of", "write_csv", "write_page"]


@dataclass(frozen=True, kw_only=True, repr=False)
class SweepOutcome(Shown):
    """What a sweep has brought so far.

    Parameters
    ----------
    directory
        Folder of the sweep.
    points
        One for each training and export, see :class:`tssl.sweeps.Point`.
    combinations
        The same, joined over seeds.
    problems
        Why trials failed, by number.
    """

    directory: Path
    spec: SweepSpec
    count: Count
    points: tuple[Point, ...]
    combinations: tuple[Combination, ...]
    problems: Mapping[int, str]

    @property
    def finished(self) -> bool:
        """Whether all trials are done, failed or pruned."""
        return self.count.is_finished

    @property
    def front(self) -> tuple[Combination, ...]:
        """Those that no other beats in accuracy and energy, the most accurate first."""
        best = [each for each in self.combinations if each.on_front]
        return tuple(sorted(best, key=accuracy_first))

    @property
    def headline(self) -> str:
        """How far it is, and how many combinations are worth a look."""
        count = self.count
        text = f"{self.directory}: {count.finished} of {count.total} trials"
        extra = [
            f"{number} {what}"
            for number, what in ((count.pruned, "pruned"), (count.failed, "failed"))
            if number
        ]
        shown = f" ({', '.join(extra)})" if extra else ""
        return (
            f"{text}{shown}, {several(len(self.combinations), 'combination')}, "
            f"{len(self.front)} on the Pareto front"
        )

    def tables(self) -> list[Table]:
        """Return all combinations, those on the front, and why some have no figures."""
        found = [table_of(self.spec, self.combinations), front_table(self.spec, self.front)]
        refused = refused_table(self.points, self.problems)
        return [*found, *([] if refused is None else [refused])]

    def document(self) -> dict[str, Any]:
        """Return the outcome as JSON data."""
        return {
            "schema_version": 1,
            "directory": str(self.directory),
            "recipe": self.spec.source,
            "finished": self.finished,
            "trials": vars(self.count),
            **document_of(self.spec, self.combinations),
            "failed": [{"trial": number, "reason": why} for number, why in self.problems.items()],
        }


def load_sweep(folder: Path) -> SweepOutcome:
    """Return what a sweep has brought so far.

    Raises
    ------
    ConfigError, DataError
        When there is none, or it is damaged.
    BackendUnavailableError
        When Optuna is not installed.
    """
    check_installed()
    spec, _ = SweepSpec.load(folder)
    return outcome_of(folder, spec, Study(folder, spec))


def write_csv(outcome: SweepOutcome, path: Path) -> None:
    """Write one line for each combination."""
    write_text(path, csv_of(outcome.spec, outcome.combinations))


def write_page(outcome: SweepOutcome, path: Path) -> None:
    """Write one self-contained page with the plot and the commands of every point."""
    from tssl.reporting.sweep import render_sweep  # loads matplotlib

    write_text(path, render_sweep(page_of(outcome.spec, outcome.combinations, outcome.headline)))


def outcome_of(folder: Path, spec: SweepSpec, study: Study) -> SweepOutcome:
    """Return what a study has brought so far."""
    points = study.points()
    return SweepOutcome(
        directory=folder,
        spec=spec,
        count=study.count(),
        points=tuple(points),
        combinations=tuple(combinations(points)),
        problems=study.problems(),
    )
