"""Verdicts are honest: a spiking network that needs more is said to lose."""

from dataclasses import replace

import pytest

from tests.reporting.samples import costs
from tssl.costs import AnnCost, Quantity
from tssl.reporting.comparison import log_positions, verdict

COST = costs()


def joules(value, spread=0.0):
    return Quantity(
        value=value,
        unit="J",
        kind="estimate",
        source="here",
        low=value * (1 - spread),
        high=value * (1 + spread),
    )


def ann(energy, profile="other", **fields):
    return AnnCost(
        profile=profile,
        title="Other",
        operations=5,
        energy=energy,
        latency=None,
        how="so",
        **fields,
    )


def said(ratio, **fields):
    total = COST.total.value
    return verdict(COST, ann(joules(total / ratio, fields.pop("spread", 0.0)), **fields))


def test_more_energy_loses():
    assert "needs 4.00 times the energy: it loses" in said(4)


def test_less_energy_wins():
    assert "needs 0.0100 of the energy: it wins" in said(0.01)
    text = said(0.01, is_upper_bound=True)
    assert "it wins against an upper bound" in text


def test_overlapping_bands_decide_nothing():
    assert said(1.1).endswith("within the bands it may be otherwise")
    assert not said(1000, spread=0.1).endswith("otherwise")


def test_on_the_same_chip_prices_move_together():
    half = {"low": COST.total.low / 2, "high": COST.total.high / 2}
    cheaper = replace(joules(COST.total.value / 2, 0), **half)
    assert verdict(COST, ann(cheaper, profile="loihi2")).endswith("it loses")
    turned = replace(cheaper, high=COST.total.high * 2)
    assert verdict(COST, ann(turned, profile="loihi2")).endswith("otherwise")


def test_no_verdict_without_energy():
    assert verdict(COST, ann(None)).startswith("no verdict")
    nothing = costs(profile_name="cortex-m")
    assert "Cortex-M" in verdict(nothing, ann(joules(1e-6)))


def test_logarithmic_places():
    places = log_positions([joules(1e-6), joules(1e-3)])
    assert places[0][0] < 10
    assert places[1][0] > 90
    assert log_positions([]) == []
    assert log_positions([joules(0)]) == [(0.0, 0.0, 0.0)]
    assert places[0] == pytest.approx((places[0][0],) * 3)
