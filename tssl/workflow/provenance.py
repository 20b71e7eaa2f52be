"""Where a result came from, for the page of a report: what made it, of what, and how it learnt."""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from tssl.errors import ConfigError, DataError
from tssl.machine.files import read_toml
from tssl.recipe import GIVEN, recipe_from_tables
from tssl.reporting import Accuracies, LearningCurve
from tssl.results import RunResult
from tssl.workflow.notes import Notes

__all__ = ["accuracies", "learning_curve", "metrics_of", "provenance", "recipe_text"]

METRICS = "metrics.csv"
_COLUMNS = ("epoch", "loss", "train_accuracy", "validation_accuracy", "test_accuracy")
_DIGITS = 6


def provenance(result: RunResult, notes: Notes) -> tuple[tuple[str, str], ...]:
    """Return names and texts: the run, the network, its export, its training and its data."""
    return tuple((name, text) for name, text in _facts(result, notes) if text)


def accuracies(notes: Notes) -> Accuracies | None:
    """Return what an export measured, where it had labels."""
    known = notes.accuracy
    if known is None or not known.samples:
        return None
    there = (None, "") if known.there is None else (known.there.accuracy, known.there.by)
    return Accuracies(known.floating, known.chip, known.samples, *there)


def recipe_text(notes: Notes) -> str:
    """Return the recipe of the training as TOML, or nothing.

    Raises
    ------
    DataError
        When it holds a value that TOML has not.
    """
    try:
        return tomli_w.dumps(notes.document.get("recipe") or {})
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"the recipe stored with the network is damaged: {error}; export the network again"
        ) from error


def metrics_of(folder: Path) -> dict[str, list[float]]:
    """Return the learning curve of a training run as a network keeps it; empty if there is none.

    Raises
    ------
    DataError
        When the file is damaged.
    """
    path = folder / METRICS
    if not path.exists():
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        found = {
            name: [round(float(row[name]), _DIGITS) for row in rows]
            for name in _COLUMNS
            if all(row[name] for row in rows)
        }
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as the metrics of a training: {error}") from error
    return {name: values for name, values in found.items() if all(map(math.isfinite, values))}


def learning_curve(
    notes: Notes, runs: Sequence[Path] = ()
) -> tuple[LearningCurve | None, Path | None]:
    """Return how a network learnt, and the given folder that says so.

    Parameters
    ----------
    notes
        Of the network; an export keeps the curve there.
    runs
        Folders of training runs. One counts when its recipe is the network's.

    Raises
    ------
    DataError
        When a column is missing.
    """
    for run in runs:
        if _of_run(run) == _of_network(notes):
            return _curve(metrics_of(run), str(run)), run
    return _curve(notes.learning, "the learning curve stored with the network"), None


def _curve(columns: Mapping[str, list[float]], who: str) -> LearningCurve | None:
    if not columns:
        return None
    try:
        return LearningCurve(
            [int(epoch) for epoch in columns["epoch"]],
            columns["loss"],
            columns["train_accuracy"],
            columns.get("validation_accuracy", []),
            columns["test_accuracy"],
        )
    except KeyError as error:
        raise DataError(f"{who}: lacks the column {error}; export the network again") from error


def _of_run(run: Path) -> dict[str, Any]:
    path = run / "recipe.toml"
    if not path.exists():
        raise ConfigError(f"--run {run}: holds no recipe.toml; give the folder of a training run")
    return _without_data(read_toml(path), str(path))


def _of_network(notes: Notes) -> dict[str, Any] | None:
    tables = notes.document.get("recipe")
    return None if tables is None else _without_data(tables, "the network's recipe")


def _without_data(tables: dict[str, Any], origin: str) -> dict[str, Any]:
    """Return what was trained and how, with the keys that an older recipe lacks.

    The data may have been named otherwise at the export, or read in the way of a newer version.
    """
    recipe = recipe_from_tables({**tables, "data": {"name": GIVEN}}, origin)
    return recipe.model_dump(mode="json", exclude={"data"})


def _facts(result: RunResult, notes: Notes) -> Iterator[tuple[str, str]]:
    training, made = notes.training, result.made
    yield (
        "Run",
        _joined(
            made.get("date", ""),
            f"backend {result.backend}",
            _version(made.get("tssl")),
            made.get("processor", ""),
        ),
    )
    yield "Network", f"{result.network}, SHA-256 {result.digest}"
    target = "" if notes.target is None else f"for {notes.target}"
    yield "Exported by", _joined(_version(notes.tssl), target)
    yield "Proof at export", "" if notes.proof is None else notes.proof.verdict
    yield "Recipe", "" if notes.recipe is None else notes.recipe.text
    yield (
        "Trained by",
        _joined(
            _version(training.get("tssl")),
            f"torch {training['torch']}" if "torch" in training else "",
            f"Python {training['python']}" if "python" in training else "",
            str(training.get("processor", "")),
            f"weights of epoch {training['epoch']}" if "epoch" in training else "",
        ),
    )
    yield "Data of the run", result.data
    yield "Data of the training", str(training.get("data", ""))
    for split, fingerprint in notes.fingerprints.items():
        yield f"Fingerprint, {split} split", f"SHA-256 {fingerprint}"


def _version(tssl: object) -> str:
    return "" if tssl is None else f"tssl {tssl}"


def _joined(*parts: str) -> str:
    return ", ".join(filter(None, parts))
