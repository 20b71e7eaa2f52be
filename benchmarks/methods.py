"""Training steps of other learning methods beside TSSL-BP's on the same layers.

    python benchmarks/methods.py [--quick]

Both steps take turns in one process. The table shows the shortest step and the median of each. On a
machine that does other things too, the ratio of the shortest is the one to read.
"""

import argparse
import statistics
import time
from collections.abc import Mapping
from typing import Any

import torch
from steps import SHAPE, Step, our_step
from torch import Tensor

from tssl.recipe import Recipe, load_recipe, recipe_from_tables
from tssl.trainer.network import SpikingNetwork
from tssl.workflow.recipes import recipe_path

ROUNDS, QUICK_ROUNDS = 40, 8
CASES = {"mnist-lee": 100, "fashion-mnist-strsbp": 50}


def twin(recipe: Recipe) -> Recipe:
    """Return the recipe with TSSL-BP in the place of its rule."""
    tables = recipe.model_dump(mode="json", exclude_none=True, by_alias=True)
    training: dict[str, Any] = tables["training"]
    training.update(rule="tssl-bp", loss="softmax", settings={})
    for layer in tables["network"]["layers"]:
        layer["own_thresholds"] = False
    return recipe_from_tables(tables, "twin")


def inputs(recipe: Recipe, batch: int) -> Tensor:
    """Return pixels that stay the same, or spikes of a tenth of the input neurons at each step."""
    generator = torch.Generator().manual_seed(0)
    if recipe.encoding.input == "graded":
        x = torch.rand(batch, *SHAPE, generator=generator)
        return x * (torch.rand(x.shape, generator=generator) < 0.2)
    x = torch.rand(recipe.network.time_steps, batch, *SHAPE, generator=generator)
    return (x < 0.1).to(x)


def step_of(recipe: Recipe, x: Tensor, labels: Tensor) -> Step:
    """Return a step on weights of its own."""
    network = SpikingNetwork(recipe, SHAPE, torch.Generator().manual_seed(0))
    return our_step(network, recipe, x, labels)


def taking_turns(steps: Mapping[str, Step], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each step, one after the other in every round."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(rounds + 1):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            if round_:  # the first compiles
                seconds[name].append(time.perf_counter() - began)
    return seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Training steps of learning methods.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    rounds = QUICK_ROUNDS if parser.parse_args().quick else ROUNDS
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads")
    for name, batch in CASES.items():
        recipe = load_recipe(recipe_path(name))
        x = inputs(recipe, batch)
        labels = torch.randint(10, (batch,), generator=torch.Generator().manual_seed(1))
        recipes = {recipe.training.rule: recipe, "tssl-bp": twin(recipe)}
        steps = {rule: step_of(each, x, labels) for rule, each in recipes.items()}
        seconds = taking_turns(steps, rounds)
        print(f"\n{name}, batch {batch}, {recipe.network.time_steps} steps")
        for rule, values in seconds.items():
            shortest, median = min(values), statistics.median(values)
            print(
                f"  {rule:10} shortest {1e3 * shortest:8.2f} ms  "
                f"{shortest / min(seconds['tssl-bp']):5.2f} x  median {1e3 * median:8.2f} ms  "
                f"{batch / shortest:8,.0f} samples/s"
            )


if __name__ == "__main__":
    main()
