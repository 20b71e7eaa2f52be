"""A network in the chip's integers: from layer to layer, as its graph says.

Norms use their running averages, and leaks stay what they are: both are in the weights, biases and
decays of the chip, as export puts them there. A norm's scale and shift go on learning.
"""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor

from tssl.checkpoint import ChipPlan
from tssl.chip import INPUT
from tssl.errors import ConfigError
from tssl.graph import NORM, Node
from tssl.graph.folding import leak_folded, norm_folded
from tssl.trainer import chip_plain, layout
from tssl.trainer.chip_forward import run_layer
from tssl.trainer.chip_layer import (
    Arrays,
    ChipLayer,
    Counting,
    Signal,
    Silenced,
    concatenated,
    input_signal,
    over_time,
    pooled,
)
from tssl.trainer.concat import Places
from tssl.trainer.filters import filters_of, refiltered
from tssl.trainer.gates import gated
from tssl.trainer.leak import trained_neuron
from tssl.trainer.methods.method import Block, Loss, Material, Method, Pass
from tssl.trainer.neuron import Neurons, Pool, lasting, psp
from tssl.trainer.plain import is_plain
from tssl.trainer.recurrence import RecurrenceRule
from tssl.trainer.rule import Rule
from tssl.trainer.tape import apply

__all__ = ["OnChip", "recurrence_of"]


class OnChip(Method[Sequence[Signal]]):
    """Runs the layers of a network in integers.

    A layer sends its spikes on several ways where sources that add up in a pool stand for
    different units.

    Parameters
    ----------
    material
        The network that is trained.
    rule
        How neurons compute, and how errors pass them.
    blocks
        Layers in order, each with the pool that is done together with its neurons, if any.
    plan
        The grid of the integers.
    """

    losses: Mapping[str, Loss] = MappingProxyType({})

    def __init__(
        self, material: Material, rule: RecurrenceRule, blocks: Sequence[Block], plan: ChipPlan
    ) -> None:
        recipe, self._graph, self._weights = material
        self._quantum, self._rule, self._plan = recipe.encoding.quantum, rule, plan
        self._filters, self.blocks = filters_of(self._graph), blocks
        self._is_plain = is_plain(blocks, self._filters)

    def passes_tape(self, inputs: Tensor) -> bool:
        """See :class:`Method`."""
        by_loops = layout.is_compiled_input(inputs) and not chip_plain.lacks_loops(inputs)
        return self._is_plain and by_loops

    def enter(self, inputs: Tensor) -> Sequence[Signal]:
        """See :class:`Method`."""
        constant = self._graph.time_steps if inputs.dim() == 4 else 0
        frames = inputs[None] if constant else lasting(inputs, self._graph.time_steps)
        potential = frames if constant else psp(frames, tau_s=self._filters[INPUT])
        return [input_signal(frames, potential, self._quantum, constant)]

    def tensors(self, signal: Sequence[Signal]) -> Sequence[Tensor]:
        """See :class:`Method`."""
        return [
            tensor
            for way in signal
            for tensor in (way.psp, way.counts, way.peak)
            if tensor is not None
        ]

    def layer(self, block: Block, ways: Sequence[Sequence[Signal]], run: Pass) -> Sequence[Signal]:
        """See :class:`Method`."""
        (node, pool), arriving = block, self._arriving(block.node, ways)
        if node.offsets:
            return self._concatenated(node, ways, arriving)
        if node.neuron is None:
            return [pooled(way, Pool.of(node)) for way in arriving]
        activity = run.activity_of(node)
        if node.gate is not None:
            spikes = [way.psp for way in arriving]
            trace = gated(node, spikes, tau_s=self._filters[node.name], activity=activity)
            signal = Signal(trace.psp, trace.spikes, Counting())
            signal = signal if pool is None else pooled(signal, Pool.of(pool))
        else:
            chip = self._layer(node, pool, arriving[0].constant, run.record_all)
            trace, signal = run_layer(arriving, self._arrays(node), chip, activity)
        run.traces[node.name] = trace
        return [signal]

    def dropped(
        self, signal: Sequence[Signal], share: float, noise: torch.Generator
    ) -> Sequence[Signal]:
        """See :class:`Method`; weights stay on their grid."""
        each = [tensor for way in signal for tensor in (way.psp, way.counts)]
        rest = apply(Silenced, share, noise, *each)
        return [
            way._replace(
                psp=potential,
                counts=counts,
                counting=way.counting._replace(lift=way.counting.lift / (1 - share)),
            )
            for way, potential, counts in zip(signal, rest[::2], rest[1::2], strict=True)
        ]

    def _arriving(self, node: Node, sent: Sequence[Sequence[Signal]]) -> list[Signal]:
        """Return what a layer's sources send, behind its synapses."""
        tau_s = self._filters[node.name] if node.neuron is None else node.neuron.tau_s
        ways = [
            way if way.constant else _filtered(way, before=self._filters[source], after=tau_s)
            for source, signal in zip(node.sources, sent, strict=True)
            for way in signal
        ]
        if node.neuron is None:
            return ways
        shifts = "bias" in node.parameters or NORM[0] in node.parameters
        if shifts or len({way.constant for way in ways}) > 1:  # acts at every step
            ways = [over_time(way, tau_s=tau_s) for way in ways]
        return ways

    def _concatenated(
        self, node: Node, sent: Sequence[Sequence[Signal]], arriving: Sequence[Signal]
    ) -> list[Signal]:
        """Return what a concat's sources send, one behind another."""
        offsets = [
            offset for offset, signal in zip(node.offsets, sent, strict=True) for _ in signal
        ]
        return concatenated(arriving, Places(node.output_shape, tuple(offsets)))

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
            gradient=self._rule.gradient(neurons),
            scale=self._plan.scales[node.name],
            largest_weight=self._plan.largest_weights[node.name],
            weight_step=self._plan.weight_step,
            own_geometry=node.own_geometry,
        )

    def _arrays(self, node: Node) -> Arrays:
        """Return a layer's arrays, in double precision where export computes them so."""
        arrays: dict[str, Tensor] = {
            role: self._weights[each.name] for role, each in node.parameters.items()
        }
        if NORM[0] in arrays:
            arrays = norm_folded(_doubled(arrays, (*NORM, "weight")))
        if "leak" in arrays:
            tau_m = trained_neuron(node, self._weights).tau_m
            arrays = leak_folded(_doubled(arrays, arrays), tau_m)
        return Arrays(arrays["weight"], arrays.get("bias"), arrays.get("recurrent"))


def recurrence_of(rule: Rule) -> RecurrenceRule:
    """Return the rule, whose errors are a recurrence that the compiled loops know.

    Raises
    ------
    ConfigError
        When they are not.
    """
    if not isinstance(rule, RecurrenceRule):
        raise ConfigError("training.forward = 'chip' needs a rule that is a recurrence")
    if not rule.has_kernels:
        raise ConfigError(
            "training.forward = 'chip' needs the surrogate of a shipped rule; use one of them"
        )
    return rule


def _doubled(arrays: Mapping[str, Tensor], roles: Collection[str]) -> dict[str, Tensor]:
    """Return the arrays, those of some roles in double precision; gradients pass."""
    return {role: array.double() if role in roles else array for role, array in arrays.items()}


def _filtered(way: Signal, *, before: float, after: float) -> Signal:
    """Return what arrives behind the filter that a layer's synapses are."""
    return way._replace(psp=refiltered(way.psp, before=before, after=after))
