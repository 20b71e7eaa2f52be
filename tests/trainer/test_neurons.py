"""A neuron per layer: trainer, exporter, witness and engine against the equations written out."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.exporter.networks import (
    LIMITS,
    QUANTUM,
    after,
    checkpoint,
    concat,
    conv,
    dense,
    pool,
)
from tests.trainer import tiny
from tests.trainer.test_rules import _Heaviside
from tssl.checkpoint import Checkpoint
from tssl.chip import INPUT
from tssl.engine import run_chunk
from tssl.errors import ConfigError
from tssl.exporter import quantize
from tssl.exporter.lower import lower
from tssl.graph import Node
from tssl.proof.compare import first_difference
from tssl.proof.quantized import run_quantized
from tssl.recipe import Recipe, recipe_from_tables
from tssl.trainer.network import SpikingNetwork

SHAPE, STEPS = (2, 8, 8), 6
CHAIN = [
    conv(4, 3, neuron="if"),
    pool(2),
    dense(20, tau_m=9.0, tau_s=1.5, threshold=0.7),
    dense(12, neuron="plif", tau_m=2.0, tau_s=4.0, bias=True),
    dense(6, tau_s=1.0),
]
RECURRENT = [
    conv(3, 3, padding=1, tau_s=2.0, recurrent=3),
    pool(2),
    conv(2, 3, recurrent=1, neuron="plif"),
    dense(20, tau_s=2.0, recurrent=True),
    dense(12, recurrent=True, neuron="plif"),
    dense(6, tau_s=1.5),
]
BRANCHES = [
    conv(3, 3, padding=1, name="a", tau_s=2.0),
    conv(3, 3, padding=1, name="b", tau_s=5.0, neuron="plif"),
    pool(2, name="p", **{"from": ["a", "b"]}),
    conv(2, 3, padding=1, name="c", tau_s=1.5, **{"from": ["b"]}),
    dense(20, name="d", tau_s=2.5, **{"from": ["p"]}),
    dense(192, name="e", tau_s=2.5, **{"from": ["c"]}),
    conv(2, 3, name="f", tau_s=7.0, neuron="if", **{"from": ["input", "c"]}),
    dense(8, name="g", **{"from": ["f"]}),
    dense(8, name="h", tau_s=4.0, **{"from": ["d"]}),
    dense(8, name="i", neuron="if", **{"from": ["e"]}),
    dense(6, name="out", tau_s=6.0, **{"from": ["g", "h", "i"]}),
]
"""Listeners to the input, to ``b`` and to ``c`` have different synapses."""
GATES = [
    conv(3, 3, padding=1, name="a", tau_s=2.0),
    conv(3, 3, padding=1, name="b", neuron="if", **{"from": ["a"]}),
    {"type": "gate", "function": "and", "name": "both", "from": ["a", "b"]},
    {"type": "gate", "function": "iand", "name": "alone", "from": ["b", "a"]},
    pool(2, mode="or", name="any", **{"from": ["both"]}),
    pool((2, 4), mode="or", name="anyone", **{"from": ["a", "alone"]}),
    dense(12, name="d", recurrent=True, tau_s=3.0, **{"from": ["any"]}),
    dense(12, name="e", tau_s=1.5, **{"from": ["anyone"]}),
    {"type": "gate", "function": "iand", "name": "flat", "from": ["d", "e"]},
    pool(2, name="sum", **{"from": ["alone"]}),
    dense(12, name="f", **{"from": ["sum"]}),
    dense(6, name="out", tau_s=2.5, **{"from": ["flat", "d", "f"]}),
]
"""Gates of maps and of recurrent neurons, pools that fire, and a pool that adds up a gate's."""
OVERLAPPING = [
    conv(3, 3, padding=1, tau_s=2.0),
    pool(3, stride=2, padding=1),
    conv(4, 2, tau_s=2.0),
    pool(2, mode="or", stride=1),
    dense(6, tau_s=1.5),
]
CONCATS = [
    conv(4, 3, padding=1, name="a", tau_s=2.0),
    conv(4, 3, padding=1, name="b", neuron="plif", tau_m=2.0, **after("a")),
    concat("input", "a", "b", name="maps"),
    conv(10, 3, padding=1, groups=10, name="c", bias=True, **after("maps")),
    pool(2, name="pool", **after("maps")),
    pool(2, mode="average", name="mean", **after("c")),
    dense(12, name="d", recurrent=True, tau_s=1.5, **after("mean")),
    concat("d", "pool", name="all"),
    concat("mean", "pool", name="more"),
    conv(8, 2, groups=2, name="e", neuron="if", **after("more")),
    dense(12, name="f", **after("all")),
    dense(12, name="g", **after("e")),
    dense(6, name="out", tau_s=2.5, **after("f", "g")),
]
"""Maps and neurons side by side, behind pools and before them, and groups cut or not."""
NETWORKS = {
    "gates": GATES,
    "chain": CHAIN,
    "recurrent": RECURRENT,
    "branches": BRANCHES,
    "concats": CONCATS,
    "overlapping": OVERLAPPING,
}


@lru_cache
def drawn(name: str) -> Checkpoint:
    """Return a network of which every layer fires, often and not always."""
    rng = np.random.default_rng(5)
    trained = checkpoint(rng, NETWORKS[name], SHAPE, spread=3.0, time_steps=STEPS)
    for key in trained.weights:
        if key.endswith("_leak"):
            trained.weights[key] = rng.uniform(-1, 1, 1).astype(np.float32)
    images = given(rng, 1).expand(STEPS, -1, *SHAPE)
    for node in [node for node in trained.graph.spiking if node.gate is None]:
        for _ in range(60):
            rate = by_hand(trained, doubled(trained), images)[node.name].mean()
            if 0.1 < rate < 0.6:
                break
            trained.weights[node.name] *= 1.2 if rate <= 0.1 else 0.85
    return trained


def made(name: str, rule: str = "tssl-bp") -> Checkpoint:
    trained = drawn(name)
    training = trained.recipe.training.model_copy(update={"rule": rule})
    recipe = trained.recipe.model_copy(update={"training": training})
    weights = {key: array.copy() for key, array in trained.weights.items()}
    return replace(trained, recipe=recipe, weights=weights)


def network_of(trained: Checkpoint) -> SpikingNetwork:
    network = SpikingNetwork(trained.recipe, SHAPE, torch.Generator())
    network.load_weights(trained.weights)
    return network


def filtered(spikes: Tensor, tau_s: float) -> Tensor:
    potential, potentials = torch.zeros_like(spikes[0]), []
    for step in spikes:
        potential = (1 - 1 / tau_s) * potential + step / tau_s
        potentials.append(potential)
    return torch.stack(potentials)


def among(potentials: Tensor, weight: Tensor) -> Tensor:
    if weight.dim() == 2:
        return functional.linear(potentials, weight)
    return functional.conv2d(potentials, weight, padding="same")


def fire(current: Tensor, node: Node, arrays: dict[str, Tensor], *, detach: bool) -> Tensor:
    """Run the neurons of a layer by the equations of the recipe's page."""
    neuron = node.neuron
    assert neuron is not None
    omega = torch.sigmoid(arrays["leak"]) if "leak" in arrays else None
    v, own, spikes = torch.zeros_like(current[0]), torch.zeros_like(current[0]), []
    for arriving in current:
        if "recurrent" in arrays:
            arriving = arriving + among(own, arrays["recurrent"])
        if omega is None:
            leak = 0.0 if neuron.tau_m == float("inf") else 1 / neuron.tau_m
            u = (1 - leak) * v + arriving
        else:
            u = v + omega * (arriving - v)
        s = _Heaviside.apply(u, neuron.threshold)
        v = u * (1 - (s.detach() if detach else s))
        own = (1 - 1 / neuron.tau_s) * own + s / neuron.tau_s
        spikes.append(s)
    return torch.stack(spikes)


def shifted(current: Tensor, arrays: dict[str, Tensor]) -> Tensor:
    """Add biases to ``(rows, channels, ...)``, or do what a norm does in use."""
    maps = (-1, *[1] * (current.dim() - 2))
    of = {role: array.reshape(maps) for role, array in arrays.items() if array.dim() == 1}
    if "norm_mean" in of:
        deviation = (of["norm_variance"] + 1e-5).sqrt()
        current = (current - of["norm_mean"]) / deviation * of["norm_scale"] + of["norm_shift"]
    return current + of.get("bias", 0.0)


def logic(node: Node, ways: list[Tensor]) -> Tensor:
    """Return what a gate fires, by sums and differences of spikes."""
    assert node.gate is not None
    if node.gate.function == "iand":
        return ways[1] - ways[0] * ways[1]
    if node.gate.function == "and":
        return ways[0] * ways[1]
    of = node.geometry
    tops = [
        functional.max_pool2d(way.flatten(0, 1), of.kernel, of.stride, of.padding) for way in ways
    ]
    return torch.stack(tops).amax(dim=0).unflatten(0, ways[0].shape[:2])


def by_hand(
    trained: Checkpoint, weights: dict[str, Tensor], images: Tensor, *, detach: bool = True
) -> dict[str, Tensor]:
    """Return the spikes of every layer; each filters what arrives with its own synapses."""
    sent = {INPUT: images}
    for node in trained.graph:
        if node.gate is not None:
            sent[node.name] = logic(node, [sent[name] for name in node.sources])
            continue
        ways = [sent[name] for name in node.sources]
        if node.kind == "concat":
            of_maps = [way.flatten(2) if len(node.output_shape) == 1 else way for way in ways]
            sent[node.name] = torch.cat(of_maps, dim=2)
            continue
        arriving = sum(ways[1:], start=ways[0])
        arrays = {role: weights[each.name] for role, each in node.parameters.items()}
        if node.neuron is None:
            of = node.geometry
            pooled = functional.avg_pool2d(
                arriving.flatten(0, 1), of.kernel, of.stride, of.padding, divisor_override=1
            )
            sent[node.name] = (pooled * node.gain).unflatten(0, arriving.shape[:2])
            continue
        flat = filtered(arriving, node.neuron.tau_s).flatten(0, 1)
        if node.geometry is None:
            current = functional.linear(flat.flatten(1), arrays["weight"])
        else:
            of = node.geometry
            current = functional.conv2d(
                flat, arrays["weight"], None, of.stride, of.padding, groups=of.groups
            )
        current = shifted(current, arrays).unflatten(0, arriving.shape[:2])
        sent[node.name] = fire(current, node, arrays, detach=detach)
    return {node.name: sent[node.name] for node in trained.graph.spiking}


def given(rng: np.random.Generator, steps: int) -> Tensor:
    return torch.from_numpy(rng.integers(-3, 16, (steps, 9, *SHAPE))).double() * QUANTUM


def doubled(trained: Checkpoint) -> dict[str, Tensor]:
    arrays = trained.weights.items()
    return {name: torch.from_numpy(array).double().requires_grad_() for name, array in arrays}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("steps", [1, STEPS])
def test_spikes_are_those_of_the_equations(rng: np.random.Generator, name: str, steps: int) -> None:
    """The filter belongs to the listener, also where the input stays the same."""
    trained, images = made(name), given(rng, steps)
    expected = by_hand(trained, doubled(trained), images.expand(STEPS, *images.shape[1:]))
    network = network_of(trained).double()
    found = network(images[0] if steps == 1 else images, record_all=True)
    for layer, spikes in expected.items():
        assert 0 < spikes.mean() < 1, layer
        assert torch.equal(found.traces[layer].spikes, spikes.detach()), layer
    last = trained.graph.output
    assert last.neuron is not None
    potentials = filtered(expected[last.name], last.neuron.tau_s)
    torch.testing.assert_close(found.output.psp, potentials, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("steps", [1, STEPS])
@pytest.mark.parametrize(("rule", "detach"), [("surrogate", True), ("surrogate-reset", False)])
def test_gradients_are_those_of_autograd(
    rng: np.random.Generator, name: str, steps: int, rule: str, detach: bool
) -> None:
    """Of weights, biases and leaks, through branches, filters and the leak's own path."""
    trained, images = made(name, rule), given(rng, steps)
    weights, network = doubled(trained), network_of(trained).double()
    every = by_hand(trained, weights, images.expand(STEPS, *images.shape[1:]), detach=detach)
    last = trained.graph.output
    assert last.neuron is not None
    potentials = filtered(every[last.name], last.neuron.tau_s)
    coming = torch.randn(potentials.shape, generator=torch.Generator().manual_seed(3)).double()
    potentials.backward(coming)
    network(images[0] if steps == 1 else images).output.psp.backward(coming)
    for key, weight in weights.items():
        ours = network.weights[key].grad
        assert ours is not None, key
        assert weight.grad is not None, key
        scale = float(weight.grad.abs().max())
        assert scale > 0, key
        torch.testing.assert_close(ours, weight.grad, rtol=0, atol=1e-11 * scale)


@pytest.mark.parametrize("rule", ["tssl-bp", "surrogate-reset"])
@pytest.mark.parametrize("steps", [1, STEPS])
def test_single_precision_agrees(rng: np.random.Generator, rule: str, steps: int) -> None:
    """The compiled kernels know two synapses, and membranes without a leak."""
    trained, images = made("chain", rule), given(rng, steps)
    gradients = []
    for kind in (torch.float32, torch.float64):
        network = network_of(trained).to(kind)
        inputs = images.to(kind)
        found = network(inputs[0] if steps == 1 else inputs)
        coming = torch.randn(found.output.psp.shape, generator=torch.Generator().manual_seed(3))
        found.output.psp.backward(coming.to(kind))
        gradients.append({key: weight.grad for key, weight in network.weights.items()})
    single, double = gradients
    for key, theirs in double.items():
        ours, scale = single[key], float(theirs.abs().max())
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=1e-4 * scale)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("steps", [1, STEPS])
def test_engine_and_witness_agree(rng: np.random.Generator, name: str, steps: int) -> None:
    trained = made(name)
    train = rng.integers(0, 16, (steps, 7, int(np.prod(SHAPE))))
    result = quantize(trained, LIMITS, train, (0, 15))
    ours = run_chunk(result.network, train, STEPS)
    ((_, theirs),) = run_quantized(
        trained, result.scales, result.largest_weights, train, LIMITS.weight_bits
    )
    assert first_difference(result.network, theirs, ours) is None
    assert all(spikes.any() for spikes in ours.trains.values())


def test_decays_on_the_chip(rng: np.random.Generator) -> None:
    trained = made("chain")
    trained.weights["dense4_leak"][:] = np.log(0.25 / 0.75)  # a share of a quarter
    train = rng.integers(0, 16, (1, 7, int(np.prod(SHAPE))))
    layers = quantize(trained, LIMITS, train, (0, 15)).network.layers
    found = [(layer.neuron.current_decay, layer.neuron.voltage_decay) for layer in layers]
    # 4096 divided by 3, 1.5, 4 and 1; by infinity, 9, 4 (trained) and 5
    assert found == [(1365, 0), (2731, 455), (1024, 1024), (4096, 819)]


def test_what_a_trained_leak_takes_in_is_in_the_weights() -> None:
    trained = made("recurrent")
    trained.weights["dense5_leak"][:] = np.log(0.25 / 0.75)
    stage = next(stage for stage in lower(trained) if stage.name == "dense5")
    for found, name in (
        (stage.connections[0].weight, "dense5"),
        (stage.connections[1].weight, "dense5_recurrent"),
    ):
        assert found is not None
        np.testing.assert_allclose(found, trained.weights[name] * 0.25 / 3.0, rtol=1e-6)


def graph_of(*layers: dict[str, Any], **training: Any) -> Recipe:
    tables = {
        "name": "neurons",
        "data": {"name": "rows"},
        "network": {"layers": list(layers)},
        "training": {"epochs": 15, "batch_size": 10, "lr": 0.02, **training},
    }
    return recipe_from_tables(tables, "test")


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [dense(4, neuron="if", tau_m=3.0), dense(3)],
            "neuron = 'if' has no leak; leave tau_m out",
        ),
        (
            [dense(4, neuron="adex"), dense(3)],
            "layers.0.neuron: must be 'lif', 'if', 'plif', 'rel-psp', 'sigma-delta', 'li' or 'i'",
        ),
        ([dense(4, tau_s=0.5), dense(3)], "layers.0.tau_s: must be greater than or equal to 1"),
        (
            [dense(4, neuron="plif", tau_m=1.0), dense(3)],
            "dense1 has neuron = 'plif' with tau_m = 1",
        ),
    ],
)
def test_what_is_refused(layers: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SpikingNetwork(graph_of(*layers), (1, 4, 4), torch.Generator())


def test_it_learns_and_resumes(tmp_path: Path) -> None:
    """The leak begins at the recipe's, moves, and goes on from there."""
    recipe = graph_of(dense(12, neuron="plif", tau_m=2.5), dense(3, tau_s=2.0, neuron="if"))
    whole = tiny.fit(tmp_path / "whole", recipe)
    (before,) = whole.network.weights["dense1_leak"].tolist()
    assert 1 / (1 + np.exp(-before)) == pytest.approx(1 / 2.5, rel=1e-6)
    whole.fit(tiny.Watcher())
    assert whole.network.weights["dense1_leak"].item() != before
    assert whole.progress.metrics[-1].train_accuracy > 0.9
    tiny.fit(tmp_path / "half", recipe).fit(tiny.Watcher(stop_after=20))
    resumed = tiny.fit(tmp_path / "half", recipe)
    resumed.fit(tiny.Watcher())
    for ours, theirs in zip(resumed.network.parameters(), whole.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)
