"""Distances of spike trains, against their definitions by other means."""

import itertools
import math

import numpy as np
import pytest

from tssl.proof.distances import van_rossum, victor_purpura


def trains(rng: np.random.Generator, steps: int, count: int) -> np.ndarray:
    return (rng.random((steps, count)) < 0.3).astype(np.uint8)


def integrated(left: np.ndarray, right: np.ndarray, tau: float) -> float:
    """Integrate the squared difference of the exponentials on a fine grid."""
    fine = 400
    times = (np.arange((len(left) + 40 * math.ceil(tau)) * fine) + 0.5) / fine
    total = np.zeros_like(times)
    for step in range(len(left)):
        since = times - step
        total += (int(left[step]) - int(right[step])) * np.where(
            since >= 0, np.exp(-since / tau), 0
        )
    return math.sqrt(float((total**2).sum()) / fine / tau)


@pytest.mark.parametrize("tau", [1.0, 3.5])
def test_van_rossum_is_the_integral(rng, tau):
    left, right = trains(rng, 12, 6), trains(rng, 12, 6)
    for n, ours in enumerate(van_rossum(left, right, tau=tau)):
        assert ours == pytest.approx(integrated(left[:, n], right[:, n], tau), rel=1e-4, abs=1e-9)


def test_van_rossum_of_single_spikes():
    one, none = np.zeros((400, 1), int), np.zeros((400, 1), int)
    one[3] = 1
    far = np.roll(one, 390, axis=0)
    assert van_rossum(one, none, tau=5)[0] ** 2 == pytest.approx(0.5, rel=1e-12)
    assert van_rossum(one, far, tau=5)[0] ** 2 == pytest.approx(1, rel=1e-12)
    assert van_rossum(one, one, tau=5)[0] == 0


def cheapest(left: list[int], right: list[int], cost: float) -> float:
    """Try every way to pair some spikes of both trains in order; the rest comes and goes."""
    best = float(len(left) + len(right))
    for pairs in range(1, min(len(left), len(right)) + 1):
        for ours in itertools.combinations(left, pairs):
            for theirs in itertools.combinations(right, pairs):
                moved = sum(cost * abs(a - b) for a, b in zip(ours, theirs, strict=True))
                best = min(best, moved + len(left) + len(right) - 2 * pairs)
    return best


@pytest.mark.parametrize("cost", [0.0, 0.2, 1.0, 5.0])
def test_victor_purpura_is_the_cheapest_way(rng, cost):
    left, right = trains(rng, 14, 12), trains(rng, 14, 12)
    for n, ours in enumerate(victor_purpura(left, right, cost=cost)):
        times = [np.flatnonzero(side[:, n]).tolist() for side in (left, right)]
        assert ours == pytest.approx(cheapest(*times, cost), abs=1e-12)


def test_victor_purpura_of_equal_and_empty_trains(rng):
    left = trains(rng, 14, 5)
    assert not victor_purpura(left, left, cost=1.0).any()
    assert victor_purpura(left, 0 * left, cost=1.0).tolist() == left.sum(axis=0).tolist()
