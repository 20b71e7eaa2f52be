"""Where cores lie on the mesh, and how far spikes travel.

The rule: cores in the order of the layers fill tile after tile and chip after chip; tiles
follow the mesh in a snake, the first row from west to east, the second back again, so that
consecutive tiles are always neighbours. A spike is one message to every core that stores a
synapse of it, and travels first along the row, then along the column (XY routing). A message
to another chip goes through the first tile of both chips and counts one crossing, since no
profile says how chips are wired.

:func:`searched` starts from that rule and swaps pairs of cores while it helps.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.chip import INPUT, ChipNetwork, IntArray, Layer, is_relay
from tssl.costs import LayerMapping
from tssl.geometry import Shape
from tssl.hw_profiles.mapping.capacity import cores_per_chip
from tssl.hw_profiles.profile.tables import Profile

__all__ = [
    "Core",
    "Edge",
    "FloatArray",
    "Hops",
    "RULE",
    "SEARCH",
    "Slots",
    "by_rule",
    "cores_of",
    "edges_between",
    "hops",
    "searched",
]

FloatArray = NDArray[np.float64]
_TRIALS = 20000
_MOST_PLACES = 2048  # the matrix of distances is its square
RULE = "cores in the order of the layers, tiles in a snake along the mesh"
SEARCH = f"{RULE}, then {_TRIALS} trial swaps of two cores (seed 0), kept when messages travel less"


class Core(NamedTuple):
    """A core of the network: its layer and the neurons that it holds."""

    layer: str
    neurons: IntArray


class Edge(NamedTuple):
    """What share of the spikes of a core goes to another core."""

    source: int
    target: int
    share: float


class Slots(NamedTuple):
    """Where each core lies, all ``(cores,)``; column and row are zero without a mesh."""

    chip: IntArray
    core: IntArray
    column: IntArray
    row: IntArray


class Hops(NamedTuple):
    """What an edge costs on the mesh, all ``(edges,)``."""

    east_west: IntArray
    north_south: IntArray
    crossings: IntArray


def cores_of(network: ChipNetwork, mapping: Sequence[LayerMapping]) -> list[Core]:
    """Return all cores in the order of the layers, with the indices of their neurons.

    Here and below the network is what lies on the chip, relays included.
    """
    shapes: dict[str, Shape] = {INPUT: network.input.shape}
    shapes |= {layer.name: layer.output_shape for layer in network.layers}
    return [
        Core(entry.layer, neurons)
        for entry in mapping
        for neurons in _partition(shapes[entry.layer], entry)
    ]


def edges_between(network: ChipNetwork, cores: Sequence[Core]) -> list[Edge]:
    """Return which cores send to which; input from outside has no core and no edge."""
    by_layer: dict[str, list[int]] = {}
    for index, core in enumerate(cores):
        by_layer.setdefault(core.layer, []).append(index)
    edges = []
    for layer in network.layers:
        for target in by_layer[layer.name]:
            for name, needed in _needed_of(layer, cores[target].neurons).items():
                for source in by_layer.get(name, []):
                    share = float(needed[cores[source].neurons].mean())
                    if share:
                        edges.append(Edge(source, target, share))
    return edges


def _needed_of(layer: Layer, held: IntArray) -> dict[str, NDArray[np.bool_]]:
    """Return which neurons of each source have a synapse on a core that holds these neurons."""
    found: dict[str, NDArray[np.bool_]] = {}
    for each in layer.connections:
        needed = (
            np.isin(np.arange(layer.neurons), held)
            if is_relay(layer)
            else each.synapses.inputs_of(held)
        )
        found[each.source] = found[each.source] | needed if each.source in found else needed
    return found


def by_rule(profile: Profile, cores: int, *, shared: bool) -> Slots:
    """Return the places of so many cores by the rule at the top of this file."""
    index = np.zeros(cores, np.int64) if shared else np.arange(cores)
    return _slots(profile, index)


def hops(slots: Slots, edges: Sequence[Edge]) -> Hops:
    """Return the way of each edge."""
    source = np.array([edge.source for edge in edges], np.int64)
    target = np.array([edge.target for edge in edges], np.int64)
    crosses = slots.chip[source] != slots.chip[target]

    def way(position: IntArray) -> IntArray:
        inside = np.abs(position[source] - position[target])
        return np.asarray(np.where(crosses, position[source] + position[target], inside))

    return Hops(way(slots.column), way(slots.row), crosses.astype(np.int64))


def searched(profile: Profile, slots: Slots, edges: Sequence[Edge], weights: FloatArray) -> Slots:
    """Return places found by trying swaps; they are never worse than ``slots``.

    Parameters
    ----------
    weights
        Messages on each edge, ``(edges,)``.

    Notes
    -----
    Hill climbing on messages times distance; a crossing counts as far as a whole mesh. The
    cores of the chips in use that hold nothing take part, so a core may also move. Without a
    mesh, without messages or on more than 2048 cores, ``slots`` itself comes back.
    """
    used, chips = len(slots.chip), int(slots.chip.max()) + 1
    places = np.arange(chips * cores_per_chip(profile))
    if profile.mesh is None or not edges or len(places) > _MOST_PLACES:
        return slots
    rng = np.random.default_rng(0)
    distance = _distances(profile, places)
    traffic = np.zeros((len(places), len(places)))
    for edge, weight in zip(edges, weights.tolist(), strict=True):
        traffic[edge.source, edge.target] += weight
        traffic[edge.target, edge.source] += weight
    for first, second in rng.integers(0, [used, len(places)], (_TRIALS, 2)).tolist():
        here, there = distance[places[first]][places], distance[places[second]][places]
        pull = traffic[first] - traffic[second]
        pull[[first, second]] = 0  # their own distance stays as it is
        if pull @ (there - here) < -1e-9:
            places[[first, second]] = places[[second, first]]
    return _slots(profile, places[:used])


def _distances(profile: Profile, places: IntArray) -> FloatArray:
    """Return how far apart places are, ``(places, places)``."""
    slots = _slots(profile, places)
    crosses = slots.chip[:, None] != slots.chip
    total = np.zeros(crosses.shape)
    for position in (slots.column, slots.row):
        inside = np.abs(position[:, None] - position)
        total += np.where(crosses, position[:, None] + position, inside)
    far = int(slots.column.max() + slots.row.max()) + 1
    return np.asarray(total + far * crosses)


def _slots(profile: Profile, index: IntArray) -> Slots:
    per_chip = cores_per_chip(profile)
    chip, core = np.divmod(index, per_chip)
    if profile.mesh is None:
        return Slots(chip, core, np.zeros_like(core), np.zeros_like(core))
    columns, _, per_tile = profile.mesh.sizes
    row, along = np.divmod(core // per_tile, columns)
    column = np.where(row % 2, columns - 1 - along, along)
    return Slots(chip, core, column, row)


def _partition(shape: Shape, entry: LayerMapping) -> list[IntArray]:
    """Return the neurons of each core: whole columns of groups of channels, or even parts."""
    neurons = np.arange(int(np.prod(shape)))
    if not entry.columns:
        return np.array_split(neurons, entry.cores)
    maps = neurons.reshape(shape)
    starts = range(entry.columns, shape[2], entry.columns)
    return [
        part.reshape(-1)
        for channels in np.array_split(maps, entry.channel_groups, axis=0)
        for part in np.split(channels, list(starts), axis=2)
    ]
