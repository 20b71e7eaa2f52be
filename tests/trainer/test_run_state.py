"""What a run goes on from, and states that are refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainer import tiny
from tssl.checkpoint import load_tensors, save_tensors
from tssl.errors import CheckpointError
from tssl.trainer.progress import TrainingProgress


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
