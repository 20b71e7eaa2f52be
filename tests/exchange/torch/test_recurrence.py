"""Modules whose own spikes reach them one step later, and every refusal."""

import operator
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from tests.exchange.torch.comparing import built, check_every_spike, inputs, lowered
from tests.exchange.torch.stand_ins import (
    ElementWiseRecurrentContainer,
    IFNode,
    Leaky,
    LIFNode,
    LIFRecurrentCell,
    LinearRecurrentContainer,
    RecurrentOneToOne,
    RLeaky,
    of,
)
from tssl.errors import ConfigError, UnsupportedLayerError
from tssl.exchange.torch import Stepped


def dense(inner: Callable[[], nn.Module], behind: int = 9) -> Callable[[], nn.Module]:
    """Return six values, a layer of nine, what is to be tested, and four neurons behind it."""
    return lambda: nn.Sequential(
        nn.Linear(6, 9, bias=False), inner(), nn.Linear(behind, 4, bias=False), Leaky(0.8)
    )


def maps(recurrent: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(
        nn.Conv2d(2, 3, 3), RLeaky(0.7, recurrent()), nn.Flatten(), nn.Linear(48, 4), Leaky(0.8)
    )


def contained(*layers: nn.Module, size: int = 7, **others: Any) -> nn.Module:
    return LinearRecurrentContainer(nn.Sequential(*layers), 9, size, **others)


def own(factor: Any) -> nn.Module:
    return RecurrentOneToOne(factor)


def node() -> nn.Module:
    return LIFNode(2.0, v_threshold=0.2)


def added(inner: nn.Module, function: Callable[..., Any] = operator.add) -> nn.Module:
    return ElementWiseRecurrentContainer(inner, function)


EACH = torch.linspace(-0.9, 0.6, 9)
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], list[str]]] = {
    "RLeaky": (dense(lambda: RLeaky(0.9, nn.Linear(9, 9))), (6,), ["dense", "dense"]),
    "RLeaky without a leak": (
        dense(lambda: RLeaky(1.0, nn.Linear(9, 9), threshold=0.7)), (6,), ["dense", "dense"],
    ),
    "RLeaky one to one": (dense(lambda: RLeaky(0.9, own(0.6))), (6,), ["dense", "dense"]),
    "RLeaky, factors of each": (
        dense(lambda: RLeaky(0.9, own(EACH.clone()))), (6,), ["dense", "dense"],
    ),
    "RLeaky of maps": (
        maps(lambda: nn.Conv2d(3, 3, 3, padding=1)), (2, 6, 6), ["conv", "dense"],
    ),
    "RLeaky of maps one to one": (maps(lambda: own(-0.8)), (2, 6, 6), ["conv", "dense"]),
    "RLeaky of maps, factors of each": (
        maps(lambda: own(torch.linspace(-1, 1, 48).reshape(3, 4, 4))), (2, 6, 6),
        ["dense", "dense"],
    ),
    "LIFRecurrentCell": (
        dense(lambda: LIFRecurrentCell(9, 7, v_th=0.4), behind=7), (6,), ["dense", "dense"],
    ),
    "LIFRecurrentCell below": (
        dense(lambda: LIFRecurrentCell(9, 7, v_th=0.1, v_leak=-0.3, v_reset=-0.3), behind=7), (6,),
        ["dense", "dense"],
    ),
    "LinearRecurrentContainer": (
        dense(lambda: contained(nn.Linear(9, 7), node()), behind=7), (6,), ["dense", "dense"],
    ),
    "LinearRecurrentContainer of neurons": (
        dense(lambda: contained(nn.Dropout(), IFNode(), size=9, bias=False)), (6,),
        ["dense", "dense"],
    ),
    "LinearRecurrentContainer with a norm": (
        dense(lambda: contained(nn.Linear(9, 7), nn.BatchNorm1d(7), node()), behind=7), (6,),
        ["dense", "dense"],
    ),
    "ElementWiseRecurrentContainer": (dense(lambda: added(node())), (6,), ["dense", "dense"]),
    "ElementWiseRecurrentContainer of layers": (
        dense(lambda: added(nn.Sequential(nn.Linear(9, 9), node()), torch.add)), (6,),
        ["dense", "dense"],
    ),
    "ElementWiseRecurrentContainer of maps": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1), added(node(), lambda y, x: x + y), nn.MaxPool2d(2)
        ), (2, 6, 6), ["conv", "conv"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_every_spike(name: str) -> None:
    make, shape, kinds = NETWORKS[name]
    made = check_every_spike(make, shape)
    graph = made.checkpoint.graph
    assert [layer.kind for layer in graph] == kinds
    assert "recurrent" in graph.nodes[0].parameters


@of("snntorch._neurons.rsynaptic")
class RSynaptic(RLeaky):
    """Its steps are not needed."""


@of("norse.torch.module.lif")
class LIFRecurrent(LIFRecurrentCell):
    """Its steps are not needed."""


def product(y: Any, x: Any) -> Any:
    return y * x


TWICE = (nn.Linear(9, 9), IFNode())
REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "a step without": (
        dense(lambda: RLeaky(0.9, own(1.0), reset_mechanism="zero")), "reset_delay=False",
    ),
    "soft reset": (
        dense(lambda: RLeaky(0.9, own(1.0), reset_mechanism="subtract")), "reset_mechanism='zero'",
    ),
    "RSynaptic": (dense(lambda: RSynaptic(0.9, own(1.0))), "use RLeaky with reset_delay=False"),
    "another layer": (
        dense(lambda: RLeaky(0.9, nn.Identity())), "a Identity of torch is not known in an RLeaky",
    ),
    "another size": (
        dense(lambda: RLeaky(0.9, nn.Linear(9, 8))),
        "module 1 (RLeaky): its spikes return with shape (8,) to an input of shape (9,)",
    ),
    "factors of others": (dense(lambda: RLeaky(0.9, own(torch.ones(8)))), "scale has shape (8,)"),
    "over time": (dense(lambda: LIFRecurrent(9, 9)), "LIFRecurrentCell is known"),
    "no sum": (dense(lambda: added(node(), product)), "use torch.add"),
    "no function": (dense(lambda: added(node(), nn.Identity())), "use torch.add"),
    "a norm first": (dense(lambda: added(nn.Sequential(nn.BatchNorm1d(9), node()))),
                     "module 1.sub_module.0 (BatchNorm1d): stands behind no weights"),
    "two layers": (dense(lambda: contained(*TWICE, nn.Linear(9, 7), node())), "holds 2 layers"),
    "weights last": (dense(lambda: contained(IFNode(), nn.Linear(9, 7))), "must be its last"),
    "no neurons": (dense(lambda: contained(nn.Dropout())), "holds 0 layers"),
    "a maximum of the input": (
        lambda: nn.Sequential(
            nn.Conv2d(6, 9, 1), IFNode(), added(nn.Sequential(nn.MaxPool2d(1), node()))
        ), "stands behind no neurons",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    make, says = REFUSED[name]
    network = make()
    if name == "a step without":
        network[1].reset_delay = True
    with pytest.raises((UnsupportedLayerError, ConfigError)) as caught:
        lowered(network, (6, 1, 1) if name == "a maximum of the input" else (6,))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NETWORKS)
def test_modules_return_to_rest(name: str) -> None:
    make, shape, _ = NETWORKS[name]
    steps = Stepped(built(make).double())
    train = torch.from_numpy(inputs(shape, 0.4)).double()
    runs = []
    with torch.no_grad():
        for _ in range(2):
            steps.rest()
            runs.append(torch.stack([steps(values) for values in train]))
    assert torch.equal(*runs)
    assert runs[0].any()
