"""Layers with neurons of their own, from recipe to Lava."""

from pathlib import Path

import pytest

from tests.trainer import tiny
from tssl import netx
from tssl.checkpoint import Checkpoint
from tssl.recipe import recipe_from_tables
from tssl.workflow.export import ExportOptions, export
from tssl.workflow.train import Environment, start, train

TABLES = {
    "name": "neurons",
    "data": {"name": "rows"},
    "network": {
        "layers": [
            {"type": "conv", "channels": 4, "kernel": 3, "neuron": "if", "weight_scale": 4.0},
            {"type": "pool", "kernel": "global", "mode": "average", "gain": 4.0},
            {"type": "dense", "neurons": 12, "neuron": "plif", "tau_m": 2.0, "tau_s": 2.0},
            {"type": "dense", "neurons": tiny.CLASSES, "tau_s": 1.0, "tau_m": 20.0},
        ]
    },
    "training": {"epochs": 6, "batch_size": 10, "lr": 0.02},
}


@pytest.mark.lava
def test_they_are_trained_exported_and_proven(tmp_path: Path) -> None:
    recipe = tmp_path / "neurons.toml"
    recipe.write_text(recipe_from_tables(TABLES, "test").to_toml())
    run = tmp_path / "run"
    train(start(str(recipe), {}, run, Environment(device="cpu")), tiny.Watcher())
    made = export(run, "loihi2", tmp_path / "x.net", ExportOptions(lava=True), lambda _: None)
    assert made.proof.verdict == "PASS"
    (parameter,) = Checkpoint.load(run / "best.safetensors").weights["dense3_leak"].tolist()
    assert parameter != 0, "it began at a half, and was trained"
    share = 2.718281828459045**parameter / (1 + 2.718281828459045**parameter)
    found = [layer.neuron for layer in netx.read(made.path).layers]
    assert [neuron.current_decay for neuron in found] == [1365, 2048, 4096]
    assert [neuron.voltage_decay for neuron in found] == [0, round(4096 * share), 205]
