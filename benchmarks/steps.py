"""Training steps to measure, on weights of their own, and how they are measured: in turns."""

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tssl.checkpoint import Checkpoint, ChipPlan
from tssl.geometry import Geometry
from tssl.machine.heap import keep_freed_memory
from tssl.recipe import Recipe, load_recipe
from tssl.trainer import events, layout, linear, recurrence
from tssl.trainer.linear import weighted
from tssl.trainer.network import SpikingNetwork
from tssl.trainer.optimization import make_optimizer, optimizer_step
from tssl.trainer.samples import Samples
from tssl.workflow.data import load_splits
from tssl.workflow.recipes import recipe_path

SHAPE = (1, 28, 28)
CASES = {"fashion-mnist-mlp": 100, "fashion-mnist-cnn": 50}
"""Recipes of the paper's two Fashion-MNIST networks, and their batches."""
ROUNDS, QUICK_ROUNDS = 15, 3
TURN = 0.05
"""Seconds for which a step is repeated before it is another one's turn, as in training."""
CPU = torch.device("cpu")
_STILL = 1e-12
Step = Callable[[], Any]


class Measured(NamedTuple):
    """What steps do: a network, and one batch for it."""

    recipe: Recipe
    x: Tensor
    labels: Tensor
    weights: Mapping[str, NDArray[np.float32]] | None = None
    """Of a trained network; as at the start of a training when None."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a picture."""
        channels, height, width = self.x.shape[-3:]
        return channels, height, width

    def network(self, plan: ChipPlan | None = None) -> SpikingNetwork:
        """Return a network with these weights, for the chip's integers with a plan."""
        made = SpikingNetwork(self.recipe, self.shape, torch.Generator().manual_seed(0), plan)
        if self.weights is not None:
            made.load_weights(self.weights)
        return made


def case(name: str, batch: int, time_steps: int | None = None, side: int = SHAPE[1]) -> Measured:
    """Return a recipe, with other time steps where they are given, and a batch for it.

    Parameters
    ----------
    side
        Rows and columns of a picture.
    """
    settings = {} if time_steps is None else {"time_steps": time_steps}
    recipe = load_recipe(recipe_path(name), settings)
    generator = torch.Generator().manual_seed(0)
    x = (
        torch.randint(-3, 23, (batch, 1, side, side), generator=generator)
        / recipe.encoding.resolution
    )
    return Measured(recipe, x, torch.randint(10, (batch,), generator=generator))


def trained_case(run: Path, data_dir: Path | None) -> Measured:
    """Return a trained network, and the first batch of its data."""
    kept = Checkpoint.load(run / "best.safetensors")
    train, _ = load_splits(kept.recipe, data_dir, None, None, None)
    first = np.arange(kept.recipe.training.batch_size)
    samples = Samples.encoded(train, first, kept.encoding, "cpu")
    return Measured(kept.recipe, *samples.batch(first), kept.weights)


def still(measured: Measured) -> Measured:
    """Return the same with a rate at which weights stay.

    A network that learns a batch by heart fires ever more, and how long a step takes depends on it.
    """
    training = measured.recipe.training.model_copy(update={"lr": _STILL})
    return measured._replace(recipe=measured.recipe.model_copy(update={"training": training}))


def our_step(network: SpikingNetwork, recipe: Recipe, x: Tensor, labels: Tensor) -> Step:
    """Return a step as `tssl train` does it."""
    keep_freed_memory()
    optimizer = make_optimizer(network, recipe.training)
    network.eval()  # without dropout, which the others do not have

    def step() -> None:
        network.learn(x, labels)
        optimizer_step(network, optimizer, recipe.training)

    return step


def eager(step: Step) -> Step:
    """Return the step without compiled loops, events and the choice of products."""

    def run() -> None:
        with (
            patch.object(layout, "is_compiled_input", lambda *_: False),
            patch.object(recurrence, "_is_fused", lambda _: False),
            patch.object(linear, "prefers_onednn", lambda _: False),
            patch.object(events, "gradient", lambda *_: None),
        ):
            step()

    return run


def product_shapes(measured: Measured) -> list[tuple[Geometry | None, Tensor, Tensor]]:
    """Return geometry, input and weight of every product; a constant input is weighted once."""
    recipe, batch = measured.recipe, len(measured.labels)
    network = measured.network()
    found = []
    steps = 1 if measured.x.dim() == 4 else len(measured.x)  # pictures have no axis of time
    for node in network.graph.spiking:
        signal = torch.rand(steps, batch, *node.input_shape)
        found.append((node.geometry, signal, network.weights[node.name].detach().clone()))
        steps = recipe.network.time_steps
    return found


def products_step(measured: Measured, device: torch.device = CPU) -> Step:
    """Return the products of a step: each forward, by input and by weight."""
    cases = []
    for position, (geometry, *tensors) in enumerate(product_shapes(measured)):
        signal, weight = (each.to(device) for each in tensors)
        error = torch.ones_like(weighted(signal, weight, geometry))
        cases.append((geometry, signal, weight, error, position > 0))

    @torch.no_grad()
    def step() -> None:
        for geometry, signal, weight, error, to_signal in cases:  # none wants that at the pixels
            weighted(signal, weight, geometry)
            linear.gradients(error, signal, weight, geometry, to_signal=to_signal)

    return step


def operations(measured: Measured) -> float:
    """Return floating-point operations of the products of a step, a multiply-add being two."""
    total = 0.0
    for position, (geometry, signal, weight) in enumerate(product_shapes(measured)):
        outputs = weighted(signal, weight, geometry).numel()
        passes = 3 if position else 2
        total += passes * 2 * outputs * weight[0].numel()
    return total


def chip_plan(measured: Measured) -> ChipPlan:
    """Return a grid on which the largest initial weight of each layer is 254."""
    recipe, network = measured.recipe, measured.network()
    scales, unit = {}, 1 / recipe.encoding.resolution
    for name, weight in network.weights.items():
        scales[name] = 254 / (float(weight.detach().abs().max()) * unit / recipe.network.tau_s)
        unit = 1.0
    return ChipPlan(scales=scales, largest_weights=dict.fromkeys(scales, 254), weight_step=2)


def medians(steps: Mapping[str, Step], rounds: int) -> dict[str, float]:
    """Return each step's median seconds, measured in turns.

    A turn is one step that is not measured, since others have used the caches, and then as many as
    fit into ``TURN`` seconds.
    """
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    for _ in range(rounds):
        for name, step in steps.items():
            seconds[name] += _turn(step)
    return {name: statistics.median(values) for name, values in seconds.items()}


def _turn(step: Step) -> list[float]:
    step()
    found: list[float] = []
    while sum(found) < TURN:
        started = time.perf_counter()
        step()
        found.append(time.perf_counter() - started)
    return found
