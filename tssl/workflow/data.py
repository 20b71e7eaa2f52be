"""The data set that a recipe names, as its network sees it."""

from pathlib import Path

from tssl import datasets
from tssl.datasets import Dataset, Frames
from tssl.errors import ConfigError
from tssl.recipe import Recipe


def load_splits(
    recipe: Recipe,
    data_dir: Path | None,
    progress: datasets.Progress | None = None,
    warn: datasets.Warn | None = None,
) -> tuple[Dataset, Dataset]:
    """Return the training and the test split.

    Raises
    ------
    ConfigError, DataError
        See :func:`tssl.datasets.load` and :func:`frames_of`.
    """
    frames = frames_of(recipe)
    train, test = (
        datasets.load(recipe.data.name, split, data_dir=data_dir, frames=frames, progress=progress)
        for split in datasets.SPLITS
    )
    train.pass_on_warnings(warn)
    test.pass_on_warnings(warn)
    return train, test


def frames_of(recipe: Recipe) -> Frames | None:
    """Return how events become the steps of the network; None for pictures.

    Raises
    ------
    ConfigError
        When there is no such data set, or its pictures shall be cut into frames.
    """
    data, steps = recipe.data, recipe.network.time_steps
    frames = datasets.framing(data.name, time_steps=steps, bin_us=data.bin_us)
    if frames is None and data.bin_us is not None:
        raise ConfigError(
            f"data.bin_us: data set {data.name} holds pictures and no events; leave it out"
        )
    return frames
