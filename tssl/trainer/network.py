"""The trainable network: a graph of linear maps, spiking neurons and pools."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tssl.checkpoint import ChipPlan
from tssl.chip import CLASS, INPUT, ReadOut
from tssl.graph import Node, resolve
from tssl.recipe import Recipe
from tssl.trainer import norm
from tssl.trainer.leak import first_leak
from tssl.trainer.methods import Material, Pass, loss_for, make_method
from tssl.trainer.neuron import Activity, Trace
from tssl.trainer.operations import Lost
from tssl.trainer.tape import Tape, apply
from tssl.trainer.thresholds import first_threshold
from tssl.trainer.weights import Weights

_ONE = torch.ones(())
"""Error of the loss at itself."""
_EVALUATION_BYTES = 512 << 20
_MOST_TAPES = 16
"""Shapes of batches whose passes are repeated."""


def _same(value: float, _: Node) -> Tensor:
    return torch.full((1,), value)


_FIRST_VALUES: Mapping[str, Callable[[Node], Tensor]] = {
    "bias": partial(_same, 0.0),
    "leak": first_leak,
    "threshold": first_threshold,
    **{role: partial(_same, value) for role, value in norm.FIRST.items()},
}
"""Of parameters that nobody draws, by role."""


class Forward(NamedTuple):
    """Result of a forward pass."""

    output: Trace
    """Of the last layer, each ``(time, batch, classes)``."""
    activity: dict[str, Activity]
    """Of every layer that fires, by name; the backward pass adds to it."""
    traces: dict[str, Trace]
    """Of every spiking layer by name; complete if all were to be recorded."""


class SpikingNetwork(nn.Module):
    """A network of spiking neurons as its recipe describes it.

    Parameters
    ----------
    recipe
        Layers, time constants and learning rule.
    input_shape
        Of one sample, (C, H, W).
    generator
        Source of the initial weights, which the method draws.
    plan
        Grid of the chip's integers to compute with; None for floating point.
    read_out
        What shall be read from its output.
    """

    def __init__(
        self,
        recipe: Recipe,
        input_shape: tuple[int, int, int],
        generator: torch.Generator,
        plan: ChipPlan | None = None,
        read_out: ReadOut = CLASS,
    ) -> None:
        super().__init__()
        self.graph = resolve(recipe.network, input_shape)
        self.weights = Weights()
        self.method = make_method(Material(recipe, self.graph, self.weights))
        """How it is trained."""
        self.loss = loss_for(self.method.losses, recipe.training, read_out)
        """What training makes small."""
        self.plan: ChipPlan | None = None
        """Grid of the chip's integers that it computes with; None in floating point."""
        self._running = self.method
        self._firing = [node.name for node in self.graph.firing]
        self._tapes: dict[Any, Tape] = {}
        """Of passes that can be repeated, by what else they depend on."""
        self._latest: Tape | None = None
        """The one of them that keeps memory."""
        self.noise = torch.Generator()
        """Source of dropout masks; whoever trains seeds it for every batch."""
        self.follows_batches = True
        """Whether norms take the batches of training into their running averages."""
        per_sample = 8 * 4 * self.graph.time_steps * self.graph.values  # some eight float32 tensors
        self.evaluation_batch = max(1, min(500, _EVALUATION_BYTES // per_sample))
        fixed = self.method.fixed()
        for name, value in fixed.items():
            self.weights[name] = nn.Parameter(value, requires_grad=False)
        for node in self.graph:
            for role, (name, shape) in node.parameters.items():
                if name not in fixed:
                    first = self._first(node, role, shape, generator)
                    is_trained = role not in norm.AVERAGES
                    self.weights[name] = nn.Parameter(first, requires_grad=is_trained)
        if plan is not None:
            self.compute_on(plan)

    def _first(
        self, node: Node, role: str, shape: tuple[int, ...], generator: torch.Generator
    ) -> Tensor:
        """Return where a parameter begins."""
        if role not in _FIRST_VALUES:
            share = self.method.recurrent_share if role == "recurrent" else 1.0
            return self.method.first_weight(shape, generator) * (node.weight_scale * share)
        first = _FIRST_VALUES[role](node).repeat(shape)
        if role == "bias":
            first.fill_(self.method.first_bias)
        if role in node.first:
            first.fill_(node.first[role])
        return first

    def forward(self, inputs: Tensor, *, record_all: bool = False) -> Forward:
        """Run the network from rest.

        Parameters
        ----------
        inputs
            ``(batch, C, H, W)`` for an input that stays the same, or ``(time, batch, C, H, W)``.
        record_all
            Whether to keep spikes and potentials of all layers and not just of the last.
        """
        self._keep_memory_of(None)
        run = Pass(self.training, record_all, self.follows_batches)
        return Forward(self._pass(self._running.enter(inputs), run), run.activity, run.traces)

    def learn(self, inputs: Tensor, targets: Tensor) -> tuple[Forward, Tensor]:
        """Run the network from rest, and take the errors of its loss back to the weights.

        Their gradients are those of :meth:`forward`, the loss and ``backward``, to the bit.
        Feed-forward networks need no autograd's graph for it, so that no hooks run, and nothing
        else gets a gradient.

        Parameters
        ----------
        inputs
            See :meth:`forward`.
        targets
            Classes ``(batch,)``, or what else the loss takes.

        Returns
        -------
        forward
            Only the last layer's trace. It and the gradients are overwritten by the next call.
        loss
            Without axes.
        """
        for each in self.weights.values():
            each.grad = None
        trained = [each for each in self.weights.values() if each.requires_grad]
        kind = inputs.shape, inputs.dtype, inputs.device, self.training, self.loss
        key = *kind, *map(id, trained)
        tape = self._tapes.get(key)
        if tape is None and self._running.passes_tape(inputs):
            tape = Tape(len(trained))
        if tape is not None:
            done = self._learn_by_tape(tape, trained, inputs, targets)
            if tape.is_repeatable:
                self._keep(tape, key)
            return done
        forward = self(inputs)
        loss = self.loss.function(forward.output, targets)
        loss.backward()
        return forward, loss.detach()

    def _keep(self, tape: Tape, key: Any) -> None:  # noqa: ANN401
        """Have the tape at hand for the next batch of its kind, the oldest one no longer."""
        self._tapes[key] = tape
        if len(self._tapes) > _MOST_TAPES:
            del self._tapes[next(iter(self._tapes))]

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy is made of: tapes belong to these weights."""
        return {**self.__dict__, "_tapes": {}, "_latest": None}

    @torch.no_grad()
    def _learn_by_tape(
        self, tape: Tape, trained: Sequence[Tensor], inputs: Tensor, targets: Tensor
    ) -> tuple[Forward, Tensor]:
        """Run all layers, and if possible as the last pass did."""
        entering = self._running.enter(inputs)

        def layers() -> Sequence[Any]:
            run = Pass(self.training, record_all=False, follows_batches=self.follows_batches)
            output = self._pass(entering, run)
            return self._lost(output, targets), *output, *run.activity.values()

        self._keep_memory_of(tape)
        given = [*trained, *self._running.tensors(entering), targets, self.noise]
        loss, potential, spikes, voltage, *counts = tape.forward(layers, given)
        for weight, error in zip(trained, tape.backward(_ONE), strict=True):
            weight.grad = error
        output = Trace(potential, spikes, voltage)
        activity = dict(zip(self._firing, counts, strict=True))
        return Forward(output, activity, {self.graph.output.name: output}), loss

    def _lost(self, output: Trace, targets: Tensor) -> Tensor:
        if self.loss.passes_tape:
            return self.loss.function(output, targets)
        loss: Tensor = apply(Lost, *output, targets, self.loss.function)
        return loss

    def _keep_memory_of(self, tape: Tape | None) -> None:
        """Let no other tape keep memory: batches of several sizes need it one after another."""
        if self._latest is not None and self._latest is not tape:
            self._latest.let_go()
        self._latest = tape

    def _pass(self, entering: Any, run: Pass) -> Trace:  # noqa: ANN401 - the method's signal
        """Run all layers; return what the last one did."""
        sent = {INPUT: entering}
        for block in self._running.blocks:
            ways = [sent[source] for source in block.node.sources]
            for source in set(block.node.sources):
                if self.graph.readers[source][-1] is block.node:  # no later layer needs it
                    del sent[source]
            signal, share = self._running.layer(block, ways, run), block.last.dropout
            if share and self.training and block.last is not self.graph.output:
                signal = self._running.dropped(signal, share, self.noise)
            sent[block.last.name] = signal
        return run.traces[self.graph.output.name]

    @property
    def averages(self) -> list[Tensor]:
        """The running averages of norms that follow batches, and no gradient."""
        if self.plan is not None:
            return []
        return [each.data for each in self.weights.values() if not each.requires_grad]

    def compute_on(self, plan: ChipPlan) -> None:
        """Compute with the chip's integers from now on; leaks and norms' averages are frozen."""
        for node in self.graph:
            if "leak" in node.parameters:
                self.weights[node.parameters["leak"].name].requires_grad = False
        self._running, self.plan = self.method.on_chip(plan), plan
        self._tapes.clear()
        self._latest = None

    def load_weights(self, weights: dict[str, NDArray[np.generic]]) -> None:
        """Replace all weights, keeping dtype and device."""
        with torch.no_grad():
            for name, parameter in self.weights.items():
                if name not in self.graph.parameters and name not in weights:
                    continue  # the method's own, of a network that another one trained
                parameter.copy_(torch.from_numpy(np.array(weights[name])))

    def numpy_weights(self) -> dict[str, NDArray[np.generic]]:
        """Return copies of all weights by layer name."""
        return {name: weight.detach().cpu().numpy().copy() for name, weight in self.weights.items()}
