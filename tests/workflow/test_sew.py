"""SEW ResNets, from recipe to Lava, spike for spike."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trainer import tiny
from tests.workflow.test_parts import OUT, recipe_of
from tssl import netx
from tssl.checkpoint import Checkpoint
from tssl.errors import RangeError
from tssl.recipe import Recipe
from tssl.workflow.export import ExportOptions, ExportOutcome, export
from tssl.workflow.train import Environment, start, train

STEM = {"type": "conv", "channels": 4, "kernel": 3, "norm": "batch", "neuron": "if"}


def trained(folder: Path, recipe: Recipe, **settings: Any) -> Path:
    file = folder / "recipe.toml"
    file.write_text(recipe.to_toml())
    train(start(str(file), settings, folder / "run", Environment(device="cpu")), tiny.Watcher())
    return folder / "run" / "best.safetensors"


def exported(file: Path, *, lava: bool = True, **values: float) -> ExportOutcome:
    """Export a checkpoint of which some arrays have other values."""
    checkpoint = Checkpoint.load(file)
    for name, value in values.items():
        checkpoint.weights[name] = np.full_like(checkpoint.weights[name], value)
    edited = file.with_name("edited.safetensors")
    checkpoint.save(edited)
    options = ExportOptions(lava=lava)
    return export(edited, "loihi2", file.with_name("x.net"), options, lambda _: None)


@pytest.mark.lava
@pytest.mark.parametrize("gate", ["add", "and", "iand"])
def test_blocks_of_convolutions(tmp_path: Path, gate: str) -> None:
    block = {"type": "sew", "gate": gate, "neuron": "if", "tau_s": 1.0}
    recipe = recipe_of(
        {**STEM, "padding": 1, "name": "stem"},
        {"type": "pool", "kernel": 2, "mode": "or", "name": "any"},
        {**block, "name": "a"},
        {**block, "name": "b", "channels": 6, "stride": 2, "neuron": "plif"},
        {**OUT, "name": "out", "bias": True},
    )
    file = trained(tmp_path, recipe, rule="surrogate-arctan", epochs=2)
    norms = {f"{name}_2_norm_scale": 1.0 for name in "ab"}  # a few epochs leave branches silent
    for name in ("a_1", "a_2", "b_1", "b_2", "b_shortcut"):
        norms[f"{name}_norm_shift"] = 2.0 if name.startswith("b") else 0.6  # plif takes a share
    made = exported(file, out_bias=0.6, **norms)
    assert made.proof.verdict == "PASS"
    assert not made.silent
    assert made.document()["lava_dl"]["lines"] == []
    layers = {layer.name: layer for layer in netx.read(made.path).layers}
    learning = {"stem", "any", "a_1", "a_2", "b_1", "b_2", "b_shortcut", "out"}
    assert layers.keys() == learning | (set() if gate == "add" else {f"a_{gate}", f"b_{gate}"})
    last = [each.source for each in layers["out"].connections]
    assert last == (["b_shortcut", "b_2"] if gate == "add" else [f"b_{gate}"])
    for name in layers.keys() - learning:
        weights = [set(each.synapses.weight.flat) for each in layers[name].connections]
        known = {"and": ([{2}, {2}], 3), "iand": ([{-2}, {2}], 1)}
        assert (weights, layers[name].neuron.threshold) == known[gate]


@pytest.mark.lava
def test_blocks_of_dense_layers(tmp_path: Path) -> None:
    block = {"type": "sew-dense", "gate": "iand"}
    recipe = recipe_of({"type": "dense", "neurons": 130}, block, {**block, "neurons": 12}, OUT)
    made = exported(trained(tmp_path, recipe))
    assert made.proof.verdict == "PASS"
    (gate, _) = (layer for layer in made.network.layers if layer.name.endswith("iand"))
    assert gate.neurons == 130
    assert gate.weights.tolist() == [-2, 2], "shared by all neurons"


def test_a_silent_branch_is_said_and_a_silent_trunk_refused(tmp_path: Path) -> None:
    block = {"type": "sew-dense", "neuron": "if", "name": "a"}
    recipe = recipe_of({"type": "dense", "neurons": 12, "name": "stem"}, block, OUT)
    file = trained(tmp_path, recipe)
    made = exported(file, lava=False, a_2_norm_scale=1.0, a_2_norm_shift=0.6)
    assert (made.silent, made.document()["silent_layers"]) == ((), [])
    made = exported(file, lava=False, a_2_norm_scale=1.0, a_2_norm_shift=-50.0)
    assert (made.silent, made.document()["silent_layers"]) == (("a_2",), ["a_2"])
    with pytest.raises(RangeError, match="layer stem: is dead: it never fires on 60"):
        exported(file, lava=False, stem=-1.0)
