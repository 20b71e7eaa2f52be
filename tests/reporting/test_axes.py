"""Ticks at round values, with units that a reader would write."""

import pytest

from tssl.reporting.axes import counted_axis, linear_axis, log_axis, share_axis, step_axis


def texts(axis):
    return [text for _, text in axis.ticks]


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (0, 1, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0, 0.58, ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6"]),
        (1, 30, ["0", "5", "10", "15", "20", "25", "30"]),
        (-3, 9, ["\N{MINUS SIGN}4", "\N{MINUS SIGN}2", "0", "2", "4", "6", "8", "10"]),
        (0, 4321, ["0", "1\u202f000", "2\u202f000", "3\u202f000", "4\u202f000", "5\u202f000"]),
        (7, 7, ["6.4", "6.6", "6.8", "7.0", "7.2", "7.4", "7.6"]),
    ],
)
def test_round_ticks(low, high, shown):
    axis = linear_axis("value", low, high)
    assert texts(axis) == shown
    assert axis.title == "value"
    assert axis.low <= low
    assert axis.high >= high


@pytest.mark.parametrize("value", [0.0, -3.5, 1e16, -1e30])
def test_one_value_has_an_axis_at_any_magnitude(value):
    axis = linear_axis("value", value, value)
    assert axis.low < value < axis.high
    assert len(axis.ticks) > 2


def test_units():
    axis = linear_axis("energy", 0, 33.2e-6, "J")
    assert axis.title == "energy [µJ]"
    assert texts(axis) == ["0", "10", "20", "30", "40"]
    axis = linear_axis("potential", -7_000_000, 900_000)
    assert axis.title == "potential [10⁶]"
    assert texts(axis)[0] == "\N{MINUS SIGN}8"


def test_places():
    axis = linear_axis("value", 0, 10)
    assert [axis.place(value) for value in (0, 5, 10)] == [0, 0.5, 1]
    assert step_axis(4).place(0) == pytest.approx(0.5 / 4)
    assert texts(step_axis(4)) == ["0", "1", "2", "3"]
    assert texts(step_axis(1)) == ["0"]
    assert texts(counted_axis("neuron", 256)) == ["0", "50", "100", "150", "200", "250"]
    assert share_axis("share").place(0.25) == 0.25


def test_decades():
    axis = log_axis("energy", 4e-6, 3.3e-3, "J")
    assert texts(axis) == ["1 µJ", "10 µJ", "100 µJ", "1 mJ", "10 mJ"]
    assert axis.place(1e-4) == pytest.approx(0.5)
    assert texts(log_axis("energy", 1e-6, 1e-6, "J")) == ["1 µJ", "10 µJ"]
