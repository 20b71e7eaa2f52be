"""The graph itself, step by step in double precision: the first witness.

It shares no arithmetic with trainer, exporter or engine. Spikes go through all layers within a
step; those that close a loop arrive one step later. States begin at ``v_reset`` and zero current.
The synapse takes in a step's spikes before it drives the membrane. A neuron fires above its
threshold, once in a step, and begins again at ``v_reset``; one of :attr:`Nir.at_threshold` also
fires where it equals the threshold.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.exchange.nir.description import INPUT, Nir, NirNode
from tssl.exchange.nir.maps import Floats, applied, shapes
from tssl.exchange.nir.timing import Timing

__all__ = ["Trace", "simulate"]


class Trace(NamedTuple):
    """What neurons did, ``(time, batch, *shape)``."""

    spikes: NDArray[np.bool_]
    potential: Floats
    """At the end of each step, after a reset."""


def simulate(nir: Nir, timing: Timing, train: Floats) -> dict[str, Trace]:
    """Run a graph on input ``(time, batch, *shape)``; return what its neurons did, by name.

    ``I``, ``LI`` and ``CubaLI`` have a trace without spikes.
    """
    sizes = shapes(nir)
    batch = train.shape[1]
    parts = {node.name: _part(nir, node, timing, (batch, *sizes[node.name])) for node in nir}
    sent = {name: np.zeros((batch, *shape)) for name, shape in sizes.items()}
    recorded: dict[str, list[tuple[Floats, Floats]]] = {
        node.name: [] for node in nir if node.of.keeps_state
    }
    for values in train.astype(np.float64):
        late = {name: sent[name] for name in recorded}  # before any of them is replaced
        for node in nir.order:
            heard = [sent[source] for source in nir.sources[node.name]]
            heard += [late[source] for source in nir.late_sources[node.name]]
            arriving = values if node.kind == INPUT else sum(heard[1:], start=heard[0])
            sent[node.name] = parts[node.name].step(arriving)
            if node.name in recorded:
                spikes = sent[node.name] if node.of.fires else 0 * arriving
                recorded[node.name].append((spikes, parts[node.name].potential))
    return {
        name: Trace(np.stack([s for s, _ in steps]) > 0, np.stack([v for _, v in steps]))
        for name, steps in recorded.items()
    }


class _Stateless:
    """A node that computes from this step alone."""

    def __init__(self, node: NirNode) -> None:
        self.node, self.potential = node, np.zeros(1)

    def step(self, arriving: Floats) -> Floats:
        return applied(self.node, arriving)


class _Line(_Stateless):
    """A ``Delay``: what arrives comes out some steps later, each value after its own."""

    def __init__(self, node: NirNode, timing: Timing, shape: tuple[int, ...]) -> None:
        super().__init__(node)
        self.delay = np.broadcast_to(timing.delay(node), shape)
        self.past: list[Floats] = []

    def step(self, arriving: Floats) -> Floats:
        self.past = [arriving, *self.past][: int(self.delay.max()) + 1]
        late = np.zeros_like(arriving)
        for steps, values in enumerate(self.past):
            late = np.where(self.delay == steps, values, late)
        return late


class _Neurons(_Stateless):
    """Nodes with a current and a potential."""

    def __init__(
        self, node: NirNode, timing: Timing, shape: tuple[int, ...], *, at_threshold: bool
    ) -> None:
        super().__init__(node)
        self.reaches = np.greater_equal if at_threshold else np.greater
        self.steps = timing.steps(node)
        self.potential = np.zeros(shape) + node.v_reset
        self.current = np.zeros(shape)
        self.threshold = node.threshold

    def step(self, arriving: Floats) -> Floats:
        of = self.steps
        self.current = (1 - of.alpha) * self.current + of.into * arriving
        drive = of.beta * of.v_leak + of.through * self.current
        self.potential = (1 - of.beta) * self.potential + drive
        if not self.node.of.fires:
            return self.potential
        spikes = self.reaches(self.potential, self.threshold)
        self.potential = np.where(spikes, self.node.v_reset, self.potential)
        return spikes.astype(np.float64)


def _part(nir: Nir, node: NirNode, timing: Timing, shape: tuple[int, ...]) -> _Stateless:
    if node.of.keeps_state:
        return _Neurons(node, timing, shape, at_threshold=node.name in nir.at_threshold)
    return _Line(node, timing, shape) if node.kind == "Delay" else _Stateless(node)
