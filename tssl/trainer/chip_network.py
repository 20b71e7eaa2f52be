"""A network in the chip's integers: from layer to layer, as its graph says.

Norms use their running averages, and leaks stay what they are: both are in the weights, biases and
decays of the chip, as export puts them there. A norm's scale and shift go on learning.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from tssl.checkpoint import ChipPlan
from tssl.chip import INPUT
from tssl.errors import ConfigError
from tssl.graph import NORM, NORM_EPSILON, Graph, Node
from tssl.recipe import Recipe
from tssl.trainer.chip_forward import run_layer
from tssl.trainer.chip_layer import Arrays, ChipLayer, Signal, input_signal, over_time, pooled
from tssl.trainer.filters import filters_of, refiltered
from tssl.trainer.gates import gated
from tssl.trainer.leak import trained_neuron
from tssl.trainer.neuron import Activity, Neurons, Pool, Trace, psp
from tssl.trainer.recurrence import Gradient, RecurrenceRule
from tssl.trainer.rules import get_rule
from tssl.trainer.weights import Weights

__all__ = ["OnChip"]


class OnChip:
    """Runs the layers of a network in integers.

    Parameters
    ----------
    recipe
        For the learning rule, and what the integers that enter stand for.
    blocks
        Layers in order, each with the pool that is done together with its neurons, if any.
    weights
        By the name of the parameter; trained in place.
    plan
        The grid of the integers.
    """

    def __init__(
        self,
        recipe: Recipe,
        graph: Graph,
        blocks: Sequence[tuple[Node, Node | None]],
        weights: Weights,
        plan: ChipPlan,
    ) -> None:
        self._graph, self._blocks, self._weights, self.plan = graph, blocks, weights, plan
        self._quantum, self._rule = recipe.encoding.quantum, get_rule(recipe.training)
        self._filters = filters_of(graph)

    def run(
        self, inputs: Tensor, *, noise: torch.Generator | None, record_all: bool
    ) -> tuple[dict[str, Activity], dict[str, Trace]]:
        """Run the network from rest; return what every layer of neurons did.

        Parameters
        ----------
        inputs
            ``(batch, C, H, W)`` for an input that stays the same, or ``(time, batch, C, H, W)``.
        noise
            Source of dropout masks; None for no dropout.
        """
        activities: dict[str, Activity] = {}
        traces: dict[str, Trace] = {}
        sent = {INPUT: [self._input(inputs)]}
        for node, pool in self._blocks:
            ways, last = self._arriving(node, sent), pool or node
            if node.neuron is None:
                sending = [pooled(way, Pool.of(node)) for way in ways]
            elif node.gate is not None:
                activity = activities[node.name] = Activity()
                trace = gated(
                    node,
                    [way.psp for way in ways],
                    tau_s=self._filters[node.name],
                    activity=activity,
                )
                traces[node.name], signal = trace, Signal(trace.psp, trace.spikes, 1)
                sending = [signal if pool is None else pooled(signal, Pool.of(pool))]
            else:
                chip = self._layer(node, pool, ways[0].constant, record_all)
                activity = activities[node.name] = Activity()
                trace, signal = run_layer(ways, self._arrays(node), chip, activity)
                traces[node.name], sending = trace, [signal]
            sent[last.name] = _dropped(sending, last.dropout, noise)
        return activities, traces

    def _input(self, inputs: Tensor) -> Signal:
        constant = self._graph.time_steps if inputs.dim() == 4 else 0
        frames = inputs[None] if constant else inputs
        potential = frames if constant else psp(inputs, tau_s=self._filters[INPUT])
        return input_signal(frames, potential, self._quantum, constant)

    def _arriving(self, node: Node, sent: dict[str, list[Signal]]) -> list[Signal]:
        """Return what a layer's sources send; forget what no later layer needs."""
        tau_s = self._filters[node.name] if node.neuron is None else node.neuron.tau_s
        ways = [
            way if way.constant else _filtered(way, before=self._filters[source], after=tau_s)
            for source in node.sources
            for way in sent[source]
        ]
        for source in node.sources:
            if self._graph.readers[source][-1] is node:
                sent.pop(source, None)
        if node.neuron is None:
            return ways
        shifts = "bias" in node.parameters or NORM[0] in node.parameters
        if shifts or len({way.constant for way in ways}) > 1:  # acts at every step
            ways = [over_time(way, tau_s=tau_s) for way in ways]
        return ways

    def _layer(self, node: Node, pool: Node | None, constant: int, record_all: bool) -> ChipLayer:
        neuron = trained_neuron(node, self._weights)
        neurons = Neurons(
            tau_m=neuron.tau_m,
            tau_s=self._filters[node.name],
            arriving_tau_s=neuron.tau_s,
            threshold=neuron.threshold,
            constant_steps=constant,
            pool=None if pool is None else Pool.of(pool),
            record=record_all or node is self._graph.output,
        )
        return ChipLayer(
            name=node.name,
            geometry=node.geometry,
            neurons=neurons,
            gradient=self._gradient(neurons),
            scale=self.plan.scales[node.name],
            largest_weight=self.plan.largest_weights[node.name],
            weight_step=self.plan.weight_step,
            own_geometry=node.own_geometry,
        )

    def _arrays(self, node: Node) -> Arrays:
        """Return a layer's arrays, in double precision where export computes them so."""
        arrays: dict[str, Tensor] = {
            role: self._weights[each.name] for role, each in node.parameters.items()
        }
        if NORM[0] in arrays:
            arrays = _folded(arrays)
        if "leak" in arrays:
            share = 1 / trained_neuron(node, self._weights).tau_m
            arrays = {role: array.double() * share for role, array in arrays.items()}
        return Arrays(arrays["weight"], arrays.get("bias"), arrays.get("recurrent"))

    def _gradient(self, neurons: Neurons) -> Gradient:
        if not isinstance(self._rule, RecurrenceRule):
            raise ConfigError("training.forward = 'chip' needs a rule that is a recurrence")
        gradient = self._rule.gradient(neurons)
        if not gradient.has_kernels:
            raise ConfigError(
                "training.forward = 'chip' knows the surrogates of shipped rules; use one of them"
            )
        return gradient


def _folded(arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the arrays of a layer with the norm in weights and biases; gradients pass."""
    scale, shift, mean, variance = (arrays[role].double() for role in NORM)
    factor = scale / torch.sqrt(variance + NORM_EPSILON)
    weight = arrays["weight"].double()
    each = factor.repeat_interleave(len(weight) // len(factor))
    return {
        **{role: array for role, array in arrays.items() if role not in NORM},
        "weight": weight * each.view(-1, *[1] * (weight.dim() - 1)),
        "bias": shift - mean * factor,
    }


def _filtered(way: Signal, *, before: float, after: float) -> Signal:
    """Return what arrives behind the filter that a layer's synapses are."""
    return way._replace(psp=refiltered(way.psp, before=before, after=after))


def _dropped(ways: Sequence[Signal], share: float, noise: torch.Generator | None) -> list[Signal]:
    """Silence a share of the neurons over all time, on all ways; weights stay on their grid."""
    if not share or noise is None:
        return list(ways)
    kept = torch.rand(ways[0].psp.shape[1:], generator=noise) >= share
    return [
        way._replace(
            psp=way.psp * (kept / (1 - share)).to(way.psp),
            counts=way.counts * kept,
            lift=way.lift / (1 - share),
        )
        for way in ways
    ]
