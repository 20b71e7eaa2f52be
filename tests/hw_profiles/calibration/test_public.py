"""Calibration on what is public: five runs of one network on Loihi 1."""

from pathlib import Path

import numpy as np
import pytest

from tests.hw_profiles.quartz import SWEEP, done
from tssl.hw_profiles.calibration.fit import Rows, fit

PAGE = (Path(__file__).parents[3] / "docs" / "calibration.md").read_text(encoding="utf-8")


def swept(share: float):
    """Fit operations and updates of a step to the sweep; in the other model, updates alone."""
    amounts = []
    for point in SWEEP:
        quartz, counted = done(share, point.steps)
        operations = counted.synaptic_operations.sum() / point.steps
        updates = sum(layer.neurons for layer in quartz.layers)
        amounts.append([operations, updates])
    measured = np.array([point.joules_per_step for point in SWEEP])
    start = np.array([23.6e-12, 52e-12])
    return Rows(("operation", "update"), start, np.array(amounts), measured, np.arange(5))


def test_the_sweep_gives_the_price_of_an_update():
    """Its lengths tell what is paid per step from what is paid per sample."""
    found = fit(swept(1.0))
    assert found.held == found.absent == ()
    assert len(found.groups) == 2
    row = (
        f"| every neuron fires once | {found.values[1] * 1e12:.0f} pJ "
        f"({found.low[1] * 1e12:.0f} to {found.high[1] * 1e12:.0f}) | "
        f"{found.values[0] * 1e12:.0f} pJ ({found.low[0] * 1e12:.0f} to "
        f"{found.high[0] * 1e12:.0f}) | {np.abs(found.errors).max():.0%} | "
        f"{np.abs(found.left_out).max():.0%} |"
    )
    assert row in PAGE, row
    assert 52e-12 < found.values[1] < 142e-12  # inactive of Davies 2018 ... active of SANA-FE


def test_whatever_fired_the_update_stays():
    """The share of neurons that fire was not published; the price of an update does not need it."""
    prices = [fit(swept(share)).values[1] for share in (1.0, 0.7, 0.5)]
    assert prices == pytest.approx([prices[0]] * 3, rel=0.02)


def test_updates_dominate():
    rows = swept(1.0)
    found = fit(rows)
    share = (rows.amounts[:, 1] * found.values[1] / rows.measured).tolist()
    assert min(share[1:]) > 0.75
