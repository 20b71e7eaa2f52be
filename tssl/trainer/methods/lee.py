"""Backpropagation on membrane potentials: errors meet decayed spike trains at the sample's end.

See docs/methods/lee.md.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tssl.errors import ConfigError
from tssl.graph import Graph, Node
from tssl.neurons import Lif
from tssl.recipe import entries_of
from tssl.settings import AtLeast0, Entries, Share
from tssl.trainer.concat import Places, concatenated
from tssl.trainer.dropout import staying
from tssl.trainer.linear import weighted
from tssl.trainer.methods.lee_neuron import fire
from tssl.trainer.methods.method import Block, Loss, Material, Method, Pass
from tssl.trainer.methods.support import Has, check_layers
from tssl.trainer.neuron import Activity, Neurons, Trace

__all__ = ["Lee", "LeeSettings", "Sent", "make"]

_HAS = Has(
    kinds=("dense", "concat"),
    roles=("recurrent", "threshold"),
    resets=("zero", "subtract"),
    refractory=True,
)


class LeeSettings(Entries):
    """What a recipe may set in ``training.settings``.

    Parameters
    ----------
    errors
        Which neurons of hidden layers have errors: ``fired`` those that fired in the sample,
        whose spikes are proportional to what arrives; ``all`` as public re-implementations.
    inhibition
        By which part of its threshold a spike of another neuron of a recurrent layer lowers a
        neuron: the product of sigma and kappa, which no training changes.
    regularisation, growth
        Of the weights of a neuron: half the first, times e to the second times their sum of
        squares less 1.
    balance
        By which thresholds of neurons that fire are raised, and those of all lowered, so that
        their mean stays.
    """

    errors: Literal["fired", "all"] = "fired"
    inhibition: Share = 0.2
    regularisation: AtLeast0 = 0.0
    growth: AtLeast0 = 1.0
    balance: AtLeast0 = 0.0


class Sent(NamedTuple):
    """What a layer sends to others."""

    spikes: Tensor
    """``(time, batch, ...)``, or ``(1, batch, ...)`` for an input that stays the same."""
    trace: Tensor
    """The spikes, each decayed until the end, ``(batch, ...)``; it carries the gradient."""
    active: Tensor
    """1 where there was a spike or a value, else 0, ``(batch, ...)``."""
    constant: int = 0
    """For how many steps the input stays the same; 0 for spikes over time."""


def make(material: Material) -> "Lee":
    """Return the method with its settings from the recipe."""
    settings = entries_of(LeeSettings, material.recipe.training.settings, "training.settings")
    return Lee(material, settings)


class Lee(Method[Sent]):
    r"""Layers that send their spikes and, for the errors, decayed sums of these.

    With :math:`x_j = \sum_t \lambda^{T-1-t} s_j[t]` of the inputs, :math:`a_i` likewise of the
    neurons' own spikes, N neurons with M synapses each, of which m are active in a sample:

    .. math::
        \delta_i &\leftarrow \delta_i\, g_i / \bar g, \quad g_i = 1/\vartheta_i,
        \quad \bar g^2 = \mathrm{mean}_{i\,\mathrm{fired}}\, g_i^2 \quad\text{(hidden layers)} \\
        \partial L/\partial w_{ij} &= \sqrt{N/m}\, \delta_i x_j, \qquad
        \partial L/\partial \vartheta_i = -\sqrt{N/(mM)}\, \delta_i a_i, \qquad
        \partial L/\partial x_j = \sqrt{M/m} \sum_i w_{ij} \delta_i

    References
    ----------
    .. [1] J. H. Lee, T. Delbruck and M. Pfeiffer, Training Deep Spiking Neural Networks Using
       Backpropagation, Frontiers in Neuroscience 10:508, 2016.
    """

    def __init__(self, material: Material, settings: LeeSettings) -> None:
        self._graph, self._weights = material.graph, material.weights
        self._settings = settings
        check_layers(self._graph, material.recipe.training.rule, _HAS)
        _check_time(self._graph)
        bfloat16 = material.recipe.training.precision == "bfloat16"
        self._factors = torch.bfloat16 if bfloat16 else None
        self.blocks = [Block(node) for node in self._graph]
        self.losses = {"counts": Loss(self._loss, is_mean=True)}

    def fixed(self) -> Mapping[str, Tensor]:
        """Return the inhibition within layers, which takes effect one step later, so decayed."""
        found = {}
        for node in self._graph:
            if "recurrent" in node.parameters:
                name, (neurons, _) = node.parameters["recurrent"]
                neuron = _neuron(node)
                strength = self._settings.inhibition * _kept(neuron) * _own_unit(node, neuron)
                found[name] = strength * (torch.eye(neurons) - 1)
        return found

    def first_weight(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Return weights between plus and minus the root of 3 by the number of synapses."""
        return (torch.rand(shape, generator=generator) * 2 - 1) * (3 / shape[1]) ** 0.5

    def enter(self, inputs: Tensor) -> Sent:
        """See :class:`Method`."""
        constant = self._graph.time_steps if inputs.dim() == 4 else 0
        spikes = (inputs[None] if constant else inputs).flatten(2)
        return _sent(spikes, constant, _kept(_neuron(self._graph.nodes[0])))

    def layer(self, block: Block, ways: Sequence[Sent], run: Pass) -> Sent:
        """See :class:`Method`."""
        node = block.node
        if node.offsets:
            return _concatenated(node, ways)
        neuron, arriving = _neuron(node), _sum(node, ways)
        weight = self._weights[node.parameters["weight"].name]
        logarithm = self._logarithm(node, neuron, weight)
        activity = run.activity[node.name] = Activity()
        is_last = node is self._graph.output
        with torch.no_grad():
            units = weight / logarithm.exp()[:, None]
            own = node.parameters.get("recurrent")
            neurons = Neurons(
                tau_m=neuron.tau_m,
                tau_s=1.0,
                threshold=1.0,
                constant_steps=arriving.constant,
                feedback=None if own is None else self._weights[own.name] / _own_unit(node, neuron),
                record=run.record_all or is_last,
            )
            factors = self._factors if run.training else None
            current = weighted(arriving.spikes, units, None, factors)
            trace = fire(current, neurons, neuron, activity)
            sent = _sent(trace.psp, 0, _kept(neuron))
        signal = sent._replace(trace=self._learning(arriving, weight, logarithm, sent, is_last))
        if is_last:
            trace = trace._replace(psp=_shares(trace.psp, signal.trace))
        run.traces[node.name] = trace
        return signal

    def dropped(self, signal: Sent, share: float, noise: torch.Generator) -> Sent:
        """See :class:`Method`."""
        stays = staying(signal.trace.shape, share, noise).to(signal.trace)
        raised = stays / (1 - share)
        return signal._replace(
            spikes=signal.spikes * raised,
            trace=signal.trace * raised,
            active=signal.active * stays,
        )

    def _logarithm(self, node: Node, neuron: Lif, like: Tensor) -> Tensor:
        """Return the logarithms of a layer's thresholds."""
        own = node.parameters.get("threshold")
        if own is not None:
            return self._weights[own.name]
        return like.new_full((node.outputs,), neuron.threshold).log()

    def _learning(
        self, arriving: Sent, weight: Tensor, logarithm: Tensor, own: Sent, is_last: bool
    ) -> Tensor:
        """Return the layer's own trace, from which errors go back to weights and sources."""
        trace: Tensor = _Errors.apply(
            arriving.trace, weight, logarithm, arriving.active, own, is_last, self._settings
        )
        return trace

    def _loss(self, output: Trace, labels: Tensor) -> Tensor:
        r"""Return :math:`\tfrac12 \sum_i (n_i / \max_j n_j - y_i)^2`, averaged over the batch."""
        shares = output.psp[0]
        target = F.one_hot(labels, shares.shape[1])
        loss = 0.5 * (shares - target).square().sum() / len(labels)
        if not self._settings.regularisation:
            return loss
        weights = [self._weights[node.parameters["weight"].name] for node in self._graph.spiking]
        sums = [weight.square().sum(dim=1) - 1 for weight in weights]
        growth = sum((self._settings.growth * each).exp().sum() for each in sums)
        return loss + 0.5 * self._settings.regularisation * growth


class _Errors(torch.autograd.Function):
    """A layer's own trace forward; its errors, as :class:`Lee` has them, backward."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context has no public type
        x: Tensor,
        weight: Tensor,
        logarithm: Tensor,
        active: Tensor,
        own: Sent,
        is_last: bool,
        settings: LeeSettings,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, logarithm, active, own.trace, own.active)
        ctx.is_last, ctx.settings = is_last, settings
        return own.trace.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        x, weight, logarithm, active, a, fired = ctx.saved_tensors
        settings: LeeSettings = ctx.settings
        neurons, synapses = weight.shape
        used = active.sum(dim=1, keepdim=True).clamp(min=1)
        error = gradients[0]
        if not ctx.is_last:
            error = error * _gain(logarithm, fired) * (fired if settings.errors == "fired" else 1)
        scaled = error * (neurons / used).sqrt()
        to_threshold = -(scaled * a).sum(dim=0) / synapses**0.5
        if settings.balance:
            wins = fired.sum(dim=1, keepdim=True)
            to_threshold = to_threshold - settings.balance * (neurons * fired - wins).mean(dim=0)
        to_x = (synapses / used).sqrt() * (error @ weight) if ctx.needs_input_grad[0] else None
        needed = ctx.needs_input_grad[2]
        to_logarithm = to_threshold * logarithm.exp() if needed else None
        return to_x, scaled.t() @ x, to_logarithm, None, None, None, None


def _gain(logarithm: Tensor, fired: Tensor) -> Tensor:
    """Return g by its root mean square over the neurons that fired, or over all where none did."""
    gain = (-logarithm).exp()
    counted = torch.where(fired.any(dim=1, keepdim=True), fired, torch.ones_like(fired))
    mean = (counted * gain.square()).sum(dim=1, keepdim=True) / counted.sum(dim=1, keepdim=True)
    return gain / mean.sqrt()


def _sent(spikes: Tensor, constant: int, kept: float) -> Sent:
    """Return what spikes, or an input that stays the same, are to the next layer."""
    steps = constant or len(spikes)
    left = kept ** torch.arange(steps - 1, -1, -1, dtype=torch.float64)
    if constant:
        values = spikes[0]
        return Sent(spikes, values * float(left.sum()), (values != 0).to(values), constant)
    both = torch.stack([left, torch.ones_like(left)]).to(spikes)
    trace, total = (both @ spikes.flatten(1)).unflatten(1, spikes.shape[1:])
    return Sent(spikes, trace, (total != 0).to(spikes))


def _shares(spikes: Tensor, trace: Tensor) -> Tensor:
    """Return spike counts by the largest, ``(1, batch, classes)``; errors pass to the trace."""
    counts = spikes.sum(dim=0)
    shares = counts / counts.amax(dim=1, keepdim=True).clamp(min=1)
    return (shares + (trace - trace.detach()))[None]


def _concatenated(node: Node, ways: Sequence[Sent]) -> Sent:
    """Return what several layers send, one behind another."""
    _check_constant(node, ways)
    places = Places.of(node)
    trace, active = (
        concatenated(places, *(each[None] for each in tensors))[0]
        for tensors in ([way.trace for way in ways], [way.active for way in ways])
    )
    spikes = concatenated(places, *(way.spikes for way in ways))
    return Sent(spikes, trace, active, ways[0].constant)


def _check_constant(node: Node, ways: Sequence[Sent]) -> None:
    if len({way.constant for way in ways}) > 1:
        raise ConfigError(
            f"layer {node.name}: has a layer and constant pixels as sources; "
            "rule lee has one or the other"
        )


def _sum(node: Node, ways: Sequence[Sent]) -> Sent:
    _check_constant(node, ways)
    first, *others = ways
    for way in others:
        active = torch.maximum(first.active, way.active)
        first = Sent(first.spikes + way.spikes, first.trace + way.trace, active, first.constant)
    return first


def _check_time(graph: Graph) -> None:
    first = _neuron(graph.nodes[0])
    for node in graph.spiking:
        neuron = _neuron(node)
        if neuron.tau_s != 1:
            raise ConfigError(
                f"layer {node.name}: has tau_s = {neuron.tau_s:g}; rule lee has synapses that do "
                "not filter, use tau_s = 1"
            )
        if neuron.tau_m != first.tau_m:
            raise ConfigError(
                f"layer {node.name}: has tau_m = {neuron.tau_m:g}, and {graph.nodes[0].name} "
                f"{first.tau_m:g}; rule lee has one for all layers"
            )


def _neuron(node: Node) -> Lif:
    if node.neuron is None:
        raise TypeError(f"layer {node.name}: a {node.kind} has no neurons")
    return node.neuron


def _own_unit(node: Node, neuron: Lif) -> float:
    """Return by what weights within a layer are divided to be parts of a threshold.

    They are stored as the layer's other weights; those of own thresholds are such parts already.
    """
    return 1.0 if "threshold" in node.parameters else neuron.threshold


def _kept(neuron: Lif) -> float:
    """Return what the membrane keeps of itself at a step."""
    return 1 - 1 / neuron.tau_m
