"""A maximum of spikes, written as a count in windows and a threshold, is a layer of its own."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from tests.exchange.nir.files import chain, conv, ends, flatten, in_memory, integrate, linear, pool
from tests.exchange.nir.test_lowering import both, drawn
from tssl.exchange.nir import Nir


def network(*, shape: tuple[int, ...] = (3, 3, 3), threshold: float = 0.5, **changes: Any) -> Nir:
    """Return neurons of maps, what counts their spikes in windows, a threshold, and a layer."""
    usual = {"weight": np.ones((3, 1, 2, 2)), "groups": 3, "stride": np.array([2, 2])}
    nodes: Mapping[str, Any] = ends([2, 6, 7], [4]) | {
        "c": conv(drawn(3, 2, 3, 3), padding=np.array([1, 1])), "l": integrate((3, 6, 7)),
        "n": {**conv(np.ones((3, 1, 2, 2))), **usual, **changes},
        "t": {"type": "Threshold", "threshold": np.full(shape, threshold)},
        "f": flatten(), "fc": linear(drawn(4, int(np.prod(shape)))), "o": integrate(4),
    }  # fmt: skip
    return in_memory(nodes, chain("input", "c", "l", "n", "t", "f", "fc", "o", "output"))


def kinds(nir: Nir) -> list[str]:
    wanted, fired, made = both(nir, "euler", 1e-3)
    for layer, spikes in wanted.items():
        assert np.array_equal(spikes, fired[layer]), layer
        assert 0 < spikes.mean() < 1, "the case shows nothing"
    return [node.kind for node in made.checkpoint.graph]


POOLS: dict[str, Nir] = {
    "ones": network(),
    "other weights, a threshold of 0": network(weight=np.full((3, 1, 2, 2), 3.0), threshold=0.0),
    "a threshold just below": network(threshold=0.99),
    "windows that overlap": network(stride=np.array([1, 1]), shape=(3, 5, 6)),
    "windows over the edge": network(padding=np.array([1, 1]), shape=(3, 4, 4)),
}
OTHERS: dict[str, Nir] = {
    "two of a window": network(threshold=1.5),
    "a bias": network(bias=np.full(3, 0.4)),
    "weights that differ": network(weight=np.array([1.0, 2.0, 1.0, 1.0] * 3).reshape(3, 1, 2, 2)),
    "windows with gaps": network(
        dilation=np.array([2, 1]), stride=np.array([1, 1]), shape=(3, 4, 6)
    ),
    "more zeros than pixels": network(padding=np.array([2, 1]), shape=(3, 5, 4)),
    "all maps": network(weight=np.ones((2, 3, 2, 2)), groups=1, bias=np.zeros(2), shape=(2, 3, 3),
                        threshold=0.5),
}  # fmt: skip


@pytest.mark.parametrize("name", POOLS)
def test_a_pool_of_spikes(name: str) -> None:
    assert kinds(POOLS[name]) == ["conv", "pool", "dense"]


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_pool_of_spikes(name: str) -> None:
    assert kinds(OTHERS[name]) == ["conv", "conv", "dense"]


def test_an_average_is_no_spike() -> None:
    nodes = ends([1, 6, 6], [1, 3, 3]) | {
        "l": integrate((1, 6, 6)),
        "p": pool("AvgPool2d", [2, 2]),
        "t": {"type": "Threshold", "threshold": np.full((1, 3, 3), 0.5)},
    }
    nir = in_memory(nodes, chain("input", "l", "p", "t", "output"))
    assert kinds(nir) == ["conv", "pool", "conv"]
