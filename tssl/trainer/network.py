"""The trainable network: a chain of linear maps, spiking neurons and pools."""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from tssl.checkpoint import weight_shapes
from tssl.spec import ConvSpec, DenseSpec, NetworkSpec, PoolSpec, Recipe
from tssl.trainer.neuron import Trace, psp, static_psp
from tssl.trainer.rules import Rule, get_rule

_EVALUATION_BYTES = 512 << 20


class Forward(NamedTuple):
    """Result of a forward pass."""

    output: Trace
    """Of the last layer, each ``(time, batch, classes)``."""
    spikes: dict[str, Tensor]
    """Of every spiking layer by name, ``(time, batch, *features)``."""


class SpikingNetwork(nn.Module):
    """A network of TSSL-BP neurons as its recipe describes it.

    Parameters
    ----------
    recipe
        Layers, time constants and learning rule.
    input_shape
        Of one sample, (C, H, W).
    generator
        Source of the initial weights. Dense weights are normal with variance 2 / fan-in,
        convolution weights uniform within 1 / sqrt(fan-in), as in the official code.
    """

    def __init__(
        self, recipe: Recipe, input_shape: tuple[int, int, int], generator: torch.Generator
    ) -> None:
        super().__init__()
        self.network: NetworkSpec = recipe.network
        self.rule: Rule = get_rule(recipe.training.rule)
        neurons = sum(int(np.prod(shape)) for shape in self.network.shapes(input_shape))
        per_sample = 8 * 4 * self.network.time_steps * neurons  # some eight float32 tensors
        self.evaluation_batch = max(1, min(500, _EVALUATION_BYTES // per_sample))
        self.weights = nn.ParameterDict()
        layers = dict(zip(self.network.layer_names, self.network.layers, strict=True))
        for name, shape in weight_shapes(recipe, input_shape).items():
            layer = layers[name]
            if isinstance(layer, PoolSpec):
                continue
            self.weights[name] = nn.Parameter(initial_weight(shape, generator) * layer.weight_scale)

    def forward(self, inputs: Tensor) -> Forward:
        """Run the network from rest.

        Parameters
        ----------
        inputs
            ``(batch, C, H, W)`` for an input that stays the same, or ``(time, batch, C, H, W)``.
        """
        spikes: dict[str, Tensor] = {}
        trace = None
        static = inputs.dim() == 4
        signal = inputs[None] if static else psp(inputs, tau_s=self.network.tau_s)
        for name, layer in zip(self.network.layer_names, self.network.layers, strict=True):
            if isinstance(layer, PoolSpec):
                signal = sum_pool(signal, layer)
                continue
            current = self._weighted(name, layer, signal)
            if static:  # weighted once, then it follows its time course
                current, static = self._over_time(current), False
            trace = self.rule(
                current,
                tau_m=self.network.tau_m,
                tau_s=self.network.tau_s,
                threshold=layer.threshold or self.network.threshold,
            )
            spikes[name] = trace.spikes
            signal = trace.psp
        if trace is None:
            raise ValueError("a network needs at least one spiking layer")
        return Forward(trace, spikes)

    def load_weights(self, weights: dict[str, NDArray[np.generic]]) -> None:
        """Replace all weights, keeping dtype and device."""
        with torch.no_grad():
            for name, parameter in self.weights.items():
                parameter.copy_(torch.from_numpy(np.array(weights[name])))

    def numpy_weights(self) -> dict[str, NDArray[np.generic]]:
        """Return copies of all weights by layer name."""
        return {name: weight.detach().cpu().numpy().copy() for name, weight in self.weights.items()}

    def _weighted(self, name: str, layer: DenseSpec | ConvSpec, signal: Tensor) -> Tensor:
        """Apply the weights to potentials ``(time, batch, ...)`` in one call over all steps."""
        folded = signal.flatten(0, 1)
        weight = self.weights[name]
        if isinstance(layer, DenseSpec):
            weighted = F.linear(folded.flatten(1), weight)
        else:
            weighted = F.conv2d(folded, weight, stride=layer.stride, padding=layer.padding)
        return weighted.unflatten(0, signal.shape[:2])

    def _over_time(self, current: Tensor) -> Tensor:
        """Return the current ``(time, ...)`` of a constant input from its weighted sum."""
        response = static_psp(self.network.time_steps, tau_s=self.network.tau_s, like=current)
        return current * response.reshape(-1, *[1] * (current.dim() - 1))


def initial_weight(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return initial weights of a dense (2-D) or convolution (4-D) layer."""
    fan_in = int(np.prod(shape[1:]))
    if len(shape) == 2:
        return torch.randn(shape, generator=generator) * (2 / fan_in) ** 0.5
    return (torch.rand(shape, generator=generator) * 2 - 1) / fan_in**0.5


def sum_pool(signal: Tensor, layer: PoolSpec) -> Tensor:
    """Add up non-overlapping windows of ``(time, batch, C, H, W)`` and multiply by the gain."""
    pooled = F.avg_pool2d(signal.flatten(0, 1), layer.kernel, divisor_override=1)
    return (pooled * layer.gain).unflatten(0, signal.shape[:2])
