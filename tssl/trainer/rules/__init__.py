"""Learning rules: how the error at a neuron's PSP becomes the error at its input current."""

import importlib
from typing import Protocol

from torch import Tensor

from tssl.errors import ConfigError
from tssl.trainer.neuron import Trace

__all__ = ["RULES", "Rule", "get_rule"]

# name -> "module:function". Strings, so that listing the rules imports none of them.
RULES = {
    "tssl-bp": "tssl.trainer.rules.tsslbp:tssl_bp_trace",
}


class Rule(Protocol):
    """A differentiable layer of neurons."""

    def __call__(self, current: Tensor, *, tau_m: float, tau_s: float, threshold: float) -> Trace:
        """Return a trace of which ``psp`` carries the rule's gradient to ``current``.

        Shapes, units and forward pass are those of :func:`tssl.trainer.neuron.lif_forward`.
        """


def get_rule(name: str) -> Rule:
    """Return the rule called ``name``.

    Raises
    ------
    ConfigError
        When there is none of that name.
    """
    if name not in RULES:
        raise ConfigError(f"training.rule = {name!r}; known rules: {', '.join(RULES)}")
    module, function = RULES[name].split(":")
    rule: Rule = getattr(importlib.import_module(module), function)
    return rule
