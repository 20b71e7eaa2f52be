"""What least squares recovers, and what it must not claim; truths that the code never saw."""

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from tssl.hw_profiles.calibration.fit import Rows, fit


def rows(amounts, measured, start=None):
    amounts = np.asarray(amounts, float)
    names = tuple("abcdefgh"[: amounts.shape[1]])
    start = np.ones(len(names)) if start is None else np.asarray(start, float)
    return Rows(names, start, amounts, np.asarray(measured, float), np.arange(len(amounts)))


@pytest.fixture
def rng():
    """Return always the same numbers: what is said of noise is said of this noise."""
    return np.random.default_rng(2026)


@pytest.fixture
def amounts(rng):
    return rng.lognormal(0, 1.5, (16, 4))


def test_exact_sums_give_exact_prices(amounts):
    true = np.array([3e-12, 0.4, 7e3, 2.0])
    found = fit(rows(amounts / true, amounts.sum(axis=1), start=[1e-12, 1, 5e3, 3]))
    assert found.values == pytest.approx(true, rel=1e-8)
    assert np.abs(found.errors).max() < 1e-8
    assert np.abs(found.left_out).max() < 1e-8
    assert found.held == found.absent == ()


def test_as_another_solver_finds_them(rng, amounts):
    measured = amounts @ [1, 2, 0.5, 1] * (1 + 0.1 * rng.standard_normal(16))
    found = fit(rows(amounts, measured))
    other = lsq_linear(amounts / measured[:, None], np.ones(16), (0, np.inf), tol=1e-14).x
    assert found.values == pytest.approx(other, rel=1e-5)


def test_intervals_hold_the_truth_as_often_as_they_say(rng):
    """1000 intervals of 95 %: 3 standard deviations are 2 %; halved ones would hold 67 %."""
    inside, halved, wide = [], [], []
    for _ in range(250):
        amounts = rng.lognormal(0, 1.5, (12, 4))
        true = rng.uniform(0.5, 2, 4)
        found = fit(rows(amounts, amounts @ true * (1 + 0.03 * rng.standard_normal(12))))
        inside += ((found.low <= true) & (true <= found.high)).tolist()
        half = (found.high - found.low) / 4
        halved += (abs(found.values - true) < half).tolist()
        wide += (4 * half / true / 2).tolist()
    assert 0.93 < np.mean(inside) < 0.97
    assert 0.60 < np.mean(halved) < 0.75
    assert np.median(wide) < 0.12


def test_prices_that_go_together_are_one(rng, amounts):
    amounts[:, 3] = 2 * amounts[:, 1]
    true = np.array([1.0, 1.5, 0.7, 1.5])
    found = fit(rows(amounts, amounts @ true * (1 + 0.01 * rng.standard_normal(16))))
    assert (1, 3) in found.groups
    assert found.condition > 1e10
    assert found.values[1] == found.values[3] == pytest.approx(1.5, rel=0.05)
    assert found.low[1] == found.low[3] == 0
    for price, share in ((1, 3.0), (3, 1.5)):  # high: it would be all of both
        assert found.high[price] == pytest.approx(1.5 * share, rel=0.05)
        assert found.high[price] > found.values[price] * share


def test_two_that_go_together_hold_any_split(rng, amounts):
    """Only the sum is known: whatever the board's own split, the band holds it."""
    amounts[:, 3] = 2 * amounts[:, 1]
    for split in (0.0, 0.3, 1.0):
        true = np.array([1.0, 4 * (1 - split), 0.7, 2 * split])
        found = fit(rows(amounts, amounts @ true))
        assert (found.low <= true * (1 + 1e-6)).all()
        assert (true <= found.high * (1 + 1e-6)).all()


def test_what_is_too_small_stays(rng, amounts):
    amounts[:, 2] *= 1e-5
    true = np.array([1.0, 1.5, 30.0, 0.8])
    found = fit(rows(amounts, amounts @ true * (1 + 0.02 * rng.standard_normal(16))))
    assert found.held == (2,)
    assert found.values[2] == 1.0
    assert found.values[[0, 1, 3]] == pytest.approx(true[[0, 1, 3]], rel=0.1)


def test_what_is_in_no_run_stays(amounts):
    amounts[:, 1] = 0
    found = fit(rows(amounts, amounts @ [1, 1, 2, 1]))
    assert found.absent == (1,)
    assert found.values == pytest.approx([1, 1, 2, 1])


def test_fixed_prices_stay(amounts):
    found = fit(rows(amounts, amounts @ [1, 2, 2, 1]), fixed=[0])
    assert found.values == pytest.approx([1, 2, 2, 1])
    assert found.held == (0,)


def test_fewer_runs_than_prices_give_fewer_factors(rng):
    amounts = rng.lognormal(0, 1, (3, 6))
    found = fit(rows(amounts, 2 * amounts.sum(axis=1) * (1 + 0.01 * rng.standard_normal(3))))
    assert len(found.groups) < 3
    assert found.condition == np.inf
    assert found.values == pytest.approx(np.full(6, 2.0), rel=0.3)


def test_a_run_that_is_left_out_is_not_in_its_own_prediction(rng, amounts):
    measured = amounts @ np.ones(4) * (1 + 0.01 * rng.standard_normal(16))
    measured[5] *= 1.5
    found = fit(rows(amounts, measured))
    others = np.arange(16) != 5
    wrong = np.linalg.lstsq(amounts[others] / measured[others, None], np.ones(15), rcond=None)[
        0
    ]  # no bound is active here
    assert found.left_out[5] == pytest.approx(amounts[5] @ wrong / measured[5] - 1)
    assert abs(found.left_out[5]) > abs(found.errors[5])


def test_nothing_goes_below_zero(rng, amounts):
    measured = amounts @ [1, 1, 1, 0] * (1 + 0.1 * rng.standard_normal(16))
    found = fit(rows(amounts, measured))
    assert (found.values >= 0).all()
    assert (found.low >= 0).all()
    assert found.low[3] == 0
