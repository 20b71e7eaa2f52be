"""Freed memory stays with the process, and goes back when it is asked to."""

import os
import subprocess
import sys

import pytest

from tssl.machine import heap

FAULTS = """
import resource, sys
import torch
from tssl.machine.heap import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def step():
    tensors = [torch.ones(size) for size in (3_000_000, 3_000_000, 12_000_000)]
for _ in range(5):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
HELD = """
import sys
from pathlib import Path
import torch
from tssl.machine.heap import give_back_memory, keep_freed_memory
def held():
    return int(Path("/proc/self/statm").read_text().split()[1])
keep_freed_memory()
tensors = [torch.ones(3_000_000) for _ in range(20)]
full = held()
del tensors
if sys.argv[1] == "back":
    give_back_memory()
print(full - held())
"""
PAGES = 20 * 3_000_000 * 4 // os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0

counted = pytest.mark.skipif(
    not sys.platform.startswith("linux") or heap._gnu() is None,
    reason="pages are counted on Linux with GNU's C library",
)


def counted_by(script: str, how: str) -> int:
    own = {name: text for name, text in os.environ.items() if not name.startswith("MALLOC_")}
    own["MALLOC_MMAP_THRESHOLD_"] = "131072"  # the usual one, which would grow at times
    command = [sys.executable, "-c", script, how]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=own)
    return int(done.stdout)


@counted
def test_tensors_of_the_next_step_take_the_memory_of_the_last() -> None:
    assert counted_by(FAULTS, "kept") < counted_by(FAULTS, "freed") / 10


@counted
def test_memory_goes_back() -> None:
    assert counted_by(HELD, "kept") < PAGES / 10
    assert counted_by(HELD, "back") > PAGES * 9 / 10


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    heap._gnu.cache_clear()
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    heap.keep_freed_memory()
    heap.give_back_memory()
    assert heap._gnu() is None
    heap._gnu.cache_clear()
