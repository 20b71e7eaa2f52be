"""Refusing layers that a method does not have, in one line that says what it has."""

from collections.abc import Sequence
from typing import NamedTuple

from tssl.errors import ConfigError
from tssl.graph import NORM, Graph, Node

__all__ = ["Has", "check_layers", "check_neurons"]

_KEYS = {
    "recurrent": "recurrent = true",
    "bias": "bias = true",
    "leak": "neuron = 'plif'",
    "threshold": "own_thresholds = true",
    **dict.fromkeys(NORM, "norm = 'batch'"),
}
"""What a recipe says for a parameter to be there, by role."""


class Has(NamedTuple):
    """What a method knows how to train.

    Parameters
    ----------
    kinds
        Of layers.
    roles
        Of parameters beside weights.
    resets
        See ``Lif.reset``.
    refractory
        Whether neurons may rest after a spike.
    dropout
        Whether layers may be silenced in part.
    values
        Whether neurons may send values.
    reading
        Whether the last layer may have neurons that never fire, whose potential is read.
    """

    kinds: Sequence[str]
    roles: Sequence[str]
    resets: Sequence[str] = ("zero",)
    refractory: bool = False
    dropout: bool = True
    values: bool = False
    reading: bool = False


def check_layers(graph: Graph, rule: str, has: Has) -> None:
    """Refuse a network of which a method does not have all.

    Raises
    ------
    ConfigError
        With the first layer that it does not have, and what it has.
    """
    for node in graph:
        if node.kind not in has.kinds:
            raise ConfigError(
                f"layer {node.name}: is a {node.kind}; rule {rule} has "
                f"{' and '.join(has.kinds)} layers"
            )
        for role in node.parameters:
            if role not in ("weight", *has.roles):
                known = ", ".join(_KEYS[each] for each in has.roles)
                raise ConfigError(
                    f"layer {node.name}: has {_KEYS[role]}; beside weights, rule {rule} has {known}"
                )
        if node.dropout and not has.dropout:
            raise ConfigError(
                f"layer {node.name}: has dropout = {node.dropout:g}; rule {rule} has none"
            )
        _check_neuron(node, rule, has)


def check_neurons(graph: Graph, rule: str) -> None:
    """Refuse neurons that are not those of the chip, and thresholds that are to be trained.

    Raises
    ------
    ConfigError
        With the layer and what to write instead.
    """
    for node in graph:
        if "threshold" in node.parameters:
            raise ConfigError(
                f"layer {node.name}: has own_thresholds = true; rule {rule} has one threshold of a "
                "layer, which it does not train; leave it out, or use rule lee"
            )
        _check_neuron(node, rule, Has((), (), reading=True))


def _check_neuron(node: Node, rule: str, has: Has) -> None:
    neuron = node.neuron
    if neuron is None:
        return
    if neuron.fires_once:
        raise ConfigError(
            f"layer {node.name}: has neurons that fire once, which rule {rule} does not train; use "
            "training.rule = 'stdbp', or another neuron"
        )
    if neuron.never_fires and not has.reading:
        raise ConfigError(
            f"layer {node.name}: has neurons that never fire, which rule {rule} does not train; "
            "use training.rule = 'tssl-bp' or a surrogate, or another neuron"
        )
    if neuron.values and not has.values:
        raise ConfigError(
            f"layer {node.name}: has sigma-delta neurons, which rule {rule} does not train; use "
            "training.rule = 'sigma-delta', or another neuron"
        )
    if neuron.reset not in has.resets:
        known = " and ".join(repr(each) for each in has.resets)
        raise ConfigError(
            f"layer {node.name}: has reset = {neuron.reset!r}; rule {rule} has reset = {known}"
        )
    if neuron.refractory and not has.refractory:
        raise ConfigError(
            f"layer {node.name}: has refractory = {neuron.refractory}; rule {rule} has none, use 0"
        )
