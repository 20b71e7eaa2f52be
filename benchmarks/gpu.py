"""What a machine with a CUDA device is for, in parts of under nine minutes: ``make gpu``.

    python benchmarks/gpu.py [PART ...] [--data-dir DIR] [--official DIR] [--dry-run]

A part is named by its number or its name; without any, all that are not done yet run, one after
another. Each leaves a file of JSON and a log in ``runs/gpu`` and one line here. A part that is done
is not repeated (remove its file for that), one that is not finished goes on where it stopped, and
one that fails does not keep the others from running: the exit status is then 1. Data sets are never
downloaded: without them their parts are skipped, and say so. ``--dry-run`` does the same parts on
the CPU, with tiny sizes, and with stand-ins for what needs a GPU.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 9 * 60.0
"""Seconds after which a part is ended."""
NEEDED = {
    "click": "click", "h5py": "h5py", "jinja2": "jinja2", "matplotlib": "matplotlib",
    "networkx": "networkx", "numba": "numba", "numpy": "numpy", "packaging": "packaging",
    "pooch": "pooch", "pydantic": "pydantic", "rich": "rich", "safetensors": "safetensors",
    "scikit-learn": "sklearn", "scipy": "scipy", "tomli-w": "tomli_w", "torch": "torch",
    "pytest": "pytest", "hypothesis": "hypothesis", "pytest-timeout": "pytest_timeout",
}  # fmt: skip
"""Packages that the parts need, and what they are imported as."""


class Part(NamedTuple):
    """A part by its name in ``gpu_parts.py``."""

    name: str
    title: str


PARTS = (
    Part("tests", "tests that need a CUDA device"),
    Part("golden", "recordings of the official code"),
    Part("steps-mlp", "steps of 784-400-400-10, by form and precision"),
    Part("steps-cnn", "steps of 32C5-P2-64C5-P2-1024-10, by form and precision"),
    Part("official", "steps beside the official code"),
    Part("layer", "a layer of 16,000 neurons over 500 steps"),
    Part("chip", "training in the chip's integers, which are those of the CPU"),
    Part("cifar10", "CIFAR-10, the smaller network of the paper"),
    Part("fashion-0", "Fashion-MNIST, the convolutional network, 100 epochs, seed 0"),
    Part("fashion-1", "the same, seed 1"),
    Part("fashion-2", "the same, seed 2"),
)


def main() -> int:
    """Run the parts; return the exit status."""
    chosen = options()
    missing = [name for name, module in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        print(
            f"these packages are missing: {', '.join(missing)}; without a network, install their "
            "wheels with `python -m pip install --no-index --no-deps --target DIR FILES` and put "
            "DIR into PYTHONPATH"
        )
        return 5
    if not (chosen.dry_run or _has_device()):
        print("PyTorch finds no CUDA device; --dry-run tries the parts on the CPU")
        return 3
    chosen.out.mkdir(parents=True, exist_ok=True)
    wanted = [part for part in PARTS if not chosen.parts or part.name in chosen.parts]
    statuses = {part.name: run(part, chosen) for part in wanted}
    while not chosen.parts and "unfinished" in statuses.values():
        going_on = [part for part in wanted if statuses[part.name] == "unfinished"]
        statuses |= {part.name: run(part, chosen) for part in going_on}
    return int("failed" in statuses.values())


def options() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="; ".join(f"{number} {part.name}" for number, part in enumerate(PARTS, start=1)),
    )
    parser.add_argument("parts", nargs="*", type=_name, metavar="PART", help="number or name")
    parser.add_argument("--out", type=Path, help="folder of the results")
    parser.add_argument("--data-dir", type=Path, help="folder with data sets")
    parser.add_argument("--official", type=Path, help="checkout of the official code")
    parser.add_argument("--seconds", type=float, help="after which a training is saved and ends")
    parser.add_argument("--dry-run", action="store_true", help="tiny sizes, on the CPU")
    chosen = parser.parse_args()
    chosen.out = chosen.out or ROOT / "runs" / ("gpu-dry-run" if chosen.dry_run else "gpu")
    return chosen


def run(part: Part, chosen: argparse.Namespace) -> str:
    """Run a part unless it is done; print its line and return its status."""
    number = PARTS.index(part) + 1
    file = chosen.out / f"{number:02}-{part.name}.json"
    before = json.loads(file.read_text()) if file.exists() else {}
    if before.get("status") == "done":
        _say(number, part, "was done before", before["summary"])
        return "done"
    began = time.monotonic()
    status, problem = _process(part, chosen, file)
    found: dict[str, Any] = json.loads(file.read_text()) if status == 0 else {}
    if not found:
        found = {"part": part.name, "status": "failed", "summary": problem}
        file.write_text(json.dumps(found, indent=1) + "\n")
    how = f"{found['status']} after {time.monotonic() - began:.0f} s"
    _say(number, part, how, found["summary"])
    return str(found["status"])


def _process(part: Part, chosen: argparse.Namespace, file: Path) -> tuple[int, str]:
    """Run a part in a process of its own; return its exit status and its last line."""
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu_parts.py"), part.name, str(file)]
    for option in ("data_dir", "official", "seconds"):
        if getattr(chosen, option) is not None:
            command += [f"--{option.replace('_', '-')}", str(getattr(chosen, option))]
    command += ["--dry-run"] if chosen.dry_run else []
    log = file.with_suffix(".log")
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    surroundings = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    if chosen.dry_run:
        surroundings["TRITON_INTERPRET"] = "1"  # read when the kernels are defined
    file.unlink(missing_ok=True)
    with log.open("w") as output:
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=surroundings, stdout=output, stderr=subprocess.STDOUT,
                timeout=LIMIT, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return 1, f"was ended after {LIMIT:.0f} s; see {log}"
    lines = log.read_text(errors="replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "no output")
    return done.returncode, f"{last.strip()}; see {log}"


def _say(number: int, part: Part, how: str, what: str) -> None:
    print(f"part {number} {part.name} ({part.title}): {how}: {what}", flush=True)


def _name(text: str) -> str:
    """Return a part's name for its number or name."""
    names = [part.name for part in PARTS]
    if text.isdecimal() and 1 <= int(text) <= len(PARTS):
        return names[int(text) - 1]
    if text in names:
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is no part; there are 1 to {len(PARTS)}")


def _has_device() -> bool:
    code = "import torch, sys; sys.exit(not torch.cuda.is_available())"
    return subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
