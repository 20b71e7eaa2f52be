"""Freed memory stays with the process."""

import os
import subprocess
import sys

import pytest

from tssl.machine.heap import keep_freed_memory

FAULTS = """
import resource, sys
import torch
from tssl.machine.heap import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def step():
    a = torch.ones(3_000_000)
    b = torch.ones(3_000_000)
step(); step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    command = [sys.executable, "-c", FAULTS, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or "MALLOC_TRIM_THRESHOLD_" in os.environ,
    reason="page faults are counted where GNU's C library has its defaults",
)
def test_tensors_of_the_next_step_take_the_memory_of_the_last() -> None:
    assert faults("kept") < faults("freed") / 10


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    keep_freed_memory()
