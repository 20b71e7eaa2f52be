"""Learning rules: how the error at a neuron's PSP becomes the error at its input current.

A new rule is a file here with a function that makes it, and a line in :data:`RULES`.
"""

import importlib
from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from tssl.errors import ConfigError
from tssl.recipe import TrainingSpec
from tssl.trainer.neuron import Activity, Neurons, Trace

__all__ = ["RULES", "Rule", "get_rule"]

# name -> "module:function". Strings, so that listing the rules imports none of them.
RULES = {
    "tssl-bp": "tssl.trainer.rules.tsslbp:make_rule",
    "surrogate": "tssl.trainer.rules.surrogate:detached",
    "surrogate-reset": "tssl.trainer.rules.surrogate:with_reset",
    "surrogate-arctan": "tssl.trainer.rules.surrogate:arctan",
}


class Rule(Protocol):
    """A differentiable layer of neurons."""

    def __call__(self, current: Tensor, neurons: Neurons, activity: Activity) -> Trace:
        """Return a trace of which ``psp`` carries the rule's gradient to ``current``.

        Parameters
        ----------
        current
            Weighted input, ``(time, batch, *features)``; see ``Neurons.constant_steps``.
        activity
            Filled, in the forward and in the backward pass.
        """


def get_rule(training: TrainingSpec) -> Rule:
    """Return the rule that a recipe asks for.

    Raises
    ------
    ConfigError
        When there is none of that name.
    """
    if training.rule not in RULES:
        raise ConfigError(f"training.rule = {training.rule!r}; known rules: {', '.join(RULES)}")
    module, function = RULES[training.rule].split(":")
    make: Callable[[TrainingSpec], Rule] = getattr(importlib.import_module(module), function)
    return make(training)
