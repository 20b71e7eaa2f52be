"""Run the network of this folder and compare every spike with what is expected.

    python check.py                    Lava's CPU simulator
    python check.py --backend loihi2   a Loihi 2 board, with Intel's extension of Lava
    python check.py --backend loihi2 --log board.csv      measure power and time there, too

Needs Python 3.10 or later with lava-nc and lava-dl, numpy, scipy, h5py, networkx and asteval;
nothing of tssl. Exit status: 0 equal, 4 different, 5 Lava or the board is missing or failed.
"""

import argparse
import csv
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
EQUAL, DIFFERENT, FAILED = 0, 4, 5
TESTED = {"lava-nc": "0.10.0", "lava-dl": "0.6.0"}
UNITS = {
    "time_per_step": "s",
    "total_power": "W",
    "vdd_power": "W",
    "vddm_power": "W",
    "vddio_power": "W",
    "static_power": "W",
}
COLUMNS = ["result", "digest", "chips", *(f"{name} [{unit}]" for name, unit in UNITS.items())]
"""Of the log, as `tssl profiles calibrate` reads it."""


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def warn_of_versions() -> None:
    """Say what Lava is here when it is another than was tested: it should be left alone."""
    for name, tested in TESTED.items():
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if found != tested:
            sys.stderr.write(
                f"check.py: warning: {name} {found} is here, {tested} was tested; do not install "
                "over it where it drives a board: use another environment for the simulator\n"
            )


def run(
    folder: Path,
    facts: "dict[str, Any]",
    *,
    hardware: bool,
    timeout: "float | None",
    measure: bool = False,
) -> str:
    """Let Lava do the job in a process of its own; return what went wrong, or nothing.

    With ``measure`` only the output leaves the chip, as spikes that the host reads take time.
    """
    shutil.copyfile(HERE / "network.net", folder / "network.net")  # Lava locks the file it reads
    shutil.copyfile(HERE / "input.npy", folder / "input.npy")
    shutil.copytree(HERE / "worker", folder / "worker")
    np.save(folder / "status.npy", np.zeros(3, np.int64))
    job = {
        **facts["job"],
        "net": str(folder / "network.net"),
        "period": facts["period"]["loihi2" if hardware else "sim"],
        "hardware": hardware,
        "output_only": measure or facts["job"]["output_only"],
    }
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    with (folder / "log").open("wb") as log:
        program = HERE / "measure.py" if measure else folder / "worker"
        command = [sys.executable, str(program), str(folder)]
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


def predictions(
    spikes: "np.ndarray[Any, Any]", potential: "np.ndarray[Any, Any]"
) -> "np.ndarray[Any, Any]":
    """Return the class of each sample: most spikes, then earliest, then lowest; else potential."""
    steps = spikes.shape[1]
    counts = spikes.sum(axis=1, dtype=np.int64)
    early = np.tensordot(steps - np.arange(steps), spikes, axes=(0, 1)).astype(np.int64)
    best = np.where(counts == counts.max(axis=1, keepdims=True), early, -1).argmax(axis=1)
    return np.where(counts.any(axis=1), best, potential.argmax(axis=1))


def show_accuracy(folder: Path, facts: "dict[str, Any]", labels: "Path | None") -> None:
    """Print how many samples are classified right, where the labels are known."""
    path = labels or HERE / "labels.npy"
    if labels is None and not path.exists():
        return
    wanted = np.load(path)
    spikes = np.load(folder / f"layer_{len(facts['layers']) - 1}.npy")
    found = predictions(spikes, np.load(folder / "potential.npy"))
    if wanted.shape != found.shape:
        say(f"accuracy: {path} has shape {wanted.shape}, expected {found.shape}: one per sample")
        return
    right = int((found == wanted).sum())
    say(f"accuracy: {right} of {len(found)}, {right / len(found):.2%}")


def measure(facts: "dict[str, Any]", chosen: argparse.Namespace) -> str:
    """Run again with Lava's profiler and append a row to the log; return what went wrong."""
    with tempfile.TemporaryDirectory(prefix="bundle-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        problem = run(folder, facts, hardware=True, timeout=chosen.timeout, measure=True)
        if problem:
            return problem
        numbers = json.loads((folder / "measured.json").read_text(encoding="utf-8"))
    log = chosen.log.resolve()
    is_new = not log.exists()
    if not is_new and log.read_text(encoding="utf-8-sig").split("\n")[0] != ",".join(COLUMNS):
        return f"{log}: has other columns than {','.join(COLUMNS)}; name a new file"
    row = [os.path.relpath(HERE / "result", log.parent), facts["digest"], chosen.chips or ""]
    with log.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([COLUMNS] * is_new)
        writer.writerow([*row, *(f"{numbers[key]:.9g}" for key in UNITS)])
    say(f"{log}: {numbers['total_power']:.4g} W, {numbers['time_per_step']:.4g} s per step")
    return ""


def main() -> int:
    """Run, compare, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--backend", choices=["sim", "loihi2"], default="sim")
    parser.add_argument("--timeout", type=float, help="seconds that Lava may take [no limit]")
    parser.add_argument("--labels", type=Path, help="classes, a .npy file [labels.npy, if here]")
    parser.add_argument("--log", type=Path, help="append power and time of the board to this CSV")
    parser.add_argument("--chips", type=int, help="chips of the board, if more than are used")
    chosen = parser.parse_args()
    if chosen.log is not None and chosen.backend != "loihi2":
        parser.error("--log measures a board: give --backend loihi2 too")
    warn_of_versions()
    facts = json.loads((HERE / "bundle.json").read_text(encoding="utf-8"))
    if chosen.labels is not None and "read_out" in facts:
        parser.error(
            "--labels: check.py counts classes of one output each, and this network is read "
            "otherwise; leave --labels out"
        )
    with tempfile.TemporaryDirectory(prefix="bundle-", ignore_cleanup_errors=True) as name:
        hardware = chosen.backend == "loihi2"
        problem = run(Path(name), facts, hardware=hardware, timeout=chosen.timeout)
        if problem:
            sys.stderr.write(f"check.py: {chosen.backend} failed: {problem}\n")
            return FAILED
        equal = check(Path(name), facts)
        show_accuracy(Path(name), facts, chosen.labels)
    say(f"{facts['network']} on {chosen.backend}: {'PASS' if equal else 'FAIL'}")
    if equal and chosen.log is not None:
        problem = measure(facts, chosen)
        if problem:
            sys.stderr.write(f"check.py: measuring failed: {problem}\n")
            return FAILED
    return EQUAL if equal else DIFFERENT


if __name__ == "__main__":
    sys.exit(main())
