"""Neurons that never fire, on the chip's integers: the engine's potentials, and plain errors."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.exporter.networks import LIMITS, QUANTUM
from tests.exporter.test_reading import NETWORKS, SHAPE, STEPS, exported, trained
from tests.trainer.test_tape import gradients
from tssl.checkpoint import Checkpoint, ChipPlan
from tssl.chip import ValueReadOut
from tssl.engine import Compiled
from tssl.exporter import Quantized, quantize
from tssl.trainer import chip_plain
from tssl.trainer.evaluation import credit
from tssl.trainer.network import SpikingNetwork
from tssl.trainer.samples import Samples


def plan_of(result: Quantized) -> ChipPlan:
    return ChipPlan(
        scales=result.scales,
        largest_weights=result.largest_weights,
        weight_step=LIMITS.weight_step,
    )


def network_of(made: Checkpoint, plan: ChipPlan | None, **read_out: Any) -> SpikingNetwork:
    network = SpikingNetwork(made.recipe, SHAPE, torch.Generator(), plan, **read_out)
    network.load_weights(made.weights)
    return network


def inputs_of(integers: np.ndarray) -> torch.Tensor:
    images = integers.reshape(*integers.shape[:2], *SHAPE)
    inputs = torch.from_numpy(images * QUANTUM).float()
    return inputs[0] if len(inputs) == 1 else inputs


@pytest.mark.parametrize("frames", [1, STEPS])
@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "maps"])
@pytest.mark.parametrize("loops", [True, False])
def test_every_potential_is_the_engines(
    name: str, frames: int, loops: bool, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
):
    if not loops:  # as on a GPU
        monkeypatch.setattr(chip_plain, "lacks_loops", lambda _: True)
    made = trained(rng, NETWORKS[name])
    integers = rng.integers(0, 17, (frames, 20, 64))
    result = exported(made, integers)
    forward = network_of(made, plan_of(result))(inputs_of(integers))
    unit = 64 * result.scales[result.network.output.name]
    ours = np.rint(forward.output.voltage[-1].double().numpy() * unit)
    wanted = Compiled(result.network).run(integers, STEPS).output_potential
    assert np.array_equal(ours, wanted)
    assert len(np.unique(wanted)) > 20
    assert set(forward.activity) == {layer.name for layer in result.network.layers[:-1]}


def test_a_plan_is_exported_as_it_is(rng: np.random.Generator):
    made = trained(rng, NETWORKS["bias"])
    integers = rng.integers(0, 17, (1, 20, 64))
    result = exported(made, integers)
    again = quantize(replace(made, plan=plan_of(result)), LIMITS, integers, (0, 16))
    assert again.network.digest == result.network.digest


@pytest.mark.parametrize("frames", [1, STEPS])
def test_errors_are_those_of_a_linear_map(frames: int, rng: np.random.Generator):
    """In a layer alone, rounding changes no error: it is that of floating point."""
    made = trained(rng, [{"type": "dense", "neurons": 4, "neuron": "li", "bias": True}])
    integers = rng.integers(0, 17, (frames, 20, 64))
    coming = torch.from_numpy(rng.normal(size=(STEPS, 20, 4))).float()
    found = []
    for plan in (None, plan_of(exported(made, integers))):
        network = network_of(made, plan)
        (network(inputs_of(integers)).output.psp * coming).sum().backward()
        found.append({name: each.grad for name, each in network.weights.items()})
    assert found[0].keys() == found[1].keys() == {"dense1", "dense1_bias"}
    for name, error in found[0].items():
        assert torch.allclose(error, found[1][name], rtol=1e-4, atol=1e-4), name


@pytest.mark.parametrize("name", ["dense", "no leak", "branches"])
@pytest.mark.parametrize("frames", [1, STEPS])
def test_a_tape_gives_the_bits_of_autograd(name: str, frames: int, rng: np.random.Generator):
    made = trained(rng, NETWORKS[name])
    integers = rng.integers(0, 17, (frames, 6, 64))
    network = network_of(made, plan_of(exported(made, integers)))
    inputs = inputs_of(integers)
    for _ in range(2):  # the second pass repeats the first
        assert network._running.passes_tape(inputs)
        by_autograd, counts = gradients(network, inputs, by_tape=False)
        by_tape, same = gradients(network, inputs, by_tape=True)
        assert counts == same
        assert all(torch.equal(*pair) for pair in zip(by_autograd, by_tape, strict=True))


def test_numbers_are_judged_in_trained_units(rng: np.random.Generator):
    made = trained(rng, NETWORKS["dense"])
    integers = rng.integers(0, 17, (1, 20, 64))
    read_out = ValueReadOut((2.0,) * 4, (1.0,) * 4)
    network = network_of(made, plan_of(exported(made, integers)), read_out=read_out)
    forward = network(inputs_of(integers))
    targets = forward.output.voltage[-1].detach()
    samples = Samples.__new__(Samples)
    object.__setattr__(samples, "read_out", read_out)
    samples.__dict__["targets"] = targets.numpy()
    assert credit(forward, targets, samples) == pytest.approx(20.0)
