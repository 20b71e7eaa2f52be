"""Pictures as plain SVG shapes: maps of cores, and the confusion matrix.

All shapes are in user units; the template scales them to the width of the page.
"""

from collections.abc import Mapping, Sequence
from math import ceil, sqrt
from typing import NamedTuple

import numpy as np

from tssl.chip import ChipNetwork, IntArray, with_relays
from tssl.costs import CoreLoad, CostReport
from tssl.reporting.units import amount, count, number
from tssl.results import confusion_of
from tssl.tables import Table

__all__ = [
    "CoreMap",
    "Matrix",
    "MatrixCell",
    "Square",
    "Way",
    "confusion",
    "core_maps",
    "layer_hues",
    "way_table",
    "ways",
]

_CELL = 10
_HUES = 47  # degrees between the colours of consecutive layers
_MOST_NAME = 12
_WAY_COLUMNS = ("from", "to", "hops, mean", "hops, longest", "pairs of cores")


class Square(NamedTuple):
    """A core on the map."""

    x: float
    y: float
    layer: str
    hue: int
    strength: float
    title: str


class Way(NamedTuple):
    """How far the cores of two layers are apart on one chip, in hops from tile to tile."""

    source: str
    target: str
    mean: float
    longest: int
    pairs: int


class CoreMap(NamedTuple):
    """One chip, ``width`` by ``height``.

    Parameters
    ----------
    squares
        The cores at work.
    idle
        Path of the others, where the profile has a mesh.
    axes
        What is counted along the width, and along the height.
    x_ticks, y_ticks
        Places and texts.
    lines
        From the middle of a layer's cores to that of the next layer's: a path and what it is.
    """

    chip: int
    width: float
    height: float
    squares: list[Square]
    idle: str
    axes: tuple[str, str]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    lines: list[tuple[str, str]]


class MatrixCell(NamedTuple):
    """How many samples of the class in this row were taken for the class in this column."""

    row: int
    column: int
    samples: int
    strength: float


class Matrix(NamedTuple):
    """What was taken for what.

    Parameters
    ----------
    names
        Of the classes, whole; ``short`` are those that are drawn.
    margin
        Units that the names take.
    note
        Which classes are shown, where not all are.
    """

    cells: list[MatrixCell]
    names: Sequence[str]
    short: list[str]
    margin: float
    note: str

    @property
    def size(self) -> int:
        """Units of the matrix without its margin."""
        return _CELL * len(self.names)


def layer_hues(report: CostReport) -> dict[str, int]:
    """Return the colour of each layer on the map."""
    return {entry.layer: (210 + _HUES * i) % 360 for i, entry in enumerate(report.mapping)}


def core_maps(
    report: CostReport, network: ChipNetwork | None = None, most: int = 8
) -> list[CoreMap]:
    """Return a map of each of the first chips in use, the idle cores of a mesh included.

    Parameters
    ----------
    network
        Whose connections are drawn, where the cores lie on a mesh.
    """
    busiest = max((load.seconds or 0.0 for load in report.loads), default=0.0)
    chips = sorted({load.chip for load in report.loads})[:most]
    return [_map(report, chip, busiest, network) for chip in chips]


def ways(report: CostReport, network: ChipNetwork) -> list[Way]:
    """Return how far connected layers are apart, where the profile has a mesh.

    Only pairs of cores on the same chip count; the input comes from outside and has no core.
    """
    tiles: dict[str, list[tuple[int, int, int]]] = {}
    for load in report.loads:
        if load.column is not None and load.row is not None:
            tiles.setdefault(load.layer, []).append((load.chip, load.column, load.row))
    found = []
    for source, target in _connections(network):
        if source in tiles and target in tiles:
            apart = np.abs(np.array(tiles[source])[:, None] - np.array(tiles[target])[None])
            hops = apart[..., 1:].sum(axis=-1)[apart[..., 0] == 0]
            if hops.size:
                found.append(Way(source, target, float(hops.mean()), int(hops.max()), hops.size))
    return found


def way_table(found: Sequence[Way]) -> Table:
    """Return a row for each pair of connected layers."""
    rows = [
        [each.source, each.target, number(each.mean), count(each.longest), count(each.pairs)]
        for each in found
    ]
    return Table("Hops between layers", _WAY_COLUMNS, rows)


def confusion(
    predictions: IntArray, labels: IntArray | None, names: Sequence[str] = ()
) -> Matrix | None:
    """Return the confusion matrix, shaded within its rows; None without labels."""
    if labels is None or len(labels) == 0:
        return None
    found = confusion_of(predictions, labels, names=names)
    counts, shares = found.counts, found.shares
    cells = [
        MatrixCell(row, column, int(counts[row, column]), float(shares[row, column]))
        for row, column in np.argwhere(counts).tolist()
    ]
    short = [n if len(n) <= _MOST_NAME else n[: _MOST_NAME - 1] + "…" for n in found.names]
    return Matrix(cells, found.names, short, 12 + 2.4 * max(map(len, short)), found.note)


def _map(report: CostReport, chip: int, busiest: float, network: ChipNetwork | None) -> CoreMap:
    hues = layer_hues(report)
    loads = [load for load in report.loads if load.chip == chip]
    width, height, places = _places(report, loads)
    squares = []
    for load, (x, y) in zip(loads, places, strict=True):
        strength = (load.seconds or 0.0) / busiest if busiest else 0.5
        square = (x * _CELL, y * _CELL, load.layer, hues[load.layer], 0.2 + 0.8 * strength)
        squares.append(Square(*square, _title(load)))
    per_tile = 1 if report.mesh is None else ceil(sqrt(report.mesh[2]))
    axes = ("core", "first core of the row") if report.mesh is None else ("column of tiles", "row")
    row_step = 1 if report.mesh is not None else width
    return CoreMap(
        chip,
        width * _CELL,
        height * _CELL,
        squares,
        _idle(report, {load.core for load in loads}),
        axes,
        _ticks(width // per_tile, per_tile, 1),
        _ticks(height // per_tile, per_tile, row_step),
        _lines(report, loads, places, network),
    )


def _ticks(tiles: int, per_tile: int, step: int) -> list[tuple[float, str]]:
    every = max(1, ceil(tiles / 12))
    wide = per_tile * _CELL
    return [((n + 0.5) * wide, str(n * step)) for n in range(0, tiles, every)]


def _lines(
    report: CostReport,
    loads: Sequence[CoreLoad],
    places: Sequence[tuple[int, int]],
    network: ChipNetwork | None,
) -> list[tuple[str, str]]:
    """Return a line for each pair of connected layers, first along the row as spikes go."""
    if network is None or report.mesh is None:
        return []
    middles = _middles(loads, places)
    lines = []
    for way in ways(report, network):
        if {way.source, way.target} <= middles.keys():
            (x, y), (x_end, y_end) = middles[way.source], middles[way.target]
            path = f"M{x:.1f} {y:.1f}H{x_end:.1f}V{y_end:.1f}"
            text = f"{way.source} to {way.target}: {number(way.mean)} hops on average"
            lines.append((path, f"{text}, {way.longest} at most"))
    return lines


def _middles(
    loads: Sequence[CoreLoad], places: Sequence[tuple[int, int]]
) -> Mapping[str, tuple[float, float]]:
    """Return the middle of each layer's cores."""
    found: dict[str, list[tuple[int, int]]] = {}
    for load, place in zip(loads, places, strict=True):
        found.setdefault(load.layer, []).append(place)
    return {
        layer: (
            _CELL * (sum(x for x, _ in of) / len(of) + 0.5),
            _CELL * (sum(y for _, y in of) / len(of) + 0.5),
        )
        for layer, of in found.items()
    }


def _connections(network: ChipNetwork) -> list[tuple[str, str]]:
    """Return source and target of each connection between layers, relays included."""
    layers = with_relays(network).layers
    names = {layer.name for layer in layers}
    pairs = [(each.source, layer.name) for layer in layers for each in layer.connections]
    return [pair for pair in dict.fromkeys(pairs) if pair[0] in names]


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


def _idle(report: CostReport, used: set[int]) -> str:
    """Return the cores of a mesh that hold nothing, as one path: they are many."""
    if report.mesh is None:
        return ""
    columns, rows, per_tile = report.mesh
    idle = [core for core in range(columns * rows * per_tile) if core not in used]
    places = [_on_mesh(core, report.mesh) for core in idle]
    return "".join(f"M{_CELL * x + 0.5} {_CELL * y + 0.5}h9v9h-9z" for x, y in places)


def _title(load: CoreLoad) -> str:
    parts = [f"core {load.core}: {load.layer}, {count(load.neurons)} neurons"]
    if load.joules is not None:
        parts.append(f"{amount(load.joules, 'J')} per inference")
    if load.seconds is not None:
        parts.append(f"{amount(load.seconds, 's')} of work per step")
    return ", ".join(parts)
