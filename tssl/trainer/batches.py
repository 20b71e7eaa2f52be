"""The batches of an epoch: which samples they hold, and what is random in them."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch import Tensor

from tssl.chip import IntArray
from tssl.recipe import AugmentationSpec, Recipe
from tssl.trainer.parallel import Group
from tssl.trainer.samples import Samples, augmented, sent

__all__ = ["Batch", "Batches"]


class Batch(NamedTuple):
    """Part of an epoch, the same for all processes but for the seed."""

    samples: IntArray
    """Their places in the training set, ``(batch,)``."""
    seed: int
    """From which all that is random in the batch, and in its step, follows."""
    done: int
    """How many samples of the epoch have been trained on after it."""


class Batches:
    """The samples that are trained on, in an order that is new in each epoch.

    Parameters
    ----------
    samples
        Those of the training set that are not held out.
    recipe
        Says how large a batch is, and how its pictures are moved.
    group
        The processes that share each batch.
    """

    def __init__(self, samples: Samples, recipe: Recipe, group: Group) -> None:
        self._samples, self._group = samples, group
        self._seed, self._size = recipe.training.seed, recipe.training.batch_size
        self._augmentation = recipe.augmentation
        self._is_augmented = recipe.augmentation != AugmentationSpec()

    def __len__(self) -> int:
        return -(-len(self._samples) // self._size)

    def of_epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield an epoch's batches from the ``first`` on; the same ones whenever it is asked."""
        order = np.random.default_rng((self._seed, 2, epoch)).permutation(len(self._samples))
        place = self._seed, 3, epoch, self._group.rank
        seeds = np.random.default_rng(place).integers(1 << 62, size=len(self)).tolist()
        for number in range(first, len(self)):
            chosen = order[number * self._size : (number + 1) * self._size]
            yield Batch(chosen, seeds[number], number * self._size + len(chosen))

    def load(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the inputs and targets of this process's share of a batch."""
        chosen = batch.samples[self._group.share]
        if not self._is_augmented:
            return self._samples.batch(chosen)
        pixels, labels = self._samples.pixels(chosen)
        rng = np.random.default_rng(batch.seed)
        pixels = augmented(pixels, self._augmentation, rng, self._samples.dataset.zero)
        return self._samples.encode(pixels), sent(labels, self._group.device)
