"""The bit-exact engine: compiled, event-driven, batched over samples, without transport delay.

It computes what ``tssl.chip`` says. Layers with delays or recurrence, and integers that might
leave 32 bits, are left to ``tssl.chip`` itself.
"""

from collections.abc import Iterator

import numpy as np

from tssl.chip import (
    INPUT,
    ChipNetwork,
    CubaRun,
    CubaState,
    DenseLayer,
    IntArray,
    Layer,
    SpikeArray,
    Train,
    cuba_run,
)
from tssl.events import Fired, run_events, run_sums, synapses_of
from tssl.lava_runtime.backend import Progress
from tssl.results import Recording

_CHUNK_BYTES = 64 << 20


class Engine:
    """Runs networks on all cores, in chunks of samples of bounded memory."""

    name = "engine"

    def run(
        self, network: ChipNetwork, train: IntArray, time_steps: int, progress: Progress
    ) -> Iterator[tuple[IntArray, Recording]]:
        """Yield chunks of samples with everything recorded; see ``Backend.run``."""
        samples = train.shape[1]
        size = _chunk_size(network, time_steps)
        compiled = Compiled(network)
        for first in range(0, samples, size):
            part = train[:, first : first + size]
            yield part, compiled.run(part, time_steps)
            progress(min(first + size, samples))


class Compiled:
    """A network whose weights lie as spikes reach for them."""

    def __init__(self, network: ChipNetwork) -> None:
        self._network = network
        self._synapses = {layer.name: synapses_of(layer) for layer in network.layers}

    def run(self, train: IntArray, time_steps: int) -> Recording:
        """Return the spikes of every layer for inputs ``(time or 1, samples, inputs)``."""
        trains: dict[str, SpikeArray] = {}
        sources: dict[str, Train] = {INPUT: _compact(train)}
        if self._network.input.neuron is not None:
            silence = np.zeros((1, *train.shape[1:]), np.int64)
            block = cuba_run(self._network.input.neuron, silence, train[0], time_steps)
            trains[INPUT] = sources[INPUT] = block.spikes
        for layer in self._network.layers:
            spikes, state = self._run_layer(layer, sources[layer.source], time_steps)
            trains[layer.name] = sources[layer.name] = spikes
        return Recording(trains, state.voltage)

    def _run_layer(self, layer: Layer, train: Train, time_steps: int) -> CubaRun:
        synapses = self._synapses[layer.name]
        fired: Fired | None = None
        if synapses is not None and isinstance(layer, DenseLayer) and len(train) == 1:
            # multiplied once and mostly non-zero: a matrix product is the faster way
            sums = layer.activation(train, time_steps)
            fired = run_sums(layer, sums[0], time_steps)
        elif synapses is not None:
            fired = run_events(layer, synapses, _sample_first(train), time_steps)
        if fired is None:
            return layer.run(train, time_steps)
        voltage = fired.voltage.astype(np.int64)
        return CubaRun(fired.spikes.transpose(1, 0, 2), CubaState(fired.current, voltage))


def run_chunk(network: ChipNetwork, train: IntArray, time_steps: int) -> Recording:
    """Return the spikes of every layer for inputs ``(time or 1, samples, inputs)``."""
    return Compiled(network).run(train, time_steps)


def _compact(train: Train) -> Train:
    """Return spikes of zero and one as bytes, which are searched fastest."""
    if train.size and train.min() >= 0 and train.max() <= 1:
        return train.astype(np.uint8)
    return train


def _sample_first(train: Train) -> Train:
    return np.ascontiguousarray(train.transpose(1, 0, 2))


def _chunk_size(network: ChipNetwork, time_steps: int) -> int:
    """Return how many samples keep what is recorded of them within a fixed memory."""
    neurons = network.input.neurons + sum(layer.neurons for layer in network.layers)
    return max(1, _CHUNK_BYTES // (time_steps * neurons))
