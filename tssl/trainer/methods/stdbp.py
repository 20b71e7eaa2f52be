r"""STDBP: errors of the times at which neurons fire, once each.

With :math:`C_j` the inputs that came before the spike of neuron j, and :math:`W_j` their weights
together:

.. math:: t_j = \frac{\vartheta + \sum_{i \in C_j} w_{ij} t_i}{W_j}, \qquad
    \frac{\partial t_j}{\partial w_{ij}} = \frac{t_i - t_j}{W_j}, \qquad
    \frac{\partial t_j}{\partial t_i} = \frac{w_{ij}}{W_j}

References
----------
.. [1] M. Zhang et al., Rectified Linear Postsynaptic Potential Function for Backpropagation in Deep
   Spiking Neural Networks, arXiv:2003.11837; IEEE TNNLS 33(5), 2022.
"""

from collections.abc import Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from tssl.errors import ConfigError
from tssl.graph import NORM, Node
from tssl.recipe import Recipe, entries_of
from tssl.settings import Above0, AtLeast0, Entries, Number
from tssl.trainer.first_spikes import Rule, earliest, first_spikes, late, patches
from tssl.trainer.methods.method import Block, Loss, Material, Method, Pass
from tssl.trainer.neuron import Activity, Trace

__all__ = ["Settings", "Stdbp"]

_ACTIVE = 0.25
"""Share of inputs that are taken to fire, where weights begin."""
_SPREAD = 0.5
"""Standard deviation of what arrives, over its mean, likewise."""
_HAS = (
    "rule stdbp has dense and conv layers without groups, of neurons 'rel-psp', with or without "
    "bias, each behind one source, and pools with mode = 'or'"
)


class Settings(Entries):
    """What ``training.settings`` can say of this rule.

    Parameters
    ----------
    grid
        Whether times are whole steps, those of the chip; otherwise only those of the input are.
    steepest
        Largest 1/W_j that an error is multiplied by, times the threshold: no neuron is taken to
        rise slower than to its threshold within so many steps.
    push
        By how much silent neurons are made more excitable where the loss wants their spike, or
        where no sample makes them fire, in units of ``steepest``.
    bias_spike
        Where biases begin: the weights of a spike at time 0. Layers need ``bias = true``.
    unit
        Steps of a unit of time, in which the loss compares times.
    """

    grid: Annotated[bool, Field(strict=True)] = True
    steepest: Above0 = 100.0
    push: AtLeast0 = 0.1
    bias_spike: Number = 0.0
    unit: Above0 = 1.0


class Stdbp(Method[Tensor]):
    """Layers that send the times of their spikes ``(batch, ...)``, infinite where there is none.

    Parameters
    ----------
    material
        The network that is trained.

    Raises
    ------
    ConfigError
        When the network has what this method does not.
    """

    def __init__(self, material: Material) -> None:
        recipe, self._graph, self._weights = material
        self._settings = entries_of(Settings, recipe.training.settings, "training.settings")
        _check_recipe(recipe)
        for node in self._graph:
            _check(node)
        self._check_biases()
        self._end = float(recipe.network.time_steps)
        self._threshold = recipe.network.threshold
        self.first_bias = self._settings.bias_spike
        self.blocks = [Block(node) for node in self._graph]
        self.losses = {"times": Loss(self._times, is_mean=True)}

    def enter(self, inputs: Tensor) -> Tensor:
        """See :class:`Method`."""
        if inputs.dim() != 5:
            raise TypeError(f"inputs of shape {tuple(inputs.shape)}; spikes over time are expected")
        return _first(inputs)

    def layer(self, block: Block, ways: Sequence[Tensor], run: Pass) -> Tensor:
        """See :class:`Method`."""
        node, (arriving,) = block.node, ways
        if node.gate is not None:
            times, potential = earliest(arriving, node.windows), arriving.new_empty(0)
        else:
            times, potential = self._fired(node, arriving)
        activity = run.activity[node.name] = Activity()
        activity.neuron_steps += times.numel() * self._graph.time_steps
        activity.spikes = activity.spikes + times.detach().isfinite().sum()
        wanted = run.record_all or node is self._graph.output
        run.traces[node.name] = Trace(
            psp=-late(times, self._end)[None],
            spikes=self._train(times.detach()) if wanted else times.new_empty(0),
            voltage=potential[None],
        )
        return times

    def first_weight(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Return where weights begin.

        What arrives has a positive mean, so that neurons reach their threshold: within half of the
        time, if a quarter of the inputs fired at once.
        """
        active = _ACTIVE * torch.Size(shape[1:]).numel()
        mean = 2 * self._threshold / (active * self._end)
        deviation = _SPREAD * mean * active**0.5
        return mean + deviation * torch.randn(shape, generator=generator)

    def _fired(self, node: Node, arriving: Tensor) -> tuple[Tensor, Tensor]:
        """Return when neurons fire, and the last potential of the others, ``(batch, ...)``."""
        weight = self._weights[node.parameters["weight"].name]
        own = node.parameters.get("bias")
        bias = None if own is None else self._weights[own.name]
        if node.geometry is None:
            return first_spikes(arriving.flatten(1), weight, bias, self._rule(node))
        windows = patches(arriving, node.geometry)
        found = first_spikes(windows.flatten(0, 1), weight.flatten(1), bias, self._rule(node))
        maps = [
            each.unflatten(0, windows.shape[:2]).movedim(2, 1).unflatten(2, node.output_shape[1:])
            for each in found
        ]
        return maps[0], maps[1]

    def _rule(self, node: Node) -> Rule:
        threshold = self._threshold if node.neuron is None else node.neuron.threshold
        steepest = self._settings.steepest / threshold
        return Rule(
            threshold=threshold,
            end=self._end,
            on_grid=self._settings.grid,
            steepest=steepest,
            push=self._settings.push * steepest,
        )

    def _train(self, times: Tensor) -> Tensor:
        """Return spikes ``(time, batch, ...)``; those at the end are of the last step."""
        steps = torch.arange(self._graph.time_steps, device=times.device)
        on_grid = torch.where(times.isfinite(), times.floor().clamp(max=self._end - 1), -1)
        return (on_grid == steps.view(-1, *[1] * times.dim())).to(times)

    def _times(self, output: Trace, labels: Tensor) -> Tensor:
        r"""Return :math:`-\log \mathrm{softmax}(-t)_y`, the mean over the batch."""
        return F.cross_entropy(output.psp[0] / self._settings.unit, labels)

    def _check_biases(self) -> None:
        for node in self._graph:
            lacks = node.gate is None and "bias" not in node.parameters
            if self._settings.bias_spike and lacks:
                raise ConfigError(
                    f"training.settings: bias_spike is where biases begin, and layer {node.name} "
                    "has none; give it bias = true"
                )


def _first(spikes: Tensor) -> Tensor:
    """Return the step of each first spike, infinite where there is none.

    Where no input fires twice, as in the encoding ``time``, the sum of the steps is that step.
    """
    steps = torch.arange(len(spikes), device=spikes.device).to(spikes)
    sums = torch.stack([torch.ones_like(steps), steps]) @ spikes.flatten(1)
    counts, times = sums.unflatten(1, spikes.shape[1:])
    if counts.max() > 1:
        times = torch.where(spikes > 0, steps.view(-1, *[1] * counts.dim()), torch.inf).amin(dim=0)
    return torch.where(counts > 0, times, torch.inf)


def _check_recipe(recipe: Recipe) -> None:
    if recipe.encoding.input != "time":
        raise ConfigError(
            f"encoding.input = {recipe.encoding.input!r}: rule stdbp has one spike for each "
            "input; use 'time'"
        )
    if recipe.training.precision != "float32":
        raise ConfigError(
            f"training.precision = {recipe.training.precision!r}: rule stdbp has 'float32'"
        )


def _check(node: Node) -> None:
    """Refuse a layer that the method does not have, with what it has."""
    neuron, gate, geometry = node.neuron, node.gate, node.geometry
    problems = {
        "is a pool that adds up": neuron is None,
        "has neurons that fire more than once": neuron is not None and not neuron.fires_once,
        "is a gate": gate is not None and gate.function != "or",
        "is recurrent": "recurrent" in node.parameters,
        "has a norm": NORM[0] in node.parameters,
        "has dropout": node.dropout > 0,
        "has own_thresholds": "threshold" in node.parameters,
        "has refractory neurons": neuron is not None and neuron.refractory > 0,
        "has another reset": neuron is not None and neuron.reset != "zero",
        f"has {len(node.sources)} sources": len(node.sources) > 1,
        "has groups": gate is None and geometry is not None and geometry.groups > 1,
    }
    found = [problem for problem, is_there in problems.items() if is_there]
    if found:
        raise ConfigError(f"network.layers: {node.name} {found[0]}; {_HAS}")
