"""What a training needs: against PyTorch's own counter, and what a training really leaves."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.trainer import tiny
from tssl.recipe import recipe_from_tables
from tssl.trainer import linear
from tssl.trainer.network import SpikingNetwork
from tssl.trainer.optimization import make_optimizer, optimizer_step
from tssl.trainer.planning import measure, memory_of_step, operations_of_step, weights_of

DENSE = [{"type": "dense", "neurons": 12}, {"type": "dense", "neurons": 3}]
CONV = [
    {"type": "conv", "channels": 4, "kernel": 3, "padding": 1},
    {"type": "pool", "kernel": 2},
    {"type": "conv", "channels": 5, "kernel": 2},
    {"type": "dense", "neurons": 3},
]
BATCH = 6


def network(layers: list[dict[str, Any]]) -> SpikingNetwork:
    tables = {"name": "rows", "data": {"name": "rows"}, "network": {"layers": layers}}
    recipe = recipe_from_tables(tables, "planning")
    return SpikingNetwork(recipe, (1, 4, 4), torch.Generator().manual_seed(0))


@pytest.mark.parametrize("layers", [DENSE, CONV])
@pytest.mark.parametrize("constant", [True, False])
def test_operations_are_those_that_pytorch_counts(
    layers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, *, constant: bool
) -> None:
    monkeypatch.setattr(linear, "prefers_onednn", lambda _: False)  # which it does not count
    of = network(layers)
    steps = of.graph.time_steps
    shape = (BATCH, 1, 4, 4) if constant else (steps, BATCH, 1, 4, 4)
    training = tiny.recipe().training
    optimizer = make_optimizer(of, training)
    inputs = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    with FlopCounterMode(display=False) as counter:
        of.learn(inputs, torch.zeros(BATCH, dtype=torch.int64))
        optimizer_step(of, optimizer, training)
    found = operations_of_step(of.graph, BATCH, constant=constant)
    assert found == counter.get_total_flops()


def test_parameters_and_memory() -> None:
    of = network(CONV)
    weights = sum(each.numel() for each in of.parameters())
    assert weights_of(of.graph) == weights == 4 * 9 + 5 * 4 * 4 + 3 * 5
    two, one, none = (memory_of_step(of.graph, batch) for batch in (2, 1, 0))
    assert none == 16 * weights
    assert two - one == one - none > 0


def test_it_times_and_ends_early(tmp_path: Path) -> None:
    fit = tiny.fit(tmp_path, tiny.recipe(epochs=1000, batch_size=2))
    pace = measure(fit)
    assert fit.progress.epoch < 3
    assert min(pace.step, pace.step_alone, pace.evaluation, pace.keeping) > 0
    assert pace.cores >= 1
