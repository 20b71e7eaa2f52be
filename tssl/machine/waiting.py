"""How threads that compute together wait for each other."""

import os

__all__ = ["wait_briefly"]

_SPIN_COUNT = "10000"
"""Rounds for which a thread looks again before it sleeps; OpenMP's own choice is 300,000.

With fewer, threads sleep between the parts of a step on a quiet machine, too: 1,000 took 30 %."""


def wait_briefly() -> None:
    """Let waiting threads of GNU's OpenMP sleep soon, if it is not loaded yet.

    PyTorch splits each product among threads, and they wait for the slowest. They spin while they
    wait. Where another program has one of the cores, that takes the slowest thread's own time: a
    training step was then up to 60 times slower. The environment's own wishes come first.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPIN_COUNT)
