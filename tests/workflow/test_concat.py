"""Layers side by side, from recipe to Lava, spike for spike."""

from pathlib import Path

import pytest

from tests.exporter.networks import concat
from tests.workflow.test_parts import OUT, recipe_of
from tests.workflow.test_sew import STEM, exported, trained
from tssl.workflow.inspect import inspect


@pytest.mark.lava
def test_blocks_and_maps_side_by_side(tmp_path: Path) -> None:
    """Two layers of a block add up in one place; training ends in the chip's integers."""
    recipe = recipe_of(
        {**STEM, "padding": 1, "name": "stem"},
        {"type": "sew", "neuron": "if", "name": "block"},
        concat("input", "block", "stem", name="maps"),
        {"type": "pool", "kernel": 2, "name": "pool"},
        {"type": "dense", "neurons": 16, "name": "deep"},
        concat("pool", "deep", name="all", dropout=0.1),
        {**OUT, "name": "out", "bias": True},
    )
    file = trained(tmp_path, recipe, forward="chip", epochs=2)
    made = exported(file, block_2_norm_scale=1.0, block_2_norm_shift=0.6, out_bias=0.6)
    assert made.proof.verdict == "PASS"
    sources = {each["layer"]: each["sources"] for each in inspect(made.path).document()["layers"]}
    assert sources["deep"] == ["input", "stem", "block_2", "stem"]
    assert sources["out"] == ["input", "stem", "block_2", "stem", "deep"]
