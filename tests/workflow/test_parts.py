"""Branches, trained biases and norms, from recipe to Lava."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trainer import tiny
from tssl import netx
from tssl.recipe import Recipe, recipe_from_tables
from tssl.workflow.export import ExportOptions, ExportOutcome, export
from tssl.workflow.train import Environment, start, train

CONV = {"type": "conv", "channels": 4, "kernel": 3, "weight_scale": 4.0}
OUT = {"type": "dense", "neurons": tiny.CLASSES}


def recipe_of(*layers: dict[str, Any]) -> Recipe:
    tables = {
        "name": "parts",
        "data": {"name": "rows"},
        "network": {"layers": list(layers)},
        "training": {"epochs": 6, "batch_size": 10, "lr": 0.02},
    }
    return recipe_from_tables(tables, "test")


def trained_and_exported(folder: Path, recipe: Recipe) -> ExportOutcome:
    file = folder / "recipe.toml"
    file.write_text(recipe.to_toml())
    run = folder / "run"
    train(start(str(file), {}, run, Environment(device="cpu")), tiny.Watcher())
    return export(run, "loihi2", folder / "x.net", ExportOptions(lava=True), lambda _: None)


@pytest.mark.lava
@pytest.mark.parametrize("extra", [{"bias": True}, {"norm": "batch"}])
def test_biases_and_norms(tmp_path: Path, extra: dict[str, Any]) -> None:
    hidden = {"type": "dense", "neurons": 12}
    recipe = recipe_of(*({**layer, **extra} for layer in (CONV, hidden, OUT)))
    made = trained_and_exported(tmp_path, recipe)
    assert made.proof.verdict == "PASS"
    layers = netx.read(made.path).layers
    assert all(layer.bias.any() for layer in layers)
    assert max(int(np.abs(layer.bias).max()) for layer in layers) <= 4095
    maps = layers[0].bias.reshape(4, -1)
    assert (maps == maps[:, :1]).all(), "one for each map"


@pytest.mark.lava
def test_a_residual_network_with_norms(tmp_path: Path) -> None:
    same = {**CONV, "padding": 1, "norm": "batch"}
    recipe = recipe_of(
        {**same, "name": "a"},
        {**same, "name": "b"},
        {**OUT, "name": "out", "from": ["a", "b"]},
    )
    made = trained_and_exported(tmp_path, recipe)
    assert made.proof.verdict == "PASS"
    network = netx.read(made.path)
    assert [each.source for each in network.layers[-1].connections] == ["a", "b"]


@pytest.mark.lava
def test_recurrent_convolutions(tmp_path: Path) -> None:
    made = trained_and_exported(tmp_path, recipe_of({**CONV, "recurrent": 3, "name": "a"}, OUT))
    assert made.proof.verdict == "PASS"
    (layer, _) = netx.read(made.path).layers
    assert [each.source for each in layer.connections] == ["input", "a"]
    assert layer.connections[1].synapses.weight.shape == (4, 4, 3, 3)
