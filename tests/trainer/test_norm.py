"""Batch norm: against PyTorch's own modules, folded at export, and kept between runs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.exporter.networks import LIMITS, QUANTUM, checkpoint, conv, dense, pool
from tests.trainer import tiny
from tests.trainer.test_neurons import filtered, fire
from tssl.checkpoint import Checkpoint
from tssl.engine import run_chunk
from tssl.errors import ConfigError, TrainingError
from tssl.exporter import quantize
from tssl.proof.compare import first_difference
from tssl.proof.quantized import run_quantized
from tssl.recipe import Recipe, recipe_from_tables
from tssl.trainer.network import SpikingNetwork
from tssl.trainer.optimization import make_optimizer
from tssl.trainer.wake import wake_silent_layers

SHAPE, STEPS = (2, 8, 8), 6
LAYERS = [
    conv(4, 3, norm="batch"),
    pool(2),
    dense(20, norm="batch", neuron="plif", tau_m=2.0),
    dense(12, norm="batch", recurrent=True, tau_s=2.0),
    dense(6, norm="batch", tau_s=2.0),
]
BRANCHES = [
    conv(4, 3, padding=1, name="a", norm="batch"),
    conv(4, 3, padding=1, name="b", norm="batch", neuron="if"),
    conv(4, 3, padding=1, name="c", norm="batch", **{"from": ["a", "b"]}),
    pool("global", mode="average", gain=4.0, name="p", **{"from": ["a", "c"]}),
    dense(6, norm="batch", name="out", **{"from": ["p"]}),
]
ROLES = ("norm_scale", "norm_shift", "norm_mean", "norm_variance")


def made(
    rng: np.random.Generator, layers: list[dict[str, Any]], rule: str = "surrogate"
) -> Checkpoint:
    trained = checkpoint(rng, layers, SHAPE, spread=2.0, time_steps=STEPS)
    training = trained.recipe.training.model_copy(update={"rule": rule})
    for name, array in trained.weights.items():
        if name.endswith("norm_variance"):
            trained.weights[name] = rng.uniform(0.5, 4.0, array.shape).astype(np.float32)
        elif name.endswith("norm_scale"):
            trained.weights[name] = rng.uniform(0.5, 1.5, array.shape).astype(np.float32)
        elif name.endswith(("norm_shift", "norm_mean", "leak")):
            trained.weights[name] = rng.uniform(-0.2, 0.4, array.shape).astype(np.float32)
    return replace(trained, recipe=trained.recipe.model_copy(update={"training": training}))


def network_of(trained: Checkpoint) -> SpikingNetwork:
    network = SpikingNetwork(trained.recipe, SHAPE, torch.Generator()).double()
    network.load_weights(trained.weights)
    return network


class ByHand:
    """The chain written out, with PyTorch's modules of batch norm."""

    def __init__(self, trained: Checkpoint) -> None:
        self.graph = trained.graph
        weights = trained.weights.items()
        self.weights = {k: torch.from_numpy(w).double().requires_grad_() for k, w in weights}
        self.norms: dict[str, nn.Module] = {}
        for node in self.graph.spiking:
            kind = nn.BatchNorm1d if node.geometry is None else nn.BatchNorm2d
            self.norms[node.name] = kind(node.output_shape[0]).double()
            values = [self.weights[f"{node.name}_{role}"].detach() for role in ROLES]
            for ours, theirs in zip(self.numbers(node.name), values, strict=True):
                ours.data.copy_(theirs)

    def numbers(self, layer: str) -> list[Tensor]:
        norm = self.norms[layer]
        return [norm.weight, norm.bias, norm.running_mean, norm.running_var]

    def run(self, images: Tensor) -> dict[str, Tensor]:
        signal, spikes = images, {}
        for node in self.graph:
            if node.neuron is None:
                summed = functional.avg_pool2d(signal.flatten(0, 1), 2) * 4 * node.gain
                signal = summed.unflatten(0, signal.shape[:2])
                continue
            flat = filtered(signal, node.neuron.tau_s).flatten(0, 1)
            arrays = {role: self.weights[each.name] for role, each in node.parameters.items()}
            if node.geometry is None:
                current = functional.linear(flat.flatten(1), arrays["weight"])
            else:
                current = functional.conv2d(flat, arrays["weight"])
            current = self.norms[node.name](current).unflatten(0, signal.shape[:2])
            signal = spikes[node.name] = fire(current, node, arrays, detach=True)
        return spikes


def images_of(rng: np.random.Generator, steps: int) -> Tensor:
    return torch.from_numpy(rng.integers(-3, 16, (steps, 9, *SHAPE))).double() * QUANTUM


@pytest.mark.parametrize("steps", [1, STEPS])
@pytest.mark.parametrize("training", [True, False])
def test_it_is_pytorchs_batch_norm(rng: np.random.Generator, steps: int, training: bool) -> None:
    """Over time, batch and positions: spikes, gradients, and what the averages become."""
    trained, images = made(rng, LAYERS), images_of(rng, steps)
    network, theirs = network_of(trained).train(training), ByHand(trained)
    for norm in theirs.norms.values():
        norm.train(training)
    found = network(images[0] if steps == 1 else images, record_all=True)
    expected = theirs.run(images.expand(STEPS, *images.shape[1:]))
    for layer, spikes in expected.items():
        assert 0 < spikes.mean() < 1, layer
        assert torch.equal(found.traces[layer].spikes, spikes.detach()), layer
    coming = torch.randn(found.output.psp.shape, generator=torch.Generator().manual_seed(2))
    found.output.psp.backward(coming.double())
    filtered(expected["dense5"], 2.0).backward(coming.double())
    for layer in theirs.norms:
        for role, number in zip(ROLES, theirs.numbers(layer), strict=True):
            ours = network.weights[f"{layer}_{role}"]
            torch.testing.assert_close(ours.data, number.data, rtol=1e-12, atol=1e-12)
            if role in ROLES[:2]:
                torch.testing.assert_close(ours.grad, number.grad, rtol=1e-9, atol=1e-9)
            else:
                assert ours.grad is None
    for name, weight in theirs.weights.items():
        if "norm" not in name:
            ours = network.weights[name].grad
            torch.testing.assert_close(ours, weight.grad, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("layers", [LAYERS, BRANCHES], ids=["chain", "branches"])
@pytest.mark.parametrize("steps", [1, STEPS])
def test_engine_and_witness_agree(
    rng: np.random.Generator, layers: list[dict[str, Any]], steps: int
) -> None:
    trained = made(rng, layers)
    train = rng.integers(0, 16, (steps, 7, int(np.prod(SHAPE))))
    result = quantize(trained, LIMITS, train, (0, 15))
    ours = run_chunk(result.network, train, STEPS)
    ((_, theirs),) = run_quantized(
        trained, result.scales, result.largest_weights, train, LIMITS.weight_bits
    )
    assert first_difference(result.network, theirs, ours) is None
    assert all(spikes.any() for spikes in ours.trains.values())
    assert all(layer.bias.any() for layer in result.network.layers)


def recipe_of(*, steps: int = 5, **training: Any) -> Recipe:
    layers = [
        conv(4, 3, norm="batch"), dense(12, norm="batch"), dense(tiny.CLASSES, norm="batch"),
    ]  # fmt: skip
    tables = {
        "name": "norms",
        "data": {"name": "rows"},
        "network": {"layers": layers, "time_steps": steps},
        "training": {"epochs": 10, "batch_size": 10, "lr": 0.02, "loss": "count", **training},
    }
    return recipe_from_tables(tables, "test")


def test_it_learns_and_resumes(tmp_path: Path) -> None:
    """Running averages are part of the state."""
    whole = tiny.fit(tmp_path / "whole", recipe_of())
    whole.fit(tiny.Watcher())
    assert whole.progress.metrics[-1].train_accuracy > 0.9
    tiny.fit(tmp_path / "half", recipe_of()).fit(tiny.Watcher(stop_after=21))
    resumed = tiny.fit(tmp_path / "half", recipe_of())
    resumed.fit(tiny.Watcher())
    ours, theirs = resumed.network.weights, whole.network.weights
    assert ours["conv1_norm_mean"].any()
    for name, values in theirs.items():
        assert torch.equal(ours[name], values), name
    last = Checkpoint.load(whole.run.last)
    assert np.array_equal(last.weights["conv1_norm_variance"], theirs["conv1_norm_variance"])


def test_numbers_of_norms_neither_decay_nor_clamp() -> None:
    network = SpikingNetwork(recipe_of(), (1, 4, 4), torch.Generator())
    groups = make_optimizer(network, recipe_of().training).param_groups
    decays = {id(each): group["weight_decay"] for group in groups for each in group["params"]}
    for name, weight in network.weights.items():
        expected = {"norm_scale": 0.0, "norm_shift": 0.0, "norm_mean": None, "norm_variance": None}
        role = name.partition("_")[2]
        assert decays.get(id(weight)) == (expected[role] if role else 0.01), name


def test_waking_leaves_the_averages_alone() -> None:
    network = SpikingNetwork(recipe_of(), (1, 4, 4), torch.Generator().manual_seed(1))
    before = {name: weight.clone() for name, weight in network.weights.items()}
    wake_silent_layers(network, torch.rand(30, 1, 4, 4), 0.4)
    assert all(torch.equal(before[name], weight) for name, weight in network.weights.items())
    network(torch.rand(30, 1, 4, 4))
    assert not torch.equal(before["conv1_norm_mean"], network.weights["conv1_norm_mean"])


def test_one_value_has_no_variance(tmp_path: Path) -> None:
    recipe = recipe_of(steps=1, batch_size=1, smallest_rate=0.0)
    with pytest.raises(TrainingError, match="layer dense2: norm = 'batch' has one value of each"):
        tiny.fit(tmp_path, recipe).fit(tiny.Watcher())


def test_what_is_refused() -> None:
    with pytest.raises(ConfigError, match="norm = 'batch' has a trained shift of its own"):
        made(np.random.default_rng(0), [dense(4, norm="batch", bias=True), dense(3)])
