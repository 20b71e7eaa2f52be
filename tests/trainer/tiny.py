"""A data set that is learnt in a second, for the tests of training."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from tssl.datasets import Dataset, Description
from tssl.recipe import Recipe, recipe_from_tables
from tssl.trainer.fit import Fit
from tssl.trainer.network import SpikingNetwork
from tssl.trainer.potentials import Potentials
from tssl.trainer.progress import EpochMetrics, LayerMetrics, TrainingProgress
from tssl.trainer.rule import Rule
from tssl.trainer.run_directory import RunDirectory

CLASSES = 3


def dataset(split: str = "train", *, samples: int = 60, classes: int = CLASSES) -> Dataset:
    """Return noisy pictures of 4 x 4 pixels; class c has a bright row c."""
    rng = np.random.default_rng((7, split == "test"))
    labels = np.arange(samples) % CLASSES
    inputs = rng.integers(0, 5, (samples, 1, 4, 4))
    inputs[np.arange(samples), 0, labels] += 11
    return Dataset(
        name="rows",
        split=split,
        inputs=inputs.astype(np.uint8),
        labels=labels.astype(np.int64),
        classes=classes,
        full_scale=16,
        source="made up",
    )


def recipe(**training: Any) -> Recipe:
    """Return a recipe of two layers and two epochs; keywords change its training."""
    tables = {
        "name": "rows",
        "data": {"name": "rows"},
        "network": {
            "layers": [{"type": "dense", "neurons": 12}, {"type": "dense", "neurons": CLASSES}]
        },
        "training": {"epochs": 2, "batch_size": 10, "lr": 0.01, **training},
    }
    return recipe_from_tables(tables, "tiny")


def rule_of(**training: Any) -> Rule:
    """Return how neurons compute in a method that trains on potentials."""
    network = SpikingNetwork(recipe(**training), (1, 4, 4), torch.Generator())
    assert isinstance(network.method, Potentials)
    return network.method.rule


def prepare(directory: Path, of: Recipe) -> RunDirectory:
    """Return the folder of a run, made if need be."""
    run = RunDirectory(directory)
    if not run.recipe.exists():
        run.create(of)
    return run


def fit(directory: Path, of: Recipe | None = None, device: str = "cpu", **sizes: int) -> Fit:
    """Return a run in a folder; it goes on when the folder holds a state."""
    if of is None:
        of = recipe()
    run = prepare(directory, of)
    return Fit(of, run, dataset(**sizes), dataset("test"), device)


class Watcher:
    """Counts, and asks to stop after so many batches."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.batches = 0
        self.seen: list[int] = []
        self.epochs: list[EpochMetrics] = []

    def batch_done(self, progress: TrainingProgress, *, samples: int) -> None:
        self.batches += 1
        self.seen.append(samples)

    def epoch_done(self, metrics: EpochMetrics, layers: list[LayerMetrics]) -> None:
        assert {layer.epoch for layer in layers} == {metrics.epoch}
        self.epochs.append(metrics)

    def stop_requested(self) -> bool:
        return self.batches == self.stop_after


class Rows:
    """The data set as an entry of ``DATASETS``: ``"tests.trainer.tiny:ROWS"``."""

    def describe(self, **_: Any) -> Description:
        return Description(
            name="rows", title="Rows", shape=(1, 4, 4), classes=CLASSES, full_scale=16,
            train=60, test=60, licence="none", found="made up", ready=True,
        )  # fmt: skip

    def load(self, split: str, **_: Any) -> Dataset:
        return dataset(split)


ROWS = Rows()
