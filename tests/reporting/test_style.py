"""The page's colours can be read in light, dark and print, and nothing is wider than a phone."""

import itertools
import re
from pathlib import Path

import pytest

import tssl.reporting

STYLE = (Path(tssl.reporting.__file__).parent / "style.html").read_text()
LEAST = 4.5
GROUNDS = ("page", "card")
SIGNS = ("ink", "soft", "bar", "second", "third", "fourth")
"""What is written or drawn on the grounds; lines and bars are held to what letters are."""
MOST_SHADED = 0.5
"""Opacity of the fullest cell of the confusion matrix, in network.html."""


def palettes():
    """Return the colours of light, dark and print by name."""
    blocks = re.findall(r":root \{(.*?)\}", STYLE, flags=re.S)
    assert len(blocks) == 3
    return [dict(re.findall(r"--([a-z]+): (#[0-9a-f]+)", block)) for block in blocks]


def channels(colour):
    digits = colour[1:]
    if len(digits) == 3:
        digits = "".join(2 * digit for digit in digits)
    return [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]


def luminance(rgb):
    """Return the relative luminance of WCAG 2."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_contrast_by_hand():
    assert contrast([1, 1, 1], [0, 0, 0]) == pytest.approx(21)
    assert contrast(channels("#777"), channels("#fff")) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("palette", palettes(), ids=["light", "dark", "print"])
def test_everything_can_be_read(palette):
    for ground, sign in itertools.product(GROUNDS, SIGNS):
        found = contrast(channels(palette[ground]), channels(palette[sign]))
        assert found >= LEAST, f"{sign} on {ground}: {found:.2f}"
    card, bar = channels(palette["card"]), channels(palette["bar"])
    cell = [(1 - MOST_SHADED) * a + MOST_SHADED * b for a, b in zip(card, bar, strict=True)]
    assert contrast(cell, channels(palette["ink"])) >= LEAST


def test_the_fullest_cell_is_the_one_that_was_tested():
    text = (Path(tssl.reporting.__file__).parent / "network.html").read_text()
    assert "(0.06 + 0.44 * cell.strength)" in text


def test_colours_have_names():
    rules = re.sub(r":root \{.*?\}", "", STYLE, flags=re.S)
    assert not re.search(r"#[0-9a-f]{3,8}\b|rgb|hsl", rules)


def test_nothing_is_wider_than_a_phone():
    widths = re.findall(r"(?:^|[^-a-z])(?:min-)?width: ([\d.]+)rem", STYLE)
    assert all(float(width) * 16 <= 390 - 2 * 16 for width in widths)
    assert not re.findall(r"width: \d+px", STYLE)
