"""Counting what a chip would do for spikes, and joining what a backend yields into a result."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tssl.chip import INPUT, BoolArray, ChipNetwork, IntArray, Layer, Train
from tssl.engine.events import SynapseRows, active_neurons, rows_of
from tssl.errors import DataError
from tssl.machine.cores import spread
from tssl.results.operations import OpCounts
from tssl.results.recording import Recording
from tssl.results.result import InputSource, RunResult
from tssl.results.traces import SPIKES, TraceName

__all__ = ["OperationCounter", "collect", "count_operations"]

_BLOCK_BYTES = 1 << 20


class OperationCounter:
    """Counts what a chip would do, from spikes alone and so equally for every backend."""

    def __init__(self, network: ChipNetwork) -> None:
        self._network = network
        self._fan_outs = [_fan_outs(layer) for layer in network.layers]
        self._rows = [rows_of(layer) for layer in network.layers]

    def count(self, train: IntArray, recording: Recording) -> OpCounts:
        """Return the operations of some samples.

        Parameters
        ----------
        train
            The network's input, ``(time or 1, samples, inputs)``.
        recording
            Spikes of all layers.
        """
        network = self._network
        time_steps = len(recording.trains[network.output.name])
        sources: dict[str, Train] = {
            INPUT: recording.trains.get(INPUT, train),
            **recording.trains,
        }
        operations, active, spikes = [], [], []
        for layer, fan_outs, rows in zip(network.layers, self._fan_outs, self._rows, strict=True):
            fired = recording.trains[layer.name]
            operations.append(_driven(layer, sources, fired, fan_outs))
            active.append(_active(layer, rows, sources, fired))
            spikes.append(_sent(fired, (1, 2)))
        input_spikes = np.count_nonzero(sources[INPUT], axis=(1, 2))
        driven = np.array(operations)
        return OpCounts(
            samples=train.shape[1],
            layers=tuple(layer.name for layer in network.layers),
            neurons=np.array([layer.neurons for layer in network.layers]),
            synaptic_operations=driven[:, :, 0],
            active_updates=np.array(active),
            spikes=np.array(spikes),
            input_spikes=np.broadcast_to(input_spikes, (time_steps,)).copy(),
            stored_zeros=driven[:, :, 1],
        )


def count_operations(network: ChipNetwork, train: IntArray, recording: Recording) -> OpCounts:
    """Count the operations of some samples; see :meth:`OperationCounter.count`."""
    return OperationCounter(network).count(train, recording)


def collect(
    network: ChipNetwork,
    chunks: Iterable[tuple[IntArray, Recording]],
    *,
    backend: str,
    data: str,
    labels: NDArray[Any] | None,
    started: float,
    source: InputSource | None = None,
    record: Sequence[TraceName] = (),
) -> RunResult:
    """Join the recordings of consecutive chunks of samples into one result.

    Parameters
    ----------
    chunks
        Pairs of input train and what the backend recorded for it; at least one.
    started
        Reading of ``time.perf_counter`` when the run began.
    record
        Traces to keep; the chunks have the states for them.
    """
    counts: OpCounts | None = None
    spikes, totals, predictions, traces = [], [], [], []
    entered: list[int] = []
    counter = OperationCounter(network)
    for train, recording in chunks:
        part = counter.count(train, recording)
        entered += [int(train.min()), int(train.max())]
        counts = part if counts is None else counts + part
        output = recording.trains[network.output.name].transpose(1, 0, 2)
        spikes.append(output)
        totals.append(_layer_totals(network, recording))
        graded = network.output.neuron.graded
        found = network.read_out.answers(output, recording.output_potential, graded=graded)
        predictions.append(found)
        traces.append([_trace(recording, name) for name in record])
    if counts is None:
        raise DataError("no samples to run")
    return RunResult(
        backend=backend,
        network=network.name,
        digest=network.digest,
        data=data,
        output_spikes=np.concatenate(spikes),
        spike_counts=np.concatenate(totals),
        predictions=np.concatenate(predictions),
        labels=labels,
        read_out=network.read_out,
        counts=counts,
        seconds=time.perf_counter() - started,
        input_range=(min(entered), max(entered)),
        source=source,
        traces={name: np.concatenate(parts) for name, *parts in zip(record, *traces, strict=True)},
    )


def _trace(recording: Recording, name: TraceName) -> IntArray:
    """Return one trace ``(samples, time, neurons)``."""
    if name.quantity == SPIKES:
        return recording.trains[name.layer].transpose(1, 0, 2)
    states: IntArray = getattr(recording.states[name.layer], name.quantity)
    return states.transpose(1, 0, 2)


def _layer_totals(network: ChipNetwork, recording: Recording) -> IntArray:
    totals = [_sent(recording.trains[layer.name], (0, 2)) for layer in network.layers]
    return np.stack(totals, axis=1)


def _sent(train: Train, axes: tuple[int, int]) -> IntArray:
    """Return how many spikes or messages a train holds, over two of its axes."""
    if train.dtype == np.uint8:  # of zeros and ones; the sum is faster
        return train.sum(axis=axes, dtype=np.int64)
    return np.asarray(np.count_nonzero(train, axis=axes), np.int64)


def _fan_outs(layer: Layer) -> list[IntArray]:
    """Return, for each connection, what each input drives, ``(inputs, 2)``.

    That is the number of non-zero synapses, and of the stored zeros.
    """
    found = []
    for each in layer.connections:
        present = each.synapses.fan_out()
        found.append(np.stack([present, each.synapses.stored() - present], axis=1))
    return found


def _driven(
    layer: Layer, sources: Mapping[str, Train], fired: Train, fan_outs: list[IntArray]
) -> IntArray:
    """Return synaptic operations and stored zeros of each step, ``(time, 2)``.

    Those of recurrent synapses are included.
    """
    driven = np.zeros((len(fired), 2), np.int64)
    for each, fan_out in zip(layer.connections, fan_outs, strict=True):
        if each.source == layer.name:
            driven[1:] += _per_step(fired[:-1], fan_out, len(fired) - 1)
        else:
            driven += _per_step(sources[each.source], fan_out, len(fired))
    return driven


def _active(
    layer: Layer, rows: Sequence[SynapseRows], sources: Mapping[str, Train], fired: Train
) -> IntArray:
    """Return how many neurons receive a spike or fire at each step, ``(time,)``."""
    if not rows:
        reached = _reached(layer, sources, fired)
        return np.asarray((reached | (fired != 0)).sum(axis=(1, 2)))
    heard = [sources[each.source] for each in layer.arriving]

    def count(samples: slice) -> IntArray:
        trains = [np.ascontiguousarray(source[:, samples].transpose(1, 0, 2)) for source in heard]
        return active_neurons(rows, trains, fired[:, samples].transpose(1, 0, 2))

    most = max(len(source) * source.shape[2] for source in heard)
    size = max(1, _BLOCK_BYTES // max(1, most))
    return np.sum(spread(count, fired.shape[1], size), axis=0, dtype=np.int64)


def _reached(layer: Layer, sources: Mapping[str, Train], fired: Train) -> BoolArray:
    """Return which neurons receive a spike at each step, from the layer itself included."""
    reached = np.zeros(fired.shape, np.bool_)
    for each in layer.connections:
        if each.source == layer.name:
            reached[1:] |= each.synapses.reached(fired[:-1])
        else:  # spelt out: through delays a static input reaches other neurons at later steps
            source = sources[each.source]
            source = np.broadcast_to(source, (len(fired), *source.shape[1:]))
            reached |= each.synapses.reached(source)
    return reached


def _per_step(spikes: Train, fan_out: IntArray, time_steps: int) -> IntArray:
    """Return what the spikes ``(time or 1, samples, n)`` drive per step, ``(time, 2)``."""
    driven = np.count_nonzero(spikes, axis=1) @ fan_out
    return np.broadcast_to(driven, (time_steps, driven.shape[1])).copy()
