"""Training on the chip's integers: forward equals the engine, backward equals the rule."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.exporter.networks import LIMITS, QUANTUM, checkpoint, conv, dense, pool
from tssl.checkpoint import Checkpoint, ChipPlan
from tssl.chip import IntArray
from tssl.engine import run_chunk
from tssl.exporter import quantize
from tssl.proof.quantized import run_quantized
from tssl.recipe import EncodingSpec
from tssl.trainer.gradient import spike_slope
from tssl.trainer.linear import weighted
from tssl.trainer.network import Forward, SpikingNetwork
from tssl.trainer.neuron import Neurons, Pool, psp, sum_pool
from tssl.trainer.recurrence import _adjoint
from tssl.trainer.slopes import sigmoid

SHAPE = (2, 10, 12)
NETWORKS = {
    "dense": [dense(20), dense(8)],
    "conv": [conv(4, 3, padding=1), pool(2), conv(6, 2), dense(12), dense(5)],
    "edges": [conv(3, 3), pool(3), dense(5, threshold=0.7)],
    "first pool": [pool(2), conv(5, 2, stride=(2, 1)), pool(2, gain=0.9), dense(5)],
    "neurons": [
        conv(4, 3, neuron="if"),
        pool(2),
        dense(20, tau_m=9.0, tau_s=1.5),
        dense(5, tau_s=1.0),
    ],
    "biases": [
        conv(4, 3, padding=1, bias=True),
        pool(2),
        conv(6, 2),
        dense(12, bias=True),
        dense(5),
    ],
    "averages": [
        conv(4, 3),
        pool(2, mode="average", gain=2.0),
        conv(6, 2),
        pool("global"),
        dense(5),
    ],
    "dilation and groups": [conv(4, 3, dilation=2), pool(2), conv(6, 2, groups=2), dense(5)],
}


def planned(rng: np.random.Generator, layers: list, frames: int, **network: Any) -> Any:
    """Return checkpoint, its exported network, integers, and the trainer's network."""
    trained = checkpoint(rng, layers, SHAPE, spread=2.0, time_steps=6, **network)
    encoding = EncodingSpec(resolution=1 / QUANTUM)
    trained = replace(trained, recipe=trained.recipe.model_copy(update={"encoding": encoding}))
    integers = rng.integers(-4, 17, (frames, 7, *SHAPE))
    result = quantize(trained, LIMITS, integers.reshape(frames, 7, -1), (-4, 16))
    scales = {report.layer.name: report.scale for report in result.reports}
    plan = ChipPlan(
        scales=scales, weight_step=LIMITS.weight_step, largest_weights=result.largest_weights
    )
    return trained, result.network, integers, network_of(trained, plan)


def network_of(trained: Checkpoint, plan: ChipPlan | None) -> SpikingNetwork:
    network = SpikingNetwork(trained.recipe, SHAPE, torch.Generator(), plan)
    network.load_weights(trained.weights)
    return network


def inputs_of(integers: IntArray) -> Tensor:
    inputs = torch.from_numpy(integers * QUANTUM).float()
    return inputs[0] if len(inputs) == 1 else inputs


@pytest.mark.parametrize("frames", [1, 6])
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("taus", [{}, {"tau_s": 2.3, "tau_m": 7.7}])
def test_every_spike_and_potential_is_the_engines(rng, name, frames, taus):
    _, chip, integers, network = planned(rng, NETWORKS[name], frames, **taus)
    forward = network(inputs_of(integers), record_all=True)
    recording = run_chunk(chip, integers.reshape(frames, 7, -1), 6)
    for layer, spikes in recording.trains.items():
        assert 0 < spikes.mean() < 1
        ours = forward.traces[layer].spikes.flatten(2).numpy()
        assert np.array_equal(ours, spikes), layer
        assert forward.activity[layer].spikes == spikes.sum()
    last = forward.output.voltage[-1] * (1 - forward.output.spikes[-1])
    assert np.array_equal(last.detach().numpy(), recording.output_potential)


def test_a_current_that_wraps_wraps(rng):
    """Ten times the scale that quantization allows."""
    trained, _, integers, network = planned(rng, NETWORKS["dense"], 1)
    assert network.plan is not None
    scales = {name: 50 * scale for name, scale in network.plan.scales.items()}
    wild = replace(network.plan, scales=scales)
    result = quantize(replace(trained, plan=wild), LIMITS, integers.reshape(1, 7, -1), (-4, 16))
    spikes = run_chunk(result.network, integers.reshape(1, 7, -1), 6).trains
    forward = network_of(trained, wild)(inputs_of(integers), record_all=True)
    assert np.array_equal(forward.traces["dense1"].spikes.numpy(), spikes["dense1"])


def test_biases_stop_at_what_the_chip_holds(rng):
    """13 bits, in training, export and witness alike."""
    layers = [dense(20, bias=True), dense(8)]
    trained, _, integers, network = planned(rng, layers, 1)
    plan = network.plan
    assert plan is not None
    weights = {**trained.weights, "dense1_bias": trained.weights["dense1_bias"] * 3}
    weights["dense1_bias"][:2] = 5000 / plan.scales["dense1"], -5000 / plan.scales["dense1"]
    grown = replace(trained, weights=weights, plan=plan)
    train = integers.reshape(1, 7, -1)
    result = quantize(grown, LIMITS, train, (-4, 16))
    assert result.network.layers[0].bias[:2].tolist() == [4095, -4095]
    spikes = run_chunk(result.network, train, 6).trains
    forward = network_of(grown, plan)(inputs_of(integers), record_all=True)
    assert np.array_equal(forward.traces["dense1"].spikes.numpy(), spikes["dense1"])
    ((_, theirs),) = run_quantized(
        grown, result.scales, result.largest_weights, train, LIMITS.weight_bits
    )
    assert np.array_equal(theirs.trains["dense1"], spikes["dense1"])


class _Recorded(torch.autograd.Function):
    """Potentials of recorded spikes, with the rule's error at a current that nobody uses."""

    @staticmethod
    def forward(ctx: Any, current: Tensor, voltage: Tensor, spikes: Tensor, layer: Neurons) -> Any:
        ctx.save_for_backward(voltage, spikes)
        ctx.layer = layer
        return psp(spikes, tau_s=layer.tau_s)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (voltage, spikes), layer = ctx.saved_tensors, ctx.layer
        slope = spikes * spike_slope(voltage, spikes)
        filtered, carry = _adjoint(gradients[0], voltage, slope, spikes, layer, 1 / layer.tau_m)
        silent = psp(spikes, tau_s=layer.tau_s) < 1 / (4 * layer.tau_s)
        by_surrogate = filtered * sigmoid(voltage, layer.threshold)
        return torch.where(silent, by_surrogate, carry), None, None, None


def reference_gradients(
    trained: Checkpoint, plan: ChipPlan, forward: Forward, inputs: Tensor, coming: Tensor
) -> dict[str, Tensor]:
    """Return the gradients by autograd, in double precision, from spikes and potentials."""
    sequence = inputs if inputs.dim() == 5 else inputs.expand(6, *inputs.shape)
    spiking = trained.graph.spiking
    signal, gain, quantum = psp(sequence.double(), tau_s=spiking[0].neuron.tau_s), 1.0, QUANTUM
    after = zip(spiking, [*spiking[1:], spiking[-1]], strict=True)
    sends = {node.name: listener.neuron.tau_s for node, listener in after}
    weights: dict[str, Tensor] = {}
    for node in trained.graph:
        name, neuron = node.name, node.neuron
        if neuron is None:
            signal = sum_pool(signal, Pool(node.geometry.kernel, node.gain))
            gain *= node.gain
            continue
        unit = gain * quantum / neuron.tau_s * plan.scales[name]
        rounded = (torch.from_numpy(trained.weights[name]).double() * unit / 2).round() * 2
        weights[name] = (rounded.clamp(-254, 254) / unit).requires_grad_()
        current = weighted(signal, weights[name], node.geometry)
        if "bias" in node.parameters:
            maps = (-1, *[1] * (current.dim() - 3))
            weights[f"{name}_bias"] = torch.zeros(current.shape[2]).double().requires_grad_()
            current = current + weights[f"{name}_bias"].view(maps)
        record, scale = forward.traces[name], plan.scales[name]
        neurons = Neurons(neuron.tau_m, sends[name], neuron.threshold)
        voltage = record.voltage.double() / (64 * scale)
        signal = _Recorded.apply(current, voltage, record.spikes.double(), neurons)
        gain, quantum = 1.0, 1.0
    signal.backward(coming.double())
    return {name: w.grad for name, w in weights.items() if w.grad is not None}


@pytest.mark.parametrize("frames", [1, 6])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_backward_pass_is_the_rule_on_the_chips_record(rng, name, frames):
    trained, _, integers, network = planned(rng, NETWORKS[name], frames)
    assert network.plan is not None
    forward: Forward = network(inputs_of(integers), record_all=True)
    coming = torch.randn(forward.output.psp.shape, generator=torch.Generator().manual_seed(0))
    forward.output.psp.backward(coming)
    expected = reference_gradients(trained, network.plan, forward, inputs_of(integers), coming)
    assert expected.keys() == network.weights.keys()
    for layer, theirs in expected.items():
        ours = network.weights[layer].grad
        assert ours is not None
        scale = float(theirs.abs().max())
        assert scale > 0
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=1e-5 * scale)
