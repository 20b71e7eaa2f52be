"""Pictures as plain SVG shapes: core maps, rasters, histograms, the confusion matrix.

All shapes are in user units; the template scales them to the width of the page.
"""

from collections.abc import Sequence
from math import ceil, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.chip import IntArray
from tssl.costs import CoreLoad, CostReport
from tssl.reporting.sheet import LayerTrace
from tssl.reporting.units import amount, count

RASTER_NEURONS = 60
_BINS = 41
_CELL = 10
_HUES = 47  # degrees between the colours of consecutive layers


class Square(NamedTuple):
    """A core on the map."""

    x: float
    y: float
    hue: int | None
    """None for a core without work."""
    strength: float
    title: str


class CoreMap(NamedTuple):
    """One chip, ``width`` by ``height``."""

    chip: int
    width: float
    height: float
    squares: list[Square]


class Raster(NamedTuple):
    """Spikes of some neurons of a layer: one path, a unit per step and neuron."""

    layer: str
    steps: int
    rows: int
    path: str
    note: str


class Histogram(NamedTuple):
    """Bars as one path in a box of 100 by 30."""

    title: str
    path: str
    low: str
    high: str
    note: str


class MatrixCell(NamedTuple):
    """How many samples of the class in this row were taken for the class in this column."""

    row: int
    column: int
    samples: int
    strength: float


def layer_hues(report: CostReport) -> dict[str, int]:
    """Return the colour of each layer on the map."""
    return {entry.layer: (210 + _HUES * i) % 360 for i, entry in enumerate(report.mapping)}


def core_maps(report: CostReport, most: int = 8) -> list[CoreMap]:
    """Return a map of each of the first chips in use, the idle cores of a mesh included."""
    hues = layer_hues(report)
    chips = sorted({load.chip for load in report.loads})[:most]
    busiest = max((load.seconds or 0.0 for load in report.loads), default=0.0)
    maps = []
    for chip in chips:
        loads = [load for load in report.loads if load.chip == chip]
        width, height, places = _places(report, loads)
        squares = _idle(report, {load.core for load in loads})
        for load, (x, y) in zip(loads, places, strict=True):
            strength = (load.seconds or 0.0) / busiest if busiest else 0.5
            squares.append(
                Square(x * _CELL, y * _CELL, hues[load.layer], 0.2 + 0.8 * strength, _title(load))
            )
        maps.append(CoreMap(chip, width * _CELL, height * _CELL, squares))
    return maps


def rasters(traces: Sequence[LayerTrace]) -> list[Raster]:
    """Return the spikes of each layer, of evenly chosen neurons where there are many."""
    return [_raster(trace) for trace in traces]


def histogram(title: str, values: NDArray[np.integer]) -> Histogram:
    """Return how often values occur; zero is left out where it would hide all others."""
    flat = values.reshape(-1)
    others = flat[flat != 0]
    zeros = 1 - others.size / max(flat.size, 1)
    shown = others if zeros > 0.5 and others.size else flat
    note = f"{count(flat.size)} values, {zeros:.1%} zero"
    if shown is not flat:
        note += " (not drawn)"
    low, high = int(shown.min(initial=0)), int(shown.max(initial=0))
    heights, _ = np.histogram(shown, bins=_BINS, range=(low - 0.5, high + 0.5))
    width = 100 / _BINS
    scale = 30 / max(int(heights.max()), 1)
    path = "".join(
        f"M{i * width:.2f} 30v-{height * scale:.2f}h{width * 0.9:.2f}V30z"
        for i, height in enumerate(heights.tolist())
        if height
    )
    return Histogram(title, path, count(low), count(high), note)


def confusion(predictions: IntArray, labels: IntArray | None) -> list[MatrixCell]:
    """Return the cells of the confusion matrix that are not empty, shaded within their row."""
    if labels is None or len(labels) == 0:
        return []
    classes = 1 + int(max(predictions.max(), labels.max()))
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (labels, predictions), 1)
    rows = np.maximum(matrix.sum(axis=1), 1)
    return [
        MatrixCell(row, column, int(matrix[row, column]), float(matrix[row, column] / rows[row]))
        for row, column in np.argwhere(matrix).tolist()
    ]


def _places(
    report: CostReport, loads: Sequence[CoreLoad]
) -> tuple[int, int, list[tuple[int, int]]]:
    """Return width and height of a chip in cores, and where each load lies."""
    if report.mesh is None:
        side = ceil(sqrt(max(load.core for load in loads) + 1))
        return side, side, [(load.core % side, load.core // side) for load in loads]
    columns, rows, per_tile = report.mesh
    side = ceil(sqrt(per_tile))
    places = [_on_mesh(load.core, report.mesh) for load in loads]
    return columns * side, rows * side, places


def _on_mesh(core: int, mesh: tuple[int, int, int]) -> tuple[int, int]:
    """Return the place of a core, tiles in a snake as the placement numbers them."""
    columns, _, per_tile = mesh
    side = ceil(sqrt(per_tile))
    tile, slot = divmod(core, per_tile)
    row, along = divmod(tile, columns)
    column = columns - 1 - along if row % 2 else along
    return column * side + slot % side, row * side + slot // side


def _idle(report: CostReport, used: set[int]) -> list[Square]:
    """Return the cores of a mesh that hold nothing."""
    if report.mesh is None:
        return []
    columns, rows, per_tile = report.mesh
    squares = []
    for core in range(columns * rows * per_tile):
        if core not in used:
            x, y = _on_mesh(core, report.mesh)
            squares.append(Square(x * _CELL, y * _CELL, None, 0.0, f"core {core}: idle"))
    return squares


def _title(load: CoreLoad) -> str:
    parts = [f"core {load.core}: {load.layer}, {count(load.neurons)} neurons"]
    if load.joules is not None:
        parts.append(f"{amount(load.joules, 'J')} per inference")
    if load.seconds is not None:
        parts.append(f"{amount(load.seconds, 's')} of work per step")
    return ", ".join(parts)


def _raster(trace: LayerTrace) -> Raster:
    steps, neurons = trace.spikes.shape
    chosen = np.unique(np.linspace(0, neurons - 1, min(neurons, RASTER_NEURONS)).astype(int))
    spikes = np.argwhere(trace.spikes[:, chosen])
    path = "".join(f"M{t} {n}h.9v.8h-.9z" for t, n in spikes.tolist())
    note = f"{count(int(trace.spikes.sum()))} spikes of {count(neurons)} neurons"
    if len(chosen) < neurons:
        note += f", {len(chosen)} neurons drawn"
    return Raster(trace.layer, steps, len(chosen), path, note)
