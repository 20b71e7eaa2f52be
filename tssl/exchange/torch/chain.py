"""Modules in a sequence as nodes of NIR, one behind the other."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from tssl.errors import ConfigError
from tssl.exchange.nir import Nir, NirNode
from tssl.exchange.nir.description import INPUT, OUTPUT
from tssl.exchange.nir.maps import applied
from tssl.exchange.torch.linear import IGNORED, LAYERS, NORMS, with_norm
from tssl.exchange.torch.neurons import NEURONS
from tssl.exchange.torch.place import Floats, Place
from tssl.exchange.torch.pools import MAXIMUM, maximum
from tssl.geometry import Shape

__all__ = ["Chain"]

_FIRST, _LAST = "sample.in", "spikes.out"
"""Names of the ends, which no module can have."""
_PLAIN = ("torch", "spikingjelly")
"""Libraries whose layers without a state are PyTorch's."""
_ADVICE = {
    "ReLU": "put neurons of snnTorch, SpikingJelly or Norse in its place",
    "LIF": "its LIFCell is known, in a SequentialState",
    "LIFBox": "its LIFBoxCell is known, in a SequentialState",
}


class Chain:
    """Nodes, one behind the other, and the shape of what leaves the last.

    Parameters
    ----------
    origin
        Of the whole network, for messages.
    shape
        Of a sample at a step.
    """

    def __init__(self, origin: str, shape: Shape) -> None:
        self.origin = origin
        self.nodes: dict[str, NirNode] = {}
        self.modules: dict[str, str] = {}
        """Paths of the modules that send spikes, by node."""
        self.neurons: dict[str, Place] = {}
        """Those of them that are neurons."""
        self._input_shape = shape
        self._signal = np.zeros((1, *shape))

    def add(self, place: Place) -> None:
        """Add a module.

        Raises
        ------
        UnsupportedLayerError
            When it is none that is known, or does what no chip does.
        ConfigError
            When it does not fit what reaches it.
        """
        is_plain = place.library in _PLAIN
        if is_plain and place.kind in IGNORED:
            return
        if is_plain and place.kind in NORMS:
            normed = with_norm(place, self._before)
            self.nodes[normed.name] = normed
        elif is_plain and place.kind == MAXIMUM:
            self._append(place, maximum(place, self._before, self._signal.shape[1:]))
        else:
            self._append(place, [_node(place)])

    def graph(self) -> Nir:
        """Return the nodes between an input and an output."""
        if not self.neurons:
            raise ConfigError(f"{self.origin}: has no neurons that fire")
        names = [_FIRST, *self.nodes, _LAST]
        first, last = (
            NirNode(name=name, kind=kind, numbers={"shape": np.array(shape)})
            for name, kind, shape in (
                (_FIRST, INPUT, self._input_shape),
                (_LAST, OUTPUT, self._signal.shape[1:]),
            )
        )
        return Nir(
            origin=self.origin,
            nodes={first.name: first, **self.nodes, last.name: last},
            edges=tuple(pairwise(names)),
        )

    @property
    def _before(self) -> NirNode | None:
        """The last node."""
        return self.nodes[next(reversed(self.nodes))] if self.nodes else None

    def _append(self, place: Place, nodes: Iterable[NirNode]) -> None:
        """Add the nodes of a module."""
        for node in nodes:
            node = replace(node, name=self._free(node.name))
            if (place.library, place.kind) in NEURONS:
                self._check_alone(place)
                self.neurons[node.name] = place
            if node.of.fires:
                self.modules[node.name] = place.path
            self._signal = self._applied(place, node, self._signal)
            self.nodes[node.name] = node

    def _applied(self, place: Place, node: NirNode, signal: Floats) -> Floats:
        """Return what a node makes of values."""
        try:
            return applied(node, signal)
        except (ValueError, IndexError) as error:
            raise ConfigError(
                f"{self.origin}: module {place.path} ({place.kind}): does not fit what reaches "
                f"it, of shape {signal.shape[1:]}: {error}"
            ) from error

    def _free(self, name: str) -> str:
        number, free = 2, name
        while free in self.nodes:
            free, number = f"{name}_{number}", number + 1
        return free

    def _check_alone(self, place: Place) -> None:
        for other in self.neurons.values():
            if other.module is place.module:
                raise place.refusal(
                    f"is {other.path} once more, and two layers would share one state; make "
                    "neurons of its own for each layer"
                )


def _node(place: Place) -> NirNode:
    make = NEURONS.get((place.library, place.kind))
    if make is None and place.library in _PLAIN:
        make = LAYERS.get(place.kind)
    if make is None:
        known = ", ".join([*LAYERS, MAXIMUM, *NORMS, *(kind for _, kind in NEURONS)])
        advice = _ADVICE.get(place.kind, f"known are {known}")
        raise place.refusal(f"a {place.kind} of {place.library} is not known; {advice}")
    return make(place)
