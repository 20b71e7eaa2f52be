"""The batches of an epoch, several loaded at a time."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tssl.chip import IntArray
from tssl.recipe import Recipe
from tssl.trainer.parallel import Group
from tssl.trainer.samples import Samples, augmented, sent

__all__ = ["Batch", "Loader"]

_AHEAD_BYTES = 4 << 20
_MOST_AHEAD = 16
"""Batches loaded in a row. A training step drives the code of loading out of the processor's
caches; in a row loading takes a tenth to a sixth less. Most of the rest is waiting for pictures
that lie scattered in memory."""


class Batch(NamedTuple):
    """What a process trains on in a step."""

    chosen: IntArray
    """Places of its samples in the part of the data set that is trained on."""
    inputs: Tensor
    targets: Tensor
    noise_seed: int
    """For all that is drawn at random in the step."""


class Loader:
    """Loads batches; everything random in one follows from its place in the run.

    Parameters
    ----------
    samples
        What is trained on.
    recipe
        Says the size of batches, the seed and the augmentation.
    group
        The processes that share a batch.
    """

    def __init__(self, samples: Samples, recipe: Recipe, group: Group) -> None:
        self._samples, self._recipe, self._group = samples, recipe, group

    @property
    def ahead(self) -> int:
        """Batches that are loaded in a row; one on a GPU, for which nothing waits."""
        if torch.device(self._group.device).type != "cpu":
            return 1
        levels = self._samples.levels
        values = math.prod(self._samples.dataset.inputs.shape[1:]) * math.prod(levels.shape[1:])
        of_batch = values * levels.element_size() * self._recipe.training.batch_size
        return max(1, min(_MOST_AHEAD, _AHEAD_BYTES // of_batch))

    def batches(self, order: IntArray, epoch: int, first: int) -> Iterator[Batch]:
        """Yield the batches of an epoch from the first one wanted.

        Parameters
        ----------
        order
            Places of all samples of the epoch, as they come.
        """
        size, ahead = self._recipe.training.batch_size, self.ahead
        count = -(-len(order) // size)
        for begin in range(first, count, ahead):
            numbers = range(begin, min(begin + ahead, count))
            yield from [
                self._batch(order[number * size : (number + 1) * size], epoch, number)
                for number in numbers
            ]

    def _batch(self, order: IntArray, epoch: int, number: int) -> Batch:
        chosen = order[self._group.share]
        pixels, targets = self._samples.pixels(chosen)
        place = (epoch, number, self._group.rank)
        rng = np.random.default_rng((self._recipe.training.seed, 3, *place))
        zero = self._samples.dataset.zero
        pixels = augmented(pixels, self._recipe.augmentation, rng, zero)
        seed = int(rng.integers(1 << 62))
        inputs = self._samples.encode(pixels)
        return Batch(chosen, inputs, sent(targets, self._group.device), seed)
