"""Relays: what makes all paths to a layer equally long, as a machine with transport needs.

On Lava every connection takes a step. A layer that listens to a near layer and to a far one
would meet spikes of different steps; a relay repeats the spikes of the near one a step later.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from tssl.chip.connections import MAX_DELAY, Connection
from tssl.chip.cuba import CubaNeuron
from tssl.chip.layers import Layer, conv_layer
from tssl.chip.network import INPUT, ChipNetwork
from tssl.chip.numbers import DECAY_ONE
from tssl.errors import UnsupportedLayerError
from tssl.geometry import Geometry
from tssl.wording import several

_WITHOUT_MEMORY = CubaNeuron(current_decay=DECAY_ONE, voltage_decay=DECAY_ONE, threshold=1)
_WEIGHT = 2
"""Even, as Loihi stores weights, and above the threshold."""
_PIXEL = Geometry(kernel=(1, 1))


def depths(network: ChipNetwork) -> dict[str, int]:
    """Return how many connections lead from the input to each layer on the longest way.

    Those from a layer to itself do not count; the input has depth 0.
    """
    depth = {INPUT: 0}
    for layer in network.layers:
        depth[layer.name] = 1 + max(depth[each.source] for each in layer.arriving)
    return depth


def with_relays(network: ChipNetwork) -> ChipNetwork:
    """Return a network in which all sources of a layer have the same depth.

    Returns
    -------
    ChipNetwork
        Its own layers, which fire as before, and ``relay1_of_conv1``, ``relay2_of_conv1``, ...
        where steps are missing; all readers share them. The network itself when none are.

    Notes
    -----
    Input from outside needs none, whatever its values: who sends it sends it again, later. Nor do
    values behind dense connections: the synapses themselves hold them back, as delays do.

    Without transport delay, as ``tssl.chip`` counts, a relay fires at the step of its source.
    Each of its neurons has one synapse, ``v = u = 2 · 64 > 64``, and forgets both at once.
    """
    depth = depths(network)
    relays = _Relays(network)
    for layer in network.layers:
        late = depth[layer.name] - 1
        connections = [
            relays.led(layer.name, each, late - depth[each.source]) for each in layer.arriving
        ]
        relays.layers.append(replace(layer, connections=(*connections, *layer.own)))
    if len(relays.layers) == len(network.layers):
        return network
    return replace(network, layers=tuple(relays.layers))


def is_relay(layer: Layer) -> bool:
    """Return whether a layer only repeats the spikes of its source, as :func:`with_relays` does."""
    synapses = layer.connections[0].synapses
    return (
        len(layer.connections) == 1
        and synapses.geometry == _PIXEL
        and synapses.weight.tolist() == [[[[_WEIGHT]]]]
        and layer.neuron == _WITHOUT_MEMORY
        and not layer.bias.any()
    )


class _Relays:
    """Layers in their order, and the relays made so far."""

    def __init__(self, network: ChipNetwork) -> None:
        self.layers: list[Layer] = []
        self._from_outside = network.input.neuron is None
        self._shapes = {INPUT: network.input.shape}
        self._shapes |= {layer.name: layer.output_shape for layer in network.layers}
        self._taken = set(self._shapes)
        self._graded = network.graded
        self._made: dict[tuple[str, int], str] = {}

    def led(self, reader: str, connection: Connection, steps: int) -> Connection:
        """Return a connection of ``reader`` that gets what it carries so many steps later."""
        source, synapses = connection.source, connection.synapses
        if not steps or source not in self._graded:
            return replace(connection, source=self.source(source, steps))
        longest = synapses.longest_delay + steps
        if synapses.geometry is not None or longest > MAX_DELAY:
            why = "a convolution has no delays" if synapses.geometry else f"of {longest} steps"
            raise UnsupportedLayerError(
                f"layer {reader}: its source {source} sends values, {several(steps, 'step')} "
                "before a deeper source; no relay repeats values, and no synapses can hold them "
                f"back: {why}; lead {source} to layers of one depth only"
            )
        return connection

    def source(self, origin: str, steps: int) -> str:
        """Return the layer that fires like ``origin``, so many steps of transport later."""
        name = origin
        for step in range(1, 1 if origin == INPUT and self._from_outside else 1 + steps):
            name = self._made.get((origin, step)) or self._make(origin, step, name)
        return name

    def _make(self, origin: str, step: int, source: str) -> str:
        name = self._made[origin, step] = _free_name(f"relay{step}_of_{origin}", self._taken)
        self._taken.add(name)
        # one map, so that one weight serves all neurons: no stored zeros, whatever the shape
        *rows, width = self._shapes[origin]
        layer = conv_layer(
            name=name,
            source=source,
            neuron=_WITHOUT_MEMORY,
            weight=np.full((1, 1, 1, 1), _WEIGHT),
            map_shape=(1, int(np.prod(rows, dtype=int)), width),
        )
        self.layers.append(layer)
        return name


def _free_name(wanted: str, taken: Iterable[str]) -> str:
    while wanted in taken:
        wanted += "_"
    return wanted
