"""Networks on the chip's integers, and their gradients written out for autograd in float64."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tests.exporter.networks import LIMITS, QUANTUM
from tests.trainer.test_neurons import among, logic
from tssl.checkpoint import Checkpoint, ChipPlan
from tssl.chip import INPUT, ChipNetwork, IntArray
from tssl.exporter import quantize
from tssl.graph import NORM, NORM_EPSILON, Node
from tssl.recipe import EncodingSpec
from tssl.results import Recording
from tssl.trainer.filters import filters_of
from tssl.trainer.linear import weighted
from tssl.trainer.network import Forward, SpikingNetwork
from tssl.trainer.neuron import Pool, psp, sum_pool
from tssl.trainer.slopes import sigmoid

Way = tuple[Tensor, float, float]
"""Of a layer's spikes: they themselves, the gain of pools, what one stands for."""


class Planned(NamedTuple):
    trained: Checkpoint
    plan: ChipPlan
    chip: ChipNetwork
    network: SpikingNetwork


def planned(drawn: Checkpoint, train: IntArray, span: tuple[int, int]) -> Planned:
    """Return a checkpoint with its plan, its export, and the trainer's network."""
    encoding = EncodingSpec(resolution=1 / QUANTUM)
    recipe = drawn.recipe.model_copy(update={"encoding": encoding})
    result = quantize(replace(drawn, recipe=recipe), LIMITS, train, span)
    plan = ChipPlan(
        scales=result.scales,
        weight_step=LIMITS.weight_step,
        largest_weights=result.largest_weights,
    )
    return replanned(replace(drawn, recipe=recipe), plan, train, span)


def replanned(trained: Checkpoint, plan: ChipPlan, train: IntArray, span: Any) -> Planned:
    trained = replace(trained, plan=plan)
    chip = quantize(trained, LIMITS, train, span).network
    network = SpikingNetwork(trained.recipe, trained.input_shape, torch.Generator(), plan)
    network.load_weights(trained.weights)
    return Planned(trained, plan, chip, network)


def inputs_of(trained: Checkpoint, train: IntArray) -> Tensor:
    """Return encoded samples ``(time or 1, samples, inputs)`` as the trainer takes them."""
    values = torch.from_numpy(train * QUANTUM).float()
    values = values.view(*train.shape[:2], *trained.input_shape)
    return values[0] if len(values) == 1 else values


def recording(run: Planned, forward: Forward) -> Recording:
    """Return what the trainer's network did, for comparisons with engine and witness.

    Potentials of an output that never fires are in trained units.
    """
    output = run.trained.graph.output
    is_read = output.neuron is not None and output.neuron.never_fires
    unit = 64 * run.plan.scales[output.name] if is_read else 1
    trains = {
        name: trace.spikes.flatten(2).numpy().astype(np.uint8)
        for name, trace in forward.traces.items()
    }
    last = forward.output.voltage[-1].double() * unit * (1 - forward.output.spikes[-1])
    return Recording(trains, last.detach().round().flatten(1).numpy().astype(np.int64))


class _Fire(torch.autograd.Function):
    """Recorded spikes; the rule's slope at the potential, the surrogate's at a silent current."""

    @staticmethod
    def forward(
        ctx: Any, potential: Tensor, current: Tensor, spikes: Tensor, slope: Tensor, silent: Tensor
    ) -> Tensor:
        ctx.save_for_backward(slope, silent)
        return spikes.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        slope, silent = ctx.saved_tensors
        return grads[0] * slope, grads[0] * silent, None, None, None


class _Only(torch.autograd.Function):
    """The same number; no error where it is told so."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, passes: Tensor) -> Tensor:
        ctx.save_for_backward(passes)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return grads[0] * ctx.saved_tensors[0], None


def folded(node: Node, leaves: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weight, bias and recurrent weights without norm and leak."""
    arrays = {role: leaves[each.name] for role, each in node.parameters.items()}
    if NORM[0] in arrays:
        scale, shift, mean, variance = (arrays.pop(role) for role in NORM)
        slope = scale / (variance + NORM_EPSILON) ** 0.5
        maps = (-1, *[1] * (arrays["weight"].dim() - 1))
        arrays["weight"] = arrays["weight"] * slope.view(maps)
        arrays["bias"] = shift - mean * slope
    if "leak" in arrays:
        omega = torch.sigmoid(arrays.pop("leak")).detach()
        arrays = {role: array * omega for role, array in arrays.items()}
    return arrays


def on_grid(weight: Tensor, unit: float) -> Tensor:
    """Round to even integers within 8 bits; errors pass."""
    rounded = ((weight * unit / 2).round() * 2).clamp(-254, 254) / unit
    return weight + (rounded - weight).detach()


def gradients(run: Planned, forward: Forward, inputs: Tensor, coming: Tensor) -> dict[str, Tensor]:
    """Return the errors at all that is trained, from what the neurons did and the equations."""
    trained, graph = run.trained, run.trained.graph
    sequence = inputs if inputs.dim() == 5 else inputs.expand(graph.time_steps, *inputs.shape)
    leaves = {
        name: torch.from_numpy(array).double().requires_grad_()
        for name, array in trained.weights.items()
    }
    sent = {INPUT: [(sequence.double(), 1.0, QUANTUM)]}
    for node in graph:
        ways = [way for source in node.sources for way in sent[source]]
        if node.kind == "concat":
            sent[node.name] = list(concatenated(node, sent))
            continue
        if node.neuron is None:
            pool = Pool.of(node)
            sent[node.name] = [(sum_pool(s, pool), gain * node.gain, q) for s, gain, q in ways]
            continue
        if node.gate is not None:
            sent[node.name] = [(logic(node, [signal for signal, _, _ in ways]), 1.0, 1.0)]
            continue
        arrays, scale = folded(node, leaves), run.plan.scales[node.name]
        tau_s, current = node.neuron.tau_s, torch.zeros(1).double()
        for signal, gain, quantum in ways:
            weight = on_grid(arrays["weight"], gain * quantum / tau_s * scale)
            current = current + weighted(psp(signal, tau_s=tau_s), weight, node.geometry)
        if "bias" in arrays:
            current = current + arrays["bias"].view(-1, *[1] * (current.dim() - 3))
        sent[node.name] = [(fired(run, node, current, arrays, forward), 1.0, 1.0)]
    output, last = graph.output, sent[graph.output.name][0][0]
    if output.neuron is not None and not output.neuron.never_fires:
        last = psp(last, tau_s=filters_of(graph)[output.name])
    last.backward(coming.double())
    return {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}


def concatenated(node: Node, sent: Mapping[str, list[Way]]) -> Iterator[Way]:
    """Yield every way with zeros where the other sources lie."""
    for number in range(len(node.sources)):
        parts = [[signal for signal, _, _ in sent[source]] for source in node.sources]
        if len(node.output_shape) == 1:
            parts = [[signal.flatten(2) for signal in signals] for signals in parts]
        for signal, (_, gain, quantum) in zip(
            parts[number], sent[node.sources[number]], strict=True
        ):
            lie = [torch.zeros_like(others[0]) for others in parts]
            lie[number] = signal
            yield torch.cat(lie, dim=2), gain, quantum


def added_up(current: Tensor, keep: float) -> Tensor:
    """Return the potentials of a membrane that nothing resets."""
    steps = torch.arange(len(current))
    apart = (steps[:, None] - steps[None]).double()
    shares = torch.where(apart >= 0, keep**apart, 0.0)
    return torch.tensordot(shares, current, dims=1)


def fired(
    run: Planned, node: Node, current: Tensor, arrays: Mapping[str, Tensor], forward: Forward
) -> Tensor:
    """Return the recorded spikes of a layer, step by step, with the rule's errors.

    Of neurons that never fire, it is their potential.
    """
    neuron, training = node.neuron, run.trained.recipe.training
    assert neuron is not None
    if neuron.never_fires:
        return added_up(current, 1 - 1 / neuron.tau_m)
    if "leak" in node.parameters:
        leak = run.trained.weights[node.parameters["leak"].name]
        neuron = neuron.with_leak(float(leak[0]))
    keep, scale = 1 - 1 / neuron.tau_m, run.plan.scales[node.name]
    trace, sent_tau = forward.traces[node.name], filters_of(run.trained.graph)[node.name]
    spikes, potentials = trace.spikes.double(), trace.voltage.double() / (64 * scale)
    surrogate = sigmoid(potentials, neuron.threshold)
    recent = torch.ones_like(spikes)
    slope, reset = surrogate, {"surrogate": 0.0, "surrogate-reset": -keep}.get(training.rule, 0.0)
    if training.rule == "tssl-bp":
        before = torch.zeros_like(potentials)
        before[1:] = (potentials * (1 - spikes))[:-1]
        slope = spikes * (1 / (potentials - before)).clamp(0, 8)
        reset, recent = 1 / neuron.tau_m, psp(spikes, tau_s=sent_tau) >= 1 / (4 * sent_tau)
    silent = surrogate * (1 - recent.double())
    v, own, found = torch.zeros_like(current[0]), torch.zeros_like(current[0]), []
    unit = scale / neuron.tau_s
    for t in range(len(spikes)):
        arriving = current[t]
        if "recurrent" in arrays:
            arriving = arriving + among(own, on_grid(arrays["recurrent"], unit))
        u = keep * v + _Only.apply(arriving, recent[t].double())
        u = u + (potentials[t] - u).detach()
        s = _Fire.apply(u, arriving, spikes[t], slope[t], silent[t])
        # the chain rule makes -u of the reset, the rule a part of its own
        r = _Fire.apply(u, arriving, spikes[t], slope[t], torch.zeros_like(u))
        v = u * (1 - s.detach() + (r - r.detach()) * reset / keep)
        own = (1 - 1 / neuron.tau_s) * own + s / neuron.tau_s
        found.append(s)
    return torch.stack(found)
