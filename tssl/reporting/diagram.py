"""The network as a graph with shapes, and what each of its layers is made of."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tssl.chip import DECAY_ONE, INPUT, ChipNetwork, Layer
from tssl.reporting.units import count, number
from tssl.tables import Table

__all__ = ["Box", "Diagram", "diagram", "layer_table", "threshold_of"]

_WIDTH, _ROW, _TALL = 400, 66, 42
_LEFT, _RIGHT = 60, 340
_NOTHING = "-"
TIMES = "\N{MULTIPLICATION SIGN}"
COLUMNS = (
    "layer",
    "sources",
    "connection",
    "shape",
    "neurons",
    "synapses",
    "weight bits",
    "neuron",
    "τ_s [steps]",
    "τ_m [steps]",
    "threshold",
    "bias",
    "largest delay [steps]",
)


class Box(NamedTuple):
    """Input or layer, ``y`` at its top."""

    name: str
    text: str
    y: int


class Diagram(NamedTuple):
    """Boxes one below the other, and the paths of the arrows between them."""

    width: int
    height: int
    left: int
    right: int
    tall: int
    boxes: list[Box]
    arrows: list[tuple[str, str]]
    """Path of the line, and path of its head."""


def diagram(network: ChipNetwork) -> Diagram:
    """Return the graph: arrows past a box run on the right, those of a recurrence on the left."""
    boxes = [Box(INPUT, _shape(network.input.shape), 4)]
    for layer in network.layers:
        text = f"{_kind(layer)}, {_shape(layer.output_shape)}"
        boxes.append(Box(layer.name, text, 4 + len(boxes) * _ROW))
    tops = {box.name: box.y for box in boxes}
    arrows, lane = [], 0
    for layer in network.layers:
        for each in dict.fromkeys(connection.source for connection in layer.connections):
            passes = tops[layer.name] - tops[each] > _ROW
            lane = (lane + 1) % 5 if passes else lane
            arrows.append(_arrow(tops[each], tops[layer.name], lane))
    return Diagram(_WIDTH, boxes[-1].y + _TALL + 8, _LEFT, _RIGHT, _TALL, boxes, arrows)


def layer_table(network: ChipNetwork) -> Table:
    """Return a row for each layer: its sources, sizes, bits and time constants."""
    return Table("Layers", COLUMNS, [_row(layer) for layer in network.layers])


def threshold_of(facts: Mapping[str, Any]) -> str:
    """Return the threshold of neurons, or the span of theirs."""
    return _span(facts.get("threshold"))


def _arrow(start: int, end: int, lane: int) -> tuple[str, str]:
    middle = (_LEFT + _RIGHT) // 2
    if end - start == _ROW:
        tip = f"M{middle} {end}l-4 -8h8z"
        return f"M{middle} {start + _TALL}V{end - 6}", tip
    if end == start:
        turn = f"M{_LEFT} {end + 10}h-30v22h24"
        return turn, f"M{_LEFT} {end + 32}l-8 -4v8z"
    out = _RIGHT + 12 + 9 * lane
    path = f"M{_RIGHT} {start + 26}H{out}V{end + 14}H{_RIGHT + 6}"
    return path, f"M{_RIGHT} {end + 14}l8 -4v8z"


def _row(layer: Layer) -> list[str]:
    facts = layer.neuron.facts
    sources = [each.source for each in layer.arriving] + (["itself"] if layer.own else [])
    synapses = sum(int(each.synapses.fan_out().sum()) for each in layer.connections)
    return [
        layer.name,
        ", ".join(sources),
        _kind(layer),
        _shape(layer.output_shape),
        count(layer.neurons),
        count(synapses),
        str(layer.weight_bits),
        layer.neuron.kind,
        _constant(facts.get("current_decay")),
        _constant(facts.get("voltage_decay")),
        threshold_of(facts),
        "yes" if layer.bias.any() else "no",
        str(layer.longest_delay),
    ]


def _kind(layer: Layer) -> str:
    synapses = layer.connections[0].synapses
    if synapses.geometry is None:
        return synapses.form
    return f"{synapses.form} {_shape(synapses.geometry.kernel)}"


def _shape(shape: Sequence[int]) -> str:
    return f" {TIMES} ".join(map(str, shape))


def _constant(decay: int | tuple[int, ...] | None) -> str:
    """Return the time constant of a decay: after a step, (1 - 1 / τ) of a value is left."""
    if decay is None:
        return _NOTHING
    ends = sorted({int(np.min(decay)), int(np.max(decay))}, reverse=True)
    return " to ".join("∞" if each == 0 else number(DECAY_ONE / each) for each in ends)


def _span(values: int | tuple[int, ...] | None) -> str:
    if values is None:
        return _NOTHING
    return " to ".join(map(count, sorted({int(np.min(values)), int(np.max(values))})))
