"""Starting a run, and going on with one."""

import json
import math
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from tests.trainer import tiny
from tssl.checkpoint import Checkpoint
from tssl.datasets import Dataset
from tssl.errors import CheckpointError, ConfigError, DataError, TrainingError
from tssl.hw_profiles import load_profile
from tssl.trainer.run_directory import RunDirectory
from tssl.workflow import train as workflow
from tssl.workflow.export import ExportOptions, chip_plan, export
from tssl.workflow.recipes import recipe_path, shipped_recipes
from tssl.workflow.train import Environment, Origin

CPU = Environment(device="cpu")


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    path = tmp_path / "rows.toml"
    path.write_text(tiny.recipe().to_toml())
    return str(path)


def test_start_train_and_outcome(recipe: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    fit = workflow.start(recipe, {"epochs": 1, "training.lr": 0.5}, out, CPU)
    outcome = workflow.train(fit, tiny.Watcher())
    assert outcome.finished
    assert outcome.recipe.training.lr == 0.5
    document = json.loads(json.dumps(outcome.document()))
    assert document["epochs"] == document["best"]["epoch"] == 1
    names = {path.name for path in out.iterdir()}
    assert names == {
        "recipe.toml", "metrics.csv", "layers.csv", "learning-curve.png", "confusion.png",
        "best.safetensors", "last.safetensors", "state.safetensors",
    }  # fmt: skip


def test_default_folder(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert workflow.start(recipe, {}, None, CPU).run.path == Path("runs/rows")


def test_stopped_before_the_first_epoch(recipe: str, tmp_path: Path) -> None:
    fit = workflow.start(recipe, {}, tmp_path / "run", CPU)
    outcome = workflow.train(fit, tiny.Watcher(stop_after=2))
    assert not outcome.finished
    assert outcome.document()["best"] is outcome.document()["last"] is None


def test_nothing_is_written_when_something_is_wrong(recipe: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    wrong = [
        ({"data.name": "stars"}, CPU, ConfigError, "'stars' is unknown"),
        ({"training.rule": "hebb"}, CPU, ConfigError, "known rules"),
        ({"encoding.input": "changes"}, CPU, ConfigError, "neurons that take spikes"),
        ({"training.lrr": 1}, CPU, ConfigError, "did you mean"),
        ({}, Environment(data_dir=tmp_path / "none", device="cpu"), DataError, "not a folder"),
        (
            {"network.layers": [{"type": "dense", "neurons": 4}]},
            CPU, ConfigError, "4 neurons.*3 classes",
        ),
    ]  # fmt: skip
    for settings, environment, error, reason in wrong:
        with pytest.raises(error, match=reason):
            workflow.start(recipe, settings, out, environment)
        assert not out.exists()


def test_second_run_in_the_same_folder(recipe: str, tmp_path: Path) -> None:
    workflow.start(recipe, {}, tmp_path / "run", CPU)
    with pytest.raises(ConfigError, match="already holds a run"):
        workflow.start(recipe, {}, tmp_path / "run", CPU)


def test_resume(recipe: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    workflow.train(workflow.start(recipe, {}, run, CPU), tiny.Watcher(stop_after=7))
    fit = workflow.resume(run, None, {}, CPU)
    assert (fit.progress.epoch, fit.progress.batch) == (1, 1)
    outcome = workflow.train(fit, tiny.Watcher())
    assert outcome.finished
    assert len(outcome.metrics) == 2


def test_resume_with_more_epochs_is_remembered(recipe: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    workflow.train(workflow.start(recipe, {}, run, CPU), tiny.Watcher())
    outcome = workflow.train(
        workflow.resume(run, None, {"training.epochs": 4}, CPU), tiny.Watcher()
    )
    assert [row.epoch for row in outcome.metrics] == [1, 2, 3, 4]
    assert workflow.resume(run, None, {}, CPU).recipe.training.epochs == 4


@pytest.mark.parametrize(("epochs", "is_refused"), [(1, False), (2, True)])
def test_a_state_that_was_lost(
    recipe: str, tmp_path: Path, *, epochs: int, is_refused: bool
) -> None:
    """A run that was killed in its first epoch's end does it again; nothing else gets lost."""
    run = tmp_path / "run"
    fit = workflow.start(recipe, {"training.epochs": epochs}, run, CPU)
    workflow.train(fit, tiny.Watcher())
    fit.run.state.unlink()
    kept = fit.run.last.read_bytes()
    if not is_refused:
        assert workflow.resume(run, None, {}, CPU).progress.epoch == 0
        return
    with pytest.raises(CheckpointError, match=r"is missing, though 2 epochs.*--from .*run --out"):
        workflow.resume(run, None, {}, CPU)
    assert fit.run.last.read_bytes() == kept


@pytest.mark.parametrize("leftover", ["metrics.csv", "layers.csv"])
def test_a_table_that_lies_there_is_no_run(recipe: str, tmp_path: Path, leftover: str) -> None:
    (tmp_path / leftover).write_text("epoch\n1\n2\n3\n")
    assert workflow.start(recipe, {}, tmp_path, CPU).progress.epoch == 0


@pytest.mark.parametrize("epochs", [1, 2])
def test_resume_with_epochs_that_are_done(recipe: str, tmp_path: Path, epochs: int) -> None:
    """Somebody may mean so many more."""
    run = tmp_path / "run"
    workflow.train(workflow.start(recipe, {"training.epochs": 3}, run, CPU), tiny.Watcher(13))
    before = (run / "recipe.toml").read_text()
    with pytest.raises(ConfigError, match=f"^--epochs {epochs}: .* 2 are done .* at least 3$"):
        workflow.resume(run, None, {"training.epochs": epochs}, CPU)
    assert (run / "recipe.toml").read_text() == before


@pytest.mark.parametrize(
    "change", [("training.lr", 1), ("network.tau_m", 4), ("data.name", "digits")]
)
def test_resume_with_another_recipe(
    recipe: str, tmp_path: Path, change: tuple[str, object]
) -> None:
    run = tmp_path / "run"
    workflow.train(workflow.start(recipe, {}, run, CPU), tiny.Watcher(stop_after=1))
    before = (run / "recipe.toml").read_text()
    with pytest.raises(ConfigError, match="only --epochs may change"):
        workflow.resume(run, None, dict([change]), CPU)
    assert (run / "recipe.toml").read_text() == before


def test_resume_where_nothing_is(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no run"):
        workflow.resume(tmp_path, None, {}, CPU)


def test_recipes() -> None:
    shipped = shipped_recipes()
    assert "digits" in shipped
    for name, path in shipped.items():
        assert recipe_path(name) == path
        assert path.is_file()
    with pytest.raises(ConfigError, match=r"'digit'.*shipped recipe \(.*digits"):
        recipe_path("digit")


def test_recipe_by_path(recipe: str) -> None:
    assert recipe_path(recipe) == Path(recipe)


def test_a_run_that_saved_nothing_leaves_its_folder_free(recipe: str, tmp_path: Path) -> None:
    for _ in range(2):  # the second attempt is not refused
        fit = workflow.start(recipe, {}, tmp_path / "run", CPU)
        fit.network.loss = fit.network.loss._replace(
            function=lambda output, _: output.psp.sum() * math.nan, passes_tape=False
        )
        with pytest.raises(TrainingError, match="epoch 1, batch 1"):
            workflow.train(fit, tiny.Watcher())
    assert not (tmp_path / "run" / "recipe.toml").exists()


def test_resume_may_name_its_recipe(recipe: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    workflow.train(workflow.start(recipe, {}, run, CPU), tiny.Watcher(stop_after=7))
    fit = workflow.resume(run, recipe, {}, CPU)
    assert (fit.progress.epoch, fit.progress.batch) != (0, 0)
    with pytest.raises(ConfigError, match="only --epochs may change"):
        workflow.resume(run, "digits", {}, CPU)


def test_a_state_of_another_run_is_refused(recipe: str, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        fit = workflow.start(recipe, {"training.seed": seed}, tmp_path / name, CPU)
        workflow.train(fit, tiny.Watcher(stop_after=3))
    (tmp_path / "a" / "state.safetensors").replace(tmp_path / "b" / "state.safetensors")
    with pytest.raises(CheckpointError, match="belongs to another recipe"):
        workflow.resume(tmp_path / "b", None, {}, CPU)
    (tmp_path / "b" / "recipe.toml").unlink()
    with pytest.raises(ConfigError, match="already holds a run"):
        workflow.start(recipe, {}, tmp_path / "b", CPU)


def test_chip_exact_training_computes_what_the_engine_computes(recipe: str, tmp_path: Path) -> None:
    """Accuracies of the trainer are the engine's, to the last sample; so are those of export."""
    trained = workflow.start(recipe, {"epochs": 8, "weight_limit": 2}, tmp_path / "float", CPU)
    workflow.train(trained, tiny.Watcher())
    origin = Origin(run=tmp_path / "float")
    settings = {"forward": "chip", "epochs": 2, "lr": 0.001}
    fit = workflow.start(None, settings, tmp_path / "chip", CPU, origin)
    outcome = workflow.train(fit, tiny.Watcher())
    assert outcome.finished
    options = ExportOptions(samples=60, proof_samples=5, lava=False)
    exported = export(tmp_path / "chip", "loihi2", None, options, lambda _: None)
    assert outcome.best is not None
    assert exported.chip_accuracy == outcome.best.test_accuracy > 0.8
    assert fit.plan is not None
    assert {r.layer.name: r.scale for r in exported.layers} == fit.plan.scales


def test_chip_exact_training_resumes_to_the_bit(recipe: str, tmp_path: Path) -> None:
    workflow.train(workflow.start(recipe, {}, tmp_path / "float", CPU), tiny.Watcher())
    origin, settings = Origin(run=tmp_path / "float"), {"forward": "chip"}
    whole = workflow.start(None, settings, tmp_path / "whole", CPU, origin)
    workflow.train(whole, tiny.Watcher())
    for stop_after in (0, 8):
        out = tmp_path / f"halves{stop_after}"
        workflow.train(workflow.start(None, settings, out, CPU, origin), tiny.Watcher(stop_after))
        resumed = workflow.resume(out, None, {}, CPU)
        assert resumed.plan == whole.plan
        workflow.train(resumed, tiny.Watcher())
        ours, theirs = (Checkpoint.load(fit.run.last).weights for fit in (whole, resumed))
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


PARTS = [
    {"type": "conv", "channels": 4, "kernel": 3, "padding": 1, "norm": "batch", "name": "a"},
    {"type": "dense", "neurons": 12, "neuron": "plif", "dropout": 0.1, "name": "b"},
    {"type": "dense", "neurons": 12, "recurrent": True, "name": "c"},
    {"type": "dense", "neurons": 3, "from": ["b", "c"], "name": "out", "bias": True},
]
BOTH = {"forward": "chip", "epochs": 8, "weight_limit": 2, "network.layers": PARTS}


def test_floating_point_first_then_integers(recipe: str, tmp_path: Path) -> None:
    """Six epochs are those of a run in floating point; then the engine's accuracies count."""
    settings = {**BOTH, "forward": "float", "epochs": 6}
    plain = workflow.start(recipe, settings, tmp_path / "float", CPU)
    workflow.train(plain, tiny.Watcher())
    fit = workflow.start(recipe, BOTH, tmp_path / "chip", CPU)
    outcome = workflow.train(fit, tiny.Watcher())
    assert outcome.finished
    assert fit.progress.integers_from == 6
    for ours, theirs in zip(outcome.metrics, plain.progress.metrics, strict=False):
        assert (ours.loss, ours.test_accuracy) == (theirs.loss, theirs.test_accuracy)
    origin = Checkpoint.load(plain.run.last)
    assert fit.plan == chip_plan(origin, load_profile("loihi2"), tiny.dataset())
    assert Checkpoint.load(fit.run.best).plan == fit.plan
    options = ExportOptions(samples=60, proof_samples=5, lava=False)
    exported = export(tmp_path / "chip", "loihi2", None, options, lambda _: None)
    assert outcome.best is not None
    assert outcome.best.epoch > 6
    assert exported.chip_accuracy == outcome.best.test_accuracy > 0.5


def test_both_parts_resume_to_the_bit(recipe: str, tmp_path: Path) -> None:
    """Stopped in floating point, at the last batch of it, at once in integers, and later."""
    whole = workflow.start(recipe, BOTH, tmp_path / "whole", CPU)
    workflow.train(whole, tiny.Watcher())
    assert whole.progress.integers_from == 6
    first = 6 * len(whole.batches)
    for stop_after in (2, first - 1, first, first + 2):
        out = tmp_path / f"stopped{stop_after}"
        fit = workflow.start(recipe, BOTH, out, CPU)
        workflow.train(fit, tiny.Watcher(stop_after))
        resumed = workflow.resume(out, None, {}, CPU)
        assert (resumed.plan is None) == (stop_after < first)
        workflow.train(resumed, tiny.Watcher())
        assert resumed.plan == whole.plan
        ours, theirs = (Checkpoint.load(each.run.last).weights for each in (whole, resumed))
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_integers_begin_when_patience_is_over(recipe: str, tmp_path: Path) -> None:
    settings = {"forward": "chip", "epochs": 40, "patience": 2, "lr": 1e-9, "validation": 0.2}
    fit = workflow.start(recipe, settings, tmp_path / "run", CPU)
    outcome = workflow.train(fit, tiny.Watcher())
    assert outcome.finished
    assert fit.progress.integers_from == 3
    assert [row.epoch for row in outcome.metrics] == [1, 2, 3, 4, 5, 6]


def test_what_chip_exact_training_cannot_start_from(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"epochs = 1: training.forward = 'chip' .*--from"):
        workflow.start(recipe, {"forward": "chip", "epochs": 1}, tmp_path / "chip", CPU)
    workflow.train(workflow.start(recipe, {}, tmp_path / "float", CPU), tiny.Watcher())
    origin = Origin(run=tmp_path / "float")
    with pytest.raises(ConfigError, match=r"another \[network\]"):
        workflow.start(recipe, {"tau_m": 7}, tmp_path / "chip", CPU, origin)
    with pytest.raises(ConfigError, match=r"name the recipe too"):
        workflow.start(
            None, [], tmp_path / "chip", CPU, Origin(run=origin.run / "best.safetensors")
        )
    small = tmp_path / "small.toml"
    small.write_text(tiny.recipe().to_toml().replace('name = "rows"', 'name = "small"', 1))
    monkeypatch.setattr(
        workflow, "load_splits", lambda *_: (cropped(tiny.dataset()), cropped(tiny.dataset("test")))
    )
    with pytest.raises(ConfigError, match=r"of shape \(1, 4, 4\).*have \(1, 3, 4\)"):
        workflow.start(str(small), [], tmp_path / "chip", CPU, origin)
    assert not (tmp_path / "chip").exists()


def cropped(dataset: Dataset) -> Dataset:
    return replace(dataset, inputs=np.ascontiguousarray(dataset.inputs[..., :3, :]))


def test_a_narrower_target_gets_a_grid_of_its_own(trained: Path, tmp_path: Path) -> None:
    wide = workflow.start(None, {"forward": "chip"}, tmp_path / "wide", CPU, Origin(run=trained))
    workflow.train(wide, tiny.Watcher())
    assert wide.plan is not None
    again = workflow.start(None, {}, tmp_path / "again", CPU, Origin(run=tmp_path / "wide"))
    assert again.plan == wide.plan
    profile = (files("tssl") / "hw_profiles" / "loihi2.toml").read_text()
    narrow = tmp_path / "narrow.toml"
    narrow.write_text(profile.replace("weight_bits = { value = 8", "weight_bits = { value = 3"))
    origin = Origin(run=tmp_path / "wide", target=str(narrow))
    fit = workflow.start(None, {}, tmp_path / "narrow", CPU, origin)
    assert fit.plan is not None
    assert set(fit.plan.largest_weights.values()) == {6}
    workflow.train(fit, tiny.Watcher())
    options = ExportOptions(samples=60, proof_samples=5, lava=False)
    export(tmp_path / "narrow", str(narrow), None, options, lambda _: None)


def test_a_target_without_chip_integers(trained: Path, tmp_path: Path) -> None:
    origin = Origin(run=trained, target="loihi1")
    with pytest.raises(ConfigError, match=r"--target loihi1.*forward=chip"):
        workflow.start(None, {}, tmp_path / "run", CPU, origin)


def test_weights_that_are_gone_on_from_are_not_woken(trained: Path, tmp_path: Path) -> None:
    """Neither at the start nor when resumed before the first batch."""
    origin, out = Origin(run=trained), tmp_path / "run"
    before = workflow.start(None, {"smallest_rate": 0.49}, out, CPU, origin).network.numpy_weights()
    resumed = workflow.resume(out, None, {}, CPU).network.numpy_weights()
    for name, weight in Checkpoint.load(trained / "best.safetensors").weights.items():
        assert np.array_equal(before[name], weight)
        assert np.array_equal(resumed[name], weight)


def test_a_start_that_was_killed_is_no_run(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it would be gone on with from random weights."""
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "_write_recipe", lambda *_: (_ for _ in ()).throw(KeyError))
        with pytest.raises(KeyError):
            workflow.start(None, {"epochs": 1}, out, CPU, Origin(run=trained))
    assert (out / "state.safetensors").exists()
    with pytest.raises(CheckpointError, match="holds no run"):
        workflow.resume(out, None, {}, CPU)
    assert workflow.start(str(trained / "recipe.toml"), {"epochs": 1}, out, CPU).progress.batch == 0
