"""The share of synaptic operations: against counts of the engine, and what training makes of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainer import tiny
from tssl.errors import ConfigError
from tssl.graph import resolve
from tssl.recipe import Recipe, recipe_from_tables
from tssl.trainer.neuron import Trace
from tssl.trainer.penalty import OperationsPenalty

DENSE = [{"type": "dense", "neurons": 12}, {"type": "dense", "neurons": 3}]
POOLED = [
    {"type": "conv", "channels": 2, "kernel": 3, "padding": 1},
    {"type": "pool", "kernel": 2},
    {"type": "dense", "neurons": 3},
]


def recipe(layers: list[dict[str, Any]], **training: Any) -> Recipe:
    tables = {
        "name": "rows", "data": {"name": "rows"}, "network": {"layers": layers, "tau_s": 1},
        "training": {"epochs": 6, "batch_size": 10, "lr": 0.02, **training},
    }  # fmt: skip
    return recipe_from_tables(tables, "penalty")


def traces(fit: Any) -> tuple[Any, dict[str, Trace]]:
    inputs = fit.train.encode(fit.train.pixels(np.arange(20))[0])
    forward = fit.network(inputs, record_all=True)
    return forward, forward.traces


def test_without_a_filter_it_counts_what_spikes_drive(tmp_path: Path) -> None:
    """A spike of the hidden layer drives three synapses; the last layer drives none."""
    fit = tiny.fit(tmp_path, recipe(DENSE))
    forward, found = traces(fit)
    hidden, steps = found["dense1"].spikes, fit.recipe.network.time_steps
    assert 0 < hidden.sum() < hidden.numel()
    share = OperationsPenalty(fit.network.graph).share(forward.traces)
    expected = float(hidden.sum()) * 3 / 20 / (12 * 3 * steps)
    assert float(share.detach()) == pytest.approx(expected, rel=1e-5)


def test_a_pool_passes_spikes_on(tmp_path: Path) -> None:
    """Each of 32 neurons is in one window, and each window drives three synapses."""
    fit = tiny.fit(tmp_path, recipe(POOLED))
    forward, _ = traces(fit)
    steps = fit.recipe.network.time_steps
    spikes = float(forward.activity["conv1"].spikes)
    assert spikes > 0
    share = OperationsPenalty(fit.network.graph).share(forward.traces)
    assert float(share.detach()) == pytest.approx(spikes * 3 / 20 / (32 * 3 * steps), rel=1e-5)


def test_its_gradient_is_that_of_the_potentials() -> None:
    graph = resolve(recipe(DENSE).network, (1, 4, 4))
    potentials = torch.rand(graph.time_steps, 7, 12, requires_grad=True)
    last = torch.rand(graph.time_steps, 7, 3, requires_grad=True)
    made = {name: Trace(psp=psp, spikes=psp, voltage=psp)
            for name, psp in (("dense1", potentials), ("dense2", last))}  # fmt: skip
    OperationsPenalty(graph).share(made).backward()
    assert potentials.grad is not None
    expected = 1 / (7 * 12 * graph.time_steps)
    torch.testing.assert_close(potentials.grad, torch.full_like(potentials, expected))
    assert last.grad is not None
    assert not last.grad.any()


@pytest.mark.parametrize("rule", ["tssl-bp", "surrogate", "surrogate-reset", "surrogate-arctan"])
def test_training_with_it_spares_operations(tmp_path: Path, rule: str) -> None:
    spikes = {}
    for penalty in (0.0, 20.0):
        of = recipe(DENSE, rule=rule, loss="softmax", operations_penalty=penalty)
        fit = tiny.fit(tmp_path / str(penalty), of)
        fit.fit(tiny.Watcher())
        spikes[penalty] = float(traces(fit)[1]["dense1"].spikes.sum())
    assert spikes[20.0] < 0.7 * spikes[0.0]


def test_none_is_no_change(tmp_path: Path) -> None:
    """A recipe that does not name it trains as before, to the bit."""
    losses = []
    for number, more in enumerate(({}, {"operations_penalty": 0.0})):
        fit = tiny.fit(tmp_path / str(number), recipe(DENSE, **more))
        fit.fit(tiny.Watcher())
        losses.append([row.loss for row in fit.progress.metrics])
    assert losses[0] == losses[1]


@pytest.mark.parametrize("rule", ["st-rsbp", "lee"])
def test_other_rules_refuse_it(tmp_path: Path, rule: str) -> None:
    with pytest.raises(ConfigError, match=r"operations_penalty: only rules .* tssl-bp, surrogate"):
        tiny.fit(tmp_path, recipe(DENSE, rule=rule, operations_penalty=1.0))
