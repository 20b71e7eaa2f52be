"""Training steps side by side: ours, others', the method as published, and bare products.

    python benchmarks/train.py [--rivals] [--official DIR] [--json FILE] [--device cuda]

All variants of a network run in one process, taking turns, so that a busy machine slows them
alike; the table shows medians. A step is everything done per batch: forward, loss, backward, clip,
AdamW, clamp. `published` is the algorithm of the official code written down plainly: time as the
last axis, 3-D convolutions, a sum over all later steps at every step. `eager` is this package
with its compiled loops and its choice of products switched off. `chip` is ours with
`training.forward = chip`, the chip's integers forward. `products` are the matrix products and
convolutions of a step alone, in the fastest of PyTorch's kernels; `share` is their part of a
step. With ``--rivals``, the same networks in other libraries run beside them (`rivals.py`). With
``--official DIR``, a checkout of github.com/stonezwr/TSSL-BP, the official code (`official.py`)
does. With ``--device cuda`` it is ours on a GPU, in several forms and precisions (`forms.py`).
"""

import argparse
import json
import multiprocessing
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import forms
import rivals
import torch
from footprint import kept_bytes, needed_bytes, resident_megabytes
from machine import description
from official import OfficialStep
from published import Published, PublishedStep
from steps import (
    CASES,
    QUICK_ROUNDS,
    ROUNDS,
    SHAPE,
    Measured,
    Step,
    case,
    chip_plan,
    eager,
    medians,
    operations,
    our_step,
    products_step,
    still,
    trained_case,
)

from tssl.trainer.neuron import Activity, Neurons
from tssl.trainer.recurrence import Gradient, spiking

VARIANTS = ("ours", "chip", "products", "eager", "published")
PACKAGES = ("torch", "numba", "numpy", "triton", "snntorch", "spikingjelly", "norse")
GRADIENT = Gradient(spike_time=True, reset=0.2, fallback_below=1 / 12)


def step_of(variant: str, measured: Measured, checkout: Path | None) -> Step:
    """Return a variant's step, on weights of its own."""
    recipe, x, labels, _ = measured
    if variant == "products":
        return products_step(measured)
    if variant in rivals.RIVALS:
        return rivals.step_of(variant, measured)
    if variant == "official" and checkout is not None:
        return OfficialStep(checkout, recipe, x, labels)
    plan = chip_plan(measured) if variant == "chip" else None
    network = measured.network(plan)
    if variant == "published":
        return PublishedStep(network, recipe, x, labels)
    step = our_step(network, recipe, x, labels)
    return eager(step) if variant == "eager" else step


def peak_megabytes(arguments: tuple[str, int, str, Path | None]) -> float:
    """Return by how much steps of a variant raise the memory of a fresh process (Linux only)."""
    name, batch, variant, checkout = arguments
    measured = case(name, batch)
    # compiled code and libraries are not counted
    one = measured._replace(x=measured.x[:1], labels=measured.labels[:1])
    step_of(variant, one, checkout)()
    step = step_of(variant, measured, checkout)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    before = resident_megabytes("VmRSS")
    for _ in range(3):
        step()
    return resident_megabytes("VmHWM") - before


def peaks(
    name: str, batch: int, variants: Sequence[str], checkout: Path | None
) -> dict[str, float]:
    """Return the peak memory of the variants, each in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        asked = [(name, batch, variant, checkout) for variant in variants]
        return dict(zip(variants, pool.map(peak_megabytes, asked, chunksize=1), strict=True))


def cpu_table(
    name: str, batch: int, time_steps: int | None, chosen: argparse.Namespace
) -> dict[str, Any]:
    """Measure the steps of a network on the CPU."""
    measured = still(case(name, batch, time_steps, chosen.side))
    table = _cpu_table(name, measured, chosen)
    if chosen.memory:
        found = peaks(name, batch, [row["variant"] for row in table["rows"]], chosen.official)
        for row in table["rows"]:
            row["peak_megabytes"] = found.get(row["variant"])
        kept = kept_bytes(measured.network().eval(), measured.x)
        table["kept_bytes_per_sample"] = kept / batch
        table["kept_share_of_needed"] = kept / needed_bytes(measured)
    return table


def trained_table(run: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """Measure the steps of a trained network, on its own data, on the CPU."""
    measured = still(trained_case(run, chosen.data_dir))
    return _cpu_table(measured.recipe.name, measured, chosen) | {"trained": True}


def _cpu_table(name: str, measured: Measured, chosen: argparse.Namespace) -> dict[str, Any]:
    variants = [*chosen.variants, *(["official"] if chosen.official else []), *chosen.rivals]
    steps = {variant: step_of(variant, measured, chosen.official) for variant in variants}
    seconds = medians(steps, chosen.rounds)
    return _table(name, measured, seconds, "cpu", chosen.rounds)


def device_table(
    name: str, batch: int, time_steps: int | None, chosen: argparse.Namespace
) -> dict[str, Any]:
    """Measure the forms of our step on a device."""
    measured = case(name, batch, time_steps, chosen.side)
    device: torch.device = chosen.device
    steps, failures = forms.steps(measured, device, chosen.precisions, chosen.forms)
    if chosen.official:
        official = OfficialStep(chosen.official, *measured[:3], device)
        steps["official"] = forms.repeated(official, device)
    repeats = forms.repeats(device)
    seconds = {name: value / repeats for name, value in medians(steps, chosen.rounds).items()}
    table = _table(name, measured, seconds, str(device), chosen.rounds)
    return table | {"failures": failures}


def _table(
    name: str, measured: Measured, seconds: Mapping[str, float], device: str, rounds: int
) -> dict[str, Any]:
    """Return what was measured, as JSON data."""
    recipe, batch = measured.recipe, len(measured.labels)
    flop, products = operations(measured), seconds.get("products")
    rows = [
        {
            "variant": variant,
            "milliseconds": 1e3 * value,
            "samples_per_second": batch / value,
            "gflop_per_second": flop / value / 1e9,
            "share_of_products": None if products is None else products / value,
        }
        for variant, value in seconds.items()
    ]
    return {
        "recipe": name,
        "batch": batch,
        "time_steps": recipe.network.time_steps,
        "device": device,
        "rounds": rounds,
        "rows": rows,
    }


def show(table: Mapping[str, Any]) -> None:
    """Print a table; x is the speed relative to its first row."""
    where = "" if table["device"] == "cpu" else f", on {table['device']}"
    where += ", trained" if "trained" in table else ""
    print(f"\n{table['recipe']}, batch {table['batch']}, {table['time_steps']} steps{where}")
    first = table["rows"][0]["milliseconds"]
    for row in table["rows"]:
        share, peak = row["share_of_products"], row.get("peak_megabytes")
        print(
            f"  {row['variant']:22} {row['milliseconds']:9.2f} ms  "
            f"{first / row['milliseconds']:5.2f} x  {row['samples_per_second']:9,.0f} samples/s  "
            f"{row['gflop_per_second']:6.0f} GFLOP/s"
            + ("" if share is None else f"  share {share:5.2f}")
            + ("" if peak is None else f"  {peak:6.0f} MB at the peak"),
            flush=True,
        )
    for form, problem in table.get("failures", {}).items():
        print(f"  {form:22} failed: {problem}")
    if "kept_bytes_per_sample" in table:
        print(
            f"  kept for backward: {table['kept_bytes_per_sample'] / 1024:.0f} KiB per sample, "
            f"{table['kept_share_of_needed']:.2f} x what it needs"
        )


def recurrence_table(rounds: int) -> None:
    """Print the neurons alone, 50 x 1024 of them, forward and backward."""
    print("\n50 x 1024 neurons alone, forward and backward")
    layer = Neurons(tau_m=5.0, tau_s=3.0, threshold=1.0)
    for steps in (5, 10, 30, 100):
        current = (torch.randn(steps, 50, 1024) * 0.7).requires_grad_()
        last = current.detach().permute(1, 2, 0).contiguous().requires_grad_()

        def ours(current: torch.Tensor = current) -> None:
            spiking(current, layer, GRADIENT, Activity()).psp.sum().backward()

        def published(last: torch.Tensor = last) -> None:
            Published.apply(last, 5.0, 3.0, 1.0).sum().backward()

        seconds = medians(
            {"ours": ours, "eager": eager(ours), "published": published}, max(3, rounds // 3)
        )
        shown = "  ".join(
            f"{name} {1e3 * value:8.2f} ms ({seconds['published'] / value:.0f} x)"
            for name, value in seconds.items()
        )
        print(f"  {steps:3} steps  {shown}")


def measured_tables(chosen: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the tables that were asked for, one after another."""
    for run in chosen.trained:
        yield trained_table(run, chosen)
    measure = device_table if chosen.forms else cpu_table
    for name in [] if chosen.trained else chosen.only:
        for time_steps in chosen.time_steps or [None]:
            for batch in chosen.batch or [CASES[name]]:
                yield measure(name, batch, time_steps, chosen)


def options() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--rounds", type=int, help="how often each step is measured")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="RECIPE")
    parser.add_argument(
        "--trained", nargs="+", type=Path, default=[], metavar="RUN",
        help="measure these trained networks on their own data instead, on the CPU",
    )  # fmt: skip
    parser.add_argument("--data-dir", type=Path, help="folder with data sets, for --trained")
    parser.add_argument("--time-steps", nargs="+", type=int, help="5, or multiples of 10")
    parser.add_argument("--side", type=int, default=SHAPE[1], help="rows and columns of a picture")
    parser.add_argument("--batch", nargs="+", type=int, help="samples of a step")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument(
        "--rivals", nargs="*", choices=rivals.RIVALS, metavar="NAME",
        help="other libraries beside it, where they are installed; all when none is named",
    )  # fmt: skip
    parser.add_argument(
        "--official", type=Path, metavar="DIR", help="checkout of the official code"
    )
    parser.add_argument("--device", type=torch.device, default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--forms", nargs="+", choices=forms.FORMS,
        help="of the step on a device; on the CPU with stand-ins, to try them out",
    )  # fmt: skip
    parser.add_argument(
        "--precisions", nargs="+", choices=forms.PRECISIONS, default=list(forms.PRECISIONS)
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    chosen = parser.parse_args()
    chosen.rounds = chosen.rounds or (QUICK_ROUNDS if chosen.quick else ROUNDS)
    if chosen.device.type != "cpu":
        chosen.forms = chosen.forms or list(forms.FORMS)
    chosen.rivals = rivals.chosen(chosen.rivals)
    special = chosen.time_steps or chosen.batch or chosen.rivals or chosen.trained
    chosen.memory = not special
    return chosen


def command(chosen: argparse.Namespace) -> str:
    """Return the command without what only this machine has."""
    own = {str(chosen.official), str(chosen.data_dir)}
    given = ["DIR" if each in own else each for each in sys.argv[1:]]
    return shlex.join(["python", "benchmarks/train.py", *given])


def main() -> None:
    """Print all tables."""
    chosen = options()
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads")
    document = {
        "schema_version": 1,
        "kind": "steps",
        "command": command(chosen),
        "machine": description(PACKAGES) | forms.device_description(chosen.device),
        "tables": [],
    }
    on_cpu = not chosen.forms
    if on_cpu:
        started = time.perf_counter()
        spiking(torch.zeros(1, 1, 1), Neurons(5.0, 3.0, 1.0), GRADIENT, Activity())
        print(f"first call of the compiled loops: {time.perf_counter() - started:.1f} s")
    for table in measured_tables(chosen):
        show(table)
        document["tables"].append(table)
        if chosen.json:  # after each, since the next may take long
            chosen.json.write_text(json.dumps(document, indent=1) + "\n")
    if on_cpu and chosen.memory:
        recurrence_table(chosen.rounds)


if __name__ == "__main__":
    main()
