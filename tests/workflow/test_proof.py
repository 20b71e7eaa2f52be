"""Proofs: PASS, FAIL with the first difference, SKIPPED with a reason."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trainer import tiny
from tssl import netx
from tssl.chip import ChipNetwork, IntArray
from tssl.engine import Compiled, run_chunk
from tssl.errors import BackendUnavailableError
from tssl.lava_runtime import BackendOptions
from tssl.proof import Proof, Statement, compare_chunks
from tssl.results import Recording
from tssl.workflow import proof as workflow
from tssl.workflow.export import ExportOutcome
from tssl.workflow.inputs import InputChoice, encode
from tssl.workflow.proof import verify


def altered(recording: Recording, layer: str, *, step: int, sample: int, neuron: int) -> Recording:
    """Return the recording with one spike more or less."""
    trains = {name: train.copy() for name, train in recording.trains.items()}
    trains[layer][step, sample, neuron] ^= 1
    return Recording(trains, recording.output_potential)


def chunks(network: ChipNetwork, sizes: list[int]) -> tuple[list[tuple[IntArray, Recording]], int]:
    train = encode(network, tiny.dataset(), sum(sizes))
    steps = network.time_steps or 1
    parts = np.split(train, np.cumsum(sizes)[:-1], axis=1)
    return [(part, run_chunk(network, part, steps)) for part in parts], steps


def test_equal_witness(exported: ExportOutcome) -> None:
    parts, steps = chunks(exported.network, [4, 3, 5])
    stage = compare_chunks(exported.network, Compiled(exported.network).run, "twin", parts, steps)
    assert stage.verdict == "PASS"
    assert stage.difference is None
    assert stage.samples == 12
    assert [(row.layer, row.quantity) for row in stage.rows] == [
        ("dense1", "spikes"), ("dense2", "spikes"), ("dense2", "membrane potential"),
    ]  # fmt: skip
    assert stage.rows[0].left > 0
    assert stage.rows[0].compared == 12 * steps * 12


def test_one_spike_fails_the_proof_and_is_named(exported: ExportOutcome) -> None:
    parts, steps = chunks(exported.network, [4, 3])
    train, recording = parts[1]
    wrong = altered(recording, "dense1", step=2, sample=1, neuron=7)
    stage = compare_chunks(
        exported.network, Compiled(exported.network).run, "liar", [parts[0], (train, wrong)], steps
    )
    assert stage.verdict == "FAIL"
    assert [row.differences for row in stage.rows] == [1, 0, 0]
    difference = stage.difference
    assert difference is not None
    assert (difference.layer, difference.step, difference.sample) == ("dense1", 2, 4 + 1)
    assert difference.neuron == 7
    assert difference.left == recording.trains["dense1"][2, 1, 7] == 1 - difference.right
    proof = Proof(network="n", digest="d", stages=(stage,))
    assert proof.problem is not None
    assert proof.problem.startswith("engine and liar differ: layer dense1, neuron 7")
    document = json.loads(json.dumps(proof.document()))
    assert document["verdict"] == document["stages"][0]["verdict"] == "FAIL"
    assert document["stages"][0]["difference"]["neuron"] == 7


def test_earliest_difference_is_kept(exported: ExportOutcome) -> None:
    parts, steps = chunks(exported.network, [2, 2])
    wrong = [
        (train, altered(recording, "dense2", step=1, sample=0, neuron=0))
        for train, recording in parts
    ]
    stage = compare_chunks(exported.network, Compiled(exported.network).run, "liar", wrong, steps)
    assert stage.difference is not None
    assert stage.difference.sample == 0
    assert stage.rows[1].differences == 2


def test_skipped_stage_neither_passes_nor_fails() -> None:
    skipped = Statement(witness="Lava", samples=0, time_steps=0, skipped="not installed")
    proof = Proof(network="n", digest="d", stages=(skipped,))
    assert skipped.verdict == proof.document()["stages"][0]["verdict"] == "SKIPPED"
    assert proof.problem is None
    assert proof.verdict == "PASS without Lava"


class Witness:
    """A backend that computes like the engine, and lies when told to."""

    name = "sim"

    def __init__(self, **lie: Any) -> None:
        self.lie = lie
        self.seen: list[IntArray] = []

    def run(
        self, network: ChipNetwork, train: IntArray, time_steps: int, progress: Any
    ) -> Iterator[tuple[IntArray, Recording]]:
        self.seen.append(train)
        recording = run_chunk(network, train, time_steps)
        yield train, altered(recording, **self.lie) if self.lie else recording


def patched(monkeypatch: pytest.MonkeyPatch, witness: Witness) -> None:
    monkeypatch.setattr(workflow, "create_backend", lambda *_: witness)


def test_verify_takes_the_networks_own_data(
    exported: ExportOutcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = Witness()
    patched(monkeypatch, witness)
    proof = verify(exported.path, InputChoice(samples=5), BackendOptions(), lambda _: None)
    assert proof.document()["verdict"] == "PASS"
    expected = encode(exported.network, tiny.dataset("test"), 5)
    assert np.array_equal(witness.seen[0], expected)


def test_verify_with_a_seed_takes_random_input_in_range(
    exported: ExportOutcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = Witness()
    patched(monkeypatch, witness)
    choice = InputChoice(samples=30, seed=1, steps=4)
    verify(exported.path, choice, BackendOptions(), lambda _: None)
    (train,) = witness.seen
    assert train.shape == (4, 30, 16)
    assert (train.min(), train.max()) == exported.input_range


def test_verify_without_notes_takes_random_spikes(
    exported: ExportOutcome, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netx.write(tmp_path / "bare.net", exported.network)
    witness = Witness()
    patched(monkeypatch, witness)
    verify(tmp_path / "bare.net", InputChoice(samples=30), BackendOptions(), lambda _: None)
    assert set(np.unique(witness.seen[0])) == {0, 1}


def test_verify_names_the_difference(
    exported: ExportOutcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    patched(monkeypatch, Witness(layer="dense2", step=3, sample=2, neuron=1))
    proof = verify(exported.path, InputChoice(samples=4), BackendOptions(), lambda _: None)
    text = str(proof.problem)
    place = "layer dense2, neuron 1, step 3, sample 2: spikes "
    assert text.startswith(f"engine and Lava CPU simulator differ: {place}")
    assert text[-len("0 against 1") :] in ("0 against 1", "1 against 0")


def test_verify_without_lava(exported: ExportOutcome, tmp_path: Path) -> None:
    options = BackendOptions(python=str(tmp_path / "no-python"))
    with pytest.raises(BackendUnavailableError, match="no-python"):
        workflow.verify(exported.path, InputChoice(samples=1), options, lambda _: None)


def test_silence_proves_nothing(exported: ExportOutcome) -> None:
    network = exported.network
    nothing = np.zeros((1, 3, network.input.neurons), np.int64)
    chunks = [(nothing, run_chunk(network, nothing, 4))]
    stage = compare_chunks(network, Compiled(network).run, "anyone", chunks, 4)
    assert stage.verdict == "SILENT"
    proof = Proof(network="n", digest="d", stages=(stage,))
    assert proof.verdict == "SILENT"
    assert "no neuron fired in 3 samples" in str(proof.problem)
