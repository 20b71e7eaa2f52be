"""The recordings of other learning methods; their folder is ``TSSL_METHODS_DIR`` when it is set."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tssl.recipe import Recipe, recipe_from_tables
from tssl.trainer.network import SpikingNetwork

SHARED = Path(__file__).parents[3] / "shared" / "golden" / "methods"
FOLDER = Path(os.environ.get("TSSL_METHODS_DIR", SHARED))


class Recorded:
    """The arrays of a file, and what is said of them."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as file:
            self.arrays = {key: file[key] for key in file if key != "meta"}
            self.meta: dict[str, Any] = json.loads(str(file["meta"]))

    def __contains__(self, key: str) -> bool:
        return key in self.arrays

    def __getitem__(self, key: str) -> Tensor:
        return torch.from_numpy(self.arrays[key])


def files(pattern: str) -> list[Path]:
    """Return the files of a method; none where the folder is missing."""
    return sorted(FOLDER.glob(pattern))


def check_present(found: list[Path], least: int) -> None:
    """Skip where the folder is missing, fail where it holds too little."""
    if not FOLDER.is_dir():
        pytest.skip(f"{FOLDER} is missing; TSSL_METHODS_DIR names the folder")
    assert len(found) >= least


def recipe_of(network: dict[str, Any], **training: Any) -> Recipe:
    """Return a recipe for data that no data set holds."""
    tables = {
        "name": "recorded",
        "data": {"name": "digits"},
        "encoding": {"resolution": 1},
        "network": network,
        "training": training,
    }
    return recipe_from_tables(tables, "test")


def network_of(recipe: Recipe, inputs: int, kind: torch.dtype) -> SpikingNetwork:
    """Return a network for inputs of one row."""
    return SpikingNetwork(recipe, (1, 1, inputs), torch.Generator().manual_seed(0)).to(kind)


def worst(ours: Tensor, theirs: Tensor) -> float:
    """Return the largest difference by the largest entry."""
    assert ours.shape == theirs.shape
    return float((ours.detach() - theirs).abs().max() / theirs.abs().max().clamp(min=1e-30))
