"""Axes of a chart: what is drawn along them, from where to where, and ticks at round values."""

from math import ceil, floor, log10
from typing import NamedTuple

from tssl.reporting.units import PREFIXED_UNITS, number, prefix_of
from tssl.tables import THIN

__all__ = ["Axis", "counted_axis", "linear_axis", "log_axis", "share_axis", "step_axis"]

_STEPS = (1.0, 2.0, 5.0, 10.0)
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_LARGE = 1e5
_LEAST_SPAN = 1e-9
"""Of an axis, as a share of the number that it shows."""
_MINUS = "\N{MINUS SIGN}"


class Axis(NamedTuple):
    """One axis.

    Parameters
    ----------
    title
        What is drawn and in which unit.
    ticks
        Value and text of each.
    is_log
        Whether equal lengths are equal ratios.
    """

    title: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    is_log: bool = False

    def place(self, value: float) -> float:
        """Return where a value lies, 0 at the low end and 1 at the high one."""
        if self.is_log:
            return log10(value / self.low) / log10(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    @property
    def places(self) -> list[tuple[float, str]]:
        """Where each tick lies in per cent of the length, and its text."""
        return [(100 * self.place(value), text) for value, text in self.ticks]


def linear_axis(title: str, low: float, high: float, unit: str = "", most: int = 6) -> Axis:
    """Return an axis whose ends are round values outside of, or at, the given ones.

    Parameters
    ----------
    unit
        Gets a prefix where it takes some; large numbers without a unit a power of ten.
    most
        Ticks, about.
    """
    if not low < high:
        room = max(0.5, _LEAST_SPAN * abs(low))  # a half is lost beside large numbers
        low, high = low - room, high + room
    step = _step(high - low, most)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    scale, shown = _scale(max(abs(first), abs(last)) * step, unit)
    ticks = tuple((n * step, _text(n * step / scale, step / scale)) for n in range(first, last + 1))
    return Axis(f"{title} [{shown}]" if shown else title, first * step, last * step, ticks)


def counted_axis(title: str, count: int, most: int = 6) -> Axis:
    """Return an axis of things numbered from 0, each as wide as the others."""
    return _within(title, -0.5, count - 0.5, max(1.0, _step(max(count - 1, 1), most)))


def step_axis(time_steps: int) -> Axis:
    """Return the axis of time."""
    return counted_axis("time step", time_steps)


def share_axis(title: str) -> Axis:
    """Return an axis from nothing to everything: its full length is 100 %."""
    ticks = tuple((share / 100, f"{share} %") for share in (0, 25, 50, 75, 100))
    return Axis(title, 0.0, 1.0, ticks)


def log_axis(title: str, low: float, high: float, unit: str) -> Axis:
    """Return a logarithmic axis with a tick at each power of ten, at least two of them."""
    first, last = floor(log10(low) + 1e-9), ceil(log10(high) - 1e-9)
    last = max(last, first + 1)
    every = ceil((last - first + 1) / 7)
    ticks = tuple(
        (10.0**power, _decade(10.0**power, unit)) for power in range(first, last + 1, every)
    )
    return Axis(title, 10.0**first, 10.0**last, ticks, is_log=True)


def _within(title: str, low: float, high: float, step: float) -> Axis:
    """Return an axis with exactly these ends, and ticks at multiples of a step."""
    multiples = range(ceil(low / step), floor(high / step) + 1)
    return Axis(title, low, high, tuple((n * step, _text(n * step, step)) for n in multiples))


def _step(span: float, most: int) -> float:
    """Return the smallest round step of which about ``most`` cover a span."""
    least = span / most
    power = 10.0 ** floor(log10(least))
    return next(power * step for step in _STEPS if power * step >= least * (1 - 1e-9))


def _scale(largest: float, unit: str) -> tuple[float, str]:
    """Return what the numbers on an axis are divided by, and how the axis says so."""
    if unit in PREFIXED_UNITS:
        factor, prefix = prefix_of(largest)
        return factor, prefix + unit
    if largest >= _LARGE and not unit:
        power = 3 * floor(log10(largest) / 3)
        return 10.0**power, "10" + str(power).translate(_SUPERSCRIPTS)
    return 1.0, unit


def _text(value: float, step: float) -> str:
    digits = max(0, -floor(log10(step) + 1e-9))
    return f"{value:,.{digits}f}".replace(",", THIN).replace("-", _MINUS)


def _decade(value: float, unit: str) -> str:
    if unit not in PREFIXED_UNITS:
        return f"{number(value)} {unit}".strip()
    factor, prefix = prefix_of(value)
    return f"{value / factor:.0f} {prefix}{unit}"
