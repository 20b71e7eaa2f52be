"""What a sweep has brought, as tables, as JSON data and as lines of a CSV file."""

import csv
import io
import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from tssl.reporting import SweepEntry, SweepPage
from tssl.reporting.units import amount, number, spread
from tssl.sweeps import FIGURES, Combination, Point, Spread, SweepSpec, bits_of
from tssl.tables import Table

__all__ = [
    "BACKEND",
    "accuracy_first",
    "commands_of",
    "csv_of",
    "document_of",
    "front_table",
    "judged_by",
    "page_of",
    "refused_table",
    "table_of",
]

BACKEND = "engine"
"""On which the points of a sweep run."""

_MISSING = "-"
_UNITS = {"energy": "J", "latency": "s"}
_COLUMNS = ("held-out", "float", "chip", "energy", "band", "latency", "cores", "spikes")
_SAID = {
    "held_out_accuracy": "chip accuracy on held-out samples",
    "chip_accuracy": "chip accuracy",
}
_ACCURACIES = {
    "held-out": "held_out_accuracy",
    "float": "float_accuracy",
    "chip": "chip_accuracy",
}


def table_of(spec: SweepSpec, combinations: Sequence[Combination]) -> Table:
    """Return one row for each combination; a star marks those on the front."""
    seeds = len(spec.seeds)
    title = "Combinations" if seeds == 1 else f"Combinations, mean ± standard deviation of {seeds}"
    columns = ["", *_keys(spec), "seeds", *_columns(spec)]
    return Table(title, columns, [_row(spec, each) for each in combinations])


def front_table(spec: SweepSpec, front: Sequence[Combination]) -> Table:
    """Return the combinations on the front, the most accurate first."""
    title = f"Pareto front: {_SAID[judged_by(front)]} against energy per inference"
    columns = ["", *_keys(spec), "seeds", *_columns(spec)]
    return Table(title, columns, [_row(spec, each) for each in front])


def refused_table(points: Sequence[Point], problems: Mapping[int, str]) -> Table | None:
    """Return why points have no figures and trials failed; None when there are none."""
    reasons: dict[str, list[str]] = {}
    for point in points:
        if point.refused:
            reasons.setdefault(point.refused, []).append(f"{point.run} on {point.target}")
    for trial, why in problems.items():
        if why not in reasons:  # a trial may have failed with its points
            reasons[why] = [f"trial {trial}"]
    rows = [
        [names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more", why]
        for why, names in reasons.items()
    ]
    return Table("Without figures", ["what", "why"], rows) if rows else None


def accuracy_first(each: Combination) -> float:
    """Return what sorts combinations: the most accurate come first."""
    return 0.0 if each.accuracy is None else -each.figures[each.accuracy].mean


def judged_by(combinations: Sequence[Combination]) -> str:
    """Return the figure that the accuracy of combinations is judged by."""
    found = [each.accuracy for each in combinations if each.accuracy is not None]
    return found[0] if found else "chip_accuracy"


def _figures(spec: SweepSpec, combination: Combination) -> dict[str, str]:
    """Return the figures of a combination as people read them, by column."""
    figures = combination.figures
    cells = {column: _percent(figures.get(name)) for column, name in _ACCURACIES.items()}
    cells |= {name: _amount(figures.get(name), _UNITS[name]) for name in ("energy", "latency")}
    low, high = figures.get("energy_low"), figures.get("energy_high")
    cells["band"] = _MISSING
    if low is not None and high is not None:
        cells["band"] = f"{amount(low.mean, 'J')} to {amount(high.mean, 'J')}"
    cells |= {name: _count(figures.get(name)) for name in ("cores", "spikes")}
    return {column: cells[column] for column in _columns(spec)}


def _columns(spec: SweepSpec) -> tuple[str, ...]:
    """Return the names of the figures; only a search looks at held-out samples."""
    return _COLUMNS if spec.optimize else _COLUMNS[1:]


def document_of(spec: SweepSpec, combinations: Sequence[Combination]) -> dict[str, Any]:
    """Return all combinations with their points and commands, as JSON data."""
    return {
        "over": {key: space.model_dump(mode="json") for key, space in spec.over.items()},
        "seeds": list(spec.seeds),
        "optimize": list(spec.optimize),
        "samples": spec.samples,
        "combinations": [
            {
                "settings": dict(each.settings),
                "target": each.target,
                "on_front": each.on_front,
                "figures": {name: figure._asdict() for name, figure in each.figures.items()},
                "points": [
                    {**point.document(), "commands": commands_of(spec, point)}
                    for point in (*each.points, *each.refused)
                ],
            }
            for each in combinations
        ],
    }


def csv_of(spec: SweepSpec, combinations: Sequence[Combination]) -> str:
    """Return one line for each combination: mean and standard deviation of every figure."""
    keys = list(spec.over)
    names = [name for name in FIGURES if any(name in each.figures for each in combinations)]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    columns = [column for name in names for column in (name, f"{name}_sd")]
    extra = [] if "target" in keys else ["target"]
    writer.writerow([*keys, *extra, "seeds", "samples", "on_front", *columns])
    for each in combinations:
        figures = [value for name in names for value in each.figures.get(name, (None, None))]
        chosen = [_plain(each.settings[key]) for key in keys]
        samples = each.points[0].samples if each.points else 0
        own = [each.target] if extra else []
        seeds = len(each.points)
        writer.writerow([*chosen, *own, seeds, samples, int(each.on_front), *figures])
    return buffer.getvalue()


def page_of(spec: SweepSpec, combinations: Sequence[Combination], headline: str) -> SweepPage:
    """Return what the page of a sweep shows."""
    keys = _keys(spec)
    found = [each for each in combinations if each.points]
    ordered = sorted(found, key=lambda each: (not each.on_front, accuracy_first(each)))
    return SweepPage(
        title=spec.source,
        headline=headline,
        accuracy=judged_by(combinations),
        keys=keys,
        entries=[
            SweepEntry(
                number=place,
                chosen=[str(_cell(each.settings[key])) for key in spec.over],
                figures=_figures(spec, each),
                spreads=each.figures,
                seeds=each.seeds,
                on_front=each.on_front,
                commands=commands_of(spec, each.points[0]),
            )
            for place, each in enumerate(ordered, start=1)
        ],
    )


def commands_of(spec: SweepSpec, point: Point) -> list[str]:
    """Return the commands that make a point again, one by one, outside of the sweep."""
    trained = {**spec.settings, **{k: v for k, v in point.settings.items() if k in spec.of_recipe}}
    sets = [f"--set {shlex.quote(f'{key}={_typed(value)}')}" for key, value in trained.items()]
    bits = [
        f"--weight-bits {shlex.quote(f'{layer}={count}' if layer else str(count))}"
        for layer, count in bits_of(point.settings).items()
    ]
    data = [] if spec.data is None else [f"--data {shlex.quote(spec.data)}"]
    target, net = shlex.quote(point.target), "point/point.net"
    return [
        " ".join(["tssl train", shlex.quote(spec.source), *data, *sets, f"--seed {point.seed}",
                  "--out point"]),
        " ".join([f"tssl export point --target {target}", *bits, f"--samples {spec.samples}",
                  f"--no-lava -o {net}"]),
        f"tssl run {net} --backend {BACKEND} --samples {spec.samples} --out point/result",
        f"tssl report point/result --profile {target}",
    ]  # fmt: skip


def _typed(value: object) -> str:
    """Return a value as ``--set`` reads it."""
    return value if isinstance(value, str) else json.dumps(value)


def _keys(spec: SweepSpec) -> list[str]:
    """Return the keys as columns are called: their last part where no other has the same."""
    last = [key.rpartition(".")[2] for key in spec.over]
    return [
        short if last.count(short) == 1 else key for key, short in zip(spec.over, last, strict=True)
    ]


def _row(spec: SweepSpec, each: Combination) -> list[object]:
    chosen = [_cell(each.settings[key]) for key in spec.over]
    star = "*" if each.on_front else ""
    return [star, *chosen, len(each.points), *_figures(spec, each).values()]


def _cell(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else _plain(value)


def _plain(value: object) -> object:
    return value if isinstance(value, int | float | str) else json.dumps(value)


def _percent(figure: Spread | None) -> str:
    if figure is None:
        return _MISSING
    if figure.deviation is None:
        return f"{figure.mean:.2%}"
    return f"{100 * figure.mean:.2f} ± {100 * figure.deviation:.2f} %"


def _amount(figure: Spread | None, unit: str) -> str:
    if figure is None:
        return _MISSING
    if figure.deviation is not None:
        return spread(figure.mean, figure.deviation, unit)
    return amount(figure.mean, unit)


def _count(figure: Spread | None) -> str:
    if figure is None:
        return _MISSING
    if figure.deviation:
        return spread(figure.mean, figure.deviation, "")
    return f"{figure.mean:.0f}" if figure.mean.is_integer() else number(figure.mean)
