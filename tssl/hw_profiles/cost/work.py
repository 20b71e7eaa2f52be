"""What each layer and core does per inference: counted operations, joined with the mapping."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.chip import INPUT, ChipNetwork, depths
from tssl.costs import LayerMapping, Traffic
from tssl.hw_profiles.mapping.placement import (
    RULE,
    SEARCH,
    Core,
    Edge,
    Hops,
    Slots,
    by_rule,
    cores_of,
    edges_between,
    hops,
    searched,
)
from tssl.hw_profiles.profile.tables import Energy, Profile, Time
from tssl.results import OpCounts

FloatArray = NDArray[np.float64]


class LayerWork(NamedTuple):
    """What one layer does per inference, every array ``(time,)``."""

    layer: str
    depth: int
    """Steps after which the input reaches it."""
    neurons: int
    share: float
    """Of its work that the fullest core does."""
    operations: FloatArray
    active: FloatArray
    inactive: FloatArray
    spikes: FloatArray
    programmed: bool = False
    """Whether its neurons are programs; see :class:`tssl.chip.Neuron`."""
    fan: float = 0.0
    """Messages per spike."""
    arriving: FloatArray | float = 0.0
    """Messages that reach its busiest core."""

    def updates(self, prices: Energy | Time) -> dict[str, FloatArray]:
        """Return how many neurons are updated, by the key of what each of them pays or takes."""
        if self.programmed and prices.neuron_update_programmed is not None:
            return {"neuron_update_programmed": self.active + self.inactive}
        return {
            "neuron_update_active": self.active,
            "neuron_update_inactive": self.inactive,
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
    """Cores, where they lie, and what goes from one to another.

    Parameters
    ----------
    weights
        Messages per inference on each edge, ``(edges,)``.
    """

    cores: list[Core]
    slots: Slots
    edges: list[Edge]
    hops: Hops
    weights: FloatArray
    placement: str

    @property
    def traffic(self) -> Traffic:
        """Sums over all edges."""
        way = self.hops
        return Traffic(
            messages=float(self.weights.sum()),
            hops_east_west=float(self.weights @ way.east_west),
            hops_north_south=float(self.weights @ way.north_south),
            chip_crossings=float(self.weights @ way.crossings),
            placement=self.placement,
        )

    def sent_by(self, layer: str) -> dict[str, float]:
        """Return messages, hops and crossings of the spikes of a layer, per inference."""
        mine = np.array([self.cores[edge.source].layer == layer for edge in self.edges], np.bool_)
        weights = np.where(mine, self.weights, 0.0)
        return {
            "messages": float(weights.sum()),
            "hops east-west": float(weights @ self.hops.east_west),
            "hops north-south": float(weights @ self.hops.north_south),
            "chip crossings": float(weights @ self.hops.crossings),
        }


class Inference(NamedTuple):
    """What one inference does on a chip."""

    network: ChipNetwork
    """What lies there, relays included."""
    work: list[LayerWork]
    layout: Layout | None
    """Where its cores lie; None on a device without cores for neurons."""
    input_spikes: FloatArray | None = None
    """That the host delivers in each step, ``(time,)``; None where the host is left out."""

    @property
    def chips(self) -> int:
        """Chips in use."""
        return len(set(self.layout.slots.chip.tolist())) if self.layout else 1


def inference_of(
    profile: Profile,
    network: ChipNetwork,
    counts: OpCounts,
    mapping: Sequence[LayerMapping],
    *,
    search: bool = False,
) -> Inference:
    """Return what an inference does, without the host; the parameters are those of ``work_of``."""
    work = work_of(network, counts, mapping)
    layout = layout_of(profile, network, mapping, work, search=search)
    return Inference(network, with_messages(work, layout), layout)


def work_of(
    network: ChipNetwork, counts: OpCounts, mapping: Sequence[LayerMapping]
) -> list[LayerWork]:
    """Return the work of every layer, the input block first where there is one.

    Parameters
    ----------
    network
        What lies on the chip, relays included; so of counts and mapping.
    """
    shares = {entry.layer: _fullest(network, entry) for entry in mapping}
    depth = depths(network)
    work = []
    if network.input.neuron is not None:
        work.append(_input_work(network, counts, shares.get(INPUT, 1.0)))
    for index, layer in enumerate(network.layers):
        active = counts.active_updates[index] / counts.samples
        work.append(
            LayerWork(
                layer=layer.name,
                depth=depth[layer.name],
                neurons=layer.neurons,
                share=shares.get(layer.name, 1.0),
                operations=counts.synaptic_operations[index] / counts.samples,
                active=active,
                inactive=layer.neurons - active,
                spikes=counts.spikes[index] / counts.samples,
                programmed=layer.neuron.programmed,
            )
        )
    return work


def layout_of(
    profile: Profile,
    network: ChipNetwork,
    mapping: Sequence[LayerMapping],
    work: Sequence[LayerWork],
    *,
    search: bool,
) -> Layout | None:
    """Return where the cores lie, or None on a device without cores for neurons."""
    if not mapping:
        return None
    cores = cores_of(network, mapping)
    edges = edges_between(network, cores)
    spikes = {layer.layer: float(layer.spikes.sum()) for layer in work}
    held = {layer.layer: layer.neurons for layer in work}
    weights = np.array(
        [
            spikes[source.layer] * len(source.neurons) / held[source.layer] * edge.share
            for edge in edges
            for source in [cores[edge.source]]
        ]
    )
    first = by_rule(profile, len(cores), shared=profile.chip.cores == "shared")
    slots = searched(profile, first, edges, weights) if search else first
    placement = RULE if slots is first else SEARCH
    if profile.mesh is None:
        placement = "the profile has no mesh: hops are not counted"
    return Layout(
        cores=cores,
        slots=slots,
        edges=edges,
        hops=hops(slots, edges),
        weights=weights,
        placement=placement,
    )


def with_messages(work: Sequence[LayerWork], layout: Layout | None) -> list[LayerWork]:
    """Return the work with the messages that each layer sends, and that its cores receive."""
    if layout is None:
        return list(work)
    spikes = {layer.layer: layer.spikes for layer in work}
    reaching: dict[int, FloatArray] = {}
    for (target, source), weight in _received(layout).items():
        total = spikes[source].sum()
        here = spikes[source] * (weight / total if total else 0.0)
        reaching[target] = reaching.get(target, 0.0) + here
    arriving = {layer.layer: np.zeros(len(layer.spikes)) for layer in work}
    for target, messages in reaching.items():
        layer = layout.cores[target].layer
        arriving[layer] = np.maximum(arriving[layer], messages)
    done = []
    for each in work:
        fired = float(each.spikes.sum())
        fan = layout.sent_by(each.layer)["messages"] / fired if fired else 0.0
        done.append(each._replace(fan=fan, arriving=arriving[each.layer]))
    return done


def _received(layout: Layout) -> dict[tuple[int, str], float]:
    """Return the messages that each core gets from each layer, per inference."""
    received: dict[tuple[int, str], float] = {}
    for edge, weight in zip(layout.edges, layout.weights.tolist(), strict=True):
        key = edge.target, layout.cores[edge.source].layer
        received[key] = received.get(key, 0.0) + weight
    return received


def _fullest(network: ChipNetwork, entry: LayerMapping) -> float:
    """Return which share of the layer's neurons the fullest core holds."""
    (largest,) = [max(len(core.neurons) for core in cores_of(network, [entry]))]
    return largest / entry.neurons


def _input_work(network: ChipNetwork, counts: OpCounts, share: float) -> LayerWork:
    """Return the work of a block of input neurons: no synapses, active when it fires."""
    spikes = counts.input_spikes / counts.samples
    return LayerWork(
        layer=INPUT,
        depth=0,
        neurons=network.input.neurons,
        share=share,
        operations=np.zeros(len(spikes)),
        active=spikes,
        inactive=network.input.neurons - spikes,
        spikes=spikes,
        programmed=network.input.neuron is not None and network.input.neuron.programmed,
    )
