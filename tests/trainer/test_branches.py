"""Networks that branch and merge: trainer, exporter and witness against plain definitions."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.exporter.networks import LIMITS, QUANTUM, checkpoint, conv, dense, pool
from tests.trainer import tiny
from tssl.chip import INPUT
from tssl.engine import run_chunk
from tssl.exporter import quantize
from tssl.proof.compare import first_difference
from tssl.proof.quantized import run_quantized
from tssl.recipe import Recipe, recipe_from_tables
from tssl.trainer.network import SpikingNetwork
from tssl.trainer.neuron import lif_forward, psp

SHAPE, STEPS = (2, 8, 8), 6


def after(*sources: str, **fields: Any) -> dict[str, Any]:
    return {"from": list(sources), **fields}


RESIDUAL = [
    conv(4, 3, padding=1, name="a"),
    conv(4, 3, padding=1, name="b"),
    conv(4, 3, padding=1, name="c", **after("a", "b")),
    pool(2, name="p", **after("a", "c")),
    pool(2, name="q", gain=0.7, **after("b")),
    dense(30, name="d", **after("p", "q")),
    dense(9, name="out", **after("d")),
]
"""A sum of branches, a pool of a sum, and a sum of pools."""
WITH_INPUT = [
    dense(128, name="h"),
    dense(128, name="g", **after("h")),
    dense(6, name="out", recurrent=True, **after("h", "g")),
]
NETWORKS = {"residual": RESIDUAL, "dense": WITH_INPUT}


def made(rng: np.random.Generator, layers: list[dict[str, Any]]) -> Any:
    trained = checkpoint(rng, layers, SHAPE, spread=2.4, time_steps=STEPS)
    for name in trained.weights:
        if name.endswith("_norm_variance"):
            trained.weights[name] = np.abs(trained.weights[name]) + np.float32(0.5)
    return trained


def by_hand(trained: Any, images: Tensor) -> dict[str, Tensor]:
    """Return the spikes of every layer, from the definition: PSPs add up, then weights, neurons."""
    sent = {INPUT: psp(images, tau_s=3.0)}
    spikes: dict[str, Tensor] = {}
    for node in trained.graph:
        arriving = sum((sent[name] for name in node.sources[1:]), start=sent[node.sources[0]])
        flat = arriving.flatten(0, 1)
        if node.neuron is None:
            sums = functional.avg_pool2d(flat, node.geometry.kernel, divisor_override=1) * node.gain
            sent[node.name] = sums.unflatten(0, arriving.shape[:2])
            continue
        weight = torch.from_numpy(trained.weights[node.name]).double()
        if node.geometry is None:
            current = functional.linear(flat.flatten(1), weight)
        else:
            current = functional.conv2d(
                flat, weight, None, node.geometry.stride, node.geometry.padding
            )
        current = current.unflatten(0, arriving.shape[:2])
        if "bias" in node.parameters:
            bias = torch.from_numpy(trained.weights[f"{node.name}_bias"]).double()
            current = current + bias.reshape(-1, *[1] * (current.dim() - 3))
        trace = lif_forward(current, tau_m=5.0, tau_s=3.0, threshold=1.0)
        sent[node.name], spikes[node.name] = trace.psp, trace.spikes
    return spikes


BIASED = [
    conv(4, 3, padding=1, name="a", bias=True),
    pool(2, name="p"),
    dense(20, name="d", bias=True, recurrent=True),
    dense(6, name="out", bias=True, **after("d")),
]
NORMED = [
    conv(4, 3, padding=1, name="a", norm="batch"),
    conv(4, 3, padding=1, name="b", norm="batch", **after("a")),
    pool(2, name="p", **after("a", "b")),
    dense(20, name="d", norm="batch", recurrent=True, **after("p")),
    dense(6, name="out", **after("d")),
]
NETWORKS |= {"biases": BIASED, "norms": NORMED}


@pytest.mark.parametrize("steps", [1, STEPS])
def test_biases_act_at_every_step(rng: np.random.Generator, steps: int) -> None:
    """On the potential, past the synapse's filter, also where the input stays the same."""
    trained = made(rng, [*BIASED[:2], dense(6, name="out", bias=True)])
    integers = torch.from_numpy(rng.integers(-3, 16, (steps, 12, *SHAPE))).double() * QUANTUM
    network = SpikingNetwork(trained.recipe, SHAPE, torch.Generator()).double()
    network.load_weights(trained.weights)
    found = network(integers[0] if steps == 1 else integers, record_all=True)
    expected = by_hand(trained, integers.expand(STEPS, *integers.shape[1:]))
    for name, spikes in expected.items():
        assert 0 < spikes.mean() < 1, name
        assert torch.equal(found.traces[name].spikes, spikes), name
    found.output.psp.sum().backward()
    for name in ("a_bias", "out_bias"):
        gradient = network.weights[name].grad
        assert gradient is not None
        assert gradient.any()


def test_biases_that_are_too_large_shrink_the_scale(rng: np.random.Generator) -> None:
    trained = made(rng, [dense(9, bias=True)])
    train = rng.integers(0, 16, (1, 5, int(np.prod(SHAPE))))
    before = quantize(trained, LIMITS, train, (0, 15)).reports[0]
    trained.weights["dense1_bias"][0] = 30.0
    after_it = quantize(trained, LIMITS, train, (0, 15)).reports[0]
    assert after_it.scale < before.scale
    assert int(np.abs(after_it.layer.bias).max()) <= 4095


@pytest.mark.parametrize("steps", [1, STEPS])
def test_the_trainer_adds_up_what_its_sources_send(rng: np.random.Generator, steps: int) -> None:
    trained = made(rng, RESIDUAL)
    integers = torch.from_numpy(rng.integers(-3, 16, (steps, 12, *SHAPE))).double() * QUANTUM
    network = SpikingNetwork(trained.recipe, SHAPE, torch.Generator()).double()
    network.load_weights(trained.weights)
    inputs = integers[0] if steps == 1 else integers
    found = network(inputs, record_all=True)
    expected = by_hand(trained, integers.expand(STEPS, *integers.shape[1:]))
    assert list(found.traces) == list(expected)
    for name, spikes in expected.items():
        assert 0 < spikes.mean() < 1, name
        assert torch.equal(found.traces[name].spikes, spikes), name
    found.output.psp.sum().backward()
    for name, weight in network.weights.items():
        assert weight.grad is not None, name
        assert weight.grad.any(), name


def test_a_layer_may_hear_the_input_and_another(rng: np.random.Generator) -> None:
    """A constant input and potentials over time add up step by step."""
    layers = [
        conv(2, 3, padding=1, name="a"), conv(3, 3, name="b", **after("input", "a")), dense(4),
    ]  # fmt: skip
    trained = made(rng, layers)
    integers = torch.from_numpy(rng.integers(0, 16, (1, 5, *SHAPE))).double() * QUANTUM
    network = SpikingNetwork(trained.recipe, SHAPE, torch.Generator()).double()
    network.load_weights(trained.weights)
    found = network(integers[0], record_all=True).traces
    expected = by_hand(trained, integers.expand(STEPS, *integers.shape[1:]))
    for name, spikes in expected.items():
        assert spikes.any(), name
        assert torch.equal(found[name].spikes, spikes), name


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("steps", [1, STEPS])
def test_engine_and_witness_agree(rng: np.random.Generator, name: str, steps: int) -> None:
    """Two statements that share no arithmetic: merged connections, and layers as trained."""
    trained = made(rng, NETWORKS[name])
    train = rng.integers(0, 16, (steps, 7, int(np.prod(SHAPE))))
    result = quantize(trained, LIMITS, train, (0, 15))
    assert not any(report.ranges.can_wrap for report in result.reports)
    ours = run_chunk(result.network, train, STEPS)
    ((_, theirs),) = run_quantized(
        trained, result.scales, result.largest_weights, train, LIMITS.weight_bits
    )
    assert first_difference(result.network, theirs, ours) is None
    assert all(spikes.any() for spikes in ours.trains.values())


def test_connections_of_a_sum_have_the_same_weights(rng: np.random.Generator) -> None:
    trained = made(rng, RESIDUAL)
    train = rng.integers(0, 16, (1, 5, int(np.prod(SHAPE))))
    network = quantize(trained, LIMITS, train, (0, 15)).network
    layers = {layer.name: layer for layer in network.layers}
    assert [each.source for each in layers["c"].connections] == ["a", "b"]
    first, second = (each.synapses.weight for each in layers["c"].connections)
    assert np.array_equal(first, second)
    assert [each.source for each in layers["d"].connections] == ["a", "c", "b"]


def test_a_branch_that_the_export_lost_is_noticed(rng: np.random.Generator) -> None:
    trained = made(rng, RESIDUAL)
    train = rng.integers(0, 16, (1, 7, int(np.prod(SHAPE))))
    result = quantize(trained, LIMITS, train, (0, 15))
    layers = list(result.network.layers)
    position = [layer.name for layer in layers].index("c")
    layers[position] = replace(layers[position], connections=layers[position].connections[:1])
    lost = replace(result.network, layers=tuple(layers))
    ((_, theirs),) = run_quantized(
        trained, result.scales, result.largest_weights, train, LIMITS.weight_bits
    )
    difference = first_difference(lost, theirs, run_chunk(lost, train, STEPS))
    assert difference is not None
    assert difference.layer == "c"


def branched_recipe(extra: dict[str, Any] | None = None, **training: Any) -> Recipe:
    layers = [
        conv(6, 3, padding=1, name="a", weight_scale=4.0),
        conv(6, 3, padding=1, name="b", weight_scale=4.0),
        dense(tiny.CLASSES, name="out", **after("a", "b")),
    ]  # fmt: skip
    tables = {
        "name": "branched",
        "data": {"name": "rows"},
        "network": {"layers": [{**layer, **(extra or {})} for layer in layers]},
        "training": {"epochs": 8, "batch_size": 10, "lr": 0.01, **training},
    }
    return recipe_from_tables(tables, "test")


@pytest.mark.parametrize("extra", [{}, {"bias": True}, {"norm": "batch"}])
def test_it_learns_and_resumes(tmp_path: Path, extra: dict[str, Any]) -> None:
    whole = tiny.fit(tmp_path / "whole", branched_recipe(extra))
    whole.fit(tiny.Watcher())
    assert whole.progress.metrics[-1].train_accuracy > 0.9
    tiny.fit(tmp_path / "half", branched_recipe(extra)).fit(tiny.Watcher(stop_after=20))
    resumed = tiny.fit(tmp_path / "half", branched_recipe(extra))
    resumed.fit(tiny.Watcher())
    for ours, theirs in zip(resumed.network.parameters(), whole.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    stored = (tmp_path / "whole" / "recipe.toml").read_text()
    assert "from = [" in stored
    assert "sources" not in stored
