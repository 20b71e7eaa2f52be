"""Charts with two axes, as shapes in the user units of one SVG."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.reporting.axes import Axis, counted_axis, linear_axis, log_axis, step_axis
from tssl.reporting.sheet import LayerTrace
from tssl.reporting.units import amount, count, number

__all__ = [
    "Chart",
    "Point",
    "Series",
    "Shape",
    "front",
    "histogram",
    "lines",
    "pareto",
    "raster",
    "state_charts",
]

RASTER_NEURONS = 60
_CURVES = 4
_BINS = 41
_WIDTH, _HEIGHT = 400.0, 220.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 70.0, 14.0, 8.0, 46.0
_AXES = {"current": "current u", "voltage": "potential v"}
_TITLES = {"current": "synaptic current u", "voltage": "membrane potential v"}


class Shape(NamedTuple):
    """An element of SVG, and what it says when it is pointed at."""

    tag: str
    attributes: Mapping[str, str]
    title: str = ""


class Series(NamedTuple):
    """Values over the horizontal axis; a step holds until the next one where ``is_step``."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    is_step: bool = False


class Point(NamedTuple):
    """A network on a chip: energy per inference with its band, in J, and accuracy, 0...1."""

    network: str
    chip: str
    energy: float
    low: float
    high: float
    accuracy: float


class Chart(NamedTuple):
    """Two axes and what is between them.

    Parameters
    ----------
    layer
        That it is about; empty where it is about the whole network.
    legend
        A style class and a name for each kind of line.
    counts
        Spikes at each time step, where time is the horizontal axis.
    """

    title: str
    note: str
    x: Axis
    y: Axis
    shapes: Sequence[Shape]
    layer: str = ""
    legend: Sequence[tuple[str, str]] = ()
    counts: Sequence[int] | None = None
    is_timed: bool = False

    @property
    def size(self) -> tuple[float, float]:
        """Width and height, axes included."""
        return _WIDTH, _HEIGHT

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the area that the axes enclose."""
        return _LEFT, _TOP, _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    @property
    def x_ticks(self) -> list[tuple[str, str]]:
        """Where each tick of the horizontal axis is, and its text."""
        return [(f"{_across(self.x, value):.1f}", text) for value, text in self.x.ticks]

    @property
    def y_ticks(self) -> list[tuple[str, str]]:
        """Where each tick of the vertical axis is, and its text."""
        return [(f"{_down(self.y, value):.1f}", text) for value, text in self.y.ticks]

    @property
    def step(self) -> tuple[str, str]:
        """Where time step 0 is, and how far the next one is from it."""
        first = _across(self.x, 0)
        return f"{first:.2f}", f"{_across(self.x, 1) - first:.4f}"


def lines(title: str, x: Axis, y: Axis, series: Sequence[Series], note: str = "") -> Chart:
    """Return a line for each series; a program finds their values in the shapes' attributes."""
    shapes = [_line(each, x, y, f"s{index + 1}") for index, each in enumerate(series)]
    legend = [(f"s{index + 1}", each.name) for index, each in enumerate(series)]
    return Chart(title, note, x, y, shapes, legend=legend)


def raster(trace: LayerTrace) -> Chart:
    """Return the spikes of a layer, of evenly chosen neurons where there are many."""
    spikes = trace.spikes
    if spikes is None:
        raise ValueError(f"no spikes of {trace.layer}")
    steps, neurons = spikes.shape
    chosen = np.unique(np.linspace(0, neurons - 1, min(neurons, RASTER_NEURONS)).astype(int))
    x, y = step_axis(steps), counted_axis("neuron", neurons)
    wide = _across(x, 1) - _across(x, 0)
    tall = (_down(y, y.low) - _down(y, y.high)) / len(chosen)
    start = f"translate({_across(x, -0.5):.2f} {_down(y, y.low) - tall / 2:.2f})"
    path = "".join(f"M{t} {n}h.9" for t, n in np.argwhere(spikes[:, chosen]).tolist())
    mark = {
        "class": "spikes",
        "d": path or "M0 0",
        "transform": f"{start} scale({wide:.4f} -{tall:.4f})",
    }
    note = f"{count(int(np.count_nonzero(spikes)))} spikes of {count(neurons)} neurons"
    if len(chosen) < neurons:
        note += f"; {len(chosen)} evenly spaced neurons drawn"
    counts = np.count_nonzero(spikes, axis=1).tolist()
    shown = Chart(f"{trace.layer}: spikes", note, x, y, [Shape("path", mark)], trace.layer)
    return shown._replace(counts=counts, is_timed=True)


def state_charts(trace: LayerTrace) -> list[Chart]:
    """Return current and potential of the neurons that come closest to firing every other step."""
    chosen = _busiest(trace)
    return [
        _states(trace, quantity, values, chosen)
        for quantity, values in (("current", trace.current), ("voltage", trace.voltage))
        if values is not None
    ]


def histogram(layer: str, title: str, values: NDArray[np.integer], what: str) -> Chart:
    """Return how often values occur; zero is left out where it would hide all others."""
    flat = values.reshape(-1)
    others = flat[flat != 0]
    zeros = 1 - others.size / max(flat.size, 1)
    shown = others if zeros > 0.5 and others.size else flat
    note = f"{count(flat.size)} values, {zeros:.1%} of them zero"
    if shown is not flat:
        note += " (not drawn)"
    low, high = int(shown.min(initial=0)), int(shown.max(initial=0))
    heights, edges = np.histogram(shown, bins=_BINS, range=(low - 0.5, high + 0.5))
    x = linear_axis(what, low - 0.5, high + 0.5)
    y = linear_axis("number", 0, max(int(heights.max()), 1))
    bars = [
        Shape("rect", _rectangle(x, y, left, right, height), _bin(left, right, height))
        for left, right, height in zip(edges[:-1], edges[1:], heights.tolist(), strict=True)
        if height
    ]
    return Chart(title, note, x, y, bars, layer)


def pareto(title: str, points: Sequence[Point]) -> Chart:
    """Return accuracy against energy; those that no other point beats in both have a number."""
    x = log_axis(
        "energy per inference, logarithmic",
        min(point.low for point in points),
        max(point.high for point in points),
        "J",
    )
    shares = [100 * point.accuracy for point in points]
    y = linear_axis("accuracy [%]", min(shares), max(shares))
    best = front(points)
    line = Series("front", [each.energy for each in best], [100 * each.accuracy for each in best])
    shapes = [_bare(_line(line._replace(is_step=True), x, y, "front"))]
    looks = {
        name: f"s{1 + n % 4}" for n, name in enumerate(dict.fromkeys(p.network for p in points))
    }
    for point in points:
        label = str(1 + best.index(point)) if point in best else ""
        shapes += _marks(point, x, y, looks[point.network], label)
    note = "Mark: value. Line through it: band of the energy. Step line: the Pareto front."
    legend = [(css, name) for name, css in looks.items()]
    return Chart(title, note, x, y, shapes, legend=legend)


def front(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other one beats in energy and accuracy, by energy."""
    best: list[Point] = []
    for point in sorted(points, key=lambda each: (each.energy, -each.accuracy)):
        if not best or point.accuracy > best[-1].accuracy:
            best.append(point)
    return best


def _states(
    trace: LayerTrace, quantity: str, values: NDArray[np.integer], chosen: Sequence[int]
) -> Chart:
    threshold = trace.threshold if quantity == "voltage" else None
    steps = range(len(values))
    series = [Series(f"neuron {n}", steps, values[:, n].tolist(), is_step=True) for n in chosen]
    ends = [float(value) for each in series for value in each.y]
    ends += [] if threshold is None else [float(threshold)]
    y = linear_axis(_AXES[quantity], min(ends), max(ends))
    shown = lines(f"{trace.layer}: {_TITLES[quantity]}", step_axis(len(values)), y, series)
    if threshold is not None:
        ends_of_time = [shown.x.low, shown.x.high]
        name = f"threshold, {count(threshold)}"
        level = Series(name, ends_of_time, [threshold, threshold])
        shown = shown._replace(
            shapes=[*shown.shapes, _bare(_line(level, shown.x, y, "threshold"))],
            legend=[*shown.legend, ("threshold", name)],
        )
    return shown._replace(layer=trace.layer, is_timed=True)


def _bare(shape: Shape) -> Shape:
    """Return a line without its values."""
    kept = {name: of for name, of in shape.attributes.items() if not name.startswith("data-")}
    return shape._replace(attributes=kept)


def _busiest(trace: LayerTrace) -> list[int]:
    """Return the neurons to draw; those that never or always fire come last."""
    kept = (trace.spikes, trace.voltage, trace.current)
    first = next(values for values in kept if values is not None)
    moved = np.abs(first.astype(np.int64)).sum(axis=0)
    if trace.spikes is not None:
        moved = np.minimum(moved, len(first) - np.minimum(moved, len(first)))
    return sorted(np.argsort(-moved, kind="stable")[:_CURVES].tolist())


def _line(series: Series, x: Axis, y: Axis, css: str) -> Shape:
    """Return a line, its values beside it for the program that shows them."""
    places = [
        (f"{_across(x, a):.1f}", f"{_down(y, b):.1f}")
        for a, b in zip(series.x, series.y, strict=True)
    ]
    if series.is_step:
        path = f"M{places[0][0]} {places[0][1]}" + "".join(f"H{a}V{b}" for a, b in places[1:])
    else:
        path = "M" + "L".join(f"{a} {b}" for a, b in places)
    values = {"data-name": series.name, "data-y": ",".join(f"{each:.8g}" for each in series.y)}
    if series.x != range(len(series.x)):
        values["data-x"] = ",".join(f"{each:g}" for each in series.x)
    return Shape("path", {"class": f"line {css}", "d": path, **values}, series.name)


def _marks(point: Point, x: Axis, y: Axis, css: str, label: str) -> Iterator[Shape]:
    """Yield the band, the mark and the number of a point."""
    height = f"{_down(y, 100 * point.accuracy):.1f}"
    low, high, middle = (
        f"{_across(x, each):.1f}" for each in (point.low, point.high, point.energy)
    )
    yield Shape("path", {"class": f"whisker {css}", "d": f"M{low} {height}H{high}"})
    yield Shape(
        "circle",
        {"class": f"point {css}", "cx": middle, "cy": height, "r": "4"},
        f"{point.network}, {point.chip}: {amount(point.energy, 'J')}, {point.accuracy:.2%}",
    )
    if not label:
        return
    above = float(height) - 8 if float(height) > _TOP + 16 else float(height) + 16
    yield Shape("text", {"class": "label", "x": middle, "y": f"{above:.1f}"}, label)


def _rectangle(x: Axis, y: Axis, left: float, right: float, height: int) -> dict[str, str]:
    start, end, top = _across(x, left), _across(x, right), _down(y, height)
    return {
        "class": "value",
        "x": f"{start:.1f}",
        "y": f"{top:.1f}",
        "width": f"{max(0.9 * (end - start), 0.5):.1f}",
        "height": f"{_down(y, 0) - top:.1f}",
    }


def _bin(left: float, right: float, height: int) -> str:
    """Return what a bar counts; its ends are those of the whole numbers in it."""
    low, high = int(np.ceil(left)), int(np.floor(right))
    span = count(low) if low >= high else f"{count(low)} to {count(high)}"
    return f"{span}: {number(height) if height >= 1000 else height}"


def _across(axis: Axis, value: float) -> float:
    return _LEFT + axis.place(value) * (_WIDTH - _LEFT - _RIGHT)


def _down(axis: Axis, value: float) -> float:
    return _HEIGHT - _BOTTOM - axis.place(value) * (_HEIGHT - _TOP - _BOTTOM)
