"""Three digits, a prefix and a band."""

import pytest

from tssl.costs import Quantity
from tssl.reporting.units import amount, band, count, number


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "J", "0 J"),
        (23.6e-12, "J", "23.6 pJ"),
        (1e-6, "J", "1.00 µJ"),
        (999.9e-9, "s", "1.00 µs"),
        (999.4e-9, "s", "999 ns"),
        (0.232, "W", "232 mW"),
        (2.0, "J", "2.00 J"),
        (5e-20, "J", "0.0000500 fJ"),
        (408.91, "1/s", "409/s"),
        (12345.6, "1/s", "12\u202f346/s"),
        (128, "cores", "128 cores"),
    ],
)
def test_amount(value, unit, text):
    assert amount(value, unit) == text


def test_band_shares_the_prefix_of_its_high_end():
    def quantity(low, high, unit="J"):
        value = (low + high) / 2
        return Quantity(value=value, unit=unit, kind="fitted", source="here", low=low, high=high)

    assert band(quantity(900e-12, 2.5e-9)) == "0.900 to 2.50 nJ"
    assert band(quantity(0, 2.5e-9)) == "0 to 2.50 nJ"
    assert band(quantity(100, 2000, "1/s")) == "100 to 2\u202f000"
    assert band(quantity(1e-9, 1e-9)) == ""


def test_whole_numbers():
    assert count(1234567) == "1\u202f234\u202f567"
    assert number(-12.34) == "-12.3"
