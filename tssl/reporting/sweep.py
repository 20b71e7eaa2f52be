"""One web page about a sweep: accuracy against energy, the front, and how to make each point."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tssl.reporting.sweep_page import SweepEntry, SweepPage
from tssl.reporting.traces import as_svg

__all__ = ["front_figure", "render_sweep"]

_TEMPLATE = "sweep.html"
_MARKERS = "osD^vP*X<>"
_SAID = {
    "chip_accuracy": "accuracy on the chip",
    "held_out_accuracy": "accuracy on the chip, held-out samples",
}
_GREY, _INK = "#5c616b", "#1b1d21"
_COLOURS = ("#2f6bb3", "#c8553d", "#3f8f5b", "#8a5fb0", "#b8862b", "#5c616b", "#d07aa5", "#4aa3a8")


def render_sweep(page: SweepPage) -> str:
    """Return a self-contained HTML page: no script, no font, no picture from elsewhere."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    priced = [each for each in page.entries if {"energy", page.accuracy} <= each.spreads.keys()]
    plot = as_svg(front_figure(page.keys, priced, page.accuracy)) if priced else None
    columns = list(page.entries[0].figures) if page.entries else []
    return environment.get_template(_TEMPLATE).render(page=page, plot=plot, columns=columns)


def front_figure(keys: Sequence[str], entries: Sequence[SweepEntry], accuracy: str) -> Figure:
    """Draw accuracy on the chip against energy; those on the front have their number.

    Marks stand for the first key's values, colours for the second's, as long as there are enough.
    Their lines are the band of the energy and the standard deviation of the accuracy.
    """
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    looks = [_looks(entries, place, len(_MARKERS if place == 0 else _COLOURS)) for place in (0, 1)]
    for each in entries:
        marker, colour = (by.get(each.chosen[i], 0) if by else 0 for i, by in enumerate(looks))
        _draw(axes, each, accuracy, _MARKERS[marker], _COLOURS[colour])
    _draw_front(axes, [each for each in entries if each.on_front], accuracy)
    for place, by in enumerate(looks):
        for value, index in by.items():
            sign, shade = (_MARKERS[index], _GREY) if place == 0 else ("o", _COLOURS[index])
            label = f"{keys[place]} = {value}"
            axes.plot([], [], linestyle="", label=label, marker=sign, color=shade)
    axes.set_xscale("log")
    axes.set_xlabel("energy per inference [J]")
    axes.set_ylabel(f"{_SAID[accuracy]} [%]")
    axes.set_ylim(top=min(100.0, axes.get_ylim()[1]))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize="small")
    return figure


def _looks(entries: Sequence[SweepEntry], place: int, most: int) -> dict[str, int]:
    """Return a number for each value of a key; none where they are too many to tell apart."""
    if place >= len(entries[0].chosen):
        return {}
    values = dict.fromkeys(each.chosen[place] for each in entries)
    return {value: index for index, value in enumerate(values)} if len(values) <= most else {}


def _draw(axes: Axes, each: SweepEntry, judged: str, marker: str, colour: str) -> None:
    """Draw a mark; of those on the front with its bands, of the others faintly."""
    energy, accuracy = each.spreads["energy"], each.spreads[judged]
    if not each.on_front:
        axes.plot(energy.mean, 100 * accuracy.mean, marker=marker, color=colour, alpha=0.3)
        return
    low, high = each.spreads["energy_low"].mean, each.spreads["energy_high"].mean
    axes.errorbar(
        energy.mean,
        100 * accuracy.mean,
        xerr=[[energy.mean - low], [high - energy.mean]],
        yerr=100 * (accuracy.deviation or 0.0),
        marker=marker,
        color=colour,
        elinewidth=0.4,
        markersize=6,
    )


def _draw_front(axes: Axes, front: Sequence[SweepEntry], judged: str) -> None:
    """Join the best: between two of them, the one with less energy is the best there is."""
    ordered = sorted(front, key=lambda each: each.spreads["energy"].mean)
    energies = [each.spreads["energy"].mean for each in ordered]
    accuracies = [100 * each.spreads[judged].mean for each in ordered]
    axes.step(energies, accuracies, where="post", color=_INK, linewidth=1, label="front")
    for place, each in enumerate(ordered):
        axes.annotate(
            str(each.number),
            (energies[place], accuracies[place]),
            xytext=(0, 7 if place % 2 else -15),  # above and below by turns: they may be close
            textcoords="offset points",
            ha="center",
            fontsize="small",
        )
