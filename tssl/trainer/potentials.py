"""Methods by which layers send post-synaptic potentials, and errors come back along them.

What a layer does between its weighted input and its potentials is its rule's; see
:class:`tssl.trainer.rule.Rule`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tssl.checkpoint import ChipPlan
from tssl.chip import INPUT
from tssl.errors import ConfigError
from tssl.graph import NORM, Graph, Node
from tssl.neurons import Lif
from tssl.trainer import layout, norm
from tssl.trainer.chip_network import OnChip, recurrence_of
from tssl.trainer.concat import Places
from tssl.trainer.filters import filters_of, refiltered
from tssl.trainer.gates import gated
from tssl.trainer.integration import integrated
from tssl.trainer.leak import leaky, trained_neuron
from tssl.trainer.loss import READING, losses_of
from tssl.trainer.methods.method import Block, Material, Method, Pass
from tssl.trainer.methods.support import check_neurons
from tssl.trainer.neuron import (
    Activity,
    Neurons,
    Pool,
    Trace,
    constant_over_time,
    lasting,
    psp,
    sum_pool,
)
from tssl.trainer.operations import Added, Concatenated, Dropped, Pooled, Weighted
from tssl.trainer.plain import is_plain
from tssl.trainer.recurrence import RecurrenceRule
from tssl.trainer.rule import Rule
from tssl.trainer.tape import apply

__all__ = ["Potentials", "Sent"]


class Sent(NamedTuple):
    """What a layer sends to others."""

    psp: Tensor
    """Post-synaptic potentials ``(time, batch, ...)``, or an input that stays the same."""
    constant: int = 0
    """For how many steps the input stays the same; 0 for potentials over time."""


class Potentials(Method[Sent]):
    """Layers that send post-synaptic potentials.

    Parameters
    ----------
    material
        The network that is trained.
    rule
        How neurons compute, and how errors pass them.
    own_settings
        Whether ``training.settings`` are the rule's own, which it has read.
    """

    def __init__(self, material: Material, rule: Rule, *, own_settings: bool = False) -> None:
        training = material.recipe.training
        if training.settings and not own_settings:
            raise ConfigError(
                f"training.settings: rule {training.rule} has none; leave out "
                f"{', '.join(training.settings)}"
            )
        check_neurons(material.graph, training.rule)
        self._material, self.rule = material, rule
        self._graph, self._weights = material.graph, material.weights
        self._factors = torch.bfloat16 if training.precision == "bfloat16" else None
        self._filters = filters_of(self._graph)
        self.blocks = _blocks(self._graph, self._filters)
        is_known = isinstance(rule, RecurrenceRule) and rule.has_kernels and self._factors is None
        self._is_plain = is_known and is_plain(self.blocks, self._filters)
        network, output = material.recipe.network, self._graph.output.neuron
        tau_s = network.tau_s if output is None else output.tau_s
        if output is not None and output.never_fires:
            self.losses = READING
        else:
            self.losses = losses_of(training, network.time_steps, tau_s=tau_s)

    def check_integers(self) -> None:
        """See :class:`Method`."""
        recurrence_of(self.rule)
        for node in self._graph:
            if node.neuron is None and node.geometry is not None and node.geometry.overlaps:
                raise ConfigError(
                    f"training.forward = 'chip': windows of pool {node.name} overlap; one weight "
                    "of the chip then stands for several that are trained; use forward = 'float', "
                    "or windows side by side"
                )

    def check_penalty(self) -> None:
        """See :class:`Method`; potentials are what it is counted from."""

    def on_chip(self, plan: ChipPlan) -> OnChip:
        """See :class:`Method`."""
        return OnChip(self._material, recurrence_of(self.rule), self.blocks, plan)

    def passes_tape(self, inputs: Tensor) -> bool:
        """See :class:`Method`."""
        return self._is_plain and layout.is_compiled_input(inputs)

    def enter(self, inputs: Tensor) -> Sent:
        """See :class:`Method`."""
        constant = self._graph.time_steps if inputs.dim() == 4 else 0
        if constant:
            return Sent(inputs[None], constant)
        train = lasting(inputs, self._graph.time_steps)
        return Sent(psp(train, tau_s=self._filters[INPUT]))

    def tensors(self, signal: Sent) -> Sequence[Tensor]:
        """See :class:`Method`."""
        return [signal.psp]

    def layer(self, block: Block, ways: Sequence[Sent], run: Pass) -> Sent:
        """See :class:`Method`."""
        node = block.node
        arriving = [
            self._filtered(node, source, way)
            for source, way in zip(node.sources, ways, strict=True)
        ]
        if node.neuron is None:
            total = self._together(node, arriving)
            if node.geometry is None:
                return total
            return Sent(apply(Pooled, total.psp, Pool.of(node)), total.constant)
        activity = run.activity_of(node)
        if node.gate is not None:
            trace = self._gated(block, arriving, activity)
        else:
            trace = self._learning(block, arriving, activity, run)
        run.traces[node.name] = trace
        return Sent(trace.psp)

    def dropped(self, signal: Sent, share: float, noise: torch.Generator) -> Sent:
        """See :class:`Method`."""
        return signal._replace(psp=apply(Dropped, signal.psp, share, noise))

    def _together(self, node: Node, ways: list[Sent]) -> Sent:
        """Return what reaches a layer in all: the sum, or one behind another."""
        if len(ways) == 1:
            return ways[0]
        if len({way.constant for way in ways}) > 1:
            ways = [Sent(self._over_time(node, way)) for way in ways]
        potentials = [way.psp for way in ways]
        if node.offsets:
            total = apply(Concatenated, Places.of(node), *potentials)
        else:
            total = apply(Added, *potentials)
        return Sent(total, ways[0].constant)

    def _gated(self, block: Block, ways: list[Sent], activity: Activity) -> Trace:
        tau_s = self._filters[block.node.name]
        trace = gated(block.node, [way.psp for way in ways], tau_s=tau_s, activity=activity)
        pool = None if block.pool is None else Pool.of(block.pool)
        return trace._replace(psp=sum_pool(trace.psp, pool))

    def _learning(self, block: Block, ways: list[Sent], activity: Activity, run: Pass) -> Trace:
        """Weight what arrives and run the neurons."""
        node, arriving = block.node, self._together(block.node, ways)
        factors = self._factors if run.training else None
        current = apply(Weighted, arriving.psp, self._weight(node), node.geometry, factors)
        driving = self._shifted(node, Sent(current, arriving.constant), run)
        neuron = trained_neuron(node, self._weights)
        neurons = self._neurons(block, neuron, driving.constant, run)
        return self._fire(node, driving.psp, neurons, activity)

    def _shifted(self, node: Node, current: Sent, run: Pass) -> Sent:
        """Normalise the current of a layer, or add biases, which no synapse filters."""
        bias = self._bias(node)
        if bias is not None:
            maps = (-1, *[1] * (len(node.output_shape) - 1))
            return Sent(self._over_time(node, current) + bias.view(maps))
        if NORM[0] not in node.parameters:
            return current
        return Sent(
            norm.normalised(
                node.name,
                self._over_time(node, current),
                tuple(self._weights[node.parameters[role].name] for role in NORM),
                training=run.training,
                follows=run.follows_batches,
            )
        )

    def _filtered(self, node: Node, source: str, way: Sent) -> Sent:
        """Return what a source sends behind the filter that a layer's synapses are."""
        if way.constant:
            return way
        before, after = self._filters[source], self._synapse(node)
        return Sent(refiltered(way.psp, before=before, after=after))

    def _over_time(self, node: Node, way: Sent) -> Tensor:
        """Return what follows the time course of potentials, step by step."""
        if not way.constant:
            return way.psp
        return constant_over_time(way.psp, way.constant, tau_s=self._synapse(node))

    def _synapse(self, node: Node) -> float:
        """Return the time constant of a layer's synapses; for a pool, that of its readers."""
        return self._filters[node.name] if node.neuron is None else node.neuron.tau_s

    def _fire(self, node: Node, current: Tensor, neurons: Neurons, activity: Activity) -> Trace:
        """Run a layer's neurons by the rule."""
        if neurons.never_fires:
            return integrated(current, neurons)
        leak = node.parameters.get("leak")
        if leak is None:
            return self.rule(current, neurons, activity)
        return leaky(current, neurons, torch.sigmoid(self._weights[leak.name]), self.rule, activity)

    def _neurons(self, block: Block, neuron: Lif, constant: int, run: Pass) -> Neurons:
        own = block.node.parameters.get("recurrent")
        return Neurons(
            tau_m=neuron.tau_m,
            tau_s=self._filters[block.node.name],
            arriving_tau_s=neuron.tau_s,
            threshold=neuron.threshold,
            constant_steps=constant,  # weighted once, then it follows its time course
            pool=None if block.pool is None else Pool.of(block.pool),
            feedback=None if own is None else self._weights[own.name],
            record=run.record_all or block.node is self._graph.output,
        )

    def _weight(self, node: Node) -> Tensor:
        return self._weights[node.parameters["weight"].name]

    def _bias(self, node: Node) -> Tensor | None:
        parameter = node.parameters.get("bias")
        return None if parameter is None else self._weights[parameter.name]


def _blocks(graph: Graph, filters: Mapping[str, float]) -> list[Block]:
    """Pair layers with the pools behind them; other pools stay blocks of their own."""
    pools = {node.name: _own_pool(graph, node, filters) for node in graph}
    joined = [pool.name for pool in pools.values() if pool is not None]
    return [Block(node, pools[node.name]) for node in graph if node.name not in joined]


def _own_pool(graph: Graph, node: Node, filters: Mapping[str, float]) -> Node | None:
    """Return the pool that alone listens to a layer of neurons, and to nothing else.

    Its windows lie side by side, as the compiled loops have them. What a recurrent layer sends may
    have to be filtered anew before the pool.
    """
    readers = graph.readers[node.name]
    if node.neuron is None or node.dropout or len(readers) != 1:
        return None
    reader = readers[0]
    if reader.neuron is not None or filters[node.name] != filters[reader.name]:
        return None
    return reader if len(reader.sources) == 1 and reader.windows.is_tiling else None
