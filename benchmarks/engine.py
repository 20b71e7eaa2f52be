"""The engine beside Lava's CPU simulator in one run: samples per second, ratio, memory.

Lava runs its best case: all samples follow each other in one run, its own arrays, only the
output recorded, and the clock starts when the first samples are done. The engine records every
layer; its clock starts after a first call, which compiles. Both are measured in turn, several
times, and medians are shown, because other work on the machine slows both. Usage:

    python benchmarks/engine.py [--rounds N] [--only NAME ...] [--no-memory] [--json FILE]
"""

import argparse
import json
import re
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from cases import CASES as CHAINS
from cases import Case
from graph_cases import branches, delays, gates, recurrent
from machine import additions_per_second, bytes_per_second, description

from tssl.chip import IntArray
from tssl.engine import Engine, OperationCounter
from tssl.lava_runtime.lava_sim import LavaSim
from tssl.machine.cores import cores

CASES: Mapping[str, Callable[[], Case]] = {
    **CHAINS,
    "branches": branches,
    "gates": gates,
    "recurrent": recurrent,
    "delays": delays,
}
"""By the names that the command line takes."""
PACKAGES = ("lava-nc", "lava-dl", "numba", "numpy")
MEMORY_SAMPLES = (1_000, 10_000)
MEMORY_CASES = ("mlp", "mnist")


def lava_rate(case: Case, spikes: IntArray) -> float:
    """Return samples per second between the first and the last sample that Lava reports.

    Parameters
    ----------
    spikes
        What the engine fired at the output, ``(time, samples, outputs)``, to compare with.
    """
    marks: list[tuple[float, int]] = []
    backend = LavaSim(net_path=case.path, output_only=True)
    train = case.inputs(case.lava_samples)
    chunks = backend.run(
        case.network, train, case.time_steps, lambda n: marks.append((time.perf_counter(), n))
    )
    output = case.network.output.name
    theirs = np.concatenate([recording.trains[output] for _, recording in chunks], axis=1)
    if not np.array_equal(theirs, spikes):
        raise SystemExit(f"{case.title}: Lava and the engine differ")
    (began, first), (ended, last) = marks[0], marks[-1]
    return (last - first) / (ended - began)


def engine_rate(case: Case, train: IntArray) -> float:
    """Return samples per second of the engine, all layers recorded."""
    started = time.perf_counter()
    for _ in Engine().run(case.network, train, case.time_steps, lambda _: None):
        pass
    return train.shape[1] / (time.perf_counter() - started)


def output_spikes(case: Case, train: IntArray) -> IntArray:
    """Return what the engine fires at the output, ``(time, samples, outputs)``."""
    chunks = Engine().run(case.network, train, case.time_steps, lambda _: None)
    output = case.network.output.name
    return np.concatenate([recording.trains[output] for _, recording in chunks], axis=1)


def operations_per_sample(case: Case) -> float:
    """Return synaptic operations through non-zero weights, mean of a few samples."""
    train = case.inputs(8)
    counter = OperationCounter(case.network)
    chunks = Engine().run(case.network, train, case.time_steps, lambda _: None)
    counts = [counter.count(part, recording) for part, recording in chunks]
    return sum(float(count.synaptic_operations.sum()) for count in counts) / 8


def measure(case: Case, rounds: int) -> dict[str, Any]:
    """Return a row of the table, as JSON data."""
    spikes = output_spikes(case, case.inputs(case.lava_samples))
    train = case.inputs(case.engine_samples)
    lava, engine, ratios = [], [], []
    for _ in range(rounds):
        before = engine_rate(case, train)
        lava.append(lava_rate(case, spikes))
        engine.append((before + engine_rate(case, train)) / 2)  # the load before and after
        ratios.append(engine[-1] / lava[-1])
    rate = statistics.median(engine)
    return {
        "network": case.title,
        "time_steps": case.time_steps,
        "lava_samples_per_second": statistics.median(lava),
        "engine_samples_per_second": rate,
        "ratio": statistics.median(ratios),
        "smallest_ratio": min(ratios),
        "largest_ratio": max(ratios),
        "asked_for": case.target,
        "synaptic_operations_per_second": operations_per_sample(case) * rate,
    }


def show(row: Mapping[str, Any]) -> None:
    """Print a row of the table."""
    print(
        f"{row['network']:24} {row['time_steps']:3} {row['lava_samples_per_second']:9.2f} "
        f"{row['engine_samples_per_second']:9.0f} {row['ratio']:6.0f} "
        f"{row['smallest_ratio']:5.0f}..{row['largest_ratio']:<5.0f} {row['asked_for'] or '-':>6} "
        f"{row['synaptic_operations_per_second'] / 1e9:8.1f}",
        flush=True,
    )


def memory(name: str, samples: int) -> None:
    """Print the peak memory of this process in MB after so many samples.

    All samples are the same, so that the input itself takes no memory.
    """
    case = CASES[name]()
    one = case.inputs(1)
    train = np.lib.stride_tricks.as_strided(
        one, (len(one), samples, one.shape[2]), (one.strides[0], 0, one.strides[2])
    )
    engine_rate(case, train)
    status = Path("/proc/self/status").read_text(encoding="ascii")  # getrusage sees the parent's
    print(int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024)


def compare_memory(name: str) -> None:
    """Print the peak memory of fresh processes for few and many samples."""
    script = str(Path(__file__).resolve())
    peaks = []
    for samples in (1, *MEMORY_SAMPLES):
        command = [sys.executable, script, "--memory", name, str(samples)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(f"{float(done.stdout):.0f} MB for {samples:,} sample(s)")
    print(f"peak memory, {name}: {', '.join(peaks)}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--memory", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.memory:
        memory(chosen.memory[0], int(chosen.memory[1]))
        return
    print("network                    T   Lava/s  engine/s  ratio  (range)     target  Gsynop/s")
    rows = []
    for name in chosen.only:
        rows.append(measure(CASES[name](), chosen.rounds))
        show(rows[-1])
    additions, stream = additions_per_second(), bytes_per_second()
    print(
        f"bounds of {cores()} cores, measured now: {additions / 1e9:.0f} G additions/s with all in "
        f"the first cache; {stream / 2e9:.0f} G weights/s (16 bits) streamed from memory"
    )
    if chosen.json:
        document = {
            "schema_version": 1,
            "kind": "engine",
            "command": shlex.join(["python", "benchmarks/engine.py", *sys.argv[1:]]),
            "machine": description(PACKAGES),
            "rounds": chosen.rounds,
            "additions_per_second": additions,
            "weights_per_second": stream / 2,
            "rows": rows,
        }
        chosen.json.write_text(json.dumps(document, indent=1) + "\n")
    for name in () if chosen.no_memory else MEMORY_CASES:
        compare_memory(name)


if __name__ == "__main__":
    main()
