"""A layer of the chip: neurons, and the connections that lead to them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tssl.chip.connections import Connection, Synapses, Train, check_sum
from tssl.chip.convolution import ConvSynapses
from tssl.chip.cuba import NEVER, CubaNeuron
from tssl.chip.dense import DenseSynapses
from tssl.chip.neuron import Neuron, Run
from tssl.chip.numbers import INT32_LIMIT, IntArray, frozen_integers
from tssl.errors import RangeError, UnsupportedLayerError
from tssl.geometry import Geometry, Pair, Shape

INTEGRATOR = CubaNeuron(current_decay=0, voltage_decay=4096, threshold=NEVER)
"""What Lava puts in a layer without a neuron group: it adds up its input and never fires."""


class Step(NamedTuple):
    """What a layer did in a time step, ``(batch, neurons)``."""

    before: Any
    """The state before it, of the neuron's own kind."""
    activation: IntArray
    """What arrived, its own spikes of the step before included."""
    spikes: Any
    """What was sent; truth values where spikes are 0 and 1."""
    state: Any
    """After the step."""


@contextmanager
def named(layer: str) -> Iterator[None]:
    """Put the name of a layer in front of what is wrong with it."""
    try:
        yield
    except (RangeError, UnsupportedLayerError) as error:
        raise type(error)(f"layer {layer}: {error}") from error


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """A group of neurons and the connections that lead to it.

    Parameters
    ----------
    connections
        What they weigh adds up. Those from other layers come first; one from the layer itself is
        a recurrence.
    neuron
        Parameters of the neurons.
    bias
        Mantissa added to the membrane potential at every step, or to what the neuron decodes:
        ``(neurons,)``, for maps also ``(channels,)``, or scalar 0.

    Raises
    ------
    UnsupportedLayerError
        When the connections lead to other numbers of neurons, or only from the layer itself.
    """

    name: str
    connections: tuple[Connection, ...]
    neuron: Neuron
    bias: IntArray = field(default_factory=lambda: np.zeros((), np.int64))

    def __post_init__(self) -> None:
        with named(self.name):
            self._check_connections()
            object.__setattr__(self, "bias", self._whole_bias())
            self.neuron.check_size("its neurons", self.neurons)
            self.neuron.check_place("its neurons", "layer")
            if self.bias.any() and not self.neuron.bias_bits:
                raise UnsupportedLayerError(f"{self.neuron.kind} neurons have no bias")

    @property
    def arriving(self) -> tuple[Connection, ...]:
        """The connections from other layers."""
        return tuple(each for each in self.connections if each.source != self.name)

    @property
    def own(self) -> tuple[Connection, ...]:
        """The connections from the layer itself, whose spikes arrive a step later."""
        return tuple(each for each in self.connections if each.source == self.name)

    @property
    def cuba(self) -> CubaNeuron:
        """Its neurons, where they must be CUBA neurons.

        Raises
        ------
        UnsupportedLayerError
            When they are of another kind.
        """
        cuba: CubaNeuron = self.neuron.as_cuba(f"layer {self.name}")
        return cuba

    @property
    def source(self) -> str:
        """The only layer that it listens to."""
        return self._only().source

    @property
    def synapses(self) -> Synapses:
        """The synapses of the only connection from another layer."""
        return self._only().synapses

    @property
    def output_shape(self) -> Shape:
        """Shape of one step of output, (C, H, W) or (neurons,)."""
        return self.connections[0].synapses.output_shape

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return self.connections[0].synapses.outputs

    @property
    def weights(self) -> IntArray:
        """The weights of all connections, one after the other."""
        return np.concatenate([each.synapses.weight.reshape(-1) for each in self.connections])

    @property
    def weight_bits(self) -> int:
        """Bits per weight, sign included; even weights spend none on the lowest bit."""
        return max(each.synapses.weight_bits for each in self.connections)

    @property
    def holds_spikes(self) -> bool:
        """Whether spikes can be under way inside it (delays, recurrence)."""
        return bool(self.own) or self.longest_delay > 0

    @property
    def longest_delay(self) -> int:
        """Most steps that a spike spends in a synapse."""
        return max(each.synapses.longest_delay for each in self.connections)

    def activation(self, trains: Mapping[str, Train], time_steps: int) -> IntArray:
        """Return what arrives from other layers, ``(time or 1, batch, neurons)``.

        Parameters
        ----------
        trains
            What each source sends, by name, ``(time or 1, batch, neurons)``.

        Raises
        ------
        RangeError
            When it would overflow the 32 bits in which Lava forms it.
        """
        with named(self.name):
            sums = [each.synapses.sums(trains[each.source], time_steps) for each in self.arriving]
            return _added(sums, self.neuron.shift)

    def steps(self, trains: Mapping[str, Train], time_steps: int) -> Iterator[Step]:
        """Advance the neurons from rest, without transport delay, and yield every step."""
        activation = self.activation(trains, time_steps)
        own = [each.synapses for each in self.own]
        with named(self.name):
            yield from neuron_steps(self.neuron, self.bias, time_steps, activation, own)

    def run(self, trains: Mapping[str, Train], time_steps: int) -> Run:
        """Return what the neurons do, without transport delay."""
        if not self.own:
            activation = self.activation(trains, time_steps)
            with named(self.name):
                return self.neuron.run(activation, self.bias, time_steps)
        steps = list(self.steps(trains, time_steps))
        spikes = np.stack([step.spikes for step in steps]).astype(self.neuron.sends)
        return Run(spikes, steps[-1].state)

    def _only(self) -> Connection:
        if len(self.arriving) != 1:
            sources = ", ".join(each.source for each in self.arriving)
            raise UnsupportedLayerError(
                f"layer {self.name}: has several sources ({sources}), where one is expected"
            )
        return self.arriving[0]

    def _check_connections(self) -> None:
        if not self.arriving or self.connections[: len(self.arriving)] != self.arriving:
            raise UnsupportedLayerError("needs a connection from another layer first")
        for each in self.arriving:
            if each.synapses.outputs != self.neurons:
                raise UnsupportedLayerError(
                    f"the connection from {each.source} leads to {each.synapses.outputs} "
                    f"neurons, that from {self.connections[0].source} to {self.neurons}"
                )
        for each in self.own:
            sizes = each.synapses.inputs, each.synapses.outputs
            if sizes != (self.neurons, self.neurons) or each.synapses.longest_delay:
                raise UnsupportedLayerError(
                    f"recurrent weights of shape {each.synapses.weight.shape}; expected "
                    f"({self.neurons}, {self.neurons}), without delays"
                )

    def _whole_bias(self) -> IntArray:
        bias = frozen_integers(self.bias)
        if bias.shape == ():
            return np.broadcast_to(bias, (self.neurons,))
        if bias.shape == self.output_shape[:1]:  # of maps, one for each
            return frozen_integers(np.repeat(bias, self.neurons // len(bias)))
        if bias.shape != (self.neurons,):
            raise UnsupportedLayerError(f"bias of shape {bias.shape}; expected ({self.neurons},)")
        return bias


def neuron_steps(
    neuron: Neuron,
    bias: IntArray,
    time_steps: int,
    activation: IntArray | None = None,
    own: Sequence[Synapses] = (),
) -> Iterator[Step]:
    """Advance neurons from rest and yield every step.

    Parameters
    ----------
    bias
        ``(neurons,)`` or ``(batch, neurons)``.
    activation
        What arrives from outside, ``(time or 1, batch, neurons)``; nothing when None.
    own
        Synapses among the neurons, whose spikes arrive one step later.
    """
    if activation is None:
        activation = np.zeros((1, *bias.shape), np.int64)
    shape = activation.shape[1:]
    state, spikes = neuron.rest(shape), np.zeros(shape, np.int64)
    for step in range(time_steps):
        arriving = activation[min(step, len(activation) - 1)]
        sums = [synapses.sums(spikes[None], 1)[0] for synapses in own]
        arriving = _added([arriving, *sums], neuron.shift)
        fired, after = neuron.step(state, arriving, bias)
        yield Step(state, arriving, fired, after)
        state, spikes = after, fired.astype(np.int64)


def _added(sums: Sequence[IntArray], shift: int) -> IntArray:
    """Return the sum of what several synapses weigh, of which ``shift`` bits more have room."""
    total = sum(sums[1:], start=sums[0])
    for part in sums:
        check_sum(part, shift)
    largest = int(np.abs(total).max(initial=0)) if len(sums) > 1 else 0
    if largest << shift >= INT32_LIMIT:
        raise RangeError(
            f"its connections add up to {largest}, which overflows 32 bits; "
            "use smaller inputs or weights"
        )
    return total


def dense_layer(
    *,
    name: str,
    source: str,
    weight: object,
    delay: object = None,
    recurrent_weight: object = None,
    **fields: Any,  # noqa: ANN401 - those of Layer
) -> Layer:
    """Return a layer of all-to-all synapses from one source.

    Parameters
    ----------
    weight
        ``(neurons, inputs)``.
    delay
        Steps that a spike spends in the synapse, of ``weight``'s shape, or None.
    recurrent_weight
        ``(neurons, neurons)`` among the neurons themselves, one step later; column = sender.
    """
    with named(name):
        synapses: list[tuple[str, Synapses]] = [
            (source, DenseSynapses(weight=weight, delay=delay))  # type: ignore[arg-type]
        ]
        if recurrent_weight is not None:
            synapses.append((name, DenseSynapses(weight=recurrent_weight)))  # type: ignore[arg-type]
    connections = tuple(Connection(source=source, synapses=each) for source, each in synapses)
    return Layer(name=name, connections=connections, **fields)


def conv_layer(
    *,
    name: str,
    source: str,
    weight: object,
    map_shape: tuple[int, int, int],
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    **fields: Any,  # noqa: ANN401 - those of Layer
) -> Layer:
    """Return a layer that is a convolution of one source.

    Parameters
    ----------
    weight
        ``(out channels, in channels / groups, kernel height, kernel width)``.
    map_shape
        Shape (C, H, W) of the source.
    stride, padding, dilation, groups
        See :class:`tssl.geometry.Geometry`.
    """
    array = np.asarray(weight)
    with named(name):
        if array.ndim != 4:
            raise UnsupportedLayerError(
                f"weights of shape {array.shape}; 4 non-empty dimensions are expected"
            )
        geometry = Geometry(
            kernel=(array.shape[2], array.shape[3]),
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
        )
        synapses = ConvSynapses(weight=array, map_shape=map_shape, geometry=geometry)
    connection = Connection(source=source, synapses=synapses)
    return Layer(name=name, connections=(connection,), **fields)
