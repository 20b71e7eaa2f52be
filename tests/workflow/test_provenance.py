"""Where a result came from, as its page says it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tssl.errors import ConfigError, DataError
from tssl.reporting import Accuracies, LearningCurve
from tssl.workflow.export import ExportOutcome
from tssl.workflow.notes import Notes, notes_of
from tssl.workflow.origin import made_here
from tssl.workflow.provenance import (
    accuracies,
    learning_curve,
    metrics_of,
    provenance,
    recipe_text,
)
from tssl.workflow.report import report, write_page

CSV = """epoch,loss,train_accuracy,validation_accuracy,test_accuracy,firing_rate
1,0.5,0.25,,0.75,0.1
2,0.125,0.5,,1.0,0.1
"""
COLUMNS = {
    "epoch": [1.0, 2.0],
    "loss": [0.5, 0.125],
    "train_accuracy": [0.25, 0.5],
    "test_accuracy": [0.75, 1.0],
}
CURVE = LearningCurve([1, 2], [0.5, 0.125], [0.25, 0.5], [], [0.75, 1.0])


def test_metrics_of_a_run(tmp_path: Path) -> None:
    assert metrics_of(tmp_path) == {}
    (tmp_path / "metrics.csv").write_text(CSV)
    assert metrics_of(tmp_path) == COLUMNS
    assert learning_curve(Notes(learning=COLUMNS)) == (CURVE, None)


@pytest.mark.parametrize("text", ["epoch,loss\n1,a\n", "epoch\n1\n"])
def test_damaged_metrics(tmp_path: Path, text: str) -> None:
    (tmp_path / "metrics.csv").write_text(text)
    with pytest.raises(DataError, match="cannot be read as the metrics of a training"):
        metrics_of(tmp_path)


def test_a_curve_without_a_column() -> None:
    with pytest.raises(DataError, match="lacks the column 'loss'; export the network again"):
        learning_curve(Notes(learning={"epoch": [1.0]}))


def test_an_export_keeps_the_curve(exported: ExportOutcome) -> None:
    notes = notes_of(exported.path)
    curve, _ = learning_curve(notes)
    assert curve is not None
    assert list(curve.epochs) == list(range(1, len(curve.epochs) + 1))
    assert notes.document["recipe"]["training"]["epochs"] == len(curve.epochs)


def test_what_is_unknown_is_left_out(folder: Path) -> None:
    result = report(folder, ["loihi2"]).result
    names = [name for name, _ in provenance(result, Notes())]
    assert names == ["Run", "Network", "Data of the run"]
    assert accuracies(Notes()) is None
    assert recipe_text(Notes()) == ""


def test_what_is_known(exported: ExportOutcome, folder: Path) -> None:
    notes = notes_of(exported.path)
    facts = dict(provenance(report(folder, ["loihi2"]).result, notes))
    assert exported.network.digest in facts["Network"]
    assert notes.fingerprints["test"] in facts["Fingerprint, test split"]
    assert facts["Proof at export"] == "PASS without Lava"
    found = accuracies(notes)
    rates = exported.float_accuracy, exported.chip_accuracy
    assert found == Accuracies(*rates, exported.samples)


def test_a_recipe_that_no_toml_can_hold() -> None:
    """JSON has a value that TOML has not."""
    with pytest.raises(DataError, match="the recipe stored with the network is damaged"):
        recipe_text(Notes(document={"recipe": {"name": None}}))


@pytest.mark.parametrize("made", [3, [1], {"date": "\ud800"}])
def test_a_damaged_origin(folder: Path, made: object) -> None:
    document = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps({**document, "made": made}))
    with pytest.raises(DataError, match="cannot be read as a run result"):
        report(folder, ["loihi2"])


def test_a_run_says_when_and_where() -> None:
    made = made_here()
    assert made["date"].endswith(" UTC")
    assert set(made) == {"date", "tssl", "python", "processor"}
    assert all(made.values())


def test_the_folder_of_another_training(folder: Path, tmp_path: Path) -> None:
    found = [report(folder, ["loihi2"])]
    with pytest.raises(ConfigError, match=r"holds no recipe\.toml"):
        write_page(found, tmp_path / "a.html", runs=[tmp_path])
    recipe: Any = notes_of(found[0].net).document["recipe"]
    recipe["training"]["seed"] += 1
    (tmp_path / "recipe.toml").write_text(recipe_text(Notes(document={"recipe": recipe})))
    with pytest.raises(ConfigError, match="trained none of these networks"):
        write_page(found, tmp_path / "a.html", runs=[tmp_path])
    recipe["training"]["seed"] -= 1
    (tmp_path / "recipe.toml").write_text(recipe_text(Notes(document={"recipe": recipe})))
    (tmp_path / "metrics.csv").write_text(CSV)
    write_page(found, tmp_path / "a.html", runs=[tmp_path])
    recipe["data"]["denoise_us"] = 5  # of a newer version, about data that are not read here
    (tmp_path / "recipe.toml").write_text(recipe_text(Notes(document={"recipe": recipe})))
    write_page(found, tmp_path / "a.html", runs=[tmp_path])
    assert 'data-x="1,2"' in (tmp_path / "a.html").read_text()
