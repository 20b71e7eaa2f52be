"""Counted operations by brute force, and chunks joined."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.chip.test_layers import Synapses, conv_synapses, dense_synapses
from tssl.chip import (
    CLASS,
    INPUT,
    ChipNetwork,
    CubaNeuron,
    InputLayer,
    Layer,
    conv_layer,
    cuba_run,
    dense_layer,
)
from tssl.engine import collect, count_operations
from tssl.errors import DataError
from tssl.results import OpCounts, Recording, RunResult

STEPS = 6
NEURON = CubaNeuron(current_decay=2048, voltage_decay=512, threshold=20)


def record(network: ChipNetwork, train: np.ndarray) -> Recording:
    """Run a network layer by layer, with everything recorded."""
    trains: dict[str, Any] = {}
    sources = {INPUT: train}
    if network.input.neuron is not None:
        silence = np.zeros((1, *train.shape[1:]), np.int64)
        block = cuba_run(network.input.neuron, silence, train[0], STEPS)
        trains[INPUT] = sources[INPUT] = block.spikes
    for layer in network.layers:
        spikes, state = layer.run(sources, STEPS)
        trains[layer.name] = sources[layer.name] = spikes
    return Recording(trains, state.potential)


def synapses_of(layer: Layer) -> Synapses:
    return dense_synapses(layer) if layer.synapses.geometry is None else conv_synapses(layer)


class Tally(NamedTuple):
    """Counts of a layer per step."""

    operations: list[int]
    zeros: list[int]
    active: list[int]


def brute_force(layer: Layer, source: np.ndarray, fired: np.ndarray) -> Tally:
    """Count synapse by synapse."""
    source = np.broadcast_to(source, (STEPS, *source.shape[1:]))
    every = synapses_of(layer)
    synapses = [[(i, delay) for i, weight, delay in one if weight != 0] for one in every]
    own = layer.own[0].synapses.weight if layer.own else None
    tally = Tally([0] * STEPS, [0] * STEPS, [0] * STEPS)
    for t, b, o in np.ndindex(fired.shape):
        sent = sum(bool(source[t, b, i]) for i, _ in synapses[o])
        arrived = any(source[t - delay, b, i] for i, delay in synapses[o] if t >= delay)
        stored = sum(bool(source[t, b, i]) for i, _, _ in every[o])
        echoes = 0
        if own is not None and t > 0:
            echoes = sum(bool(own[o, j]) and bool(fired[t - 1, b, j]) for j in range(layer.neurons))
            stored += int(fired[t - 1, b].sum())
        tally.operations[t] += sent + echoes
        tally.zeros[t] += stored - sent - echoes
        tally.active[t] += bool(arrived or echoes or fired[t, b, o])
    return tally


def sparse(rng: np.random.Generator, shape: tuple[int, ...], largest: int) -> np.ndarray:
    return rng.integers(-largest, largest + 1, shape) * rng.integers(0, 2, shape)


def dense_network(rng: np.random.Generator) -> ChipNetwork:
    weight = sparse(rng, (5, 8), 30)
    layers = (
        dense_layer(name="a", source=INPUT, neuron=NEURON, weight=weight),
        dense_layer(name="b", source="a", neuron=NEURON, weight=sparse(rng, (4, 5), 60) + 5),
    )
    return ChipNetwork(name="dense", input=InputLayer(shape=(8,)), layers=layers)


def delayed_network(rng: np.random.Generator) -> ChipNetwork:
    layers = (
        dense_layer(
            name="a",
            source=INPUT,
            neuron=NEURON,
            weight=sparse(rng, (5, 8), 30),
            delay=rng.integers(1, 4, (5, 8)),
        ),
        dense_layer(name="b", source="a", neuron=NEURON, weight=sparse(rng, (4, 5), 60) + 5),
    )
    return ChipNetwork(name="delayed", input=InputLayer(shape=(8,)), layers=layers)


def conv_network(rng: np.random.Generator) -> ChipNetwork:
    conv = conv_layer(
        name="a",
        source=INPUT,
        neuron=NEURON,
        weight=sparse(rng, (4, 1, 2, 2), 30),
        map_shape=(2, 2, 2),
        padding=(1, 0),
        groups=2,
    )
    dense = dense_layer(name="b", source="a", neuron=NEURON, weight=sparse(rng, (4, 12), 60) + 5)
    return ChipNetwork(name="conv", input=InputLayer(shape=(2, 2, 2)), layers=(conv, dense))


def recurrent_network(rng: np.random.Generator) -> ChipNetwork:
    layer = dense_layer(
        name="a",
        source=INPUT,
        neuron=NEURON,
        weight=sparse(rng, (4, 8), 30) * np.array([[1], [1], [1], [0]]),  # one lives on echoes
        recurrent_weight=sparse(rng, (4, 4), 40),
    )
    return ChipNetwork(name="recurrent", input=InputLayer(shape=(8,)), layers=(layer,))


def block_network(rng: np.random.Generator) -> ChipNetwork:
    network = dense_network(rng)
    return replace(network, name="block", input=InputLayer(shape=(8,), neuron=NEURON))


def branched_network(rng: np.random.Generator) -> ChipNetwork:
    first, second = dense_network(rng).layers
    third = dense_layer(name="c", source="a", neuron=NEURON, weight=sparse(rng, (3, 5), 60) + 5)
    return ChipNetwork(name="branched", input=InputLayer(shape=(8,)), layers=(first, second, third))


NETWORKS = [
    dense_network,
    delayed_network,
    conv_network,
    recurrent_network,
    block_network,
    branched_network,
]


@pytest.mark.parametrize("make", NETWORKS)
@pytest.mark.parametrize("steps", [1, STEPS])
def test_counts_equal_brute_force(
    make: Callable[[np.random.Generator], ChipNetwork], steps: int, rng: np.random.Generator
):
    network = make(rng)
    train = sparse(rng, (steps, 3, 8), 12)
    recording = record(network, train)
    assert all(spikes.any() for spikes in recording.trains.values())
    counts = count_operations(network, train, recording)
    inputs = np.broadcast_to(recording.trains.get(INPUT, train), (STEPS, 3, 8))
    assert counts.stored_zeros is not None
    assert counts.stored_zeros.any()
    assert counts.samples == 3
    assert counts.time_steps == STEPS
    assert counts.layers == tuple(layer.name for layer in network.layers)
    assert counts.neurons.tolist() == [layer.neurons for layer in network.layers]
    assert counts.input_spikes.tolist() == [int((step != 0).sum()) for step in inputs]
    for position, layer in enumerate(network.layers):
        fired = recording.trains[layer.name]
        source = inputs if layer.source == INPUT else recording.trains[layer.source]
        tally = brute_force(layer, source, fired)
        assert counts.synaptic_operations[position].tolist() == tally.operations
        assert counts.stored_zeros[position].tolist() == tally.zeros
        assert counts.active_updates[position].tolist() == tally.active
        assert counts.spikes[position].tolist() == [int(step.sum()) for step in fired]


def arrays_of(counts: OpCounts) -> dict[str, np.ndarray]:
    return {name: value for name, value in vars(counts).items() if isinstance(value, np.ndarray)}


def assert_equal_counts(one: OpCounts, other: OpCounts) -> None:
    assert (one.samples, one.layers) == (other.samples, other.layers)
    for name, array in arrays_of(one).items():
        assert np.array_equal(array, arrays_of(other)[name]), name


def in_chunks(rng: np.random.Generator) -> tuple[ChipNetwork, list[tuple[np.ndarray, Recording]]]:
    """Return a network and three chunks of samples that were run on it."""
    network = dense_network(rng)
    trains = [sparse(rng, (1, samples, 8), 12) for samples in (3, 1, 4)]
    return network, [(train, record(network, train)) for train in trains]


@pytest.fixture
def parts(rng: np.random.Generator) -> Any:
    return in_chunks(rng)


def test_adding_counts_is_commutative_and_associative(parts: Any):
    network, chunks = parts
    a, b, c = (count_operations(network, *chunk) for chunk in chunks)
    assert_equal_counts(a + b, b + a)
    assert_equal_counts((a + b) + c, a + (b + c))


def test_counts_of_chunks_add_up_to_the_counts_of_all(parts: Any):
    network, chunks = parts
    whole = np.concatenate([train for train, _ in chunks], axis=1)
    together = count_operations(network, whole, record(network, whole))
    first, second, third = (count_operations(network, *chunk) for chunk in chunks)
    assert_equal_counts(first + second + third, together)
    assert together.samples == 8


def collected(parts: Any, **changes: object) -> RunResult:
    network, chunks = parts
    given = {
        "backend": "engine",
        "data": "random",
        "labels": np.array([0, 1, 2, 3, 0, 1, 2, 3]),
        "started": time.perf_counter() - 1.5,
        **changes,
    }
    return collect(network, iter(chunks), **given)


def test_chunks_are_joined_in_order(parts: Any):
    network, chunks = parts
    result = collected(parts)
    whole = np.concatenate([train for train, _ in chunks], axis=1)
    recording = record(network, whole)
    assert np.array_equal(result.output_spikes, recording.trains["b"].transpose(1, 0, 2))
    assert result.spike_counts.tolist() == [
        [int(recording.trains[name][:, sample].sum()) for name in ("a", "b")] for sample in range(8)
    ]
    expected = CLASS.answers(result.output_spikes, recording.output_potential)
    assert np.array_equal(result.predictions, expected)
    assert (result.network, result.digest) == ("dense", network.digest)
    assert 1.5 <= result.seconds < 60
    assert result.accuracy == float(np.mean(expected == [0, 1, 2, 3, 0, 1, 2, 3]))


def test_no_chunks_are_an_error(parts: Any):
    with pytest.raises(DataError, match="no samples to run"):
        collected((parts[0], []))
