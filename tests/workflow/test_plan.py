"""Plans, against what then really is there."""

import tempfile
from pathlib import Path
from typing import Any

import pytest

import tssl
from tests.trainer import tiny
from tssl.errors import ConfigError
from tssl.workflow.export import ExportOutcome
from tssl.workflow.plan import shown

QUIET = {"progress": False}


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "rows.toml"
    path.write_text(tiny.recipe().to_toml())
    return path


def test_of_a_training(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    plan = tssl.plan(recipe, **QUIET)
    assert list(scratch.glob("tssl*")) == []
    assert sorted(tmp_path.iterdir()) == [recipe, scratch]
    assert plan["parameters"] == 16 * 12 + 12 * 3
    assert plan["seconds"] > 0
    run = tssl.train(recipe, out=tmp_path / "run", **QUIET)
    disk = sum(path.stat().st_size for path in run.directory.iterdir())
    assert disk / 3 < plan["disk"] < 3 * disk


def test_a_sweep_is_the_sum_of_its_trainings(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    over = {"epochs": [2, 6], "weight_bits": range(2, 9)}
    plan = tssl.plan(recipe, over=over, seeds=[0, 1, 2], **QUIET)
    assert (plan["trainings"], plan["points"]) == (6, 42)
    own = plan["seconds_of_one"]  # of two epochs
    assert plan["seconds"] == pytest.approx(3 * (own + 3 * own))
    assert plan["disk"] == pytest.approx(6 * tssl.plan(recipe, **QUIET)["disk"], rel=0.01)


def test_wider_networks_take_longer(recipe: Path) -> None:
    over = {"network.layers.0.neurons": [12, 48]}
    plan = tssl.plan(recipe, over=over, **QUIET)
    assert 2.5 < plan["seconds"] / plan["seconds_of_one"] < 1 + 4


def test_a_search_has_as_many_as_asked_for(recipe: Path) -> None:
    from tssl.sweeps import Range

    over = {"lr": Range(low=0.1, high=0.2)}
    plan = tssl.plan(recipe, over=over, seeds=[0, 1], trials=7, **QUIET)
    assert (plan["trainings"], plan["points"]) == (14, 14)
    assert plan["seconds"] == pytest.approx(14 * plan["seconds_of_one"])


def test_of_a_run(exported: ExportOutcome, recipe: Path, tmp_path: Path) -> None:
    plan = tssl.plan(exported.path, samples=50, **QUIET)
    result = tssl.run(exported.path, samples=50, out=tmp_path / "x", **QUIET).result
    weights = sum((layer.weights != 0).sum() for layer in exported.network.layers)
    assert plan["parameters"] == weights
    assert plan["samples"] == 50
    counted = result.counts.synaptic_operations.sum() / 50
    assert plan["operations"] == counted
    assert plan["seconds"] > 0
    assert tssl.plan(exported.path, **QUIET)["samples"] == 60  # all of the test set


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"samples": 3}, "samples 3: are of the run of a .net file"),
        ({"seeds": [1]}, "seeds and trials: are of a sweep"),
        ({"over": {"lrr": [1]}}, "did you mean 'lr'"),
    ],
)
def test_what_does_not_go_together(recipe: Path, given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        tssl.plan(recipe, **given, **QUIET)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0123, "s", "12.3 ms"), (99.0, "s", "99 s"), (150.0, "s", "2.5 min"),
        (9000.0, "s", "2.5 h"), (512, "B", "512 B"), (3 << 20, "B", "3 MiB"),
        (4.5e9, "FLOP", "4.5 GFLOP"), (0, "B", "0 B"), (3, "", "3"), (2.346, "", "2.35"),
    ],
)  # fmt: skip
def test_figures_are_short(value: float, unit: str, text: str) -> None:
    assert shown(value, unit) == text
