"""Rectified networks whose layers tell each other what changed, on the grid of messages.

See docs/sigma-delta.md.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tssl.errors import ConfigError
from tssl.graph import Graph, Node
from tssl.recipe import entries_of
from tssl.settings import Above0, Entries
from tssl.trainer.dropout import staying
from tssl.trainer.linear import weighted
from tssl.trainer.loss import READING
from tssl.trainer.methods.method import Block, Material, Method, Pass
from tssl.trainer.methods.support import Has, check_layers
from tssl.trainer.neuron import Activity, Trace

__all__ = ["SigmaDelta", "SigmaDeltaSettings", "told"]

_HAS = Has(kinds=("dense", "conv"), roles=("bias",), values=True)


class SigmaDeltaSettings(Entries):
    """What a recipe may set in ``training.settings``.

    Parameters
    ----------
    grid
        Distance of neighbouring messages in units of the values. An export has a finer one, a
        64th of its own unit, wherever values are larger than 1.
    """

    grid: Above0 = 1 / 64


class SigmaDelta(Method[Tensor]):
    r"""Layers that send what the next one knows of their values, :math:`\hat x`.

    Forward, a value is known as the messages add up; backward,
    :math:`\partial \hat x / \partial x = 1`.
    """

    def __init__(self, material: Material) -> None:
        recipe, self._graph, self._weights = material.recipe, material.graph, material.weights
        values = recipe.training.settings
        settings = entries_of(SigmaDeltaSettings, values, "training.settings")
        self._grid = settings.grid
        check_layers(self._graph, recipe.training.rule, _HAS)
        _check(self._graph, recipe.encoding.input)
        bfloat16 = recipe.training.precision == "bfloat16"
        self._factors = torch.bfloat16 if bfloat16 else None
        self.blocks = [Block(node) for node in self._graph]
        self.losses = READING

    def enter(self, inputs: Tensor) -> Tensor:
        """See :class:`Method`; what stays the same has one step."""
        return inputs[None] if inputs.dim() == 4 else inputs

    def layer(self, block: Block, ways: Sequence[Tensor], run: Pass) -> Tensor:
        """See :class:`Method`."""
        node, (arriving,) = block.node, ways
        weight = self._weights[node.parameters["weight"].name]
        signal = arriving.flatten(2) if node.geometry is None else arriving
        sums = weighted(signal, weight, node.geometry, self._factors if run.training else None)
        bias = node.parameters.get("bias")
        if bias is not None:
            sums = sums + self._weights[bias.name].reshape(-1, *[1] * (sums.dim() - 3))
        if node is self._graph.output:
            shown = sums.expand(self._graph.time_steps, *sums.shape[1:])
            run.traces[node.name] = Trace(shown, torch.zeros_like(shown), shown)
            return sums  # it is read, and sends no messages
        values = F.relu(sums)
        known, messages = told(values, _threshold(node), self._grid)
        still = self._graph.time_steps if len(sums) == 1 else 1  # steps without a change
        activity = run.activity[node.name] = Activity(still * sums.numel())
        activity.spikes = torch.count_nonzero(messages)
        none = values.new_empty(0)
        run.traces[node.name] = (
            Trace(known, (messages != 0).to(values), values)
            if (run.record_all)
            else Trace(known, none, none)
        )
        return known

    def dropped(self, signal: Tensor, share: float, noise: torch.Generator) -> Tensor:
        """See :class:`Method`."""
        stays = staying(signal.shape[1:], share, noise).to(signal)
        return signal * stays / (1 - share)


def told(values: Tensor, threshold: float, grid: float) -> tuple[Tensor, Tensor]:
    """Return what is known of values ``(time, ...)``, and the messages that tell it.

    The error of what is known passes to the value as it is.
    """
    known, messages = [], []
    with torch.no_grad():
        total = before = residue = torch.zeros_like(values[0])
        for value in values:
            change = value - before + residue
            sent = torch.where(change.abs() >= threshold, change, torch.zeros_like(change))
            before, residue = value, change - sent
            messages.append(torch.floor(sent / grid))
            total = total + messages[-1] * grid
            known.append(total)
    heard = torch.stack(known)
    return values + (heard - values).detach(), torch.stack(messages)


def _threshold(node: Node) -> float:
    return 0.0 if node.neuron is None else node.neuron.threshold


def _check(graph: Graph, encoding: str) -> None:
    """Refuse what the chip's sigma-delta networks are not."""
    if encoding != "changes":
        raise ConfigError(
            f"encoding.input = {encoding!r}: rule sigma-delta has an input that sends changes; use "
            "'changes'"
        )
    for node in graph:
        if node.neuron is None or not node.neuron.values:
            raise ConfigError(
                f"layer {node.name}: rule sigma-delta has layers with neuron = 'sigma-delta'"
            )
        if len(node.sources) > 1:
            raise ConfigError(
                f"layer {node.name}: has the sources {', '.join(node.sources)}; rule sigma-delta "
                "has layers with one source"
            )
    if "bias" in graph.output.parameters:
        raise ConfigError(
            f"layer {graph.output.name}: has bias = true; the last layer of a sigma-delta network "
            "adds up what arrives and has none"
        )
