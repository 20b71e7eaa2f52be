"""Batches that are loaded several at a time are those of their places, one by one."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.trainer import tiny
from tssl.chip import Encoding
from tssl.recipe import recipe_from_tables
from tssl.trainer.loading import Batch, Loader
from tssl.trainer.samples import Samples, augmented

ENCODING = Encoding(offset=2.0, gain=0.5, quantum=0.25)
INDICES = np.arange(5, 52)


def loader(share: slice = slice(None), rank: int = 0, **augmentation: Any) -> Loader:
    tables = tiny.recipe(seed=3).model_dump(mode="json", exclude_none=True, by_alias=True)
    recipe = recipe_from_tables({**tables, "augmentation": augmentation}, "tiny")
    group: Any = SimpleNamespace(device="cpu", share=share, rank=rank)
    return Loader(Samples.encoded(tiny.dataset(), INDICES, ENCODING, "cpu"), recipe, group)


def same(one: Batch, other: Batch) -> bool:
    arrays = zip(one[:3], other[:3], strict=True)
    return one[3] == other[3] and all(np.array_equal(*pair) for pair in arrays)


@pytest.mark.parametrize("augmentation", [{}, {"crop_padding": 1, "flip": True}])
@pytest.mark.parametrize(("share", "rank"), [(slice(None), 0), (slice(1, None, 2), 1)])
def test_batches_follow_from_their_place(
    augmentation: dict[str, Any], share: slice, rank: int
) -> None:
    """Five batches of 10, the last one short; what is drawn is drawn as published."""
    order = np.random.default_rng(0).permutation(len(INDICES))
    made = loader(share, rank, **augmentation)
    found = list(made.batches(order, 4, 0))
    assert [len(order[n * 10 : n * 10 + 10][share]) for n in range(5)] == [
        len(batch.targets) for batch in found
    ]
    for number, batch in enumerate(found):
        chosen = order[number * 10 : number * 10 + 10][share]
        rng = np.random.default_rng((3, 3, 4, number, rank))
        pixels = augmented(tiny.dataset().inputs[INDICES[chosen]], made._recipe.augmentation, rng)
        assert np.array_equal(batch.chosen, chosen)
        assert np.array_equal(batch.inputs.numpy(), ENCODING.integers(pixels) * ENCODING.quantum)
        assert batch.targets.tolist() == tiny.dataset().labels[INDICES[chosen]].tolist()
        assert batch.noise_seed == int(rng.integers(1 << 62))


def test_going_on_in_the_middle_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    order, made = np.arange(len(INDICES)), loader(crop_padding=1)
    whole = list(made.batches(order, 1, 0))
    monkeypatch.setattr("tssl.trainer.loading._MOST_AHEAD", 2)
    rest = list(made.batches(order, 1, 2))
    assert len(rest) == 3
    assert all(same(*pair) for pair in zip(whole[2:], rest, strict=True))


def test_large_batches_are_loaded_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is 10 samples of 16 values of 4 bytes."""
    made = loader()
    assert made.ahead == 16
    monkeypatch.setattr("tssl.trainer.loading._AHEAD_BYTES", 3 * 640 + 639)
    assert made.ahead == 3
    monkeypatch.setattr("tssl.trainer.loading._AHEAD_BYTES", 1)
    assert made.ahead == 1
