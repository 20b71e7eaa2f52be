"""Figures of what a run recorded: spikes as a raster, currents and potentials as curves."""

import io
from collections.abc import Mapping

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from tssl.chip import ChipNetwork, Neuron
from tssl.results import QUANTITIES, SPIKES, RunResult, TraceName

__all__ = ["as_svg", "trace_figure", "trace_figures"]

_CURVES = 4
_INCHES = {SPIKES: 2.2}
_USUAL_INCHES = 1.8

Traces = Mapping[TraceName, NDArray[np.integer]]


def trace_figures(network: ChipNetwork, result: RunResult, *, sample: int = 0) -> dict[str, Figure]:
    """Return a figure for each layer of which a run recorded something, by name."""
    neurons = network.groups
    layers = dict.fromkeys(name.layer for name in result.traces)
    return {
        layer: trace_figure(layer, result.traces, neurons.get(layer), sample=sample)
        for layer in layers
    }


def trace_figure(layer: str, traces: Traces, neuron: Neuron | None, *, sample: int = 0) -> Figure:
    """Draw what was recorded of a layer while one sample ran, one panel for each quantity.

    Parameters
    ----------
    traces
        See ``RunResult.traces``; those of other layers are left out.
    neuron
        Whose threshold is drawn beside the potentials where all neurons share it.

    Notes
    -----
    Curves are those of the four neurons that fire most, but not at every step, or that move most
    where no spikes are recorded.
    """
    mine = {
        quantity: traces[name][sample]
        for quantity in QUANTITIES
        if (name := TraceName(layer, quantity)) in traces
    }
    heights = [_INCHES.get(quantity, _USUAL_INCHES) for quantity in mine]
    figure = Figure(figsize=(7, 0.6 + sum(heights)), layout="constrained")
    panels = figure.subplots(len(mine), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    chosen = _busiest(mine)
    for axes, (quantity, values) in zip(panels, mine.items(), strict=True):
        if quantity == SPIKES:
            _raster(axes, values)
        else:
            _curves(axes, quantity, values, chosen)
            level = None if neuron is None else neuron.firing_level
            if quantity == "potential" and level is not None:
                _threshold(axes, level)
    panels[0].set_title(f"{layer}, sample {sample}")
    panels[-1].set_xlabel("time step")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def as_svg(figure: Figure) -> str:
    """Return a figure as an ``svg`` element, the same text for the same figure."""
    text = io.StringIO()
    with rc_context({"svg.hashsalt": "tssl", "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]


def _busiest(traces: Mapping[str, NDArray[np.integer]]) -> list[int]:
    """Return the neurons to draw, of ``(time, neurons)``; those that always fire come last."""
    first = next(iter(traces.values()))  # the spikes where they are recorded
    moved = np.abs(first.astype(np.int64)).sum(axis=0)
    if SPIKES in traces:
        moved = np.where(moved == len(first), 0, moved)
    return sorted(np.argsort(-moved, kind="stable")[:_CURVES].tolist())


def _raster(axes: Axes, spikes: NDArray[np.integer]) -> None:
    steps, neurons = np.nonzero(spikes)
    axes.scatter(steps, neurons, s=4, marker="|", color="black", rasterized=True)
    axes.set(ylabel="neuron", xlim=(-0.5, len(spikes) - 0.5), ylim=(-0.5, spikes.shape[1] - 0.5))


def _curves(axes: Axes, quantity: str, values: NDArray[np.integer], neurons: list[int]) -> None:
    for number in neurons:
        axes.plot(values[:, number], drawstyle="steps-post", label=f"neuron {number}", linewidth=1)
    axes.set(ylabel=quantity, xlim=(-0.5, len(values) - 0.5))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="x-small", frameon=False)


def _threshold(axes: Axes, value: int) -> None:
    axes.axhline(value, color="black", linestyle="--", linewidth=0.8)
    axes.annotate(
        "threshold", (0, value), xycoords=("axes fraction", "data"), ha="left", va="top",
        fontsize="x-small",
    )  # fmt: skip
