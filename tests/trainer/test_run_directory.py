"""The folder of a run: metrics, state, and what is refused."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainer import tiny
from tssl.checkpoint import load_tensors, save_tensors
from tssl.errors import CheckpointError, ConfigError
from tssl.trainer.progress import EpochMetrics, LayerMetrics, TrainingProgress
from tssl.trainer.run_directory import RunDirectory


def metrics(epoch: int, validation: float | None) -> EpochMetrics:
    return EpochMetrics(
        epoch=epoch, loss=0.5, train_accuracy=0.5, validation_accuracy=validation,
        test_accuracy=0.25, test_accuracy_psp=0.125, firing_rate=0.1, seconds=1.0,
        samples_per_second=10.0,
    )  # fmt: skip


def test_best_is_the_latest_of_the_highest() -> None:
    rows = [metrics(1, 0.5), metrics(2, 0.75), metrics(3, 0.75), metrics(4, 0.5)]
    assert TrainingProgress(metrics=rows).best.epoch == 3


def test_waiting_begins_with_the_first_of_the_highest() -> None:
    rows = [metrics(1, 0.5), metrics(2, 0.75), metrics(3, 0.75), metrics(4, 0.75)]
    assert TrainingProgress(metrics=rows).epochs_without_better == 2
    assert TrainingProgress(metrics=rows[:2]).epochs_without_better == 0
    assert TrainingProgress().epochs_without_better == 0


def test_best_is_the_last_when_nothing_is_held_out() -> None:
    progress = TrainingProgress(metrics=[metrics(1, None), metrics(2, None)])
    assert progress.best.epoch == 2
    assert progress.epochs_without_better == 0


def test_an_older_run_said_nan_when_nothing_was_held_out() -> None:
    assert metrics(1, math.nan) == metrics(1, None)


def test_finishing_an_epoch_clears_its_sums() -> None:
    progress = TrainingProgress(
        batch=7, loss_sum=3, correct=2, seconds=9, activity={"dense1": [100.0, 25.0, 50.0]}
    )
    assert progress.firing_rates == {"dense1": 0.25}
    progress.finish_epoch(metrics(1, 0.5))
    layers = [LayerMetrics(epoch=1, layer="dense1", firing_rate=0.25, fallback_share=0.5)]
    assert progress == TrainingProgress(epoch=1, metrics=[metrics(1, 0.5)], layers=layers)


def test_metrics_file_has_one_line_per_epoch(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.save_metrics(TrainingProgress(metrics=[metrics(1, None), metrics(2, 0.75)]))
    with run.metrics.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert [row["validation_accuracy"] for row in rows] == ["", "0.75"]


def test_second_run_in_a_folder_is_refused(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    run.create(tiny.recipe())
    with pytest.raises(ConfigError, match=r"already holds a run.*--resume"):
        run.create(tiny.recipe())


def test_recipe_comes_back(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "deep" / "run")
    run.create(tiny.recipe(lr=0.003, loss="softmax"))
    assert run.load_recipe() == tiny.recipe(lr=0.003, loss="softmax")


def test_no_run_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds no run"):
        RunDirectory(tmp_path).load_recipe()


def test_run_without_state_starts_anew(tmp_path: Path) -> None:
    fit = tiny.fit(tmp_path / "run")
    assert fit.progress == TrainingProgress()


def test_state_restores_weights_moments_and_progress(tmp_path: Path) -> None:
    first = tiny.fit(tmp_path / "run")
    first.fit(tiny.Watcher(stop_after=8))
    second = tiny.fit(tmp_path / "run")
    assert second.progress == first.progress
    assert second.progress.batch == 2
    for ours, theirs in zip(first.network.parameters(), second.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)
        moments, restored = first.optimizer.state[ours], second.optimizer.state[theirs]
        assert moments.keys() == restored.keys()
        assert all(torch.equal(moments[key], restored[key]) for key in moments)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: b"\xff" * 8 + data[8:],
        lambda data: b"not a checkpoint",
    ],
)
def test_damaged_state(tmp_path: Path, damage) -> None:
    fit = tiny.fit(tmp_path / "run")
    fit.fit(tiny.Watcher(stop_after=1))
    fit.run.state.write_bytes(damage(fit.run.state.read_bytes()))
    with pytest.raises(CheckpointError, match=r"state\.safetensors"):
        tiny.fit(tmp_path / "run")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epoch", None),
        ("epoch", "two"),
        ("epoch", -1),
        ("epoch", 3),
        ("metrics", 3),
        ("metrics", [{"epoch": 1}]),
        ("steps", "many"),
        ("surprise", 1),
    ],
)
def test_state_with_a_wrong_document(tmp_path: Path, key: str, value: object) -> None:
    fit = tiny.fit(tmp_path / "run")
    fit.fit(tiny.Watcher(stop_after=1))
    tensors, document = load_tensors(fit.run.state)
    save_tensors(fit.run.state, tensors, {**document, key: value})
    with pytest.raises(CheckpointError, match=r"state\.safetensors"):
        tiny.fit(tmp_path / "run")


def test_state_from_before_a_key_existed(tmp_path: Path) -> None:
    fit = tiny.fit(tmp_path / "run")
    fit.fit(tiny.Watcher(stop_after=1))
    tensors, document = load_tensors(fit.run.state)
    del document["recipe"]["training"]["precision"]
    save_tensors(fit.run.state, tensors, document)
    assert tiny.fit(tmp_path / "run").progress == fit.progress


@pytest.mark.parametrize("recipe", [None, 3, {}, {"name": "rows"}])
def test_state_without_a_recipe(tmp_path: Path, recipe: object) -> None:
    fit = tiny.fit(tmp_path / "run")
    fit.fit(tiny.Watcher(stop_after=1))
    tensors, document = load_tensors(fit.run.state)
    save_tensors(fit.run.state, tensors, {**document, "recipe": recipe})
    with pytest.raises(CheckpointError, match=r"state\.safetensors"):
        tiny.fit(tmp_path / "run")


def test_state_of_another_network(tmp_path: Path) -> None:
    fit = tiny.fit(tmp_path / "run")
    fit.fit(tiny.Watcher(stop_after=1))
    tensors, document = load_tensors(fit.run.state)
    narrow = {name: np.ascontiguousarray(array[:2]) for name, array in tensors.items()}
    save_tensors(fit.run.state, narrow, document)
    with pytest.raises(CheckpointError, match="does not belong to this recipe"):
        tiny.fit(tmp_path / "run")
    del tensors["weights.dense1"]
    save_tensors(fit.run.state, tensors, document)
    with pytest.raises(CheckpointError, match="does not belong to this recipe"):
        tiny.fit(tmp_path / "run")
