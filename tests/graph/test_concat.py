"""Outputs one behind another: shapes against PyTorch, offsets by hand, and what is refused."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from tests.exporter.networks import after, concat, conv, dense, pool
from tests.graph.test_graph import graph
from tssl.errors import ConfigError

MAPS = [conv(3, 3, padding=1, name="a"), conv(2, 3, padding=1, name="b", **after("input"))]
SEW = {"type": "sew", "name": "s", **after("a")}


def test_maps_lie_behind_each_other() -> None:
    found = graph((1, 6, 4), *MAPS, concat("a", "input", "b", name="c"), conv(4, 3, name="d"),
                  dense(2))  # fmt: skip
    node = found["c"]
    shapes = [found[name].output_shape if name != "input" else (1, 6, 4) for name in node.sources]
    assert node.output_shape == torch.cat([torch.zeros(shape) for shape in shapes]).shape
    assert (node.neuron, node.geometry, dict(node.parameters)) == (None, None, {})
    assert (node.sources, node.offsets) == (("a", "input", "b"), (0, 3, 4))
    assert found["d"].parameters["weight"].shape == (4, 6, 3, 3)


def test_maps_are_flattened_beside_neurons() -> None:
    layers = [*MAPS, dense(5, name="d", **after("b")), concat("d", "a", name="c"), dense(2)]
    found = graph((1, 6, 4), *layers)
    assert (found["c"].output_shape, found["c"].offsets) == ((5 + 3 * 6 * 4,), (0, 5))
    assert found["dense5"].parameters["weight"].shape == (2, 77)


def test_maps_of_several_sizes_are_flattened_if_asked() -> None:
    layers = [*MAPS, pool(2, name="p", **after("b")), concat("a", "p", name="c", flat=True)]
    found = graph((1, 6, 4), *layers, dense(2))
    assert (found["c"].output_shape, found["c"].offsets) == ((3 * 24 + 2 * 6,), (0, 72))


def test_what_a_block_sends_adds_up_in_one_place() -> None:
    found = graph((1, 6, 4), *MAPS, SEW, concat("b", "s", name="c"), dense(2))
    assert found["c"].sources == ("b", "a", "s_2")
    assert (found["c"].offsets, found["c"].output_shape) == ((0, 2, 2), (5, 6, 4))
    found = graph((1, 6, 4), *MAPS, SEW, concat("a", "s", "b", name="c"), dense(2))
    assert found["c"].sources == ("a", "a", "s_2", "b"), "beside itself, but not added to itself"
    assert found["c"].offsets == (0, 3, 3, 6)


def test_a_concat_may_lie_in_another_and_be_added() -> None:
    found = graph(
        (1, 6, 4),
        *MAPS,
        concat("a", "b", name="c"),
        concat("c", "input", name="d"),
        conv(6, 1, name="e", **after("d")),
        pool(2, name="p", **after("d", "e")),
        dense(2),
    )
    assert found["d"].output_shape == found["e"].output_shape == (6, 6, 4)
    assert found["p"].output_shape == (6, 3, 2)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [*MAPS, pool(2, name="p", **after("a")), concat("b", "p", name="c"), dense(2)],
            r"c has the source b of shape \(2, 6, 4\) and p of shape \(3, 3, 2\); .* one height",
        ),
        (
            [*MAPS, concat("a", "b", name="c"), {"type": "gate", "function": "and",
             **after("c", "a")}, dense(2)],
            r"of shape \(5, 6, 4\) and a",
        ),
        (
            [*MAPS, concat("a", "b", name="c"), pool(2, mode="or"), dense(2)],
            "c are not all such: no input, no concat",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit(layers: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        graph((1, 6, 4), *layers)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([*MAPS, concat("a", "b")], "neurons that learn; it is a concat"),
        ([*MAPS, concat("a"), dense(2)], "at least 2 items"),
        ([*MAPS, concat("a", "a"), dense(2)], "names one source twice"),
        ([*MAPS, {"type": "concat"}, dense(2)], "Field required"),
        ([dense(4, name="a"), concat("a", "input"), conv(2, 1), dense(2)], "takes images"),
        ([*MAPS, concat("a", "b", flat=True), conv(2, 1), dense(2)], "takes images"),
        ([*MAPS, concat("a", "b", flat=1), dense(2)], "valid boolean"),
    ],
)
def test_recipes_that_are_refused(layers: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        graph((1, 6, 4), *layers)
