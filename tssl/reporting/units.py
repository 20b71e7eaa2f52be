"""Numbers as people read them: three digits, a prefix, a band."""

from math import floor, log10

from tssl.costs import Quantity
from tssl.tables import THIN, count

__all__ = ["PREFIXED_UNITS", "amount", "band", "count", "number", "prefix_of", "spread"]

_PREFIXES = {-5: "f", -4: "p", -3: "n", -2: "µ", -1: "m", 0: "", 1: "k", 2: "M", 3: "G"}
PREFIXED_UNITS = ("J", "s", "W")


def number(value: float) -> str:
    """Return three significant digits without an exponent, groups of thousands apart."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.3g}")  # 9.999 is one digit longer than it looks
    digits = max(0, 2 - floor(log10(abs(rounded))))
    return f"{value:,.{digits}f}".replace(",", THIN)


def amount(value: float, unit: str) -> str:
    """Return a value in its unit: ``1.23 µJ``."""
    if unit not in PREFIXED_UNITS or value == 0:
        return f"{number(value)} {unit}".replace(" 1/s", "/s")
    power = _power(value)
    return f"{number(value / 1000.0**power)} {_PREFIXES[power]}{unit}"


def spread(mean: float, deviation: float, unit: str) -> str:
    """Return a mean and a standard deviation in the prefix of the mean: ``5.59 ± 0.06 µJ``."""
    power = _power(mean) if unit in PREFIXED_UNITS and mean else 0
    shown = number(mean / 1000.0**power)
    digits = len(shown.partition(".")[2])
    sign = f" {_PREFIXES[power]}{unit}".rstrip()
    return f"{shown} ± {deviation / 1000.0**power:.{digits}f}{sign}"


def band(quantity: Quantity) -> str:
    """Return the band in the prefix of its high end, or nothing when there is none."""
    if not quantity.has_band:
        return ""
    if quantity.unit not in PREFIXED_UNITS:
        return f"{number(quantity.low)} to {number(quantity.high)}"
    power = _power(quantity.high)
    low, high = (number(value / 1000.0**power) for value in (quantity.low, quantity.high))
    return f"{low} to {high} {_PREFIXES[power]}{quantity.unit}"


def prefix_of(value: float) -> tuple[float, str]:
    """Return the factor of the prefix in which a value is shown, and the prefix."""
    power = _power(value)
    return 1000.0**power, _PREFIXES[power]


def _power(value: float) -> int:
    """Return the power of 1000 of the prefix; 999.9 is already rounded to the next one."""
    rounded = float(f"{value:.3g}")
    return min(max(floor(log10(rounded) / 3 + 1e-12), min(_PREFIXES)), max(_PREFIXES))
