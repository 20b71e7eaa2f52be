"""Learning methods, which a recipe names as ``training.rule``.

A new one is a file here with a function that makes it, and a line in :data:`METHODS`.
"""

from collections.abc import Callable
from typing import Any

from tssl.errors import ConfigError
from tssl.machine.plugins import extended, loaded
from tssl.trainer.methods.method import (
    Block,
    Loss,
    Material,
    Method,
    Pass,
    initial_weight,
    loss_for,
)
from tssl.wording import did_you_mean

__all__ = [
    "Block",
    "Loss",
    "METHODS",
    "Material",
    "Method",
    "Pass",
    "initial_weight",
    "loss_for",
    "make_method",
]

# name -> "module:function". Strings, so that listing the methods imports none of them.
_OWN = {
    "tssl-bp": "tssl.trainer.methods.tsslbp:make",
    "surrogate": "tssl.trainer.methods.surrogate:detached",
    "surrogate-reset": "tssl.trainer.methods.surrogate:with_reset",
    "surrogate-arctan": "tssl.trainer.methods.surrogate:arctan",
    "stdbp": "tssl.trainer.methods.stdbp:Stdbp",
    "st-rsbp": "tssl.trainer.methods.strsbp:make",
    "lee": "tssl.trainer.methods.lee:make",
    "sigma-delta": "tssl.trainer.methods.sigma_delta:SigmaDelta",
}
METHODS: dict[str, str] = extended(_OWN, "tssl.methods")
"""Name -> "module:function"; other distributions add to it by entry points."""


def make_method(material: Material) -> Method[Any]:
    """Return the method that a recipe asks for.

    Raises
    ------
    ConfigError
        When there is none of that name, or it does not have such layers or such a loss.
    """
    training = material.recipe.training
    if training.rule not in METHODS:
        raise ConfigError(
            f"training.rule = {training.rule!r}{did_you_mean(training.rule, METHODS)}; known "
            f"rules: {', '.join(METHODS)}"
        )
    make: Callable[[Material], Method[Any]] = loaded(
        METHODS[training.rule], f"training.rule = {training.rule!r}"
    )
    method = make(material)
    _check_changes(material)
    if training.loss is not None and training.loss not in method.losses:
        neuron = material.graph.output.neuron
        where = " for a last layer that never fires" if neuron and neuron.never_fires else ""
        raise ConfigError(
            f"training.loss = {training.loss!r}: rule {training.rule} has "
            f"{', '.join(method.losses)}{where}"
        )
    return method


def _check_changes(material: Material) -> None:
    """Refuse an input that sends changes to neurons that take spikes."""
    if material.recipe.encoding.input != "changes":
        return
    for node in material.graph.spiking:
        if node.neuron is not None and not node.neuron.values:
            raise ConfigError(
                f"encoding.input = 'changes': layer {node.name} has neurons that take spikes, and "
                "changes are for neuron = 'sigma-delta'; use 'graded'"
            )
