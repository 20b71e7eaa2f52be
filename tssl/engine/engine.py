"""The bit-exact engine: compiled, event-driven, batched over samples, without transport delay.

It computes what ``tssl.chip`` says. Of layers with delays, ``tssl.chip`` forms the weighted sums;
recurrence, and integers that might leave 32 bits, are all its own.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from tssl.chip import (
    INPUT,
    ChipNetwork,
    CubaNeuron,
    DeltaNeuron,
    InputLayer,
    IntArray,
    Layer,
    Neuron,
    Run,
    SigmaDeltaNeuron,
    SigmaNeuron,
    Train,
    neuron_steps,
)
from tssl.engine.deltas import run_delta_input, run_sigma, run_sigma_delta
from tssl.engine.events import Fired, SynapseRows, rows_of, run_biases, run_layer, run_sums
from tssl.machine.cores import cores, in_order, spread
from tssl.results import Recording, States

__all__ = ["Compiled", "Engine", "run_chunk"]

_BLOCK_BYTES = 1 << 20
"""Spikes that a thread computes at a time, and that are handed over; the caches hold them."""


class Options(Protocol):
    """What concerns the engine of what a user asks of a backend."""

    @property
    def states(self) -> frozenset[str]:
        """Layers whose currents and potentials are recorded at every step."""


class Engine:
    """Runs networks on all cores, a few samples at a time, in bounded memory.

    Parameters
    ----------
    states
        Layers whose currents and potentials are recorded too; ``tssl.chip`` computes them once
        more from the spikes, slowly.
    """

    name = "engine"

    def __init__(self, states: frozenset[str] = frozenset()) -> None:
        self._states = states

    @classmethod
    def with_options(cls, options: Options) -> "Engine":
        """Return the engine set up as asked."""
        return cls(options.states)

    def run(
        self,
        network: ChipNetwork,
        train: IntArray,
        time_steps: int,
        progress: Callable[[int], None],
    ) -> Iterator[tuple[IntArray, Recording]]:
        """Yield chunks of samples with everything recorded; see ``lava_runtime.Backend.run``."""
        samples = train.shape[1]
        size = _block_size(network, time_steps, samples)
        compiled = Compiled(network, self._states)
        parts = [train[:, first : first + size] for first in range(0, samples, size)]
        tasks = (functools.partial(compiled.run_part, part, time_steps) for part in parts)
        finished = 0
        for part, recording in zip(parts, in_order(tasks), strict=True):
            yield part, recording
            finished += part.shape[1]
            progress(finished)


class Compiled:
    """A network whose weights lie as spikes reach for them."""

    def __init__(self, network: ChipNetwork, states: frozenset[str] = frozenset()) -> None:
        self._network, self._states = network, states
        self._rows = {layer.name: rows_of(layer) for layer in network.layers}

    def run(self, train: IntArray, time_steps: int) -> Recording:
        """Return the spikes of every layer for inputs ``(time or 1, samples, inputs)``."""
        samples = train.shape[1]
        size = _block_size(self._network, time_steps, samples)
        recordings = spread(lambda part: self.run_part(train[:, part], time_steps), samples, size)
        if not recordings:
            return self.run_part(train, time_steps)
        return Recording.joined(recordings)

    def run_part(self, train: IntArray, time_steps: int) -> Recording:
        """Do the same in one thread, for few samples."""
        network, samples = self._network, train.shape[1]
        trains: dict[str, Train] = {}
        if network.input.neuron is None:
            source = _compact(np.ascontiguousarray(train.transpose(1, 0, 2)))
        else:
            neuron, size = network.input.neuron, network.input.neurons
            block = Fired.room(samples, time_steps, size, neuron.sends, state=False)
            _run_block(network.input, neuron, train, block)
            source = trains[INPUT] = block.spikes
        sources = {INPUT: source}
        for layer in network.layers:
            is_output = layer is network.output
            room = Fired.room(
                samples, time_steps, layer.neurons, layer.neuron.sends, state=is_output
            )
            self._run_layer(layer, sources, room)
            sources[layer.name] = trains[layer.name] = room.spikes
        spikes = {name: fired.transpose(1, 0, 2) for name, fired in trains.items()}
        states = {name: self._state_of(name, train, sources, time_steps) for name in self._states}
        return Recording(spikes, room.potential.astype(np.int64), states)

    def _state_of(
        self, name: str, train: IntArray, sources: Mapping[str, Train], time_steps: int
    ) -> States:
        """Return the states of a layer that listens to ``sources``."""
        if name == INPUT and self._network.input.neuron is not None:
            neuron: Neuron = self._network.input.neuron
            arriving, bias = self._network.input.driven(train)
            steps = neuron_steps(neuron, bias, time_steps, arriving)
        else:
            layer = next(each for each in self._network.layers if each.name == name)
            neuron = layer.neuron
            trains = {
                each.source: sources[each.source].transpose(1, 0, 2) for each in layer.arriving
            }
            steps = layer.steps(trains, time_steps)
        currents, potentials = zip(*(neuron.seen(step.state) for step in steps), strict=True)
        return States(np.stack(currents).astype(np.int32), np.stack(potentials).astype(np.int32))

    def _run_layer(self, layer: Layer, sources: Mapping[str, Train], room: Fired) -> None:
        """Run a layer on the trains of its sources ``(samples, time or 1, inputs)``."""
        kernels = _KERNELS.get(type(layer.neuron))
        if kernels and kernels(layer, self._rows[layer.name], sources, room):
            return
        trains = {each.source: sources[each.source].transpose(1, 0, 2) for each in layer.arriving}
        _keep(layer.neuron, layer.run(trains, room.spikes.shape[1]), room)


def run_chunk(network: ChipNetwork, train: IntArray, time_steps: int) -> Recording:
    """Return the spikes of every layer for inputs ``(time or 1, samples, inputs)``."""
    return Compiled(network).run(train, time_steps)


def _run_cuba(
    layer: Layer, rows: Sequence[SynapseRows], sources: Mapping[str, Train], room: Fired
) -> bool:
    """Run a layer of CUBA neurons; return whether the kernels could, see :func:`run_layer`."""
    neuron = layer.cuba
    if run_layer(layer, rows, sources, room):
        return True
    if layer.own:
        return False
    trains = {each.source: sources[each.source].transpose(1, 0, 2) for each in layer.arriving}
    sums = layer.activation(trains, room.spikes.shape[1]).transpose(1, 0, 2)
    return run_sums(neuron, layer.bias, sums, room)


_KERNELS: dict[
    type[Neuron],
    Callable[[Layer, Sequence[SynapseRows], Mapping[str, Train], Fired], bool],
] = {CubaNeuron: _run_cuba, SigmaDeltaNeuron: run_sigma_delta, SigmaNeuron: run_sigma}
"""What runs the layers of each kind of neurons, or says that ``tssl.chip`` must."""


_INPUT_KERNELS: dict[type[Neuron], Callable[[Any, Train, Fired], bool]] = {
    CubaNeuron: lambda neuron, train, room: run_biases(neuron, train[0].astype(np.int64), room),
    DeltaNeuron: run_delta_input,
}
"""Likewise of the input's neurons, on data ``(time or 1, samples, neurons)``."""


def _run_block(block: InputLayer, neuron: Neuron, train: Train, room: Fired) -> None:
    """Run the input neurons on data ``(time or 1, samples, neurons)``."""
    kernels = _INPUT_KERNELS.get(type(neuron))
    if not (kernels and kernels(neuron, train, room)):
        _keep(neuron, neuron.run(*block.driven(train), room.spikes.shape[1]), room)


def _keep(neuron: Neuron, run: Run, room: Fired) -> None:
    """Put what ``tssl.chip`` computed where the kernels would have put it."""
    room.spikes[:] = run.spikes.transpose(1, 0, 2)
    if len(room.potential):
        room.potential[:] = neuron.seen(run.state).potential


def _compact(train: Train) -> Train:
    """Return spikes of zero and one as bytes, and all others not as bytes."""
    if train.size and train.min() >= 0 and train.max() <= 1:
        return train.astype(np.uint8)
    return train.astype(np.int32) if train.dtype == np.uint8 else train


def _block_size(network: ChipNetwork, time_steps: int, samples: int) -> int:
    """Return how many samples a thread takes at a time: few, but worth its while."""
    neurons = network.input.neurons + network.neurons
    worth = _BLOCK_BYTES // (time_steps * neurons)
    return max(1, min(worth, -(-samples // cores())))
