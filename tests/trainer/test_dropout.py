"""How many neurons fall silent, and that a seed decides which."""

import math

import pytest
import torch

from tssl.trainer.dropout import staying


def noise(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.2, 0.5, 0.9])
def test_a_share_falls_silent(share: float) -> None:
    """Within five standard deviations; each of the four places in a number on its own."""
    stays = staying((1000, 400), share, noise(0)).reshape(-1, 4).double()
    deviation = math.sqrt(share * (1 - share) / len(stays))
    for place in range(4):
        assert abs(float(stays[:, place].mean()) - (1 - share)) <= 5 * deviation + 1e-4


def test_neighbours_are_drawn_independently() -> None:
    stays = staying((1000, 400), 0.5, noise(0)).reshape(-1, 4).double() - 0.5
    products = (stays.T @ stays / len(stays)).fill_diagonal_(0)
    assert float(products.abs().max()) < 5 * 0.25 / math.sqrt(len(stays))


def test_the_seed_decides() -> None:
    shape = (3, 7, 5)  # no multiple of four
    one, same, other = (staying(shape, 0.5, noise(seed)) for seed in (1, 1, 2))
    assert one.shape == shape
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
