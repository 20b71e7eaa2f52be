"""Training steps of other learning methods beside TSSL-BP's on the same layers.

    python benchmarks/methods.py [--quick]

Both steps take turns in one process, as in `train.py`; the table shows medians.
"""

import argparse
from typing import Any

import torch
from steps import QUICK_ROUNDS, ROUNDS, SHAPE, Step, medians, our_step
from torch import Tensor

from tssl.recipe import Recipe, load_recipe, recipe_from_tables
from tssl.trainer.network import SpikingNetwork
from tssl.workflow.recipes import recipe_path

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
        seconds = medians(steps, rounds)
        print(f"\n{name}, batch {batch}, {recipe.network.time_steps} steps")
        for rule, value in seconds.items():
            print(
                f"  {rule:10} {1e3 * value:8.2f} ms  {value / seconds['tssl-bp']:5.2f} x  "
                f"{batch / value:8,.0f} samples/s"
            )


if __name__ == "__main__":
    main()
