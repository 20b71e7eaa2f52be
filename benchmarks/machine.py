"""What the machine is, and what it can do at best, measured on all cores at once."""

import importlib.metadata
import platform
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from tssl.machine.cores import cores

ROW, ROWS = 1024, 8
STREAM = 64 << 20
"""Bytes read by each core: more than the caches hold."""


@numba.njit(nogil=True, cache=True)
def add(rows: NDArray[np.int16], total: NDArray[np.int32], times: int) -> None:
    """Add eight rows of 16-bit weights to 32-bit sums, again and again."""
    a, b, c, d, e, f, g, h = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5], rows[6], rows[7]
    for _ in range(times):
        for n in range(total.shape[0]):
            one = np.int16(np.int16(a[n] + b[n]) + np.int16(c[n] + d[n]))
            two = np.int16(np.int16(e[n] + f[n]) + np.int16(g[n] + h[n]))
            total[n] += np.int16(one + two)


@numba.njit(nogil=True, cache=True)
def read(values: NDArray[np.int64]) -> int:
    """Return the sum of an array."""
    total = 0
    for value in values:
        total += value
    return total


def additions_per_second() -> float:
    """Return the rate of additions when everything lies in the first cache."""
    times = 20_000

    def work(_: int) -> None:
        add(np.ones((ROWS, ROW), np.int16), np.zeros(ROW, np.int32), times)

    return cores() * times * ROW * ROWS / _best(work)


def bytes_per_second() -> float:
    """Return the rate at which memory can be read."""
    arrays = [np.ones(STREAM // 8, np.int64) for _ in range(cores())]

    def work(core: int) -> None:
        read(arrays[core])

    return cores() * STREAM / _best(work)


def description(packages: Sequence[str]) -> dict[str, Any]:
    """Return processor, cores, day and versions, for what is measured here.

    Parameters
    ----------
    packages
        Whose versions matter; those that are not installed are left out.
    """
    return {
        "processor": processor(),
        "cores": cores(),
        "date": date.today().isoformat(),
        "python": platform.python_version(),
        "versions": {name: found for name in packages if (found := version(name))},
    }


def processor() -> str:
    """Return the name of the processor."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        named = re.search(r"^model name\s*: (.*)$", information.read_text(), re.MULTILINE)
        if named:
            return named[1]
    return platform.processor() or platform.machine()


def version(package: str) -> str | None:
    """Return the version of a package; None when it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _best(work: object) -> float:
    """Return the shortest of several times that all cores need for their share."""
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(work, range(cores())))  # compiles
        times = []
        for _ in range(7):
            started = time.perf_counter()
            list(pool.map(work, range(cores())))
            times.append(time.perf_counter() - started)
    return min(times)
