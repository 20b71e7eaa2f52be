"""What a recipe's layers are for a given input, by hand and against PyTorch."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from tests.exporter.networks import concat, conv, dense, pool
from tssl.errors import ConfigError
from tssl.graph import KINDS, Graph, resolve
from tssl.graph.kinds import Block
from tssl.neurons import Lif
from tssl.recipe import NetworkSpec


def graph(shape: tuple[int, int, int], *layers: dict[str, Any], **network: Any) -> Graph:
    spec = NetworkSpec.model_validate({"layers": list(layers), **network})
    return resolve(spec, shape)


def test_a_network_by_hand() -> None:
    found = graph(
        (1, 9, 8),
        conv(2, (3, 3), threshold=0.5),
        pool(2, gain=1.5, dropout=0.1),
        dense(10, recurrent=True, weight_scale=2.0),
        tau_m=7.0,
        tau_s=2.0,
    )
    first, second, last = found
    assert [node.name for node in found] == ["conv1", "pool2", "dense3"]
    assert [node.sources for node in found] == [("input",), ("conv1",), ("pool2",)]
    # 9 x 8 without padding: 7 x 6; of 7 rows the pool drops one
    assert [node.output_shape for node in found] == [(2, 7, 6), (2, 3, 3), (10,)]
    assert [node.input_shape for node in found] == [(1, 9, 8), (2, 7, 6), (2, 3, 3)]
    assert dict(found.parameters.values()) == {
        "conv1": (2, 1, 3, 3), "dense3": (10, 18), "dense3_recurrent": (10, 10),
    }  # fmt: skip
    assert first.neuron == Lif(tau_m=7.0, tau_s=2.0, threshold=0.5)
    assert last.neuron == Lif(tau_m=7.0, tau_s=2.0, threshold=1.0)
    assert (second.neuron, second.gain, second.dropout) == (None, 1.5, 0.1)
    assert (last.weight_scale, last.outputs) == (2.0, 10)
    assert found.values == 2 * 7 * 6 + 2 * 3 * 3 + 10
    assert found.spiking == [first, last]
    assert found.output is last


@pytest.mark.parametrize(
    "layer",
    [
        conv(6, (3, 5), stride=(2, 1), padding=(1, 0)),
        conv(4, 2, dilation=3, groups=2),
        pool((2, 3)),
        pool((2, 3), stride=(1, 2), padding=(1, 0)),
        dense(5),
    ],
    ids=["stride", "dilation", "pool", "windows", "dense"],
)
def test_shapes_are_those_of_pytorch(layer: dict[str, Any]) -> None:
    node = graph((4, 8, 9), layer, dense(3)).nodes[0]
    image = torch.zeros(1, *node.input_shape)
    weight = torch.zeros(node.parameters["weight"].shape) if node.parameters else None
    if weight is None:
        of = node.geometry
        result = torch.nn.functional.avg_pool2d(image, of.kernel, of.stride, of.padding)
    elif node.geometry is None:
        result = torch.nn.functional.linear(image.flatten(1), weight)
    else:
        of = node.geometry
        result = torch.nn.functional.conv2d(
            image, weight, None, of.stride, of.padding, of.dilation, of.groups
        )
    assert result.shape[1:] == node.output_shape


def test_pools_by_hand() -> None:
    """An average divides the sum by what a window holds, a global window holds a whole map."""
    total, mean, halved, everywhere, average = (
        graph((2, 4, 6), layer, dense(2)).nodes[0]
        for layer in (
            pool((2, 3)),
            pool((2, 3), mode="average"),
            pool((2, 3), mode="average", gain=0.5),
            pool("global", mode="sum"),
            pool("global", mode="average"),
        )
    )
    assert [total.gain, mean.gain, halved.gain] == [1.1, 1 / 6, 0.5 / 6]
    assert [everywhere.gain, average.gain] == [1.1, 1 / 24]
    assert {total.output_shape, mean.output_shape, halved.output_shape} == {(2, 2, 2)}
    assert {everywhere.output_shape, average.output_shape} == {(2, 1, 1)}
    assert everywhere.geometry is not None
    assert everywhere.geometry.kernel == everywhere.geometry.stride == (4, 6)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (conv(1, (9, 3)), r"network.layers: conv1 with kernel .*\(2, 8, 8\)"),
        (pool((3, 9)), r"network.layers: pool1 with kernel .*\(2, 8, 8\)"),
        (conv(3, 3, groups=3), r"conv1 has groups = 3, .* the 2 channels"),
    ],
)
def test_layers_that_do_not_fit(layer: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        graph((2, 8, 8), layer, dense(2))


BRANCHES = [
    conv(3, 3, padding=1, name="a"),
    conv(3, 3, padding=1, name="b"),
    pool(2, name="p", **{"from": ["a", "b"]}),
    conv(3, 4, stride=2, padding=1, name="c", **{"from": ["input"]}),
    dense(4, **{"from": ["p", "c"]}),
]


def test_a_network_that_branches() -> None:
    found = graph((3, 8, 8), *BRANCHES)
    assert [node.sources for node in found] == [
        ("input",), ("a",), ("a", "b"), ("input",), ("p", "c"),
    ]  # fmt: skip
    assert [node.name for node in found] == ["a", "b", "p", "c", "dense5"]
    assert found["dense5"].parameters["weight"].shape == (4, 3 * 4 * 4)
    assert [node.name for node in found.readers["input"]] == ["a", "c"]
    assert [node.name for node in found.readers["a"]] == ["b", "p"]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [dense(4, **{"from": ["b"]}), dense(2)],
            "layer dense1 has the source 'b', which is no layer",
        ),
        (
            [dense(4, name="a", **{"from": ["a"]}), dense(2)],
            "layer a has the source 'a', which is no",
        ),
        (
            [dense(4), dense(4), dense(2, **{"from": ["dense1"]})],
            "dense2: no layer takes its output",
        ),
        ([dense(4, name="a"), dense(4, name="a")], "the name 'a' is taken"),
        ([dense(4, name="input"), dense(2)], "the name 'input' is taken"),
        ([dense(4), dense(2, **{"from": ["dense1", "dense1"]})], "names one source twice"),
        ([dense(4), dense(2, **{"from": []})], "at least 1 item"),
        ([dense(4, name="a b"), dense(2)], "and begin with a letter"),
    ],
)
def test_networks_that_are_none(layers: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        graph((1, 4, 4), *layers)


def test_shapes_that_do_not_add_up() -> None:
    layers = [
        conv(2, 3),
        conv(2, 2, **{"from": ["input"]}),
        dense(3, **{"from": ["conv1", "conv2"]}),
    ]
    with pytest.raises(
        ConfigError, match=r"dense3 has the source conv1 of shape \(2, 4, 4\) and conv2"
    ):
        graph((1, 6, 6), *layers)


def test_two_parameters_of_one_name() -> None:
    layers = [dense(4, name="a", bias=True), dense(4, name="a_bias"), dense(2)]
    with pytest.raises(ConfigError, match="a and a_bias both have a parameter called a_bias"):
        graph((2, 8, 8), *layers)
    graph((2, 8, 8), dense(4, name="a"), *layers[1:])


EXAMPLES = {
    "dense": dense(3),
    "conv": conv(2, 3),
    "pool": pool(2),
    "concat": concat("a", "b"),
    "gate": {"type": "gate", "function": "and", "from": ["a", "b"]},
    "sew": {"type": "sew"},
    "sew-dense": {"type": "sew-dense"},
}
"""One of each kind that can follow two layers of 2 maps."""


def test_there_is_an_example_of_every_kind() -> None:
    assert EXAMPLES.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_said_in_a_recipe(kind: str) -> None:
    """Contract of the table: a node, or nodes, with names and parameters of their own."""
    before = [conv(2, 1, name="a"), conv(2, 1, name="b", **{"from": ["a"]})]
    found = graph((2, 6, 6), *before, {**EXAMPLES[kind], "name": "x"}, dense(2))
    nodes = found.nodes[2:-1]
    if not isinstance(KINDS[kind], Block):
        assert [node.kind for node in nodes] == [kind]
    assert nodes
    for node in nodes:
        assert node.name.startswith("x")
        assert node.kind in KINDS
        assert all(each.name.startswith(node.name) for each in node.parameters.values())
        assert bool(node.parameters) == (node.neuron is not None and node.gate is None)
