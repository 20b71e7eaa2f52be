"""The trainable network: a graph of linear maps, spiking neurons and pools."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tssl.checkpoint import ChipPlan
from tssl.chip import INPUT
from tssl.graph import NORM, Graph, Node, resolve
from tssl.neurons import Lif
from tssl.recipe import Recipe
from tssl.trainer import norm
from tssl.trainer.chip_network import OnChip
from tssl.trainer.filters import filters_of, refiltered
from tssl.trainer.gates import gated
from tssl.trainer.leak import first_leak, leaky, trained_neuron
from tssl.trainer.linear import weighted
from tssl.trainer.neuron import Activity, Neurons, Pool, Trace, constant_over_time, psp, sum_pool
from tssl.trainer.rules import Rule, get_rule
from tssl.trainer.weights import Weights

_EVALUATION_BYTES = 512 << 20


def _same(value: float, _: Node) -> Tensor:
    return torch.full((1,), value)


_FIRST_VALUES: Mapping[str, Callable[[Node], Tensor]] = {
    "bias": partial(_same, 0.0),
    "leak": first_leak,
    **{role: partial(_same, value) for role, value in norm.FIRST.items()},
}
"""Of parameters that nobody draws, by role."""


class Forward(NamedTuple):
    """Result of a forward pass."""

    output: Trace
    """Of the last layer, each ``(time, batch, classes)``."""
    activity: dict[str, Activity]
    """Of every spiking layer by name; the backward pass adds to it."""
    traces: dict[str, Trace]
    """Of every spiking layer by name; complete if all were to be recorded."""


class _Block(NamedTuple):
    """A layer, and a pool that is done together with its neurons."""

    node: Node
    pool: Node | None = None

    @property
    def last(self) -> Node:
        """What others listen to."""
        return self.pool or self.node


class _Sent(NamedTuple):
    """What a layer sends to others."""

    psp: Tensor
    """Post-synaptic potentials ``(time, batch, ...)``, or an input that stays the same."""
    constant: int = 0
    """For how many steps the input stays the same; 0 for potentials over time."""


class SpikingNetwork(nn.Module):
    """A network of spiking neurons as its recipe describes it.

    Parameters
    ----------
    recipe
        Layers, time constants and learning rule.
    input_shape
        Of one sample, (C, H, W).
    generator
        Source of the initial weights. Dense weights are normal with variance 2 / fan-in,
        convolution weights uniform within 1 / sqrt(fan-in), as in the official code.
    plan
        Grid of the chip's integers to compute with; None for floating point.
    """

    def __init__(
        self,
        recipe: Recipe,
        input_shape: tuple[int, int, int],
        generator: torch.Generator,
        plan: ChipPlan | None = None,
    ) -> None:
        super().__init__()
        self._recipe = recipe
        self._on_chip: OnChip | None = None
        self.graph = resolve(recipe.network, input_shape)
        self.rule: Rule = get_rule(recipe.training)
        self._factors = torch.bfloat16 if recipe.training.precision == "bfloat16" else None
        self.noise = torch.Generator()
        """Source of dropout masks; whoever trains seeds it for every batch."""
        self.follows_batches = True
        """Whether norms take the batches of training into their running averages."""
        per_sample = 8 * 4 * self.graph.time_steps * self.graph.values  # some eight float32 tensors
        self.evaluation_batch = max(1, min(500, _EVALUATION_BYTES // per_sample))
        self._filters = filters_of(self.graph)
        self._blocks = _blocks(self.graph, self._filters)
        self.weights = Weights()
        for node in self.graph:
            for role, (name, shape) in node.parameters.items():
                if role in _FIRST_VALUES:
                    first = _FIRST_VALUES[role](node).repeat(shape)
                    if role in node.first:
                        first.fill_(node.first[role])
                    is_trained = role not in norm.AVERAGES
                    self.weights[name] = nn.Parameter(first, requires_grad=is_trained)
                    continue
                initial = initial_weight(shape, generator)
                self.weights[name] = nn.Parameter(initial * node.weight_scale)
        if plan is not None:
            self.compute_on(plan)

    def forward(self, inputs: Tensor, *, record_all: bool = False) -> Forward:
        """Run the network from rest.

        Parameters
        ----------
        inputs
            ``(batch, C, H, W)`` for an input that stays the same, or ``(time, batch, C, H, W)``.
        record_all
            Whether to keep spikes and potentials of all layers and not just of the last.
        """
        if self._on_chip is not None:
            noise = self.noise if self.training else None
            done = self._on_chip.run(inputs, noise=noise, record_all=record_all)
            return Forward(done[1][self.graph.output.name], *done)
        result = Forward(Trace(inputs, inputs, inputs), {}, {})
        constant = self.graph.time_steps if inputs.dim() == 4 else 0
        first = inputs[None] if constant else psp(inputs, tau_s=self._filters[INPUT])
        sent = {INPUT: _Sent(first, constant)}
        for block in self._blocks:
            node, ways = block.node, self._arriving(block.node, sent)
            if node.neuron is None:
                arriving = self._sum(node, ways)
                signal, constant = sum_pool(arriving.psp, Pool.of(node)), arriving.constant
            else:
                activity = result.activity[node.name] = Activity()
                if node.gate is not None:
                    trace = self._gated(block, ways, activity)
                else:
                    trace = self._learning(block, ways, activity, record_all=record_all)
                result.traces[node.name] = trace
                signal, constant = trace.psp, 0
            sent[block.last.name] = _Sent(self._drop(signal, block.last.dropout), constant)
        return result._replace(output=trace)

    def _arriving(self, node: Node, sent: dict[str, _Sent]) -> list[_Sent]:
        """Return what a layer's sources send; forget what no later layer needs."""
        ways = [self._filtered(node, source, sent[source]) for source in node.sources]
        for source in node.sources:
            if self.graph.readers[source][-1] is node:
                del sent[source]
        return ways

    def _sum(self, node: Node, ways: list[_Sent]) -> _Sent:
        if len(ways) == 1:
            return ways[0]
        if len({way.constant for way in ways}) > 1:
            ways = [_Sent(self._over_time(node, way)) for way in ways]
        total = sum((way.psp for way in ways[1:]), start=ways[0].psp)
        return _Sent(total, ways[0].constant)

    def _gated(self, block: _Block, ways: list[_Sent], activity: Activity) -> Trace:
        tau_s = self._filters[block.node.name]
        trace = gated(block.node, [way.psp for way in ways], tau_s=tau_s, activity=activity)
        pool = None if block.pool is None else Pool.of(block.pool)
        return trace._replace(psp=sum_pool(trace.psp, pool))

    def _learning(
        self, block: _Block, ways: list[_Sent], activity: Activity, *, record_all: bool
    ) -> Trace:
        """Weight what arrives and run the neurons."""
        node, arriving = block.node, self._sum(block.node, ways)
        factors = self._factors if self.training else None
        current = weighted(arriving.psp, self._weight(node), node.geometry, factors)
        driving = self._shifted(node, _Sent(current, arriving.constant))
        neuron = trained_neuron(node, self.weights)
        neurons = self._neurons(block, neuron, driving.constant, record_all)
        return self._fire(node, driving.psp, neurons, activity)

    def _shifted(self, node: Node, current: _Sent) -> _Sent:
        """Normalise the current of a layer, or add biases, which no synapse filters."""
        bias = self._bias(node)
        if bias is not None:
            maps = (-1, *[1] * (len(node.output_shape) - 1))
            return _Sent(self._over_time(node, current) + bias.view(maps))
        if NORM[0] not in node.parameters:
            return current
        return _Sent(
            norm.normalised(
                node.name,
                self._over_time(node, current),
                tuple(self.weights[node.parameters[role].name] for role in NORM),
                training=self.training,
                follows=self.follows_batches,
            )
        )

    @property
    def averages(self) -> list[Tensor]:
        """The running averages of norms that follow batches, and no gradient."""
        if self.plan is not None:
            return []
        return [each.data for each in self.weights.values() if not each.requires_grad]

    def _filtered(self, node: Node, source: str, way: _Sent) -> _Sent:
        """Return what a source sends behind the filter that a layer's synapses are."""
        if way.constant:
            return way
        before, after = self._filters[source], self._synapse(node)
        return _Sent(refiltered(way.psp, before=before, after=after))

    def _over_time(self, node: Node, way: _Sent) -> Tensor:
        """Return what follows the time course of potentials, step by step."""
        if not way.constant:
            return way.psp
        return constant_over_time(way.psp, way.constant, tau_s=self._synapse(node))

    def _synapse(self, node: Node) -> float:
        """Return the time constant of a layer's synapses; for a pool, that of its readers."""
        return self._filters[node.name] if node.neuron is None else node.neuron.tau_s

    def _fire(self, node: Node, current: Tensor, neurons: Neurons, activity: Activity) -> Trace:
        """Run a layer's neurons by the rule."""
        leak = node.parameters.get("leak")
        if leak is None:
            return self.rule(current, neurons, activity)
        return leaky(current, neurons, torch.sigmoid(self.weights[leak.name]), self.rule, activity)

    def compute_on(self, plan: ChipPlan) -> None:
        """Compute with the chip's integers from now on; leaks and norms' averages are frozen."""
        for node in self.graph:
            if "leak" in node.parameters:
                self.weights[node.parameters["leak"].name].requires_grad = False
        self._on_chip = OnChip(self._recipe, self.graph, self._blocks, self.weights, plan)

    @property
    def plan(self) -> ChipPlan | None:
        """Grid of the chip's integers that it computes with; None in floating point."""
        return None if self._on_chip is None else self._on_chip.plan

    def _neurons(
        self, block: _Block, neuron: Lif, constant: int, record_all: bool = False
    ) -> Neurons:
        own = block.node.parameters.get("recurrent")
        return Neurons(
            tau_m=neuron.tau_m,
            tau_s=self._filters[block.node.name],
            arriving_tau_s=neuron.tau_s,
            threshold=neuron.threshold,
            constant_steps=constant,  # weighted once, then it follows its time course
            pool=None if block.pool is None else Pool.of(block.pool),
            feedback=None if own is None else self.weights[own.name],
            record=record_all or block.node is self.graph.output,
        )

    def _weight(self, node: Node) -> Tensor:
        return self.weights[node.parameters["weight"].name]

    def _bias(self, node: Node) -> Tensor | None:
        parameter = node.parameters.get("bias")
        return None if parameter is None else self.weights[parameter.name]

    def _drop(self, signal: Tensor, share: float) -> Tensor:
        """Silence a share of the neurons over all time, while training."""
        if not share or not self.training:
            return signal
        kept = torch.rand(signal.shape[1:], generator=self.noise) >= share
        return signal * (kept / (1 - share)).to(signal)

    def load_weights(self, weights: dict[str, NDArray[np.generic]]) -> None:
        """Replace all weights, keeping dtype and device."""
        with torch.no_grad():
            for name, parameter in self.weights.items():
                parameter.copy_(torch.from_numpy(np.array(weights[name])))

    def numpy_weights(self) -> dict[str, NDArray[np.generic]]:
        """Return copies of all weights by layer name."""
        return {name: weight.detach().cpu().numpy().copy() for name, weight in self.weights.items()}


def _blocks(graph: Graph, filters: Mapping[str, float]) -> list[_Block]:
    """Pair layers with the pools behind them; other pools stay blocks of their own."""
    pools = {node.name: _own_pool(graph, node, filters) for node in graph}
    joined = [pool.name for pool in pools.values() if pool is not None]
    return [_Block(node, pools[node.name]) for node in graph if node.name not in joined]


def _own_pool(graph: Graph, node: Node, filters: Mapping[str, float]) -> Node | None:
    """Return the pool that alone listens to a layer of neurons, and to nothing else.

    What a recurrent layer sends may have to be filtered anew before the pool.
    """
    readers = graph.readers[node.name]
    if node.neuron is None or node.dropout or len(readers) != 1:
        return None
    reader = readers[0]
    if reader.neuron is not None or filters[node.name] != filters[reader.name]:
        return None
    return reader if len(reader.sources) == 1 else None


def initial_weight(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return initial weights of a dense (2-D) or convolution (4-D) layer."""
    fan_in = int(np.prod(shape[1:]))
    if len(shape) == 2:
        return torch.randn(shape, generator=generator) * (2 / fan_in) ** 0.5
    return (torch.rand(shape, generator=generator) * 2 - 1) / fan_in**0.5
