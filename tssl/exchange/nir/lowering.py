"""From a NIR graph to layers of tssl that fire the same spikes, or a reason why there are none."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tssl.checkpoint import Checkpoint, ChipPlan
from tssl.chip import DECAY_ONE
from tssl.errors import UnsupportedLayerError
from tssl.exchange.assembly import checkpoint_of, layer_names
from tssl.exchange.nir.always_on import with_always_on
from tssl.exchange.nir.at_threshold import lowered_to
from tssl.exchange.nir.description import INPUT, Nir, NirNode
from tssl.exchange.nir.layers import Concat, NirLayer, Pool, PoolMode
from tssl.exchange.nir.linear import Arriving, pool_windows
from tssl.exchange.nir.maps import Floats, shapes
from tssl.exchange.nir.or_pools import or_pool
from tssl.exchange.nir.timing import Timing
from tssl.geometry import Geometry, Shape
from tssl.wording import several

__all__ = ["Decay", "Lowered", "lower"]

_EQUAL = 1e-6
_LONGEST = 4096.0
"""Steps of a time constant in a recipe, whose decay is 1 of 4096."""
_LARGEST_WEIGHT = 254
_STEP = 2
_POOLS: Mapping[str, PoolMode] = {"AvgPool2d": "average", "SumPool2d": "sum"}


@dataclass(frozen=True, kw_only=True)
class Decay:
    """A share that neurons lose in a step, and the chip's 4096ths for it.

    Parameters
    ----------
    layer, node
        Names here and in the file.
    quantity
        ``current`` or ``potential``.
    """

    layer: str
    node: str
    quantity: str
    wanted: float
    integer: int

    @property
    def error(self) -> float:
        """How much the chip loses more, as a share of the state."""
        return self.integer / DECAY_ONE - self.wanted


@dataclass(frozen=True, kw_only=True, eq=False)
class Lowered:
    """A checkpoint, and how its layers stand to the nodes of the graph.

    Parameters
    ----------
    layers
        Names of firing nodes by layer.
    input_shape
        Of the graph's input.
    always_on
        Values behind the graph's own input that are 1 at every step.
    notes
        What a user should know, in sentences.
    """

    checkpoint: Checkpoint
    layers: Mapping[str, str]
    input_shape: Shape
    always_on: int
    decays: tuple[Decay, ...]
    notes: tuple[str, ...]


def lower(
    nir: Nir, timing: Timing, *, name: str, time_steps: int, provenance: Mapping[str, Any]
) -> Lowered:
    """Return the layers of a graph.

    Raises
    ------
    UnsupportedLayerError
        When the chip has nothing that fires the same spikes; it names the node.
    """
    with np.errstate(all="ignore"):  # what is not finite is refused by name
        made = _Lowering(nir, timing).run()
    layers, input_shape = with_always_on(nir, made.layers, made.pools, made.input_shape)
    grown = math.prod(input_shape) - math.prod(made.input_shape)
    if grown:
        made.notes.append(
            f"a bias reaches synapses from the input: the network has "
            f"{several(grown, 'more input')}, last of all, which must be 1 at every step"
        )
    plan = _plan(nir, layers, made.pools)
    checkpoint = checkpoint_of(
        name,
        input_shape,
        time_steps,
        [each.made() for each in _in_order(layers, made.pools)],
        provenance,
        plan,
    )
    return Lowered(
        checkpoint=checkpoint,
        layers={made.names[node.name]: node.name for node in nir.neurons},
        input_shape=made.shapes[nir.input.name],
        always_on=grown,
        decays=tuple(made.decays),
        notes=(*nir.notes, *made.notes),
    )


@dataclass
class _Lowering:
    """Lowers the firing nodes of a graph, each behind those that it hears."""

    nir: Nir
    timing: Timing
    layers: list[NirLayer] = field(default_factory=list)
    pools: dict[str, Pool] = field(default_factory=dict)
    decays: list[Decay] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shapes = shapes(self.nir)
        self.names = layer_names([node.name for node in self.nir.order if node.kind != INPUT])
        self.names[self.nir.input.name] = "input"
        own = self.shapes[self.nir.input.name]
        self.input_shape = own if len(own) == 3 else (math.prod(own), 1, 1)
        self.flat = set() if len(own) == 3 else {self.nir.input.name}

    def run(self) -> "_Lowering":
        output = _output_layer(self.nir)
        for node in self.nir.neurons:
            pooled = or_pool(self.nir, node, self.shapes, self.flat)
            if pooled is None or node.name == output:  # a network ends with a layer that learns
                self.layers.append(self._layer(node))
            else:
                self._pool(node.name, self.names[pooled.source], pooled.windows, "or")
        return self

    def _layer(self, node: NirNode) -> NirLayer:
        arriving = Arriving(self.nir, node, self.shapes, self.timing, self.flat)
        neuron = _Neuron(self.nir, node, self.timing, self.shapes[node.name])
        self._note(neuron)
        layer = self._convolution(node, arriving, neuron)
        if layer is None:
            self.flat.add(node.name)
            layer = self._dense(node, arriving, neuron)
        if node.name in self.nir.at_threshold:
            layer, note = lowered_to(layer, self.pools)
            self.notes.append(note)
        for quantity, wanted, integer in neuron.decays:
            self.decays.append(
                Decay(
                    layer=layer.name,
                    node=node.name,
                    quantity=quantity,
                    wanted=wanted,
                    integer=integer,
                )
            )
        return layer

    def _note(self, neuron: "_Neuron") -> None:
        if neuron.starts:
            self.notes.append(
                f"{neuron.node.title}: begins at v_reset = {neuron.starts:g}, which is the chip's 0"
            )

    def _convolution(self, node: NirNode, arriving: Arriving, neuron: "_Neuron") -> NirLayer | None:
        """Return a layer of maps; None where it is no convolution, or its maps are not uniform."""
        found = arriving.convolution()
        own = arriving.own_kernel() if arriving.is_recurrent else None
        if found is None or (arriving.is_recurrent and own is None):
            return None
        numbers = _by_channel(neuron, arriving.constant())
        if numbers is None:
            return None
        factor, bias, drive = numbers
        if drive is not None and any(map(arriving.is_padded, found.ways)):
            return None  # what is always on would reach its neurons through fewer ones at the edge
        sources = [self._source(way.source, way.pools) for way in found.ways]
        return NirLayer(
            name=self.names[node.name],
            node=node,
            sources=tuple(sources),
            beside=self._concat_of(node) if found.is_beside else None,
            weight=found.weight * factor[:, None, None, None],
            windows=found.windows,
            recurrent=None if own is None else own * factor[:, None, None, None],
            bias=bias,
            drive=drive,
            neuron=neuron.fields,
            shape=self.shapes[node.name],
        )

    def _dense(self, node: NirNode, arriving: Arriving, neuron: "_Neuron") -> NirLayer:
        matrices = arriving.matrices()
        own = matrices.pop(node.name, None)
        weight, *others = matrices.values()
        is_beside = any(not np.array_equal(other, weight) for other in others)
        if is_beside:
            weight = np.concatenate([weight, *others], axis=1)
        factor = neuron.factor.reshape(-1, 1)
        bias, drive = neuron.biases(arriving.constant())
        return NirLayer(
            name=self.names[node.name],
            node=node,
            sources=tuple(self.names[source] for source in matrices),
            beside=self._concat_of(node) if is_beside else None,
            weight=weight * factor,
            windows=None,
            recurrent=None if own is None else own * factor,
            bias=None if bias is None else bias.reshape(-1),
            drive=None if drive is None else drive.reshape(-1),
            neuron=neuron.fields,
            shape=(len(weight),),
        )

    def _concat_of(self, node: NirNode) -> str:
        """Return a name for the concat before a layer, which no other has."""
        name = f"{self.names[node.name]}_sources"
        while name in self.names.values():
            name += "_"
        return name

    def _source(self, source: str, pools: tuple[str, ...]) -> str:
        """Return the name of a layer, or of the last of the pools behind it, which are made."""
        name = self.names[source]
        for pool in pools:
            node = self.nir.nodes[pool]
            name = self._pool(pool, name, pool_windows(node), _POOLS[node.kind])
        return name

    def _pool(self, node: str, source: str, windows: Geometry, mode: PoolMode) -> str:
        """Add a pool behind a layer; return its name."""
        made = Pool(name=self.names[node], source=source, windows=windows, mode=mode)
        self.pools[made.name] = made
        return made.name


class _Neuron:
    """The numbers of one node's neurons, where its ``v_reset`` is zero and weights take gains in.

    Raises
    ------
    UnsupportedLayerError
        When neurons of one node leak differently, or would fire without input.
    """

    def __init__(self, nir: Nir, node: NirNode, timing: Timing, shape: Shape) -> None:
        self.origin, self.node, self.shape = nir.origin, node, shape
        steps = timing.steps(node)
        if not all(np.isfinite(each).all() for each in (*steps, steps.into * steps.through)):
            raise UnsupportedLayerError(
                f"{nir.origin}: {node.title}: its time constants and gains make steps that are not "
                "finite"
            )
        reset = node.v_reset
        self.starts = float(reset.reshape(-1)[np.abs(reset).argmax()])
        threshold = self._each(node.threshold - reset)
        if threshold.min() <= 0:
            raise UnsupportedLayerError(
                f"{nir.origin}: {node.title}: its threshold is not above v_reset, so it would fire "
                "at every step without input"
            )
        self.tau_s, self.tau_m = self._tau("tau_syn", steps.alpha), self._tau("tau", steps.beta)
        if self.tau_s is None:
            raise UnsupportedLayerError(
                f"{nir.origin}: {node.title}: its synapses lose less than half of 1/4096 in a "
                "step; use a larger --dt"
            )
        self.filters = float(steps.alpha.reshape(-1)[0]) < 1 - _EQUAL
        self.decays = [
            ("current", float(steps.alpha.reshape(-1)[0]), round(DECAY_ONE / self.tau_s)),
            ("potential", float(steps.beta.reshape(-1)[0]),
             0 if self.tau_m is None else round(DECAY_ONE / self.tau_m)),
        ]  # fmt: skip
        gain = self._each(steps.into * steps.through)
        leak = self._each(steps.beta * (steps.v_leak - reset))
        self.threshold = float(threshold.reshape(-1)[0])
        share = np.ones_like(threshold)
        if node.of.fires and np.ptp(threshold) > 0:
            share, self.threshold = 1 / threshold, 1.0
        self.factor, self.leak = gain * share, leak * share

    @property
    def fields(self) -> dict[str, Any]:
        """What a recipe says of it."""
        leaks = {} if self.tau_m is None else {"tau_m": self.tau_m}
        if not self.node.of.fires:
            return {"tau_s": self.tau_s, "neuron": "li" if leaks else "i", **leaks}
        neuron = {} if leaks else {"neuron": "if"}
        return {"tau_s": self.tau_s, "threshold": self.threshold, **neuron, **leaks}

    def biases(self, constant: Floats) -> tuple[Floats | None, Floats | None]:
        """Return what is added to the potential, and to the current, at every step."""
        bias, drive = self.leak, self.factor * constant
        if not self.filters:  # what enters the current is in the potential at once, and gone
            bias, drive = bias + drive, 0 * drive
        return (bias if bias.any() else None), (drive if drive.any() else None)

    def _each(self, values: Floats) -> Floats:
        values = values.reshape(()) if values.size == 1 else values
        return np.broadcast_to(values, self.shape).astype(np.float64)

    def _tau(self, key: str, losses: Floats) -> float | None:
        """Return a time constant in steps, none for no loss."""
        if np.ptp(losses) > _EQUAL * losses.max():
            raise UnsupportedLayerError(
                f"{self.origin}: {self.node.title}: its neurons have {key} of different lengths "
                f"(losses {losses.min():.4g} to {losses.max():.4g} a step); neurons of a layer of "
                "tssl share theirs; train with one for all"
            )
        loss = float(losses.reshape(-1)[0])
        if round(DECAY_ONE * loss) == 0:
            return None
        return min(max(1.0, 1 / loss), _LONGEST)


def _by_channel(
    neuron: _Neuron, constant: Floats
) -> tuple[Floats, Floats | None, Floats | None] | None:
    """Return factor, bias and drive of each map; None where a map's neurons differ."""
    bias, drive = neuron.biases(constant)
    found: list[Floats | None] = []
    for values in (neuron.factor, bias, drive):
        if values is None:
            found.append(None)
            continue
        flat = values.reshape(len(values), -1)
        if (np.ptp(flat, axis=1) > 1e-12 * np.abs(flat).max()).any():
            return None
        found.append(flat[:, 0].copy())
    factor = found[0]
    return None if factor is None else (factor, found[1], found[2])


def _output_layer(nir: Nir) -> str:
    """Return the node whose spikes, or potentials, are the result.

    Refuse results that are none of one layer.
    """
    names = [nir.output.name]
    while True:
        heard = nir.sources[names[-1]] + nir.late_sources[names[-1]]
        if len(heard) != 1:
            raise UnsupportedLayerError(
                f"{nir.origin}: {nir.nodes[names[-1]].title}: adds up {', '.join(heard)}; the "
                "output of a network must be one layer of neurons"
            )
        node = nir.nodes[heard[0]]
        if node.of.keeps_state:
            return node.name
        if node.kind != "Flatten":
            raise UnsupportedLayerError(
                f"{nir.origin}: {node.title}: is what the output gives, and has no neurons; end "
                "with a LIF, IF or CubaLIF, or with a LI, I or CubaLI that is read"
            )
        names.append(node.name)


def _in_order(layers: list[NirLayer], pools: dict[str, Pool]) -> list[NirLayer | Pool | Concat]:
    """Return layers, pools and concats, each behind what it listens to."""
    found: list[NirLayer | Pool | Concat] = []
    waiting = dict(pools)
    for layer in layers:
        for source in layer.sources:
            line: list[Pool] = []
            while source in waiting:
                line.insert(0, waiting.pop(source))
                source = line[0].source
            found += line
        found += [layer] if layer.concat is None else [layer.concat, layer]
    return found


def _plan(nir: Nir, layers: list[NirLayer], pools: Mapping[str, Pool]) -> ChipPlan | None:
    """Return the grid of a file that holds a chip's integers, so that an export takes these."""
    drives = any(layer.drive is not None for layer in layers)
    if nir.metadata.get("mode") != "chip" or drives or "or" in {p.mode for p in pools.values()}:
        return None
    for layer in layers:
        weights = [each for each in (layer.weight, layer.recurrent) if each is not None]
        numbers = [np.array([layer.neuron["threshold"]])] if layer.node.of.fires else []
        numbers += [] if layer.bias is None else [layer.bias]
        whole = all(np.abs(each - np.rint(each)).max() < _EQUAL for each in (*weights, *numbers))
        even = all((np.rint(each) % _STEP == 0).all() for each in weights)
        if not whole or not even or max(np.abs(w).max() for w in weights) > _LARGEST_WEIGHT + 0.5:
            return None
    names = [layer.name for layer in layers]
    return ChipPlan(
        scales=dict.fromkeys(names, 1.0),
        largest_weights=dict.fromkeys(names, _LARGEST_WEIGHT),
        weight_step=_STEP,
    )
