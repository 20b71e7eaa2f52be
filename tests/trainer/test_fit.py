"""The training loop: it learns, it goes on bit for bit, it stops with a reason."""

import csv
import math
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainer import tiny
from tssl.checkpoint import Checkpoint
from tssl.errors import ConfigError, DataError, TrainingError
from tssl.trainer import fit as fit_module
from tssl.trainer.evaluation import float_accuracy
from tssl.trainer.network import Forward, SpikingNetwork
from tssl.trainer.objective import Objective
from tssl.trainer.progress import EpochMetrics
from tssl.trainer.run_directory import RunDirectory

TIMES = ("seconds", "samples_per_second")


def timeless(rows: list[EpochMetrics]) -> list[dict[str, Any]]:
    return [{k: v for k, v in asdict(row).items() if k not in TIMES} for row in rows]


def assert_same_weights(left: Path, right: Path) -> None:
    ours, theirs = Checkpoint.load(left).weights, Checkpoint.load(right).weights
    assert ours.keys() == theirs.keys()
    for name, weight in ours.items():
        assert weight.any(), name
        assert np.array_equal(weight, theirs[name]), name


def test_it_learns(tmp_path: Path) -> None:
    fit, watcher = tiny.fit(tmp_path / "run", tiny.recipe(epochs=12)), tiny.Watcher()
    assert fit.fit(watcher)
    losses = [row.loss for row in fit.progress.metrics]
    assert losses[-1] < 0.5 * losses[0]
    assert fit.progress.metrics[-1].test_accuracy > 0.8
    assert watcher.epochs == fit.progress.metrics
    assert watcher.seen == [10, 20, 30, 40, 50, 54] * 12  # a tenth is held out


def test_rounded_factors_learn_too(tmp_path: Path) -> None:
    weights, accuracies = [], []
    for precision in ("float32", "bfloat16"):
        fit = tiny.fit(tmp_path / precision, tiny.recipe(epochs=12, precision=precision))
        fit.fit(tiny.Watcher())
        weights.append(fit.network.numpy_weights())
        accuracies.append(fit.progress.metrics[-1].test_accuracy)
    for name, rounded in weights[1].items():
        assert rounded.dtype == np.float32
        assert not np.array_equal(rounded, weights[0][name])
    assert accuracies[1] > 0.8


def test_evaluation_is_in_single_precision(tmp_path: Path) -> None:
    fit = tiny.fit(tmp_path / "run", tiny.recipe(epochs=1, precision="bfloat16"))
    fit.fit(tiny.Watcher())
    stored = Checkpoint.load(fit.run.last)
    assert (
        float_accuracy(stored, tiny.dataset("test"), 60) == fit.progress.metrics[-1].test_accuracy
    )
    inputs, _ = next(fit.test.batches(np.arange(60), 60))
    exact = fit.network.eval()(inputs).output.voltage
    fit.network._factors = None
    assert torch.equal(fit.network(inputs).output.voltage, exact)


def test_tensor_cores_need_a_gpu(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'tf32'.*--device cuda"):
        tiny.fit(tmp_path / "run", tiny.recipe(precision="tf32"))


def test_metrics_are_means_over_samples(tmp_path: Path) -> None:
    """A loss of 2 per sample, in batches of different size."""
    fit = tiny.fit(tmp_path / "run", tiny.recipe(epochs=1))
    fit.network.loss = fit.network.loss._replace(
        function=lambda output, labels: output.psp.sum() * 0 + 2.0 * len(labels),
        passes_tape=False,
    )
    fit.fit(tiny.Watcher())
    (row,) = fit.progress.metrics
    assert row.loss == 2
    assert 0 <= row.train_accuracy <= 1
    assert 0 < row.firing_rate < 1


@pytest.mark.parametrize("stop_after", [1, 5, 6, 8, 17])
def test_stop_and_resume_is_exact(tmp_path: Path, stop_after: int) -> None:
    """Within an epoch, at its end, and in a later one."""
    recipe = tiny.recipe(epochs=3)
    whole = tiny.fit(tmp_path / "whole", recipe)
    assert whole.fit(tiny.Watcher())
    stopped = tiny.fit(tmp_path / "halves", recipe)
    assert not stopped.fit(tiny.Watcher(stop_after))
    resumed = tiny.fit(tmp_path / "halves", recipe)
    watcher = tiny.Watcher()
    assert resumed.fit(watcher)
    assert watcher.batches == 18 - stop_after
    for name in ("last", "best"):
        assert_same_weights(getattr(whole.run, name), getattr(resumed.run, name))
    assert timeless(resumed.progress.metrics) == timeless(whole.progress.metrics)
    assert read_metrics(resumed.run) == read_metrics(whole.run)


def read_metrics(run: RunDirectory) -> list[dict[str, str]]:
    with run.metrics.open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(file)]


def test_same_seed_same_run_and_other_seed_another(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        tiny.fit(tmp_path / name, tiny.recipe(seed=seed)).fit(tiny.Watcher())
    a, b, c = (Checkpoint.load(tmp_path / n / "last.safetensors").weights for n in "abc")
    assert np.array_equal(a["dense1"], b["dense1"])
    assert not np.array_equal(a["dense1"], c["dense1"])


def test_more_epochs_go_on(tmp_path: Path) -> None:
    tiny.fit(tmp_path / "run", tiny.recipe(epochs=2)).fit(tiny.Watcher())
    longer = tiny.fit(tmp_path / "run", tiny.recipe(epochs=3))
    assert longer.fit(tiny.Watcher())
    whole = tiny.fit(tmp_path / "whole", tiny.recipe(epochs=3))
    whole.fit(tiny.Watcher())
    assert_same_weights(longer.run.last, whole.run.last)
    assert [row.epoch for row in longer.progress.metrics] == [1, 2, 3]


def test_finished_run_has_nothing_to_do(tmp_path: Path) -> None:
    tiny.fit(tmp_path / "run").fit(tiny.Watcher())
    watcher = tiny.Watcher()
    assert tiny.fit(tmp_path / "run").fit(watcher)
    assert watcher.batches == 0


def test_no_validation(tmp_path: Path) -> None:
    fit = tiny.fit(tmp_path / "run", tiny.recipe(validation=0, epochs=3))
    watcher = tiny.Watcher()
    fit.fit(watcher)
    assert watcher.seen[:6] == [10, 20, 30, 40, 50, 60]
    assert [row.validation_accuracy for row in fit.progress.metrics] == [None] * 3
    assert "nan" not in fit.run.metrics.read_text()
    assert "validation_accuracy" not in Checkpoint.load(fit.run.best).provenance
    assert_same_weights(fit.run.best, fit.run.last)
    resumed = tiny.fit(tmp_path / "run", tiny.recipe(validation=0, epochs=4))
    assert resumed.fit(tiny.Watcher())


def test_held_out_samples_are_never_trained_on(tmp_path: Path) -> None:
    fit = tiny.fit(tmp_path / "run", tiny.recipe(validation=0.25))
    assert len(fit.train) == 45
    assert sorted([*fit.train.indices, *fit.validation.indices]) == list(range(60))


def break_loss(monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    """Make the loss of one batch (counted from 1) not a number."""
    done = iter(range(1, 10_000))
    learn, loss_of = SpikingNetwork.learn, Objective.loss

    def broken(loss: torch.Tensor) -> torch.Tensor:
        return loss * math.nan if next(done) == batch else loss

    def broken_learn(*arguments: Any) -> tuple[Forward, torch.Tensor]:
        forward, loss = learn(*arguments)
        return forward, broken(loss)

    monkeypatch.setattr(SpikingNetwork, "learn", broken_learn)
    monkeypatch.setattr(Objective, "loss", lambda *arguments: broken(loss_of(*arguments)))


def test_loss_that_is_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_loss(monkeypatch, batch=9)
    fit = tiny.fit(tmp_path / "run")
    with pytest.raises(TrainingError, match=r"epoch 2, batch 3: the loss is nan.*lr") as caught:
        fit.fit(tiny.Watcher())
    assert str(fit.run.last) in str(caught.value)
    kept = Checkpoint.load(fit.run.last)
    assert kept.provenance["epoch"] == 1


def test_loss_that_is_no_number_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_loss(monkeypatch, batch=1)
    with pytest.raises(TrainingError, match=r"epoch 1, batch 1: .*kept: none"):
        tiny.fit(tmp_path / "run").fit(tiny.Watcher())


def test_gradient_that_is_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent NaN: a potential that is no number never fires, so the loss stays finite."""
    step = fit_module.optimizer_step

    def optimizer_step(*arguments: Any) -> float:
        step(*arguments)
        return math.nan

    monkeypatch.setattr(fit_module, "optimizer_step", optimizer_step)
    with pytest.raises(TrainingError, match=r"epoch 1, batch 1: .*gradient.*nan"):
        tiny.fit(tmp_path / "run").fit(tiny.Watcher())


def test_huge_learning_rate_stays_bounded(tmp_path: Path) -> None:
    """Weights are clamped, so this is bad training but no error."""
    fit = tiny.fit(tmp_path / "run", tiny.recipe(lr=1e30))
    fit.fit(tiny.Watcher())
    assert all(weight.abs().max() <= 4 for weight in fit.network.parameters())


def test_wrong_number_of_classes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"last layer has 3 neurons.*rows has 5 classes"):
        tiny.fit(tmp_path / "run", classes=5)


def test_too_few_samples(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="too few samples"):
        tiny.fit(tmp_path / "run", samples=1)


def test_clamp_and_clip(tmp_path: Path) -> None:
    fit = tiny.fit(tmp_path / "run", tiny.recipe(weight_limit=0.05, epochs=1))
    fit.fit(tiny.Watcher())
    assert all(weight.abs().max() <= 0.05 for weight in fit.network.parameters())


def test_float_accuracy_is_that_of_the_last_epoch(tmp_path: Path) -> None:
    fit = tiny.fit(tmp_path / "run", tiny.recipe(epochs=4))
    fit.fit(tiny.Watcher())
    stored = Checkpoint.load(fit.run.last)
    assert float_accuracy(stored, tiny.dataset("test"), 10_000) == (
        fit.progress.metrics[-1].test_accuracy
    )


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.trainer import tiny

class Killer(tiny.Watcher):
    def stop_requested(self):
        if self.batches == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return False

tiny.fit(Path(sys.argv[1])).fit(Killer())
"""


@pytest.mark.slow
@pytest.mark.parametrize("batches", [2, 8], ids=["first epoch", "second epoch"])
def test_kill_and_resume_is_exact(tmp_path: Path, batches: int) -> None:
    """Killed in the middle of an epoch, it ends as if nothing had been."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    tiny.fit(whole).fit(tiny.Watcher())
    code = [sys.executable, "-c", KILLED, str(killed), str(batches)]
    ran = subprocess.run(code, cwd=Path(__file__).parents[2], capture_output=True, check=False)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    assert (killed / "metrics.csv").exists() == (batches > 6)
    tiny.fit(killed).fit(tiny.Watcher())
    assert_same_weights(whole / "last.safetensors", killed / "last.safetensors")
    assert_same_weights(whole / "best.safetensors", killed / "best.safetensors")
    assert read_metrics(RunDirectory(whole)) == read_metrics(RunDirectory(killed))
    assert not list(killed.glob("*.part"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_a_gpu_learns_and_goes_on(tmp_path: Path, precision: str) -> None:
    recipe = tiny.recipe(epochs=12, precision=precision)
    started = tiny.fit(tmp_path / "run", recipe, device="cuda")
    started.settle_every = 1
    assert not started.fit(tiny.Watcher(stop_after=8))
    resumed = tiny.fit(tmp_path / "run", recipe, device="cuda")
    assert resumed.progress.batch == 2
    assert resumed.fit(tiny.Watcher())
    assert resumed.progress.metrics[-1].test_accuracy > 0.8
