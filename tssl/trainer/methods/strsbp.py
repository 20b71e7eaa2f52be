"""ST-RSBP: errors of spike counts, through feed-forward and recurrent layers.

See docs/methods/strsbp.md.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tssl.chip import IntArray
from tssl.errors import ConfigError
from tssl.graph import Graph, Node
from tssl.neurons import Lif
from tssl.recipe import TrainingSpec, entries_of
from tssl.settings import Above0, AtLeast0, Entries
from tssl.trainer.linear import weighted
from tssl.trainer.methods.method import Block, Loss, Material, Method, Pass
from tssl.trainer.methods.strsbp_layer import Ran, Teacher, counted, filtered, fire
from tssl.trainer.methods.strsbp_table import interaction
from tssl.trainer.methods.support import Has, check_layers
from tssl.trainer.neuron import Activity, Neurons, Trace

__all__ = ["Sent", "StRsbp", "StRsbpSettings", "boosted", "make"]

_HAS = Has(kinds=("dense",), roles=("recurrent",), refractory=True, dropout=False)
_BOOSTING = "boosting"
_HALF = 0.5
"""What silent neurons have for e / o in the published code."""
_GENTLY = 20.0
"""By which the share of errors of a class is divided before samples grow by it."""


class StRsbpSettings(Entries):
    """What a recipe may set in ``training.settings``.

    Parameters
    ----------
    errors
        Which neurons pass errors on: ``fired`` those that fired in the sample, ``all`` silent ones
        too, with 1/2 in the place of e / o, as in the published code.
    margin
        Output counts that are no further from the desired ones make no error.
    inhibition
        Weight with which an output's spike inhibits the others, where the last layer is recurrent.
    solve
        What a recurrent layer hands down: ``right`` is the solution of its equations,
        ``transposed`` what the published code makes of them.
    regularisation, growth, weight_scale
        The gradient of a weight w grows by the first, times the second, times w / scale, times e to
        the second times the neuron's mean of (w / scale) squared less 1.
    boosting
        Whether samples that are taken for another class count more from epoch to epoch.
    """

    errors: Literal["fired", "all"] = "fired"
    margin: AtLeast0 = 1.0
    inhibition: AtLeast0 = 1.0
    solve: Literal["right", "transposed"] = "right"
    regularisation: AtLeast0 = 0.0
    growth: AtLeast0 = 0.04
    weight_scale: Above0 = 8.0
    boosting: bool = False


class Sent(NamedTuple):
    """What a layer sends to others."""

    psp: Tensor
    """Post-synaptic potentials ``(time, batch, neurons)``."""
    counts: Tensor
    """Spikes of each neuron ``(batch, neurons)``; they carry the gradient."""


def make(material: Material) -> "StRsbp":
    """Return the method with its settings from the recipe."""
    settings = entries_of(StRsbpSettings, material.recipe.training.settings, "training.settings")
    return StRsbp(material, settings)


class StRsbp(Method[Sent]):
    """Layers that send post-synaptic potentials and spike counts; errors are those of the counts.

    See :func:`tssl.trainer.methods.strsbp_layer.counted`.

    References
    ----------
    .. [1] W. Zhang and P. Li, Spike-Train Level Backpropagation for Training Deep Recurrent
       Spiking Neural Networks, NeurIPS 2019; github.com/stonezwr/ST-RSBP.
    """

    recurrent_share = 0.2
    """What neurons of a layer send each other is then about as much as over the few synapses that
    the published code draws for each. With weights as large as those from the source, M is nearly
    singular for some samples, and their errors drown those of others."""

    def __init__(self, material: Material, settings: StRsbpSettings) -> None:
        self._graph, self._weights = material.graph, material.weights
        self._training, self._settings = material.recipe.training, settings
        check_layers(self._graph, self._training.rule, _HAS)
        _check(self._graph, self._training, settings)
        self._teacher = self._new_teacher()
        self._samples: Tensor | None = None
        self.blocks = [Block(node) for node in self._graph]
        self.losses = {"counts": Loss(self._loss, is_mean=True)}

    def fixed(self) -> Mapping[str, Tensor]:
        """Return each layer's table of the mean interaction, and the lateral inhibition."""
        seed, steps = self._training.seed, self._graph.time_steps
        found = {_table(node): interaction(_neuron(node), steps, seed) for node in self._graph}
        last = self._graph.output
        if "recurrent" in last.parameters:
            name, (outputs, _) = last.parameters["recurrent"]
            found[name] = self._settings.inhibition * (torch.eye(outputs) - 1)
        return found

    def enter(self, inputs: Tensor) -> Sent:
        """See :class:`Method`."""
        if inputs.dim() == 4:
            raise ConfigError(
                "rule st-rsbp counts spikes, and pixels that enter as graded ones have none; use "
                "encoding.input = 'neurons'"
            )
        return Sent(*filtered(inputs.flatten(2), _neuron(self._graph.output).tau_s))

    def layer(self, block: Block, ways: Sequence[Sent], run: Pass) -> Sent:
        """See :class:`Method`."""
        node, (arriving,) = block.node, ways
        neuron = _neuron(node)
        weight = self._weights[node.parameters["weight"].name]
        own = node.parameters.get("recurrent")
        feedback = None if own is None else self._weights[own.name]
        activity = run.activity[node.name] = Activity()
        is_last = node is self._graph.output
        neurons = Neurons(
            tau_m=neuron.tau_m,
            tau_s=neuron.tau_s,
            threshold=neuron.threshold,
            feedback=feedback,
            record=run.record_all or is_last,
        )
        with torch.no_grad():
            current = weighted(arriving.psp, weight, None)
            trace = fire(current, neurons, neuron, activity)
        ran = Ran(
            arriving=arriving.psp,
            spikes=trace.spikes,
            own=trace.psp,
            neuron=neuron,
            table=self._weights[_table(node)],
            transposed=self._settings.solve == "transposed",
            silent=_HALF if self._settings.errors == "all" else 0.0,
        )
        if is_last:
            self._teacher = self._new_teacher()
            ran = ran._replace(teacher=self._teacher)
        counts = counted(arriving.counts, weight, feedback, ran)
        run.traces[node.name] = trace._replace(psp=counts[None]) if is_last else trace
        return Sent(trace.psp, counts)

    def begin(self, samples: int) -> None:
        """See :class:`Method`: every sample weighs 1, where they are boosted."""
        if not self._settings.boosting:
            return
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            raise ConfigError(
                "training.settings: boosting weighs samples in one process; start without torchrun"
            )
        like = next(iter(self._weights.values()))
        state = torch.tensor([[1.0], [0.0], [0.0]]).repeat(1, samples).to(like)
        self._weights[_BOOSTING] = nn.Parameter(state, requires_grad=False)

    def take(self, samples: IntArray) -> None:
        """See :class:`Method`."""
        self._samples = torch.from_numpy(samples) if self._settings.boosting else None

    def finish_epoch(self) -> None:
        """See :class:`Method`: samples that were taken for another class grow."""
        if self._settings.boosting:
            weights, labels, wrong = self._weights[_BOOSTING].data
            weights.copy_(boosted(weights, labels.long(), wrong == 0))

    def _new_teacher(self) -> Teacher:
        return Teacher(desired=round(self._training.desired_count))

    def _loss(self, output: Trace, labels: Tensor) -> Tensor:
        r"""Return half the squared errors of counts beyond the margin, averaged over the batch."""
        counts = output.psp[0]
        self._teacher.labels = labels
        wanted = F.one_hot(labels, counts.shape[1]).to(counts)
        desired, undesired = self._training.desired_count, self._training.undesired_count
        missing = counts - (undesired + (desired - undesired) * wanted)
        residual = missing * (missing.abs() > self._settings.margin)
        cost = 0.5 * (residual.square().sum(dim=1) * self._sample_weights(counts, labels)).mean()
        return cost + self._regulariser() if self._settings.regularisation else cost

    def _sample_weights(self, counts: Tensor, labels: Tensor) -> Tensor:
        if self._samples is None:
            return torch.ones_like(counts[:, 0])
        state = self._weights[_BOOSTING]
        samples = self._samples.to(state.device)
        with torch.no_grad():
            state[1, samples] = labels.to(state)
            state[2, samples] = (counts.argmax(dim=1) != labels).to(state)
        return state[0, samples]

    def _regulariser(self) -> Tensor:
        """Return a zero whose gradient is that of the published regulariser."""
        total = torch.zeros((), device=self._weights[self._graph.output.name].device)
        for node in self._graph:
            weights = [self._weights[node.parameters["weight"].name]]
            divisor = weights[0].shape[1] + 1
            if "recurrent" in node.parameters and node is not self._graph.output:
                weights.append(self._weights[node.parameters["recurrent"].name])
                divisor += int((weights[1].detach() != 0).sum())
            scaled = [weight / self._settings.weight_scale for weight in weights]
            squares = sum((each.square().sum(dim=1) for each in scaled[1:]), start=(
                scaled[0].square().sum(dim=1)
            ))  # fmt: skip
            grown = (self._settings.growth * (squares.detach() / divisor - 1)).exp()
            factor = 0.5 * self._settings.regularisation * self._settings.growth
            total = total + factor * self._settings.weight_scale * (squares * grown).sum()
        return total - total.detach()


def boosted(weights: Tensor, labels: Tensor, right: Tensor) -> Tensor:
    r"""Return :math:`w_n e^{E_c / 20}` for samples that were wrong, with c their class.

    E is the share of a class's weights that its wrong samples have.

    Parameters
    ----------
    weights, labels, right
        Of each sample ``(samples,)``.
    """
    classes = int(labels.max()) + 1
    total = torch.zeros(classes, dtype=weights.dtype, device=weights.device)
    missed = total.index_add(0, labels, weights * ~right)
    total = total.index_add(0, labels, weights)
    share = missed / total.clamp(min=1e-30)
    return torch.where(right, weights, weights * (share[labels] / _GENTLY).exp())


def _check(graph: Graph, training: TrainingSpec, settings: StRsbpSettings) -> None:
    if training.precision == "bfloat16":
        raise ConfigError("training.precision = 'bfloat16': rule st-rsbp has 'float32' and 'tf32'")
    first = _neuron(graph.nodes[0])
    for node in graph:
        neuron = _neuron(node)
        if len(node.sources) > 1:
            raise ConfigError(
                f"layer {node.name}: has the sources {', '.join(node.sources)}; rule st-rsbp has "
                "layers of one source"
            )
        if neuron.tau_s != first.tau_s:
            raise ConfigError(
                f"layer {node.name}: has tau_s = {neuron.tau_s:g}, and {graph.nodes[0].name} "
                f"{first.tau_s:g}; rule st-rsbp has one for all layers"
            )
        neurons, inputs = node.parameters["weight"].shape
        is_hidden = "recurrent" in node.parameters and node is not graph.output
        is_first = node is graph.nodes[0]
        if settings.solve == "transposed" and is_hidden and not is_first and neurons != inputs:
            raise ConfigError(
                f"layer {node.name}: has {inputs} inputs and {neurons} neurons; "
                "training.settings: solve = 'transposed' needs as many of both"
            )


def _table(node: Node) -> str:
    return f"{node.name}_interaction"


def _neuron(node: Node) -> Lif:
    if node.neuron is None:
        raise TypeError(f"layer {node.name}: a {node.kind} has no neurons")
    return node.neuron
