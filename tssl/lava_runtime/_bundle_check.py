"""Run the network of this folder and compare every spike with what is expected.

    python check.py                    Lava's CPU simulator
    python check.py --backend loihi2   a Loihi 2 board, with Intel's extension of Lava

Needs Python 3.10 or later with lava-nc and lava-dl, numpy, scipy, h5py, networkx and asteval;
nothing of tssl. Exit status: 0 equal, 4 different, 5 Lava or the board is missing or failed.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
EQUAL, DIFFERENT, FAILED = 0, 4, 5


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run(folder: Path, facts: "dict[str, Any]", *, hardware: bool, timeout: "float | None") -> str:
    """Let Lava do the job in a process of its own; return what went wrong, or nothing."""
    shutil.copyfile(HERE / "network.net", folder / "network.net")  # Lava locks the file it reads
    shutil.copyfile(HERE / "input.npy", folder / "input.npy")
    shutil.copytree(HERE / "worker", folder / "worker")
    np.save(folder / "status.npy", np.zeros(3, np.int64))
    job = {
        **facts["job"],
        "net": str(folder / "network.net"),
        "period": facts["period"]["loihi2" if hardware else "sim"],
        "hardware": hardware,
    }
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    with (folder / "log").open("wb") as log:
        command = [sys.executable, str(folder / "worker"), str(folder)]
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            return f"Lava did not finish within {timeout:g} seconds"  # it ends with this process
    if (folder / "error.json").exists():
        return str(json.loads((folder / "error.json").read_text(encoding="utf-8"))["message"])
    if code:
        lines = (folder / "log").read_text(encoding="utf-8", errors="replace").split("\n")
        return [line for line in ("no message", *lines) if line.strip()][-1]
    return ""


def compare(name: str, ours: "np.ndarray[Any, Any]", theirs: "np.ndarray[Any, Any]") -> bool:
    """Print how a layer compares, ``(samples, time, neurons)``; return whether it is equal."""
    if ours.shape != theirs.shape:
        say(f"{name:16} FAIL  shape {ours.shape} expected, {theirs.shape} found")
        return False
    places = np.argwhere(ours != theirs)
    verdict = "FAIL" if len(places) else "PASS"
    say(
        f"{name:16} {verdict}  {ours.size} compared, {int(ours.sum())} spikes, {len(places)} differ"
    )
    if len(places):
        sample, step, neuron = (int(place) for place in places[0])
        expected, found = int(ours[sample, step, neuron]), int(theirs[sample, step, neuron])
        say(
            f"  first: layer {name}, neuron {neuron}, step {step}, sample {sample}: "
            f"{expected} expected, {found} found"
        )
    return not len(places)


def check(folder: Path, facts: "dict[str, Any]") -> bool:
    """Compare all layers and the output's membrane potential."""
    equal = True
    for index, name in enumerate(facts["layers"]):
        ours = np.load(HERE / "expected" / f"layer_{index}.npy")
        equal &= compare(name, ours, np.load(folder / f"layer_{index}.npy"))
    ours = np.load(HERE / "expected" / "potential.npy")
    differ = int((ours != np.load(folder / "potential.npy")).sum())
    say(f"{'output potential':16} {'FAIL' if differ else 'PASS'}  {differ} of {ours.size} differ")
    return equal and not differ


def main() -> int:
    """Run, compare, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--backend", choices=["sim", "loihi2"], default="sim")
    parser.add_argument("--timeout", type=float, help="seconds that Lava may take [no limit]")
    chosen = parser.parse_args()
    facts = json.loads((HERE / "bundle.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="bundle-", ignore_cleanup_errors=True) as name:
        hardware = chosen.backend == "loihi2"
        problem = run(Path(name), facts, hardware=hardware, timeout=chosen.timeout)
        if problem:
            sys.stderr.write(f"check.py: {chosen.backend} failed: {problem}\n")
            return FAILED
        equal = check(Path(name), facts)
    say(f"{facts['network']} on {chosen.backend}: {'PASS' if equal else 'FAIL'}")
    return EQUAL if equal else DIFFERENT


if __name__ == "__main__":
    sys.exit(main())
