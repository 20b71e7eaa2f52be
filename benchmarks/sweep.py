"""What a sweep costs over the same verbs one by one.

    python benchmarks/sweep.py [--epochs N] [--rounds N]

Both take turns in one process, on the digits: four trainings, each exported once and run. Processor
time is compared too, because a machine is seldom idle; the table shows medians.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import tssl

VALUES, SEEDS, SAMPLES = (3, 5), (0, 1), 360


class Spent(NamedTuple):
    """Seconds of the clock and of the processor."""

    wall: float
    processor: float


def measured(work: Callable[[Path], None]) -> Spent:
    """Return what some work takes in a new folder."""
    with tempfile.TemporaryDirectory() as name:
        began = Spent(time.perf_counter(), time.process_time())
        work(Path(name))
        return Spent(time.perf_counter() - began.wall, time.process_time() - began.processor)


def trainings(folder: Path, epochs: int) -> None:
    """Train each network."""
    for tau_m in VALUES:
        for seed in SEEDS:
            settings = {"tau_m": tau_m, "seed": seed, "epochs": epochs}
            tssl.train("digits", out=folder / f"{tau_m}-{seed}", settings=settings, progress=False)


def verbs(folder: Path, epochs: int) -> None:
    """Train each network, export it and run it."""
    trainings(folder, epochs)
    for run in list(folder.iterdir()):
        chip = tssl.export(run, "loihi2", samples=SAMPLES, lava=False, progress=False)
        result = tssl.run(chip, samples=SAMPLES, progress=False)
        tssl.report(result, "loihi2")


def sweep(folder: Path, epochs: int) -> None:
    """Do the same as a sweep."""
    tssl.sweep(
        "digits",
        over={"tau_m": VALUES},
        seeds=SEEDS,
        settings={"epochs": epochs},
        samples=SAMPLES,
        out=folder / "sweep",
        progress=False,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="What a sweep costs over its verbs.")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    ways = {"trainings alone": trainings, "verbs one by one": verbs, "sweep": sweep}
    for way in ways.values():  # compiles, imports, caches
        measured(lambda folder, way=way: way(folder, 1))
    spent: dict[str, list[Spent]] = {name: [] for name in ways}
    for _ in range(given.rounds):
        for name, way in ways.items():
            spent[name].append(measured(lambda folder, way=way: way(folder, given.epochs)))
    medians = {
        name: Spent(*map(statistics.median, zip(*each, strict=True)))
        for name, each in spent.items()
    }
    base = medians["verbs one by one"]
    print(f"{len(VALUES) * len(SEEDS)} trainings of {given.epochs} epochs, {given.rounds} rounds")
    print("| | clock | processor | over the verbs, clock | processor |\n|---|---|---|---|---|")
    for name, each in medians.items():
        over = [f"{a / b - 1:+.1%}" for a, b in zip(each, base, strict=True)]
        print(f"| {name} | {each.wall:.2f} s | {each.processor:.2f} s | {' | '.join(over)} |")


if __name__ == "__main__":
    main()
