"""Trained biases, from recipe to Lava."""

from pathlib import Path

import numpy as np
import pytest

from tests.trainer import tiny
from tssl import netx
from tssl.spec import recipe_from_tables
from tssl.workflow.export import ExportOptions, export
from tssl.workflow.train import Environment, start, train

TABLES = {
    "name": "biased",
    "data": {"name": "rows"},
    "network": {
        "layers": [
            {"type": "conv", "channels": 4, "kernel": 3, "bias": True, "weight_scale": 4.0},
            {"type": "dense", "neurons": 12, "bias": True},
            {"type": "dense", "neurons": tiny.CLASSES, "bias": True},
        ]
    },
    "training": {"epochs": 6, "batch_size": 10, "lr": 0.02},
}


@pytest.mark.lava
def test_biases_are_trained_exported_and_proven(tmp_path: Path) -> None:
    recipe = tmp_path / "biased.toml"
    recipe.write_text(recipe_from_tables(TABLES, "test").to_toml())
    run = tmp_path / "run"
    train(start(str(recipe), {}, run, Environment(device="cpu")), tiny.Watcher())
    made = export(run, "loihi2", tmp_path / "x.net", ExportOptions(lava=True), lambda _: None)
    assert made.proof.verdict == "PASS"
    layers = netx.read(made.path).layers
    assert all(layer.bias.any() for layer in layers)
    assert max(int(np.abs(layer.bias).max()) for layer in layers) <= 4095
    maps = layers[0].bias.reshape(4, -1)
    assert (maps == maps[:, :1]).all(), "one for each map"
