"""Slices of samples on all cores."""

import functools
import threading
from itertools import chain

import pytest

from tssl.machine import cores
from tssl.machine.cores import in_order, spread


def numbers(part: slice) -> list[int]:
    return list(range(part.start, part.stop))


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(("samples", "size"), [(0, 4), (1, 4), (4, 4), (9, 4), (9, 100)])
def test_every_sample_once_and_in_order(monkeypatch, count, samples, size):
    monkeypatch.setattr(cores, "cores", lambda: count)
    parts = spread(numbers, samples, size)
    assert list(chain.from_iterable(parts)) == list(range(samples))
    assert all(len(part) <= size for part in parts)


def test_slices_run_side_by_side(monkeypatch):
    monkeypatch.setattr(cores, "cores", lambda: 2)
    both = threading.Barrier(2, timeout=10)  # breaks unless two threads wait at once
    spread(lambda _: both.wait(), 2, 1)


def test_what_a_thread_raises_is_raised(monkeypatch):
    monkeypatch.setattr(cores, "cores", lambda: 2)

    def fail(part: slice) -> None:
        raise ValueError(part.start)

    with pytest.raises(ValueError, match="0"):
        spread(fail, 4, 1)


def test_there_is_a_core():
    assert cores.cores() >= 1


def test_results_come_in_order_and_only_a_little_ahead(monkeypatch):
    monkeypatch.setattr(cores, "cores", lambda: 2)
    begun: list[int] = []

    def task(number: int) -> int:
        begun.append(number)
        return number

    results = in_order(functools.partial(task, number) for number in range(50))
    assert next(results) == 0
    assert len(begun) <= 5
    assert list(results) == list(range(1, 50))
    assert sorted(begun) == list(range(50))


def test_a_run_that_is_abandoned_ends(monkeypatch):
    monkeypatch.setattr(cores, "cores", lambda: 1)
    begun: list[int] = []
    results = in_order(functools.partial(begun.append, number) for number in range(50))
    next(results)
    results.close()
    assert len(begun) <= 3


def test_what_a_task_raises_is_raised_in_its_turn():
    def task(number: int) -> int:
        if number == 3:
            raise ValueError(number)
        return number

    results = in_order(functools.partial(task, number) for number in range(9))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="3"):
        next(results)
