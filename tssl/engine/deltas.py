"""What messages do to layers of sigma-delta neurons, and when the kernels may compute it.

The integers are those of ``tssl.chip``. Where 32 bits might not hold a sum that Lava refuses to
wrap, the functions say so, and the caller takes the slow, general way.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tssl.chip import (
    DELTA_SHIFT,
    INPUT,
    IntArray,
    Layer,
    Neuron,
    check_messages,
    named,
)
from tssl.chip.lava_storage import stored_shift
from tssl.chip.numbers import INT32_LIMIT, wrapped_32, wrapped_convolution
from tssl.engine import delta_kernels, kernels
from tssl.engine.events import Fired, SynapseRows, largest

__all__ = ["run_delta_input", "run_sigma", "run_sigma_delta"]

Array = NDArray[Any]


def run_sigma_delta(
    layer: Layer, rows: Sequence[SynapseRows], sources: Mapping[str, Array], room: Fired
) -> bool:
    """Run sigma-delta neurons from rest; return whether the kernels could.

    Parameters
    ----------
    rows
        From :func:`tssl.engine.events.rows_of`.
    sources
        What each source sends, ``(samples, time or 1, inputs)``; a train of bytes must hold zeros
        and ones only.
    room
        To be filled; worthless when the kernels could not.
    """
    sums = _sums(layer, rows, sources)
    if sums is None:
        return False
    extremes = delta_kernels.run_sigma_deltas(
        sums,
        layer.synapses.wraps,
        wrapped_32(layer.bias << DELTA_SHIFT).astype(np.int32),
        np.int32(layer.neuron.facts["threshold"] << DELTA_SHIFT),
        *room,
    )
    with named(layer.name):
        check_messages(*map(int, extremes))
    return True


def run_sigma(
    layer: Layer, rows: Sequence[SynapseRows], sources: Mapping[str, Array], room: Fired
) -> bool:
    """Run sigma neurons from rest; likewise."""
    sums = _sums(layer, rows, sources)
    if sums is None:
        return False
    arriving: IntArray = np.broadcast_to(
        sums.astype(np.int64), (len(sums), room.spikes.shape[1], sums.shape[2])
    )
    if layer.synapses.wraps:
        arriving = wrapped_convolution(arriving)
    room.spikes[:] = wrapped_32(np.cumsum(arriving, axis=1))
    if len(room.potential):
        room.current[:] = room.potential[:] = room.spikes[:, -1]
    return True


def run_delta_input(neuron: Neuron, train: Array, room: Fired) -> bool:
    """Run the input's delta neurons from rest on values ``(time or 1, samples, neurons)``."""
    values = np.ascontiguousarray(train.transpose(1, 0, 2), np.int32)
    threshold = np.int32(neuron.facts["threshold"] << DELTA_SHIFT)
    extremes = delta_kernels.run_deltas(values, threshold, room.spikes)
    with named(INPUT):
        check_messages(*map(int, extremes))
    return True


def _sums(layer: Layer, rows: Sequence[SynapseRows], sources: Mapping[str, Array]) -> Array | None:
    """Return what the messages weigh, modulo 2**32, ``(samples, time or 1, neurons)``.

    None for several connections, delays, recurrence, and where a dense sum might be refused.
    """
    if len(rows) != 1 or not rows[0].fits:
        return None
    synapses, train = rows[0], sources[layer.source]
    graded = train.dtype != np.uint8
    most = synapses.heaviest * (largest(train) if graded else 1)
    shift = 0 if layer.synapses.wraps else max(0, stored_shift(layer.synapses.weight))
    if not layer.synapses.wraps and most << shift >= INT32_LIMIT:
        return None
    sums = np.zeros((*train.shape[:2], layer.neurons), np.int32)
    kernels.add_spikes(train, graded, synapses.flat, synapses.shape, sums)
    return sums
