"""The folder of a run: recipe, metrics, and what is refused."""

import csv
import math
from pathlib import Path

import pytest

from tests.trainer import tiny
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
