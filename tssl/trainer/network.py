"""The trainable network: a chain of linear maps, spiking neurons and pools."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tssl.checkpoint import ChipPlan, recurrent_name, weight_shapes
from tssl.errors import ConfigError
from tssl.spec import ConvSpec, DenseSpec, LayerSpec, NetworkSpec, PoolSpec, Recipe
from tssl.trainer.chip_forward import ChipLayer, input_signal, pooled, run_layer
from tssl.trainer.linear import weighted
from tssl.trainer.neuron import Activity, Neurons, Trace, psp, sum_pool
from tssl.trainer.recurrence import Gradient, RecurrenceRule
from tssl.trainer.rules import Rule, get_rule

_EVALUATION_BYTES = 512 << 20


class Forward(NamedTuple):
    """Result of a forward pass."""

    output: Trace
    """Of the last layer, each ``(time, batch, classes)``."""
    activity: dict[str, Activity]
    """Of every spiking layer by name; the backward pass adds to it."""
    traces: dict[str, Trace]
    """Of every spiking layer by name; complete if all were to be recorded."""


class _Stage(NamedTuple):
    """A layer, and a pool that is done together with its neurons."""

    name: str
    layer: LayerSpec
    pool: PoolSpec | None

    @property
    def dropout(self) -> float:
        return self.layer.dropout if self.pool is None else self.pool.dropout


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
        self.plan = plan
        self._quantum = recipe.encoding.quantum
        self.network: NetworkSpec = recipe.network
        self.rule: Rule = get_rule(recipe.training)
        self._factors = torch.bfloat16 if recipe.training.precision == "bfloat16" else None
        self.noise = torch.Generator()
        """Source of dropout masks; whoever trains seeds it for every batch."""
        neurons = sum(int(np.prod(shape)) for shape in self.network.shapes(input_shape))
        per_sample = 8 * 4 * self.network.time_steps * neurons  # some eight float32 tensors
        self.evaluation_batch = max(1, min(500, _EVALUATION_BYTES // per_sample))
        self._stages = _stages(self.network)
        self.weights = nn.ParameterDict()
        layers = dict(zip(self.network.layer_names, self.network.layers, strict=True))
        for name, shape in weight_shapes(recipe, input_shape).items():
            layer = layers[name.removesuffix(recurrent_name(""))]
            if isinstance(layer, PoolSpec):
                continue
            self.weights[name] = nn.Parameter(initial_weight(shape, generator) * layer.weight_scale)

    def forward(self, inputs: Tensor, *, record_all: bool = False) -> Forward:
        """Run the network from rest.

        Parameters
        ----------
        inputs
            ``(batch, C, H, W)`` for an input that stays the same, or ``(time, batch, C, H, W)``.
        record_all
            Whether to keep spikes and potentials of all layers and not just of the last.
        """
        if self.plan is not None:
            return self._on_chip(inputs, self.plan, record_all)
        result = Forward(Trace(inputs, inputs, inputs), {}, {})
        constant = self.network.time_steps if inputs.dim() == 4 else 0
        factors = self._factors if self.training else None
        signal = inputs[None] if constant else psp(inputs, tau_s=self.network.tau_s)
        for stage in self._stages:
            if isinstance(stage.layer, PoolSpec):
                signal = self._drop(sum_pool(signal, stage.layer), stage.dropout)
                continue
            current = weighted(signal, self.weights[stage.name], stage.layer, factors)
            neurons = self._neurons(stage, stage.layer, constant, record_all)
            constant = 0
            activity = result.activity[stage.name] = Activity()
            trace = result.traces[stage.name] = self.rule(current, neurons, activity)
            signal = self._drop(trace.psp, stage.dropout)
        return result._replace(output=trace)

    def _on_chip(self, inputs: Tensor, plan: ChipPlan, record_all: bool) -> Forward:
        """Run the network in the chip's integers; see :mod:`tssl.trainer.chip_forward`."""
        result = Forward(Trace(inputs, inputs, inputs), {}, {})
        constant = self.network.time_steps if inputs.dim() == 4 else 0
        frames = inputs[None] if constant else inputs
        potential = frames if constant else psp(inputs, tau_s=self.network.tau_s)
        signal, quantum = input_signal(frames, potential, self._quantum), self._quantum
        for stage in self._stages:
            if isinstance(stage.layer, PoolSpec):
                signal = pooled(signal, stage.layer)
                continue
            neurons = self._neurons(stage, stage.layer, constant, record_all)
            chip = ChipLayer(
                layer=stage.layer,
                neurons=neurons,
                gradient=self._gradient(neurons),
                scale=plan.scales[stage.name],
                largest_weight=plan.largest_weights[stage.name],
                weight_step=plan.weight_step,
                quantum=quantum,
            )
            activity = result.activity[stage.name] = Activity()
            weight = self.weights[stage.name]
            trace, signal = run_layer(signal, weight, chip, activity)
            result.traces[stage.name] = trace
            constant, quantum = 0, 1.0
        return result._replace(output=trace)

    def _neurons(
        self, stage: _Stage, layer: DenseSpec | ConvSpec, constant: int, record_all: bool = False
    ) -> Neurons:
        return Neurons(
            tau_m=self.network.tau_m,
            tau_s=self.network.tau_s,
            threshold=layer.threshold or self.network.threshold,
            constant_steps=constant,  # weighted once, then it follows its time course
            pool=stage.pool,
            feedback=self.weights.get(recurrent_name(stage.name)),
            record=record_all or stage is self._stages[-1],
        )

    def _gradient(self, neurons: Neurons) -> Gradient:
        if not isinstance(self.rule, RecurrenceRule):
            raise ConfigError("training.forward = 'chip' needs a rule that is a recurrence")
        return self.rule.gradient(neurons)

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


def _stages(network: NetworkSpec) -> list[_Stage]:
    """Pair layers with the pools behind them; other pools stay stages of their own."""
    stages: list[_Stage] = []
    for name, layer in zip(network.layer_names, network.layers, strict=True):
        last = stages[-1] if stages else None
        joins = last and not isinstance(last.layer, PoolSpec) and last.pool is None
        if isinstance(layer, PoolSpec) and last and joins and not last.layer.dropout:
            stages[-1] = last._replace(pool=layer)
        else:
            stages.append(_Stage(name, layer, None))
    return stages


def initial_weight(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return initial weights of a dense (2-D) or convolution (4-D) layer."""
    fan_in = int(np.prod(shape[1:]))
    if len(shape) == 2:
        return torch.randn(shape, generator=generator) * (2 / fan_in) ** 0.5
    return (torch.rand(shape, generator=generator) * 2 - 1) / fan_in**0.5
