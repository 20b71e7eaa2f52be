"""Training steps and the engine of this tree beside those of another commit.

    python benchmarks/before.py REVISION [--turns 4]

Both trees take turns, each turn in a process of its own, so that a busy machine slows them
alike. The table shows the shortest time of all turns and the ratio. The loss and the number of
spikes stand beside them: where they differ, the two did not do the same work. REVISION has to be
one in which ``tssl.recipe``, ``tssl.trainer.network`` and ``tssl.engine`` have today's names.
"""

import argparse
import inspect
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STEPS = {"fashion-mnist-mlp": 100, "fashion-mnist-cnn": 14}
RUNS = 12
Figures = dict[str, tuple[float, float]]
"""Shortest time in seconds, and what was computed, by name."""


def shortest(work: Callable[[], Any], times: int) -> float:
    """Return the least time that a call took, the first two left out."""
    seconds = []
    for _ in range(times + 2):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds[2:])


def training(name: str, times: int) -> tuple[float, float]:
    """Return the time of a step and the loss after the last one."""
    import torch

    from tssl.recipe import load_recipe
    from tssl.trainer.network import SpikingNetwork
    from tssl.trainer.optimization import make_optimizer, optimizer_step
    from tssl.workflow.recipes import recipe_path

    with suppress(ImportError):  # an earlier commit may not have it
        from tssl.machine.heap import keep_freed_memory

        keep_freed_memory()
    recipe = load_recipe(recipe_path(name))
    generator = torch.Generator().manual_seed(0)
    network = SpikingNetwork(recipe, (1, 28, 28), generator)
    optimizer = make_optimizer(network, recipe.training)
    x = torch.rand(recipe.training.batch_size, 1, 28, 28, generator=generator)
    labels = torch.randint(0, 10, (len(x),), generator=generator)
    knows = "only_output" in inspect.signature(network.forward).parameters
    options = {"only_output": True} if knows else {}
    learns = hasattr(network, "learn")
    losses: list[float] = []

    def step() -> None:
        if learns:
            _, loss = network.learn(x, labels)
            optimizer_step(network, optimizer, recipe.training)
        else:
            loss = network.loss.function(network(x, **options).output, labels)
            optimizer_step(network, optimizer, loss, recipe.training)
        losses.append(float(loss.detach()))

    return shortest(step, times), losses[-1]


def engine() -> tuple[float, float]:
    """Return the time of 2,000 samples through 784-400-400-10, and the output's spikes."""
    from cases import CASES

    from tssl.engine import Engine

    case = CASES["mlp"]()
    train = case.inputs(2_000)
    spikes: list[int] = []

    def run() -> None:
        chunks = Engine().run(case.network, train, case.time_steps, lambda _: None)
        output = case.network.output.name
        spikes.append(sum(int(recording.trains[output].sum()) for _, recording in chunks))

    return shortest(run, RUNS), spikes[-1]


def measured() -> Figures:
    """Return the figures of the tree that this process imports."""
    steps = {name: training(name, times) for name, times in STEPS.items()}
    return {**steps, "engine 784-400-400-10": engine()}


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """Put another commit's files into a folder of their own for a while."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", "--quiet", str(tree), revision], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def turn(tree: Path) -> Figures:
    """Return the figures of a tree, measured by a process of its own with this very script."""
    command = [sys.executable, str(Path(__file__).resolve()), "--here"]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return {name: (seconds, value) for name, (seconds, value) in json.loads(done.stdout).items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("revision", nargs="?", default="HEAD~1", help="the other commit [HEAD~1]")
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.here:
        print(json.dumps(measured()))
        return
    with checkout(chosen.revision) as tree:
        turns = [(turn(tree), turn(ROOT)) for _ in range(chosen.turns)]
    print(f"{'':22} {chosen.revision:>12} {'now':>10}   ratio   computed")
    for name in turns[0][0]:
        before, now = (min(pair[side][name][0] for pair in turns) for side in (0, 1))
        values = [turns[0][side][name][1] for side in (0, 1)]
        same = "the same" if values[0] == values[1] else f"{values[0]:g}, {values[1]:g}"
        print(f"{name:22} {1e3 * before:9.2f} ms {1e3 * now:7.2f} ms {now / before:7.3f}   {same}")


if __name__ == "__main__":
    main()
