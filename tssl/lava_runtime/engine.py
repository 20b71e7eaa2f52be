"""The bit-exact engine: the meaning of ``tssl.chip``, layer by layer, batched over samples."""

from collections.abc import Iterator

import numpy as np

from tssl.chip import INPUT, ChipNetwork, IntArray, SpikeArray, Train, cuba_run
from tssl.lava_runtime.backend import Progress
from tssl.results import Recording

_CHUNK_BYTES = 256 << 20


class Engine:
    """Runs a network in numpy integers, without Lava's transport delays."""

    name = "engine"

    def run(
        self, network: ChipNetwork, train: IntArray, time_steps: int, progress: Progress
    ) -> Iterator[tuple[IntArray, Recording]]:
        """Yield chunks of samples with everything recorded; see ``Backend.run``."""
        samples = train.shape[1]
        size = _chunk_size(network, time_steps)
        for first in range(0, samples, size):
            part = train[:, first : first + size]
            yield part, run_chunk(network, part, time_steps)
            progress(min(first + size, samples))


def run_chunk(network: ChipNetwork, train: IntArray, time_steps: int) -> Recording:
    """Return the spikes of every layer for inputs ``(time or 1, samples, inputs)``."""
    trains: dict[str, SpikeArray] = {}
    sources: dict[str, Train] = {INPUT: train}
    if network.input.neuron is not None:
        silence = np.zeros((1, *train.shape[1:]), np.int64)
        block = cuba_run(network.input.neuron, silence, train[0], time_steps)
        trains[INPUT] = sources[INPUT] = block.spikes
    for layer in network.layers:
        spikes, state = layer.run(sources[layer.source], time_steps)
        trains[layer.name] = sources[layer.name] = spikes
    return Recording(trains, state.voltage)


def _chunk_size(network: ChipNetwork, time_steps: int) -> int:
    """Return how many samples keep the largest layer's integers within a fixed memory."""
    neurons = max(network.input.neurons, *(layer.neurons for layer in network.layers))
    return max(1, _CHUNK_BYTES // (8 * time_steps * neurons * 4))
