"""One table to compare learning methods: accuracy, spikes, operations, energy, training time.

    python benchmarks/comparison.py --out DIR [--seeds 0 1] [--only SET ...] [--data-dir DIR]

Every method trains a network with one hidden layer of 400 neurons, in the form that the method
has (time steps, time constants and code of the input are its own; the layers are the same), for
as many epochs as `METHODS` says, one seed at a time. Each network is exported for Loihi 2 and
proven; the chip's accuracy is of all test samples, and so are spikes and operations. A run that
is done is not repeated; the table, in Markdown, is made of all that are.
"""

import argparse
import json
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import tomli_w

import tssl
from tssl.machine.cores import cores

SETS = ("mnist", "fashion-mnist", "tactile-objects")
EVENTS = ("tactile-objects",)
"""Sets that are spikes over time already."""
HIDDEN = 400
COLUMNS = (
    "method", "steps", "float %", "chip %", "spikes", "synaptic operations",
    "energy, µJ", "training, s",
)  # fmt: skip
EPOCHS = {"mnist": 3, "fashion-mnist": 3, "tactile-objects": 40}
HEAD = """# Methods compared

Every method of this package trains layers of HIDDEN neurons and of as many as there are classes, in
its own form. The accuracies are of all test samples: first of the network as trained, then of its
integers for Loihi 2, which the engine, Lava's simulator and a witness computed alike for 20
samples. Spikes and synaptic operations are per inference. Spikes of the input are left out. The
energy is the estimate of `tssl report` for Loihi 2 with its band, without input and output.
Training is the time of the processor. The table gives mean and standard
deviation over the seeds SEEDS.

These are short trainings of small networks: EPOCHS. They show what a method reaches
in so many passes, and not its best. [Results](../results.md) and the pages of the methods have
longer ones.

Made by `python benchmarks/comparison.py --out DIR > docs/methods/comparison.md`, CORES cores.
"""


class Way(NamedTuple):
    """How a method trains."""

    network: Mapping[str, Any]
    training: Mapping[str, Any]
    encoding: Mapping[str, Any]
    layer: Mapping[str, Any] = {}
    on_events: bool = True


GRADED = {"mean": 0.1307, "std": 0.3081, "resolution": 8}
SHORT = {"time_steps": 5, "tau_m": 5, "tau_s": 3}
USUAL = {"target_filter": "once", "smallest_rate": 0.01}
METHODS = {
    "tssl-bp": Way(SHORT, USUAL, GRADED),
    "surrogate": Way(SHORT, USUAL, GRADED),
    "surrogate-reset": Way(SHORT, USUAL, GRADED),
    "surrogate-arctan": Way(SHORT, USUAL, GRADED),
    "lee": Way(
        {"time_steps": 20, "tau_m": 20, "tau_s": 1, "threshold": 0.25},
        {"smallest_rate": 0.01, "weight_decay": 0, "lr": 1e-4, "batch_size": 100},
        {"resolution": 15},
        {"own_thresholds": True},
    ),
    "st-rsbp": Way(
        {"time_steps": 50, "tau_m": 16, "tau_s": 4},
        {"desired_count": 15, "undesired_count": 2, "smallest_rate": 0.02, "weight_decay": 0},
        {"input": "neurons", "input_threshold": 1.5, "resolution": 255},
    ),
    "stdbp": Way(
        {"time_steps": 40, "threshold": 20},
        {"lr": 1e-3, "batch_size": 100},
        {"input": "time", "resolution": 16},
        {"neuron": "rel-psp"},
        on_events=False,
    ),
}


def recipe_of(method: str, data: str, epochs: int, seed: int) -> dict[str, Any]:
    """Return a recipe's tables."""
    way = METHODS[method]
    training = {"rule": method, "epochs": epochs, "seed": seed, "lr_schedule": "cosine"}
    network, encoding = dict(way.network), dict(way.encoding)
    if data in EVENTS:
        network["time_steps"] = 25
        encoding = {"resolution": 1}
        training |= {"batch_size": 32, "validation": 0, "lr": 2e-3}
        if way.training is USUAL:
            network |= {"tau_m": 8, "tau_s": 4}
            training |= {"loss": "count", "desired_count": 15, "undesired_count": 1}
    layer = {"type": "dense", **way.layer}
    outputs = 36 if data in EVENTS else 10
    layers = [{**layer, "neurons": HIDDEN}, {**layer, "neurons": outputs}]
    return {
        "name": f"{data}-{method}-{seed}",
        "data": {"name": data},
        "encoding": encoding,
        "network": {**network, "layers": layers},
        "training": {**way.training, **training},
    }


def row(method: str, data: str, seed: int, chosen: argparse.Namespace) -> dict[str, Any]:
    """Train, export and run one network; return its figures, from the file if there is one."""
    name = f"{data}-{method}-{seed}"
    done = chosen.out / f"{name}.json"
    if done.exists():
        found: dict[str, Any] = json.loads(done.read_text())
        return found
    recipe = chosen.out / f"{name}.toml"
    recipe.write_text(tomli_w.dumps(recipe_of(method, data, chosen.epochs or EPOCHS[data], seed)))
    run = chosen.out / name
    started = time.process_time()
    if (run / "state.safetensors").exists():
        raise SystemExit(f"{run}: was stopped in its training; remove it and start again")
    trained = tssl.train(recipe, out=run, data_dir=chosen.data_dir, progress=False)
    seconds = time.process_time() - started
    exported = tssl.export(trained, "loihi2", samples=1_000_000, data_dir=chosen.data_dir)
    if exported.proof.problem is not None:
        raise SystemExit(f"{name}: engine, Lava and witness differ")
    result = tssl.run(exported, backend="engine", out=run / "result", data_dir=chosen.data_dir)
    report = tssl.report(result, "loihi2")
    (cost,) = report.priced
    counts = report.counts
    figures = {
        "steps": counts.time_steps,
        "float": 100 * exported.float_accuracy,
        "chip": 100 * exported.chip_accuracy,
        "spikes": int(counts.spikes.sum()) / counts.samples,
        "operations": int(counts.synaptic_operations.sum()) / counts.samples,
        "energy": [1e6 * each for each in (cost.total.value, cost.total.low, cost.total.high)],
        "seconds": seconds,
    }
    done.write_text(json.dumps(figures))
    return figures


def cell(values: list[float], digits: int) -> str:
    """Return the mean of values and, where there are several, their standard deviation."""
    mean = f"{statistics.mean(values):,.{digits}f}"
    if len(values) == 1:
        return mean
    return f"{mean} ± {statistics.stdev(values):,.{digits}f}"


def line(method: str, rows: list[dict[str, Any]]) -> str:
    """Return a row of the table."""
    energy, low, high = ([row["energy"][place] for row in rows] for place in range(3))
    cells = [
        method,
        str(rows[0]["steps"]),
        cell([row["float"] for row in rows], 2),
        cell([row["chip"] for row in rows], 2),
        cell([row["spikes"] for row in rows], 0),
        cell([row["operations"] for row in rows], 0),
        f"{cell(energy, 2)} ({statistics.mean(low):,.2f} to {statistics.mean(high):,.2f})",
        cell([row["seconds"] for row in rows], 0),
    ]
    return f"| {' | '.join(cells)} |"


def head(chosen: argparse.Namespace) -> str:
    """Return what stands above the tables."""
    epochs = ", ".join(f"{chosen.epochs or EPOCHS[each]} epochs of {each}" for each in chosen.only)
    values = {
        "HIDDEN": str(HIDDEN),
        "SEEDS": ", ".join(str(seed) for seed in chosen.seeds),
        "EPOCHS": epochs,
        "CORES": str(cores()),
    }
    text = HEAD
    for key, value in values.items():
        text = text.replace(key, value)
    return text


def main() -> None:
    """Train what is not done yet, then print the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--only", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--epochs", type=int, help="for quick trials")
    parser.add_argument("--data-dir", type=Path)
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    tables = []
    for data in chosen.only:
        methods = [each for each in chosen.methods if data not in EVENTS or METHODS[each].on_events]
        rows = {of: [row(of, data, seed, chosen) for seed in chosen.seeds] for of in methods}
        lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
        lines += [line(method, found) for method, found in rows.items()]
        tables.append("\n".join([f"\n## {data}\n", *lines, ""]))
    print(head(chosen) + "\n".join(tables))


if __name__ == "__main__":
    main()
