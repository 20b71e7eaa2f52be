"""Steps of STDBP beside steps of TSSL-BP on the same layers, in one process, taking turns.

    python benchmarks/stdbp.py [--rounds N] [--batch B]

A step is everything done per batch: the spikes of the input, forward, loss, backward, clip, AdamW,
clamp. Pictures are random, as bright and as empty as those of MNIST. TSSL-BP takes them as values
that stay the same, for the 5 steps of its recipes, and as the same single spikes, for all steps of
STDBP. On a machine that does other things too, the ratio of the shortest steps is the one to read.
"""

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import torch
from methods import taking_turns
from steps import our_step
from torch import Tensor

from tssl.recipe import Recipe, load_recipe, recipe_from_tables
from tssl.trainer.network import SpikingNetwork
from tssl.workflow.recipes import recipe_path

_EMPTY = 0.81
"""Share of black pixels in MNIST."""


def as_tssl_bp(recipe: Recipe, **network: Any) -> Recipe:
    """Return a recipe of the same layers for TSSL-BP; of values where it has steps of its own."""
    tables = recipe.model_dump(mode="json", exclude_none=True, by_alias=True)
    for layer in tables["network"]["layers"]:
        layer["neuron"] = "lif"
    tables["network"] |= {"threshold": 1.0, **network}
    tables["encoding"] = {} if network else tables["encoding"]
    tables["training"] |= {"rule": "tssl-bp", "loss": "softmax", "settings": {}}
    return recipe_from_tables(tables, "same layers")


def pictures(batch: int) -> Tensor:
    """Return intensities in 0...1."""
    generator = torch.Generator().manual_seed(0)
    bright = torch.rand(batch, 1, 28, 28, generator=generator)
    return bright * (torch.rand(batch, 1, 28, 28, generator=generator) > _EMPTY)


def spikes(given: Tensor, steps: int) -> Tensor:
    """Return one spike for each pixel, ``(time, batch, 1, 28, 28)``."""
    level = (given * steps).round()
    return torch.stack([((level == steps - step) & (level > 0)).float() for step in range(steps)])


def step_of(recipe: Recipe, inputs: Tensor) -> Callable[[], Any]:
    """Return a training step."""
    network = SpikingNetwork(recipe, (1, 28, 28), torch.Generator().manual_seed(0))
    count = inputs.shape[0 if inputs.dim() == 4 else 1]
    labels = torch.arange(count) % 10
    return our_step(network, recipe, inputs, labels)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--batch", type=int, default=100)
    given = parser.parse_args()
    recipe = load_recipe(recipe_path("mnist-stdbp"))
    values, steps = pictures(given.batch), recipe.encoding.steps or 1
    train = spikes(values, steps)
    variants = {
        "stdbp": step_of(recipe, train),
        "tssl-bp, 5 steps": step_of(as_tssl_bp(recipe, time_steps=5), values),
        f"tssl-bp, {recipe.network.time_steps} steps": step_of(as_tssl_bp(recipe), train),
    }
    seconds = taking_turns(variants, given.rounds)
    print(f"784-800-10, batch {given.batch}, {torch.get_num_threads()} threads")
    for name, values in seconds.items():
        shortest, median = min(values), statistics.median(values)
        print(
            f"  {name:18} shortest {1e3 * shortest:8.2f} ms (STDBP takes "
            f"{min(seconds['stdbp']) / shortest:5.2f} x)  median {1e3 * median:8.2f} ms  "
            f"{given.batch / shortest:8,.0f} samples/s"
        )


if __name__ == "__main__":
    main()
