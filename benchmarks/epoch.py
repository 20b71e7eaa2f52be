"""Where the time of an epoch goes, and that of a training before its first step.

    python benchmarks/epoch.py [RECIPE] [--epochs 3] [--json FILE]

A fresh process trains the recipe. The time *to the first step* is that from the start of Python
to the end of this step; that of importing PyTorch alone stands beside it. The shares are of all
epochs but the first. Run it twice on a new machine: the first time compiles.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

from machine import description

PARTS = {
    "_do_now": "forward, backward, optimiser",
    "load": "loading batches",
    "credit": "counting right answers of batches",
    "evaluate": "held-out and test samples",
    "save_state": "saving the state",
    "save_checkpoint": "saving the weights",
}
"""Functions of the trainer, and what they do."""
_START = "import sys; sys.path[:0] = {path!r}; import epoch; epoch.child({started}, {asked})"


def measured(recipe: str, epochs: int) -> dict[str, Any]:
    """Return what a fresh process finds, in seconds."""
    started = time.monotonic()
    code = _START.format(path=[str(Path(__file__).parent)], started=started, asked=(recipe, epochs))
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return found | {"importing_torch": time.monotonic() - started}


def child(started: float, asked: tuple[str, int]) -> None:
    """Train, and print what was found."""
    import tssl
    from tssl.trainer import fit

    (recipe, epochs), seconds, marks = asked, Counter[str](), []
    first_step: list[float] = []

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            begun = time.monotonic()
            result = function(*arguments, **named)
            seconds[name] += time.monotonic() - begun
            if name == "_do_now" and not first_step:
                first_step.append(time.monotonic() - started)
            if name == "_finish_epoch":
                marks.append((time.monotonic(), Counter(seconds)))
            return result

        return run

    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for name in (*PARTS, "_finish_epoch"):
            holder = next(
                each
                for each in (fit.Fit, fit.Batches, fit.RunDirectory, fit)
                if hasattr(each, name)
            )
            stack.enter_context(patch.object(holder, name, timed(name, getattr(holder, name))))
        settings = {"training.epochs": epochs}
        tssl.train(recipe, settings=settings, out=Path(folder) / "run", progress=False)
    (begun, before), (ended, after) = marks[0], marks[-1]
    parts = {name: after[name] - before[name] for name in PARTS}
    parts["_do_now"] -= parts["credit"]
    parts["rest"] = ended - begun - sum(parts.values())
    found = [
        {"what": PARTS.get(name, name), "seconds": total / (len(marks) - 1)}
        for name, total in parts.items()
    ]
    epoch = (ended - begun) / (len(marks) - 1)
    print(json.dumps({"first_step": first_step[0], "epoch": epoch, "parts": found}))


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", nargs="?", default="fashion-mnist-mlp")
    parser.add_argument("--epochs", type=int, default=3, help="at least 2")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    chosen = parser.parse_args()
    found = measured(chosen.recipe, chosen.epochs)
    print(f"{chosen.recipe}: {found['epoch']:.2f} s an epoch")
    for part in found["parts"]:
        share = part["seconds"] / found["epoch"]
        print(f"  {part['what']:36} {part['seconds']:7.2f} s  {share:6.1%}")
    print(f"to the first step: {found['first_step']:.2f} s", end="")
    print(f", importing PyTorch alone {found['importing_torch']:.2f} s")
    if chosen.json:
        document = {
            "schema_version": 1,
            "kind": "epoch",
            "command": shlex.join(["python", "benchmarks/epoch.py", *sys.argv[1:]]),
            "machine": description(("torch", "numba", "numpy")),
            "recipe": chosen.recipe,
            **found,
        }
        chosen.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
