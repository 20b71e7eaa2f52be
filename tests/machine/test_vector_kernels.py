"""Pieces of LLVM's language against numpy, on whole numbers, whose sums are exact."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tssl.machine.compiling import compiled
from tssl.machine.vector_kernels import LANES, UNIT, add_rows, lowest, nonzero, turn, turn_all


@compiled
def _bits(numbers: np.ndarray, at: int) -> int:
    return nonzero(numbers, at)


@compiled
def _lowest(bits: int) -> int:
    return lowest(bits)


@compiled
def _turned(
    source: np.ndarray, at: int, stride: int, target: np.ndarray, to: int, step: int
) -> int:
    turn(source, at, stride, target, to, step)
    return 0


@pytest.mark.parametrize("units", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize(("first", "last"), [(0, 0), (0, 1), (2, 30)])
def test_rows_are_added_up(units: int, first: int, last: int, rng: np.random.Generator) -> None:
    width, stride, shift = units * UNIT, units * UNIT + 3, 5
    rows = rng.integers(-9, 10, 40 * stride + shift).astype(np.float32)
    places = rng.integers(0, 39, 30).astype(np.int32)
    values = rng.integers(-9, 10, 30).astype(np.float32)
    total = rng.integers(-9, 10, width + 20).astype(np.float32)
    expected = total.copy()
    for place, value in zip(places[first:last], values[first:last], strict=True):
        start = place * stride + shift
        expected[7 : 7 + width] += value * rows[start : start + width]
    add_rows(total, 7, width, rows, places, values, first, last, stride, shift)
    assert np.array_equal(total, expected)


def test_a_square_is_turned(rng: np.random.Generator) -> None:
    source = rng.random((LANES + 2, 100), dtype=np.float32)
    target = np.zeros((LANES + 1, 70), np.float32)
    _turned(source.reshape(-1), 203, 100, target.reshape(-1), 75, 70)
    expected = np.zeros_like(target)
    expected[1:, 5 : 5 + LANES] = source[2 : 2 + LANES, 3 : 3 + LANES].T
    assert np.array_equal(target, expected)


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (50, 3), (32, 48), (33, 47), (100, 1)])
@pytest.mark.parametrize("parts", [1, 3])
def test_all_rows_are_turned(shape: tuple[int, int], parts: int, rng: np.random.Generator) -> None:
    source = rng.random(shape, dtype=np.float32)
    target = np.zeros(shape[::-1], np.float32)
    turn_all(source, target, parts)
    assert np.array_equal(target, source.T)


def test_numbers_that_are_not_zero() -> None:
    numbers = np.zeros(2 * LANES, np.float32)
    numbers[[3, 5, LANES + 1, LANES + 2]] = 1, np.nan, -1e-45, np.inf
    numbers[4] = -0.0
    bits = _bits(numbers, 2)
    assert [lane for lane in range(LANES) if bits >> lane & 1] == [1, 3, LANES - 1]
    assert _lowest(bits) == 1
    assert _lowest(bits & (bits - 1)) == 3


@pytest.mark.slow
@pytest.mark.skipif(LANES == 8, reason="this processor has no other registers")
def test_registers_of_eight_numbers() -> None:
    """As of processors without AVX-512, with the loops that use them."""
    others = ("trainer/test_event", "trainer/test_event_window")
    names = [__file__, *(__file__.replace("machine/test_vector", each) for each in others)]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow"]
    surroundings = {"NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": "+avx2,+fma"}
    done = subprocess.run(
        [*command, *names], env=os.environ | surroundings, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
