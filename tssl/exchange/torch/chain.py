"""Modules in a sequence as nodes of NIR, one behind the other, and loops within it."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from tssl.errors import ConfigError
from tssl.exchange.nir import Nir, NirNode
from tssl.exchange.nir.description import INPUT, OUTPUT
from tssl.exchange.nir.maps import applied
from tssl.exchange.torch.linear import IGNORED, LAYERS, NORMS, with_norm
from tssl.exchange.torch.neurons import INNER_WEIGHTS, NEURONS
from tssl.exchange.torch.place import Floats, Place
from tssl.exchange.torch.pools import ADAPTIVE, MAXIMUM, adaptive, maximum
from tssl.exchange.torch.recurrence import RECURRENT, Loop
from tssl.exchange.torch.sequences import in_sequence
from tssl.exchange.torch.votes import VOTES, voting
from tssl.geometry import Shape
from tssl.wording import several

__all__ = ["Chain"]

_FIRST, _LAST = "sample.in", "spikes.out"
"""Names of the ends, which no module can have."""
_PLAIN = ("torch", "spikingjelly")
"""Libraries whose layers without a state are PyTorch's."""
_ADVICE = {
    "ReLU": "put neurons of snnTorch, SpikingJelly or Norse in its place",
    "LIF": "its LIFCell is known, in a SequentialState",
    "LIFBox": "its LIFBoxCell is known, in a SequentialState",
    "LIFRecurrent": "its LIFRecurrentCell is known, in a SequentialState",
    "RSynaptic": (
        "even with reset_delay=False its potential stays 0 for a whole step after a spike, which "
        "the chip's does not; use RLeaky with reset_delay=False"
    ),
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
        self.neurons_per_class = 1
        """Neurons of the last layer that vote for a class."""
        self._edges: list[tuple[str, str]] = []
        self._last = self._entry = _FIRST
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
        is_plain, recurrent = place.library in _PLAIN, RECURRENT.get((place.library, place.kind))
        if is_plain and place.kind in IGNORED:
            return
        if self.neurons_per_class > 1:
            raise place.refusal("stands behind votes, which are the output; put nothing there")
        if is_plain and place.kind in VOTES:
            self.neurons_per_class = voting(place, self._before, self._shape)
        elif is_plain and place.kind in NORMS:
            normed = with_norm(place, self._before)
            self.nodes[normed.name] = normed
        elif is_plain and place.kind == MAXIMUM:
            self._append(place, maximum(place, self._before, self._shape))
        elif is_plain and place.kind == ADAPTIVE:
            self._append(place, [adaptive(place, self._shape)])
        elif recurrent is not None:
            self._add_loop(place, recurrent(place, self._shape))
        else:
            self._append(place, [*_inner_weights(place), _node(place)])

    def graph(self) -> Nir:
        """Return the nodes between an input and an output."""
        if not self.neurons:
            raise ConfigError(f"{self.origin}: has no neurons that fire")
        first, last = (
            NirNode(name=name, kind=kind, numbers={"shape": np.array(shape)})
            for name, kind, shape in (
                (_FIRST, INPUT, self._input_shape),
                (_LAST, OUTPUT, self._shape),
            )
        )
        return Nir(
            origin=self.origin,
            nodes={first.name: first, **self.nodes, last.name: last},
            edges=(*self._edges, (self._last, _LAST)),
        )

    @property
    def _shape(self) -> Shape:
        """Of what leaves the last node."""
        return self._signal.shape[1:]

    @property
    def _before(self) -> NirNode | None:
        """The last node; None where a loop or the network begins behind it."""
        return None if self._last == self._entry else self.nodes[self._last]

    def _add_loop(self, place: Place, loop: Loop) -> None:
        """Add neurons whose own spikes reach them."""
        self._append(place, loop.into)
        outside, entering, self._entry = len(self.nodes), self._signal, self._last
        if isinstance(loop.within, NirNode):
            self._append(place, [loop.within])
        else:
            for inner in in_sequence(loop.within):
                self.add(inner)
        within = list(self.nodes.values())[outside:]
        firing = [node.name for node in within if node.of.fires]
        if firing != [self._last]:
            raise place.refusal(
                f"holds {several(len(firing), 'layer')} of neurons; on the chip, spikes return to "
                "their own layer, so that one layer must be its last"
            )
        self._return(place, loop.back, within[0].name, entering)

    def _return(self, place: Place, back: NirNode | None, first: str, entering: Floats) -> None:
        """Lead the last node's spikes to the first node of a loop, beside what enters there."""
        source, own = self._last, self._signal
        if back is not None:
            back = replace(back, name=self._free(back.name))
            self._edges.append((source, back.name))
            own = self._applied(place, back, own)
            self.nodes[back.name] = back
            source = back.name
        if own.shape != entering.shape:
            raise ConfigError(
                f"{self.origin}: module {place.path} ({place.kind}): its spikes return with shape "
                f"{own.shape[1:]} to an input of shape {entering.shape[1:]}"
            )
        self._edges.append((source, first))

    def _append(self, place: Place, nodes: Iterable[NirNode]) -> None:
        """Add the nodes of a module."""
        for node in nodes:
            node = replace(node, name=self._free(node.name))
            self._signal = self._applied(place, node, self._signal)
            self._edges.append((self._last, node.name))
            self.nodes[node.name] = node
            self._last = node.name
            if node.of.keeps_state:
                self._keep(place, node.name)

    def _keep(self, place: Place, node: str) -> None:
        """Remember the module that sends the spikes of a node, or whose potential is read."""
        self.modules[node] = place.path
        if place.kind != MAXIMUM:
            self._check_neurons(place)
            self.neurons[node] = place

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

    def _check_neurons(self, place: Place) -> None:
        """Refuse neurons behind others that send no spikes, and those that stand there twice."""
        for name, other in self.neurons.items():
            if not self.nodes[name].of.fires:
                raise other.refusal(
                    "never fires or never resets, and neurons follow it; only the last ones can "
                    "be such, whose potential is read"
                )
            if other.module is place.module:
                raise place.refusal(
                    f"is {other.path} once more, and two layers would share one state; make "
                    "neurons of its own for each layer"
                )


def _inner_weights(place: Place) -> list[NirNode]:
    """Return the weights that neurons have in front of them, if they have some."""
    attribute = INNER_WEIGHTS.get((place.library, place.kind))
    if attribute is None:
        return []
    weight = place.array(attribute)
    return [NirNode(name=f"{place.name}_weights", kind="Linear", numbers={"weight": weight})]


def _node(place: Place) -> NirNode:
    make = NEURONS.get((place.library, place.kind))
    if make is None and place.library in _PLAIN:
        make = LAYERS.get(place.kind)
    if make is None:
        neurons = (kind for _, kind in (*NEURONS, *RECURRENT))
        known = ", ".join([*LAYERS, ADAPTIVE, MAXIMUM, *NORMS, *VOTES, *neurons])
        advice = _ADVICE.get(place.kind, f"known are {known}")
        raise place.refusal(f"a {place.kind} of {place.library} is not known; {advice}")
    return make(place)
