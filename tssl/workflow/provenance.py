"""Where a result came from, for the page of a report: what made it, of what, and how it learnt."""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from tssl.errors import ConfigError, DataError
from tssl.recipe import Recipe, load_recipe, recipe_from_tables
from tssl.reporting import Accuracies, LearningCurve
from tssl.results import RunResult
from tssl.workflow.there import measured_elsewhere

__all__ = ["accuracies", "class_names", "learning_curve", "metrics_of", "provenance", "recipe_text"]

METRICS = "metrics.csv"
_COLUMNS = ("epoch", "loss", "train_accuracy", "validation_accuracy", "test_accuracy")
_DIGITS = 6


def provenance(result: RunResult, notes: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return names and texts: the run, the network, its export, its training and its data."""
    return tuple((name, _printable(text)) for name, text in _facts(result, notes) if text)


def accuracies(notes: Mapping[str, Any]) -> Accuracies | None:
    """Return what an export measured, where it had labels."""
    match notes.get("accuracy"):
        case {"float": float(floating), "chip": float(chip), "samples": int(samples)}:
            there = measured_elsewhere(notes).get("there", {})
            own = there.get("accuracy"), _printable(there.get("by", ""))
            return Accuracies(floating, chip, samples, *own) if samples else None
    return None


def class_names(notes: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the classes that were stored at the export."""
    names = notes.get("class_names")
    return tuple(_printable(str(name)) for name in names) if isinstance(names, list) else ()


def recipe_text(notes: Mapping[str, Any]) -> str:
    """Return the recipe of the training as TOML, or nothing.

    Raises
    ------
    DataError
        When what is stored is no such table.
    """
    recipe = notes.get("recipe")
    if not isinstance(recipe, dict):
        return ""
    try:
        return _printable(tomli_w.dumps(recipe))
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
    notes: Mapping[str, Any], runs: Sequence[Path] = ()
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
        When what is stored is damaged.
    """
    for run in runs:
        if _without_data(_recipe(run)) == _without_data(_stored(notes)):
            return _curve(metrics_of(run), str(run)), run
    return _curve(notes.get("learning"), "the learning curve stored with the network"), None


def _curve(stored: object, who: str) -> LearningCurve | None:
    if not stored:
        return None
    try:
        columns = {name: [float(value) for value in of] for name, of in dict(stored).items()}  # type: ignore[call-overload]
        lengths = {len(of) for of in columns.values()}
        if len(lengths) != 1 or not all(
            math.isfinite(value) for of in columns.values() for value in of
        ):
            raise ValueError("its columns do not fit together")
        return LearningCurve(
            [int(epoch) for epoch in columns["epoch"]],
            columns["loss"],
            columns["train_accuracy"],
            columns.get("validation_accuracy", []),
            columns["test_accuracy"],
        )
    except (TypeError, ValueError, KeyError) as error:
        raise DataError(f"{who}: is damaged: {error!r}; export the network again") from error


def _printable(text: str) -> str:
    """Return a text of a file without halves of characters, which nothing can write."""
    return text.encode(errors="replace").decode()


def _recipe(run: Path) -> Recipe:
    path = run / "recipe.toml"
    if not path.exists():
        raise ConfigError(f"--run {run}: holds no recipe.toml; give the folder of a training run")
    return load_recipe(path)


def _stored(notes: Mapping[str, Any]) -> Recipe | None:
    """Return the recipe of the network; an older one lacks keys that are newer."""
    tables = notes.get("recipe")
    return recipe_from_tables(tables, "the network's recipe") if isinstance(tables, dict) else None


def _without_data(recipe: Recipe | None) -> dict[str, Any] | None:
    """Return what was trained and how; the data may have been named otherwise at the export."""
    return None if recipe is None else recipe.model_dump(mode="json", exclude={"data"})


def _facts(result: RunResult, notes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    training = _table(notes, "training")
    made = result.made
    yield (
        "Run",
        ", ".join(
            part
            for part in (
                made.get("date", ""),
                f"backend {result.backend}",
                _version(made),
                made.get("processor", ""),
            )
            if part
        ),
    )
    yield "Network", f"{result.network}, SHA-256 {result.digest}"
    yield (
        "Exported by",
        _joined(_version(notes), f"for {notes['target']}" if "target" in notes else ""),
    )
    yield "Proof at export", str(_table(notes, "proof").get("verdict", ""))
    yield "Recipe", _rule(_table(notes, "recipe"))
    yield (
        "Trained by",
        _joined(
            _version(training),
            f"torch {training['torch']}" if "torch" in training else "",
            f"Python {training['python']}" if "python" in training else "",
            str(training.get("processor", "")),
            f"weights of epoch {training['epoch']}" if "epoch" in training else "",
        ),
    )
    yield "Data of the run", result.data
    yield "Data of the training", str(training.get("data", ""))
    for split, fingerprint in _table(notes, "fingerprints").items():
        yield f"Fingerprint, {split} split", f"SHA-256 {fingerprint}"


def _rule(recipe: Mapping[str, Any]) -> str:
    rule = _table(recipe, "training").get("rule")
    seed = _table(recipe, "training").get("seed")
    return _joined(
        str(recipe.get("name", "")),
        f"rule {rule}" if rule else "",
        "" if seed is None else f"seed {seed}",
    )


def _version(facts: Mapping[str, Any]) -> str:
    return f"tssl {facts['tssl']}" if "tssl" in facts else ""


def _joined(*parts: str) -> str:
    return ", ".join(filter(None, parts))


def _table(notes: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = notes.get(name)
    return found if isinstance(found, dict) else {}
