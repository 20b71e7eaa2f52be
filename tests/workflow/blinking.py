"""A data set of events that is learnt in a second: two classes, early and late."""

from typing import Any

import numpy as np

from tssl.datasets import Dataset, Description, Frames
from tssl.datasets.events import pack
from tssl.recipe import Recipe, recipe_from_tables

SAMPLES, STEP_US = 40, 500


def dataset(split: str, frames: Frames) -> Dataset:
    """Return pictures of 2 x 3 x 3 that blink in the first half of the time or in the second.

    A recording lasts 4 milliseconds; frames of another duration than ``STEP_US`` see more or
    less of it.
    """
    rng = np.random.default_rng((11, split == "test"))
    labels = np.arange(SAMPLES, dtype=np.int64) % 2
    times = rng.integers(0, 2000, (SAMPLES, 12)) + 2000 * labels[:, None]
    seen = np.zeros((SAMPLES, frames.time_steps, 2, 3, 3), np.uint8)
    for sample, moments in enumerate(times // frames.bin_us):
        for moment in moments[moments < frames.time_steps]:
            seen[sample, moment, labels[sample], :, rng.integers(0, 3)] = 1
    return Dataset(
        name="blinking",
        split=split,
        inputs=pack(seen),
        labels=labels,
        classes=2,
        full_scale=1,
        source="made up",
        time_steps=frames.time_steps,
    )


def recipe() -> Recipe:
    """Return a recipe that learns it, in steps of 400 microseconds."""
    layers = [
        {"type": "conv", "channels": 6, "kernel": 2, "threshold": 0.4},
        {"type": "dense", "neurons": 2},
    ]
    tables = {
        "name": "blinking",
        "data": {"name": "blinking", "bin_us": 400},
        "encoding": {"resolution": 1},
        "network": {"time_steps": 10, "tau_m": 4, "tau_s": 2, "layers": layers},
        "training": {
            "loss": "count", "desired_count": 5, "undesired_count": 1,
            "epochs": 8, "batch_size": 10, "lr": 0.02,
        },
    }  # fmt: skip
    return recipe_from_tables(tables, "blinking")


class Blinking:
    """The data set as an entry of ``DATASETS``: ``"tests.workflow.blinking:BLINKING"``."""

    default_frames = Frames(time_steps=8, bin_us=STEP_US)

    def bin_us(self, _: int) -> int:
        return STEP_US

    def describe(self, **_: Any) -> Description:
        return Description(
            name="blinking", title="Blinking", shape=(2, 3, 3), classes=2, full_scale=1,
            train=SAMPLES, test=SAMPLES, licence="none", found="made up", ready=True,
        )  # fmt: skip

    def load(self, split: str, *, frames: Frames, **_: Any) -> Dataset:
        return dataset(split, frames)


BLINKING = Blinking()
