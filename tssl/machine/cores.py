"""Spreading samples over the cores of the machine."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["cores", "in_order", "spread"]

Result = TypeVar("Result")


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def spread(work: Callable[[slice], Result], samples: int, size: int) -> list[Result]:
    """Return what ``work`` says of slices of at most ``size`` samples, run on all cores.

    Threads of our own, since those of OpenMP wait for each other after every layer, and on a
    busy machine each such wait takes a turn of the scheduler (24 ms were seen).
    """
    slices = [slice(first, min(first + size, samples)) for first in range(0, samples, size)]
    if len(slices) < 2 or cores() < 2:
        return [work(part) for part in slices]
    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(work, slices))


def in_order(tasks: Iterable[Callable[[], Result]]) -> Iterator[Result]:
    """Yield the results of tasks in their order, run on all cores a little ahead of the caller."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(cores()) as pool:
        try:
            for task in tasks:
                waiting.append(pool.submit(task))
                if len(waiting) > 2 * cores():
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
