"""Steps that nothing waits for: the run that steps looked at one by one give.

Here they run on the CPU, where a stand-in for CUDA's graphs repeats a step by doing it again.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainer import tiny
from tests.trainer.test_fit import assert_same_weights, break_loss, read_metrics
from tssl.chip import CLASS
from tssl.errors import TrainingError
from tssl.recipe import recipe_from_tables
from tssl.trainer import optimization
from tssl.trainer.device_steps import DeviceSteps, Graphs, Step, reason_against
from tssl.trainer.evaluation import right_answers, right_on_device
from tssl.trainer.fit import Fit
from tssl.trainer.network import Forward, SpikingNetwork
from tssl.trainer.neuron import Trace

needs_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(autouse=True)
def updates_of_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all runs update their weights as a GPU does."""
    monkeypatch.setattr(optimization, "_is_compiled", lambda _: False)


class Again:
    """Repeats a step by doing it again, on the tensors that it was captured with."""

    def __init__(self) -> None:
        self.replays = 0

    def alone(self, step: Step) -> torch.Tensor:
        return step()

    def capture(self, step: Step) -> Step:
        def replay() -> torch.Tensor:
            self.replays += 1
            return step()

        return replay


class Refusing(Again):
    """Captures nothing, as CUDA does when a step looks at a number."""

    def capture(self, step: Step) -> Step:
        raise RuntimeError("operation not permitted when stream is capturing\nmore lines")


def deferred(folder: Path, graphs: Graphs | None, settle_every: int = 4, **training: Any) -> Fit:
    """Return a run whose steps are deferred."""
    fit = tiny.fit(folder, tiny.recipe(**training), samples=64)  # a last batch that is smaller
    fit.device_steps = DeviceSteps(
        fit.network, fit.optimizer, fit.recipe.training, fit.objective.loss, graphs
    )
    fit.settle_every = settle_every
    return fit


@pytest.mark.parametrize("loss", ["kernel", "softmax"])
def test_the_run_is_the_same(tmp_path: Path, loss: str) -> None:
    whole = tiny.fit(tmp_path / "whole", tiny.recipe(epochs=3, loss=loss), samples=64)
    whole.fit(tiny.Watcher())
    other = deferred(tmp_path / "deferred", None, epochs=3, loss=loss)
    watcher = tiny.Watcher()
    assert other.fit(watcher)
    assert_same_weights(whole.run.last, other.run.last)
    assert read_metrics(other.run) == read_metrics(whole.run)
    assert other.run.layers.read_text() == whole.run.layers.read_text()
    assert watcher.seen == [40, 58] * 3  # of 58 that are trained on


def test_captured_steps_train_like_others(tmp_path: Path) -> None:
    """The captured rate is in single precision, so weights differ in their last bits."""
    whole = tiny.fit(tmp_path / "whole", tiny.recipe(epochs=4, lr_schedule="cosine"), samples=64)
    whole.fit(tiny.Watcher())
    graphs = Again()
    other = deferred(tmp_path / "captured", graphs, epochs=4, lr_schedule="cosine")
    assert other.fit(tiny.Watcher())
    assert other.device_steps is not None
    assert other.device_steps.is_captured
    assert graphs.replays == 4 * 5 - 3  # the smaller batches are never replayed
    for ours, theirs in zip(other.network.parameters(), whole.network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    for group in other.optimizer.param_groups:
        assert isinstance(group["lr"], float)
        assert not group["capturable"]


def test_what_cannot_be_captured_goes_on_without(tmp_path: Path) -> None:
    whole = tiny.fit(tmp_path / "whole", tiny.recipe(epochs=2), samples=64)
    whole.fit(tiny.Watcher())
    other = deferred(tmp_path / "refused", Refusing(), epochs=2)
    assert other.fit(tiny.Watcher())
    assert other.device_steps is not None
    assert other.device_steps.refusal == "operation not permitted when stream is capturing"
    assert_same_weights(whole.run.last, other.run.last)


def test_a_shortage_is_no_refusal(tmp_path: Path) -> None:
    class Full(Again):
        def capture(self, step: Step) -> Step:
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(TrainingError, match=r"--batch-size 5$"):
        deferred(tmp_path / "run", Full(), epochs=2).fit(tiny.Watcher())


@pytest.mark.parametrize("stop_after", [1, 3])
def test_stop_and_resume_is_exact(tmp_path: Path, stop_after: int) -> None:
    whole = tiny.fit(tmp_path / "whole", tiny.recipe(epochs=3), samples=64)
    whole.fit(tiny.Watcher())
    assert not deferred(tmp_path / "halves", None, epochs=3).fit(tiny.Watcher(stop_after))
    resumed = deferred(tmp_path / "halves", None, epochs=3)
    assert resumed.fit(tiny.Watcher())
    assert_same_weights(whole.run.last, resumed.run.last)
    assert read_metrics(resumed.run) == read_metrics(whole.run)


@pytest.mark.parametrize("batch", [2, 6])
def test_a_loss_that_is_no_number_is_found_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    break_loss(monkeypatch, batch)
    fit = deferred(tmp_path / "run", None)
    with pytest.raises(TrainingError, match=rf"epoch 1, batch {batch}: the loss is nan.*layer"):
        fit.fit(tiny.Watcher())
    assert not fit.run.last.exists()
    assert not fit.run.state.exists()


@pytest.mark.parametrize(
    ("training", "layer", "reason"),
    [
        ({}, {}, None),
        ({"warm_up": "layer"}, {}, "training.warm_up = 'layer': "),
        ({}, {"neuron": "plif"}, "network.layers: .* leaks"),
        ({"rule": "lee", "loss": None}, {}, "training.rule = 'lee': "),
    ],
)
def test_what_is_known_not_to_be_capturable(
    training: dict[str, Any], layer: dict[str, Any], reason: str | None
) -> None:
    tables = tiny.recipe(**training).model_dump(mode="json", exclude_none=True, by_alias=True)
    tables["network"]["layers"][0] |= layer
    if training.get("rule") == "lee":
        tables["network"]["tau_s"] = 1
    recipe = recipe_from_tables(tables, "tiny")
    network = SpikingNetwork(recipe, (1, 4, 4), torch.Generator())
    found = reason_against(network, recipe.training)
    assert (found is None) == (reason is None)
    assert re.match(reason or "None", str(found))


def test_integers_are_not_captured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = Again()
    fit = deferred(tmp_path / "run", graphs, epochs=2)
    monkeypatch.setattr(fit.network, "plan", object())
    fit._train_epoch(tiny.Watcher())
    assert not graphs.replays


def test_right_answers_are_those_of_the_read_out(rng: np.random.Generator) -> None:
    """Few spikes, so that many classes tie and many samples have none."""
    spikes = (rng.random((5, 400, 4)) < 0.1).astype(np.float32)
    voltage = rng.integers(-2, 3, spikes.shape).astype(np.float32)
    labels = rng.integers(0, 4, 400)
    expected = CLASS.answers(spikes.transpose(1, 0, 2).astype(np.uint8), voltage[-1]) == labels
    given = [torch.from_numpy(each) for each in (spikes, voltage, labels)]
    trace = Trace(given[0], given[0], given[1])
    assert right_answers(Forward(trace, {}, {}), given[2]) == expected.sum()
    assert int(right_on_device(given[0], given[1][-1], given[2])) == expected.sum()


@pytest.mark.gpu
@needs_a_gpu
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_gpu_replays_its_steps(tmp_path: Path, dropout: float) -> None:
    """As it trains without, up to the order in which a device adds up."""
    fits = []
    for name, captures in (("captured", True), ("not", False)):
        recipe = tiny.recipe(epochs=6, lr_schedule="cosine")
        first, last = recipe.network.layers
        layers = (first.model_copy(update={"dropout": dropout}), last)
        network = recipe.network.model_copy(update={"layers": layers})
        recipe = recipe.model_copy(update={"network": network})
        fit = tiny.fit(tmp_path / name, recipe, device="cuda", samples=64)
        if not captures:
            fit.device_steps = DeviceSteps(
                fit.network, fit.optimizer, recipe.training, fit.objective.loss, None
            )
        assert fit.fit(tiny.Watcher())
        fits.append(fit)
    captured, other = fits
    assert captured.device_steps is not None
    assert captured.device_steps.refusal is None
    assert captured.device_steps.is_captured
    for ours, theirs in zip(captured.network.parameters(), other.network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-3)
