"""Prices recovered from boards that never were; what they measured, another module computed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.hw_profiles.calibration.synthetic import (
    SHAPES,
    TRUE,
    altered,
    figure_of,
    measured,
    recovered,
    table,
    workloads,
)
from tssl.errors import ConfigError, DataError
from tssl.hw_profiles import estimate, load_profile, map_to_cores
from tssl.hw_profiles.calibration.learn import calibrated, learn

PAGE = Path(__file__).parents[3] / "docs" / "calibration.md"


def base():
    return load_profile("loihi2")


def exact(factors=TRUE, **options):
    rng = np.random.default_rng(3)
    truth = altered(base(), factors)
    return truth, measured(truth, workloads(rng), rng, 0.0, **options)


def test_without_noise_the_board_is_recovered():
    truth, runs = exact()
    learnt = learn(base(), runs, "log")
    assert {price.how for price in learnt.prices} == {"fitted"}
    for price in learnt.prices:
        assert price.figure.value == pytest.approx(figure_of(truth, price.key).value, rel=1e-6)
    mine = calibrated(base(), learnt)
    for network, done in workloads(np.random.default_rng(8)):  # others than were measured
        expected = estimate(truth, network, done, map_to_cores(truth, network))
        found = estimate(mine, network, done, map_to_cores(mine, network))
        assert found.total.value == pytest.approx(expected.total.value, rel=1e-6)
        assert found.latency.value == pytest.approx(expected.latency.value, rel=1e-6)


def test_static_power_is_found_without_being_measured_alone():
    truth, runs = exact(static=False)
    learnt = learn(base(), runs, "log")
    power = next(each for each in learnt.prices if "static" in each.key)
    assert power.figure.value == pytest.approx(truth.energy.static_power_per_chip.value, rel=1e-6)


def test_intervals_hold_the_truth_over_seeds():
    """12 boards with 2 % of noise; intervals that were too short, or as wide as a barn, fail."""
    inside, of_base, wide = [], [], {key: [] for key in TRUE}
    for seed in range(12):
        truth, learnt = recovered(seed)
        for price in learnt.prices:
            if price.how != "fitted" or price.key not in TRUE:
                continue
            band, true = price.figure.quantity, figure_of(truth, price.key).value
            inside.append(band.low <= true <= band.high)
            of_base.append(band.low <= price.base.value <= band.high)
            wide[price.key].append((band.high - band.low) / 2 / true)
    assert len(inside) > 0.9 * 12 * len(TRUE)
    assert 0.88 < np.mean(inside) < 1
    assert np.mean(of_base) < 0.2
    limits = {"energy.synaptic_operation": 0.1, "energy.static_power_per_chip": 0.02,
              "energy.neuron_update_active": 0.5, "energy.neuron_update_inactive": 0.5}  # fmt: skip
    for key, widths in wide.items():
        assert np.median(widths) < limits.get(key, 0.1), key


def test_the_page_has_the_recovery_table():
    """To three digits the fit may round otherwise elsewhere: what is compared is which and how."""
    for line in table().splitlines():
        cells = line.split("|")
        assert "|".join(cells[:4]) in PAGE.read_text(encoding="utf-8")


def test_one_network_cannot_tell_prices_apart():
    truth = altered(base(), TRUE)
    rng = np.random.default_rng(1)
    network, done = workloads(rng, [SHAPES[8]])[0]
    runs = measured(truth, [(network, done)] * 6, rng, 0.003)
    learnt = learn(base(), runs, "log")
    together = {price.key for price in learnt.prices if price.how == "fitted with"}
    assert together >= {
        "energy.synaptic_operation",
        "energy.neuron_update_active",
        "energy.neuron_update_inactive",
    }
    assert learnt.energy.condition > 1e10
    mine = calibrated(base(), learnt)  # and still what was measured comes out
    costs = estimate(mine, network, done, map_to_cores(mine, network))
    expected = estimate(truth, network, done, map_to_cores(truth, network))
    assert costs.total.value == pytest.approx(expected.total.value, rel=0.05)


def test_a_step_of_one_length_may_be_work_or_barrier():
    """Nobody can tell: the bands must hold the board's times, whichever the search preferred."""
    truth = altered(base(), TRUE)
    rng = np.random.default_rng(1)
    runs = measured(truth, [workloads(rng, [(40, 60, 10)])[0]] * 6, rng, 0.02)
    learnt = learn(base(), runs, "log")
    for price in learnt.prices:
        if price.key.startswith("time.") and price.figure is not None:
            band, true = price.figure.quantity, figure_of(truth, price.key).value
            assert band.low <= true <= band.high, price.key


def test_what_was_not_measured_is_as_before():
    _, runs = exact()
    before, mine = base(), calibrated(base(), learn(base(), runs, "board.csv"))
    assert mine.figures == before.figures
    assert mine.quoted == before.quoted
    assert mine.chip == before.chip
    assert mine.energy.hop_north_south == before.energy.hop_north_south
    new = mine.energy.synaptic_operation
    assert (new.kind, new.unit) == ("fitted", "J")
    assert "board.csv" in new.source
    assert new.low <= new.value <= new.high


def test_two_runs_are_too_few():
    _, runs = exact()
    with pytest.raises(DataError, match="2 run"):
        learn(base(), runs[:2], "log")


@pytest.mark.parametrize("name", ["speck", "truenorth", "jetson-orin"])
def test_other_chips_are_refused(name):
    _, runs = exact()
    with pytest.raises(ConfigError, match=f"--base {name}: .* end at a barrier"):
        learn(load_profile(name), runs, "log")


def test_a_barrier_that_is_added():
    base_profile = load_profile("loihi1")
    truth = altered(base_profile, {**TRUE, "time.barrier": 3.0})
    rng = np.random.default_rng(5)
    fitting = [sizes for sizes in SHAPES if max(sizes) <= 4096]
    runs = measured(truth, workloads(rng, fitting), rng, 0.0)
    learnt = learn(base_profile, runs, "log")
    for price in learnt.prices:
        if price.figure is not None and price.how == "fitted":
            assert price.figure.value == pytest.approx(figure_of(truth, price.key).value, rel=1e-6)
    assert {"energy.synaptic_operation", "time.synaptic_operation", "time.barrier"} <= {
        price.key for price in learnt.prices if price.how == "fitted"
    }


def test_throughput_stands_for_the_time_of_a_step():
    _, runs = exact()
    others = [
        (replace(each, seconds=None, throughput=1 / (8 * each.seconds)), network, done)
        for each, network, done in runs
    ]
    assert learn(base(), others, "x").seconds == pytest.approx(learn(base(), runs, "x").seconds)


def test_powers_of_chips_that_only_stand_by():
    truth, runs = exact()
    idle = 3 * truth.energy.static_power_per_chip.value
    others = [
        (replace(each, watts=each.watts + idle, static=each.static + idle, chips=4), network, done)
        for each, network, done in runs
    ]
    learnt = learn(base(), others, "log")
    for price in learnt.prices:
        assert price.figure.value == pytest.approx(figure_of(truth, price.key).value, rel=1e-6)
