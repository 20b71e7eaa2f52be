"""Counted operations by brute force, the read-out by hand, results to disk and back."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.chip.test_layers import Synapses, conv_synapses, dense_synapses
from tssl.chip import (
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
from tssl.results import OpCounts, Recording, RunResult, read_out
from tssl.results.result import SCHEMA_VERSION

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
    return Recording(trains, state.voltage)


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


@pytest.fixture
def parts(rng: np.random.Generator) -> tuple[ChipNetwork, list[tuple[np.ndarray, Recording]]]:
    """A network and three chunks of samples that were run on it."""
    network = dense_network(rng)
    trains = [sparse(rng, (1, samples, 8), 12) for samples in (3, 1, 4)]
    return network, [(train, record(network, train)) for train in trains]


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


# ------------------------------------------------------------------------- the read-out


@pytest.mark.parametrize(
    ("spikes", "voltage", "winner"),
    [
        # one row a step, one column a class
        ([[0, 1], [1, 0], [1, 0]], [0, 0], 0),  # more spikes win, though later
        ([[1, 0], [0, 1], [0, 0]], [0, 9], 0),  # as many: the earlier
        ([[0, 1], [1, 0], [0, 0]], [9, 0], 1),
        ([[1, 1], [0, 0], [0, 0]], [0, 9], 0),  # as many, as early: the lower index
        ([[1, 0], [0, 1], [0, 1], [1, 0]], [0, 9], 0),  # steps 0 and 3 against 1 and 2: a tie
        ([[1, 0], [0, 1], [1, 0], [0, 1]], [0, 9], 0),  # steps 0 and 2 against 1 and 3
        ([[0, 1], [1, 0], [1, 0], [1, 1]], [0, 9], 0),  # three against two
        ([[0, 0], [0, 0], [0, 0]], [-7, -5], 1),  # silence: the potential decides
        ([[0, 0], [0, 0], [0, 0]], [-5, -5], 0),  # equal potentials: the lower index
        ([[0, 0], [0, 0], [0, 1]], [99, -5], 1),  # one spike beats any potential
    ],
)
def test_the_read_out_by_hand(spikes: list[list[int]], voltage: list[int], winner: int):
    prediction = read_out(np.array([spikes], np.uint8), np.array([voltage]))
    assert prediction.tolist() == [winner]


def test_one_more_spike_beats_all_earliness():
    spikes = np.zeros((1, 200, 2), np.uint8)
    spikes[0, :100, 0] = 1
    spikes[0, 99:, 1] = 1
    assert read_out(spikes, np.zeros((1, 2), np.int64)).tolist() == [1]


def test_millions_of_steps_do_not_overflow():
    spikes = np.zeros((1, 2_200_000, 2), np.uint8)
    spikes[0, 0, 0] = 1
    spikes[0, :, 1] = 1
    assert read_out(spikes, np.zeros((1, 2), np.int64)).tolist() == [1]


def test_more_than_255_spikes_are_counted():
    spikes = np.zeros((1, 600, 2), np.uint8)
    spikes[0, :255, 0] = 1
    spikes[0, 300:556, 1] = 1  # 256 in eight bits would be none
    assert read_out(spikes, np.zeros((1, 2), np.int64)).tolist() == [1]


def test_every_sample_is_judged_alone():
    spikes = np.zeros((3, 4, 3), np.uint8)
    spikes[0, 3, 2] = spikes[2, 1, 1] = 1
    voltage = np.array([[5, 0, 0], [0, 5, 0], [5, 0, 0]])
    assert read_out(spikes, voltage).tolist() == [2, 1, 1]


# ------------------------------------------------------------------------ collect, save


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
    expected = read_out(result.output_spikes, recording.output_voltage)
    assert np.array_equal(result.predictions, expected)
    assert (result.network, result.digest) == ("dense", network.digest)
    assert 1.5 <= result.seconds < 60
    assert result.accuracy == float(np.mean(expected == [0, 1, 2, 3, 0, 1, 2, 3]))


def test_no_chunks_are_an_error(parts: Any):
    with pytest.raises(DataError, match="no samples to run"):
        collected((parts[0], []))


@pytest.mark.parametrize("labels", [None, np.array([0, 1, 2, 3, 0, 1, 2, 3])])
def test_a_result_survives_the_disk(parts: Any, tmp_path: Path, labels: np.ndarray | None):
    result = collected(parts, labels=labels)
    result.save(tmp_path / "run")
    again = RunResult.load(tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "result.json",
        "result.npz",
    ]
    for name in ("backend", "network", "digest", "data", "seconds", "accuracy"):
        assert getattr(again, name) == getattr(result, name)
    for name in ("output_spikes", "spike_counts", "predictions", "labels"):
        assert np.array_equal(getattr(again, name), getattr(result, name))
    assert again.output_spikes.dtype == np.uint8
    assert_equal_counts(again.counts, result.counts)
    assert again.document() == result.document()


def test_the_document_is_json_with_a_schema(parts: Any, tmp_path: Path):
    collected(parts).save(tmp_path)
    document = json.loads((tmp_path / "result.json").read_text())
    assert document["schema_version"] == SCHEMA_VERSION
    assert (document["samples"], document["time_steps"]) == (8, STEPS)
    assert document["layers"] == ["a", "b"]


# ----------------------------------------------------------------------- damaged results


@pytest.fixture
def saved(parts: Any, tmp_path: Path) -> Path:
    """The folder of a good result."""
    collected(parts).save(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("result.json", "holds no result.json; give a folder that `tssl run` wrote"),
        ("result.npz", "result.npz: .*No such file"),
    ],
)
def test_a_missing_file_is_a_data_error(saved: Path, name: str, message: str):
    (saved / name).unlink()
    with pytest.raises(DataError, match=message):
        RunResult.load(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 99}, "schema_version = 99; this tssl reads 1; run the network again"),
        ({"schema_version": None}, "schema_version = None"),
        ({"backend": ...}, "cannot be read as a run result: .*backend"),
        ({"layers": ...}, "cannot be read as a run result"),
        ({"layers": 3}, "cannot be read as a run result"),
        ({"layers": ["a"]}, "cannot be read as a run result"),
        ({"samples": "8"}, "cannot be read as a run result"),
        ({"samples": 9}, "cannot be read as a run result"),
        ({"seconds": None}, "cannot be read as a run result"),
        ({"source": "digits"}, "cannot be read as a run result"),
        ({"source": {"place": "x"}}, "cannot be read as a run result"),
        ({"source": {"data": 3}}, "source: data is no text"),
        ({"source": {"file": "\udc00.npy"}}, "surrogates not allowed"),
        ({"input_range": [3, 1]}, "input_range = "),
    ],
)
def test_a_changed_document_is_a_data_error(saved: Path, change: dict[str, Any], message: str):
    path = saved / "result.json"
    document = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps({key: value for key, value in document.items() if value is not ...}))
    with pytest.raises(DataError, match=message):
        RunResult.load(saved)


@pytest.mark.parametrize(
    "change",
    [
        {"predictions": None},
        {"counts.spikes": None},
        {"counts.unknown": np.zeros(1)},
        {"predictions": np.array([None] * 8)},  # objects would need pickle
        {"predictions": np.zeros(7, np.int64)},
        {"labels": np.zeros(7, np.int64)},
        {"spike_counts": np.zeros((8, 3), np.int64)},
        {"output_spikes": np.zeros((8, 5, 4), np.uint8)},
        {"counts.spikes": np.zeros((2, 5), np.int64)},
        {"counts.stored_zeros": np.zeros((2, 5), np.int64)},
        {"counts.neurons": np.zeros(3, np.int64)},
    ],
    ids=lambda change: "-".join(f"{key}{np.shape(value)}" for key, value in change.items()),
)
def test_changed_arrays_are_a_data_error(saved: Path, change: dict[str, Any]):
    path = saved / "result.npz"
    with np.load(path) as file:
        arrays = {**file, **change}
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    with pytest.raises(DataError, match=r"result\.npz: cannot be read as a run result"):
        RunResult.load(saved)


def test_any_truncation_or_flipped_byte_is_a_data_error_or_harmless(saved: Path):
    path = saved / "result.npz"
    content = path.read_bytes()
    refused = 0
    damaged = [content[:size] for size in range(0, len(content), 61)]
    for position in range(0, len(content), 3):
        flip = bytes([content[position] ^ (1 << position % 8)])
        damaged.append(content[:position] + flip + content[position + 1 :])
    for data in (*damaged, b"PK", b"\x93NUMPY", b"\x80\x04.", b"text"):
        path.write_bytes(data)
        try:
            RunResult.load(saved)
        except DataError as error:
            refused += 1
            assert "\n" not in str(error)  # noqa: PT017 -- most bytes, not all, are vital
    assert refused > len(damaged) / 2


def test_a_single_array_in_the_place_of_the_archive_is_a_data_error(saved: Path):
    with (saved / "result.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError, match=r"result\.npz"):
        RunResult.load(saved)
