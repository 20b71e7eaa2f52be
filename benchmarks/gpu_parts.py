"""The parts of ``gpu.py``, each in a process of its own.

A part returns what it found, or raises what kept it from it; ``Skipped`` is no failure.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from forms import FORMS, device_description
from machine import description
from steps import CASES, case, chip_plan, our_step
from torch import Tensor
from train import PACKAGES

from tssl import datasets
from tssl.recipe import load_recipe
from tssl.trainer import chip_plain, layers, linear
from tssl.trainer.network import SpikingNetwork
from tssl.trainer.progress import EpochMetrics, LayerMetrics, TrainingProgress
from tssl.workflow import train as workflow
from tssl.workflow.recipes import recipe_path

ROOT = Path(__file__).resolve().parents[1]
MLP, CNN = CASES
SECONDS = 8 * 60.0
"""After which a training is saved and ends, to go on in the next call."""


class Skipped(Exception):  # noqa: N818 - it is none
    """What a part needs is not here."""


class Found(NamedTuple):
    """What a part found."""

    summary: str
    figures: Mapping[str, Any]
    is_finished: bool = True
    failed: bool = False
    """Whether a part of it failed."""


class Job(NamedTuple):
    """What a part is told."""

    out: Path
    data_dir: Path | None
    official: Path | None
    is_dry: bool
    until: float
    """When a training is to end, on the clock of ``time.monotonic``."""

    @property
    def device(self) -> torch.device:
        return torch.device("cpu" if self.is_dry else "cuda")


def tests(job: Job) -> Found:
    """Run the tests that are marked, recordings apart."""
    files = [
        str(file)
        for file in sorted((ROOT / "tests").rglob("test_*.py"))
        if "mark.gpu" in file.read_text() and file.name != "test_golden.py"
    ]
    return _tested([*files, "-m", "gpu"], needs_some=not job.is_dry)


def golden(job: Job) -> Found:
    """Compare with the recordings, by plain code and by the kernels."""
    by_kernels = "tests/trainer/test_gpu_kernels.py"
    if job.is_dry and not _has_triton():
        raise Skipped("Triton, whose interpreter runs the kernels, cannot be imported")
    if job.is_dry:
        return _tested([by_kernels, "-k", "equal_to_the_official and a_dense1"], needs_some=True)
    by_plain_code = "tests/trainer/test_golden.py"
    return _tested(
        [by_plain_code, by_kernels, "-k", "cuda or equal_to_the_official"], needs_some=True
    )


def _tested(arguments: list[str], needs_some: bool) -> Found:
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-s", "-p", "no:cacheprovider"]
    command += ["-o", "filterwarnings=default", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr, sep="\n", flush=True)
    counts = {what: int(count) for count, what in re.findall(r"(\d+) (\w+)", _last(done.stdout))}
    passed = counts.get("passed", 0)
    if done.returncode not in (0, 5) or (needs_some and not passed):
        raise RuntimeError(f"pytest: {_last(done.stdout)}")
    skipped = counts.get("skipped", 0)
    return Found(f"{passed} passed, {skipped} skipped", {"passed": passed, "skipped": skipped})


def _last(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def steps_mlp(job: Job) -> Found:
    """Measure the forms of a step."""
    return _steps(job, MLP, [])


def steps_cnn(job: Job) -> Found:
    """Measure the forms of a step."""
    return _steps(job, CNN, [])


def official(job: Job) -> Found:
    """Measure two forms beside the official code."""
    if job.official is None:
        raise Skipped("no checkout of the official code was named with --official")
    more = ["--official", str(job.official), "--precisions", "float32"]
    return _steps(job, MLP, [*more, "--forms", "fused", "captured"])


def _steps(job: Job, recipe: str, more: list[str]) -> Found:
    file = job.out / f"measured-{recipe}.json"
    command = [sys.executable, "benchmarks/train.py", "--only", recipe, "--json", str(file)]
    command += ["--device", str(job.device), *more]
    if job.is_dry:
        command += ["--batch", "1", "--side", "4", "--rounds", "1", "--precisions", "float32"]
    if "--forms" not in command:
        command += ["--forms", *(FORMS if not job.is_dry or _has_triton() else FORMS[:2])]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise RuntimeError("benchmarks/train.py failed")
    (table,) = json.loads(file.read_text())["tables"]
    shown = ", ".join(f"{r['variant']} {r['milliseconds']:.3f} ms" for r in table["rows"])
    without = "" if _has_triton() else "; without Triton, which cannot be imported"
    failed = [f"{form} failed: {why}" for form, why in table["failures"].items()]
    return Found("; ".join([f"{shown}{without}", *failed]), table, failed=bool(failed))


def _has_triton() -> bool:
    try:
        import triton  # noqa: F401
    except ImportError:
        return False
    return True


def layer(job: Job) -> Found:
    """Measure one linear layer and its neurons, as the Open Neuromorphic benchmark does."""
    neurons, batch, steps, rounds = (48, 2, 20, 2) if job.is_dry else (16_000, 16, 500, 7)
    made = layers.Dense(neurons, neurons).to(job.device)
    generator = torch.Generator(job.device).manual_seed(0)
    given = torch.rand(steps, batch, neurons, generator=generator, device=job.device)
    given = (given < 0.1).float()
    figures: dict[str, Any] = {"neurons": neurons, "batch": batch, "time_steps": steps}
    for precision in ("float32", "tf32"):
        with linear.tf32(allowed=precision == "tf32"):
            figures[precision] = _layer_figures(made, given, job.device, rounds)
    shown = "; ".join(
        f"{precision} forward {found['forward_seconds']:.4f} s, backward "
        f"{found['backward_seconds']:.4f} s, {found['peak_gibibytes']:.2f} GiB"
        for precision, found in figures.items()
        if isinstance(found, dict)
    )
    return Found(shown, figures)


def _layer_figures(
    made: layers.Dense, given: Tensor, device: torch.device, rounds: int
) -> dict[str, float]:
    """Return medians, and the most memory that was allocated."""
    forward, backward = [], []
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    for _ in range(rounds + 2):  # the first two compile
        made.zero_grad(set_to_none=True)
        began = _now(device)
        loss = made(given).sum()
        between = _now(device)
        loss.backward()
        forward.append(between - began)
        backward.append(_now(device) - between)
    return {
        "forward_seconds": float(np.median(forward[2:])),
        "backward_seconds": float(np.median(backward[2:])),
        "peak_gibibytes": torch.cuda.max_memory_allocated(device) / 2**30 if on_gpu else 0.0,
    }


def _now(device: torch.device) -> float:
    """Return the time once the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def chip(job: Job) -> Found:
    """Train in the chip's integers there, and compare all integers with the CPU's loops."""
    figures: dict[str, Any] = {}
    for name in CASES:
        figures[name] = _chip_figures(job, name)
    shown = "; ".join(
        f"{name}: {found['equal_integers']:,} integers equal, {found['milliseconds']:.2f} ms a step"
        for name, found in figures.items()
    )
    return Found(shown, figures)


def _chip_figures(job: Job, name: str) -> dict[str, Any]:
    measured = case(name, 4, side=8) if job.is_dry else case(name, CASES[name])
    plan, rounds = chip_plan(measured), 2 if job.is_dry else 20
    there, here = (measured.network(plan) for _ in range(2))
    there.to(job.device)
    x, labels = measured.x.to(job.device), measured.labels.to(job.device)
    step = _plainly(job, our_step(there, measured.recipe, x, labels))
    equal = _compared(job, there, here, measured.x)
    step()
    began = _now(job.device)
    for _ in range(rounds):
        step()
    seconds = (_now(job.device) - began) / rounds
    equal += _compared(job, there, here, measured.x)  # after training
    return {"equal_integers": equal, "milliseconds": 1e3 * seconds}


def _compared(job: Job, there: SpikingNetwork, here: SpikingNetwork, x: Tensor) -> int:
    """Return how many integers were compared; all spikes and potentials of all layers.

    Raises
    ------
    RuntimeError
        When two differ.
    """
    here.eval().load_weights(there.numpy_weights())
    with torch.no_grad():
        theirs = _plainly(job, lambda: there(x.to(job.device), record_all=True).traces)()
        ours = here(x, record_all=True).traces
    compared = 0
    for name, trace in ours.items():
        for what in ("spikes", "voltage"):
            expected, found = getattr(trace, what), getattr(theirs[name], what).cpu()
            if not torch.equal(expected, found):
                differ = int((expected != found).sum())
                raise RuntimeError(f"layer {name}: {differ} of {found.numel()} {what} differ")
            compared += found.numel()
    return compared


def _plainly(job: Job, work: Callable[[], Any]) -> Callable[[], Any]:
    """Return the work as a device does it; in a dry run, with the code for one."""
    if not job.is_dry:
        return work

    def run() -> Any:
        before, chip_plain.lacks_loops = chip_plain.lacks_loops, lambda _: True
        try:
            return work()
        finally:
            chip_plain.lacks_loops = before

    return run


class Watcher:
    """Ends a training at a time."""

    def __init__(self, until: float) -> None:
        self.until = until

    def batch_done(self, progress: TrainingProgress, *, samples: int) -> None:
        pass

    def epoch_done(self, metrics: EpochMetrics, layers: list[LayerMetrics]) -> None:
        print(
            f"epoch {metrics.epoch}: loss {metrics.loss:.4f}, held out "
            f"{metrics.validation_accuracy}, test {metrics.test_accuracy:.4f}, "
            f"{metrics.samples_per_second:,.0f} samples/s",
            flush=True,
        )

    def stop_requested(self) -> bool:
        return time.monotonic() > self.until


def trained(job: Job, name: str, recipe: str, settings: Mapping[str, Any]) -> Found:
    """Train, or go on with a training, until it is finished or its time is over."""
    if job.is_dry:
        recipe, settings = "digits", {**settings, "epochs": 2}
    loaded = load_recipe(recipe_path(recipe), settings)
    data = datasets.describe(loaded.data.name, data_dir=job.data_dir)
    if not data.ready:
        raise Skipped(f"data set {data.name} is not on this machine; name its folder (--data-dir)")
    run = job.out / "runs" / name
    surroundings = workflow.Environment(data_dir=job.data_dir, device=job.device.type)
    if (run / "recipe.toml").exists():
        fit = workflow.resume(run, None, {}, surroundings)
    else:
        fit = workflow.start(recipe, settings, run, surroundings)
    outcome = workflow.train(fit, Watcher(job.until))
    steps = fit.device_steps
    captured = "" if steps is None else f", captured: {steps.refusal or steps.is_captured}"
    figures = outcome.document() | {"captured": None if steps is None else steps.is_captured}
    return Found(f"{outcome.headline}{captured}", figures, is_finished=outcome.finished)


def cifar10(job: Job) -> Found:
    """Train the paper's smaller network for CIFAR-10."""
    return trained(job, "cifar10", "cifar10-cnn", {"seed": 0})


def fashion(job: Job, seed: int) -> Found:
    """Train the paper's convolutional network for Fashion-MNIST."""
    return trained(job, f"fashion-{seed}", "fashion-mnist-cnn", {"epochs": 100, "seed": seed})


PARTS: Mapping[str, Callable[[Job], Found]] = {
    "tests": tests,
    "golden": golden,
    "steps-mlp": steps_mlp,
    "steps-cnn": steps_cnn,
    "official": official,
    "layer": layer,
    "chip": chip,
    "cifar10": cifar10,
    **{f"fashion-{seed}": lambda job, seed=seed: fashion(job, seed) for seed in range(3)},
}


def main() -> None:
    """Run one part and write what it found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("file", type=Path)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--official", type=Path)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--dry-run", action="store_true")
    chosen = parser.parse_args()
    until = time.monotonic() + chosen.seconds
    job = Job(chosen.file.parent, chosen.data_dir, chosen.official, chosen.dry_run, until)
    began = time.perf_counter()
    try:
        found = PARTS[chosen.part](job)
        status = "done" if found.is_finished else "unfinished"
        status = "failed" if found.failed else status
    except Skipped as reason:
        found, status = Found(str(reason), {}), "skipped"
    document = {
        "part": chosen.part,
        "status": status,
        "summary": found.summary,
        "seconds": time.perf_counter() - began,
        "dry_run": job.is_dry,
        "machine": description(PACKAGES) | device_description(job.device),
        "figures": found.figures,
    }
    chosen.file.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
