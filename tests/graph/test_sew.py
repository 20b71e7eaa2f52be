"""The blocks of SEW ResNet, the gates that they are made of, and what they refuse."""

from typing import Any

import pytest
import torch

from tests.exporter.networks import conv, dense, pool
from tests.graph.test_graph import graph
from tssl.errors import ConfigError
from tssl.graph import Graph
from tssl.recipe import recipe_from_tables
from tssl.trainer.network import SpikingNetwork

SHAPE = (2, 8, 8)
STEM = conv(4, 3, padding=1, name="stem")


def sew(**fields: Any) -> dict[str, Any]:
    return {"type": "sew", **fields}


def gate(function: str, *sources: str, **fields: Any) -> dict[str, Any]:
    return {"type": "gate", "function": function, "from": list(sources), **fields}


def said(found: Graph) -> list[tuple[Any, ...]]:
    return [(node.name, node.kind, node.sources, node.output_shape) for node in found]


def test_sums_by_hand() -> None:
    """Whoever listens to a block listens to all whose spikes add up to what it sends."""
    found = graph(SHAPE, STEM, sew(name="a"), sew(name="b", channels=6, stride=2), sew(), dense(3))
    assert said(found) == [
        ("stem", "conv", ("input",), (4, 8, 8)),
        ("a_1", "conv", ("stem",), (4, 8, 8)),
        ("a_2", "conv", ("a_1",), (4, 8, 8)),
        ("b_1", "conv", ("stem", "a_2"), (6, 4, 4)),
        ("b_2", "conv", ("b_1",), (6, 4, 4)),
        ("b_shortcut", "conv", ("stem", "a_2"), (6, 4, 4)),
        ("sew4_1", "conv", ("b_shortcut", "b_2"), (6, 4, 4)),
        ("sew4_2", "conv", ("sew4_1",), (6, 4, 4)),
        ("dense5", "dense", ("b_shortcut", "b_2", "sew4_2"), (3,)),
    ]
    assert found["b_shortcut"].parameters["weight"].shape == (6, 4, 1, 1)
    assert all("norm_scale" in found[node.name].parameters for node in list(found)[1:-1])


def test_gates_by_hand() -> None:
    found = graph(
        SHAPE,
        dense(5, name="stem"),
        {"type": "sew-dense", "name": "a", "gate": "iand", "neuron": "if", "dropout": 0.2},
        {"type": "sew-dense", "name": "b", "gate": "and", "neurons": 7, "threshold": 0.5},
        dense(3),
    )
    assert said(found) == [
        ("stem", "dense", ("input",), (5,)),
        ("a_1", "dense", ("stem",), (5,)),
        ("a_2", "dense", ("a_1",), (5,)),
        ("a_iand", "gate", ("a_2", "stem"), (5,)),
        ("b_1", "dense", ("a_iand",), (7,)),
        ("b_2", "dense", ("b_1",), (7,)),
        ("b_shortcut", "dense", ("a_iand",), (7,)),
        ("b_and", "gate", ("b_2", "b_shortcut"), (7,)),
        ("dense4", "dense", ("b_and",), (3,)),
    ]
    assert [found[name].dropout for name in ("a_1", "a_2", "a_iand")] == [0.0, 0.2, 0.0]
    assert [found[name].neuron.tau_m for name in ("a_1", "a_2")] == [float("inf")] * 2
    assert [found[name].neuron.threshold for name in ("b_1", "b_2", "b_shortcut")] == [0.5] * 3


@pytest.mark.parametrize("function", ["add", "and", "iand"])
@pytest.mark.parametrize("neuron", ["lif", "if", "plif"])
def test_blocks_begin_as_the_identity(function: str, neuron: str) -> None:
    layers = [STEM, sew(name="a", gate=function, neuron=neuron, tau_s=1.0), dense(3)]
    tables = {"layers": layers, "time_steps": 6}
    recipe = recipe_from_tables(
        {"name": "a", "data": {"name": "digits"}, "network": tables, "training": {"loss": "count"}},
        "test",
    )
    network = SpikingNetwork(recipe, SHAPE, torch.Generator().manual_seed(1))
    traces = network(torch.rand(5, *SHAPE) * 3, record_all=True).traces
    stem, branch = traces["stem"].spikes, traces["a_2"].spikes
    assert 0 < stem.mean() < 1
    late = slice(3, None) if neuron == "plif" else slice(None)
    if function == "and":
        assert branch[late].all()
    else:
        assert not branch.any()
    if function != "add":
        assert torch.equal(traces[f"a_{function}"].spikes[late], stem[late])


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([STEM, sew(), sew(gate="iand", name="b"), dense(3)],
         "b has gate = 'iand', which takes one layer's spikes; what reaches it is a sum of stem, "
         "sew2_2"),
        ([sew(gate="and", name="b", channels=2), dense(3)],
         "b_and is a gate and takes spikes of layers; b_2, input are not all such"),
        ([STEM, pool(2, name="p"), pool(2, name="q", mode="or"), dense(3)],
         "q is a pool with mode = 'or' and takes spikes of layers; p are not all such"),
        ([STEM, sew(name="a"), gate("and", "a", "a_1", name="g"), dense(3)],
         "layer g has the source 'a_1', which is no layer before it"),
        ([STEM, sew(name="a"), conv(4, 3, padding=1, name="x"), gate("and", "a", "x"), dense(3)],
         "gate4 is a gate and takes each source by itself; one of a, x is a sum of stem, a_2, x"),
        ([STEM, sew(name="a"), dense(3, name="a_2"), dense(3)],
         "two layers have the name a_2, one of them as a part of a block"),
        ([STEM, sew(name="a"), conv(4, 3, name="b", **{"from": ["a", "stem"]}), dense(3)],
         "stem reaches b twice"),
        ([dense(4), sew(), dense(3)], "layer sew2 takes images, and cannot follow a dense layer"),
        ([STEM, sew()], "the last layer must have neurons that learn; it is a sew"),
        ([STEM, gate("iand", "stem", "input")], "the last layer must have neurons that learn"),
        ([STEM, conv(4, 3, padding=1, name="b"), dense(4, name="c"), gate("iand", "b", "c"),
          dense(3)], "gate4 has the source b of shape (4, 8, 8) and c of shape (4,)"),
    ],
)  # fmt: skip
def test_what_is_refused(layers: list[dict[str, Any]], message: str) -> None:
    with pytest.raises((ConfigError, ValueError)) as error:
        graph(SHAPE, *layers)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (gate("iand", "a", "b", "c"), "function = 'iand' takes two sources"),
        ({"type": "gate", "function": "and"}, "network.layers.0.from"),
        (gate("xor", "a", "b"), "must be 'and' or 'iand'"),
        (pool(2, mode="or", gain=1.1), "gives spikes, which no gain multiplies"),
        (dense(3, norm_scale=0.0), "norm_scale and norm_shift belong to norm = 'batch'"),
        (sew(bias=True), "unknown key 'network.layers.0.bias'"),
    ],
)
def test_what_no_recipe_may_say(layer: dict[str, Any], message: str) -> None:
    tables = {"name": "a", "data": {"name": "digits"}, "network": {"layers": [layer, dense(3)]}}
    with pytest.raises(ConfigError) as error:
        recipe_from_tables(tables, "my.toml")
    assert message in str(error.value)
