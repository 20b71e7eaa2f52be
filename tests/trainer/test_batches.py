"""Which samples the batches of an epoch hold, and that all randomness can be had again."""

import numpy as np
import pytest
import torch

from tests.trainer import tiny
from tests.trainer.test_samples import samples
from tssl.recipe import AugmentationSpec, Recipe
from tssl.trainer.batches import Batches
from tssl.trainer.parallel import Group

SAMPLES, SIZE = 20, 6


def recipe(*, is_moved: bool = False) -> Recipe:
    plain = tiny.recipe(batch_size=SIZE)
    return plain.model_copy(update={"augmentation": AugmentationSpec(crop_padding=2 * is_moved)})


def batches(*, is_moved: bool = False, rank: int = 0, size: int = 1) -> Batches:
    group = Group("cpu")
    group.rank, group.size = rank, size
    return Batches(samples(), recipe(is_moved=is_moved), group)


def test_every_sample_is_in_one_batch() -> None:
    found = list(batches().of_epoch(0))
    assert len(batches()) == len(found) == 4
    assert [batch.done for batch in found] == [6, 12, 18, SAMPLES]
    assert sorted(np.concatenate([batch.samples for batch in found])) == list(range(SAMPLES))


def test_an_epoch_goes_on_where_it_stopped() -> None:
    whole, rest = list(batches().of_epoch(3)), list(batches().of_epoch(3, first=2))
    for here, there in zip(whole[2:], rest, strict=True):
        assert np.array_equal(here.samples, there.samples)
        assert (here.seed, here.done) == (there.seed, there.done)


def test_epochs_differ() -> None:
    first, second = next(batches().of_epoch(0)), next(batches().of_epoch(1))
    assert not np.array_equal(first.samples, second.samples)
    seeds = {batch.seed for epoch in range(5) for batch in batches().of_epoch(epoch)}
    assert len(seeds) == 5 * 4


@pytest.mark.parametrize("is_moved", [False, True])
def test_a_batch_can_be_had_again(*, is_moved: bool) -> None:
    each = batches(is_moved=is_moved)
    batch = next(each.of_epoch(0))
    (inputs, targets), (again, _) = each.load(batch), each.load(batch)
    assert torch.equal(inputs, again)
    plain, labels = samples().batch(batch.samples)
    assert torch.equal(targets, labels)
    assert torch.equal(inputs, plain) != is_moved


def test_processes_share_a_batch() -> None:
    """They draw the same order and seeds of their own."""
    mine, yours = batches(rank=0, size=2), batches(rank=1, size=2)
    for here, there in zip(mine.of_epoch(0), yours.of_epoch(0), strict=True):
        assert np.array_equal(here.samples, there.samples)
        assert here.seed != there.seed
        together = torch.cat([mine.load(here)[1], yours.load(there)[1]])
        _, labels = samples().batch(here.samples)
        assert sorted(together.tolist()) == sorted(labels.tolist())
