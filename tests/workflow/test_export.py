"""Exporting: what is written, and that nothing is when the proof or the target says no."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.layers import reconnected
from tssl import netx
from tssl.chip import IntArray
from tssl.errors import (
    BackendUnavailableError,
    CheckpointError,
    ConfigError,
    OutputError,
    RangeError,
    TargetError,
    VerificationError,
)
from tssl.lava_runtime import BackendOptions
from tssl.results import Recording
from tssl.workflow import export as workflow
from tssl.workflow.export import ExportOptions, ExportOutcome, export
from tssl.workflow.inspect import inspect
from tssl.workflow.sources import checkpoint_file

QUICK = ExportOptions(lava=False, proof_samples=3, samples=10)


def done(_: int) -> None:
    """Take no note of progress."""


def test_outcome(exported: ExportOutcome) -> None:
    assert netx.read(exported.path).digest == exported.network.digest
    assert exported.network.time_steps == 5
    assert exported.samples == 60
    assert exported.float_accuracy > 0.8
    assert exported.chip_accuracy == pytest.approx(exported.float_accuracy, abs=0.1)
    document = json.loads(json.dumps(exported.document(), default=float))
    assert document["schema_version"] == 1
    assert [layer["layer"] for layer in document["layers"]] == ["dense1", "dense2"]
    assert document["cores"] == sum(row.cores for row in exported.mapping) >= 2
    assert document["proof"]["verdict"] == "PASS without Lava"
    trainer, lava = document["proof"]["stages"]
    assert trainer["witness"] == "quantized trainer"
    assert all(row["differences"] == 0 for row in trainer["rows"])
    assert trainer["rows"][0]["left"] > 0
    assert (lava["verdict"], lava["skipped"]) == ("SKIPPED", "not asked for")


def test_proof_lies_beside_the_network_and_in_it(exported: ExportOutcome) -> None:
    beside = json.loads(exported.path.with_suffix(".proof.json").read_text())
    notes = netx.read_notes(exported.path)
    assert beside == notes["proof"] == json.loads(json.dumps(exported.proof.document()))
    assert beside["digest"] == exported.network.digest
    assert notes["accuracy"]["chip"] == exported.chip_accuracy
    assert notes["target"] == "loihi2"
    assert (notes["data"], notes["bin_us"]) == ("rows", None)


def test_a_network_for_events(exported_events: ExportOutcome) -> None:
    """On the first Loihi, whose spikes carry no values."""
    assert exported_events.input_range == (0, 1)
    assert exported_events.float_accuracy == exported_events.chip_accuracy == 1.0
    trainer = exported_events.proof.stages[0]
    assert (trainer.verdict, trainer.samples, trainer.time_steps) == ("PASS", 6, 10)
    assert all(row.left for row in trainer.rows), "every layer fired"
    notes = netx.read_notes(exported_events.path)
    assert (notes["data"], notes["bin_us"]) == ("blinking", 400)
    assert netx.read(exported_events.path).encoding == exported_events.network.encoding


def test_default_name(trained: Path) -> None:
    outcome = export(trained, "loihi2", None, QUICK, done)
    assert outcome.path == trained / "rows-loihi2.net"
    outcome.path.unlink()
    outcome.path.with_suffix(".proof.json").unlink()


def test_checkpoint_instead_of_a_folder(trained: Path, tmp_path: Path) -> None:
    outcome = export(trained / "last.safetensors", "loihi2", tmp_path / "x.net", QUICK, done)
    assert outcome.path.exists()
    assert checkpoint_file(trained) == trained / "best.safetensors"


def test_failed_proof_writes_nothing(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = workflow.run_quantized

    def dishonest(*arguments: Any) -> Iterator[tuple[IntArray, Recording]]:
        for train, recording in honest(*arguments):
            recording.trains["dense2"][4, 1, 2] ^= 1
            yield train, recording

    monkeypatch.setattr(workflow, "run_quantized", dishonest)
    with pytest.raises(
        VerificationError, match=r"quantized trainer differ: layer dense2, neuron 2, step 4"
    ):
        export(trained, "loihi2", tmp_path / "new" / "x.net", QUICK, done)
    assert not list(tmp_path.iterdir())


def test_target_that_cannot_hold_it_writes_nothing(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(RangeError, match=r"input: spikes carry values up to 15") as caught:
        export(trained, "loihi1", tmp_path / "new" / "x.net", QUICK, done)
    assert isinstance(caught.value, TargetError)
    assert caught.value.exit_code == 3
    assert not list(tmp_path.iterdir())


def test_unreadable_back_is_removed(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported: ExportOutcome
) -> None:
    """A writer that loses a weight must not leave a file behind."""
    true_write = netx.write

    def write(path: Path, network: Any, notes: Any) -> None:
        weight = network.layers[0].synapses.weight.copy()
        weight[0, 0] += 2
        first = reconnected(network.layers[0], weight=weight)
        wrong = type(network)(name="x", input=network.input, layers=(first, *network.layers[1:]))
        true_write(path, wrong, {**notes, "proof": None})  # with it, the file is refused sooner

    monkeypatch.setattr(netx, "write", write)
    with pytest.raises(VerificationError, match="reads back as another network"):
        export(trained, "loihi2", tmp_path / "x.net", QUICK, done)
    assert not list(tmp_path.iterdir())


def test_missing_lava_is_said_in_the_proof(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: Any) -> Any:
        raise BackendUnavailableError("no Lava here")

    monkeypatch.setattr(workflow, "lava_statement", missing)
    options = ExportOptions(proof_samples=2, samples=5)
    outcome = export(trained, "loihi2", tmp_path / "x.net", options, done)
    stage = outcome.proof.stages[1]
    assert (stage.verdict, stage.skipped) == ("SKIPPED", "no Lava here")
    assert outcome.proof.document()["verdict"] == "PASS without Lava"


def test_an_interpreter_that_was_named_must_work(trained: Path, tmp_path: Path) -> None:
    options = ExportOptions(
        proof_samples=2, samples=5, backend=BackendOptions(python=str(tmp_path / "no-python"))
    )
    with pytest.raises(BackendUnavailableError, match="no-python"):
        export(trained, "loihi2", tmp_path / "x.net", options, done)
    assert not list(tmp_path.iterdir())


def test_wrong_arguments(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must end in \.net"):
        export(trained, "loihi2", tmp_path / "x.h5", QUICK, done)
    with pytest.raises(ConfigError, match="no hardware profile 'loihi9'"):
        export(trained, "loihi9", None, QUICK, done)
    with pytest.raises(CheckpointError, match="give the folder of a training run"):
        export(tmp_path, "loihi2", None, QUICK, done)
    (tmp_path / "recipe.toml").write_text("")
    with pytest.raises(CheckpointError, match="no epoch is finished yet"):
        export(tmp_path, "loihi2", None, QUICK, done)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        export(trained, "loihi2", tmp_path / "file" / "x.net", QUICK, done)


def test_inspection(exported: ExportOutcome) -> None:
    document = inspect(exported.path).document()
    json.dumps(document)
    assert document["schema_version"] == 1
    assert document["digest"] == exported.network.digest
    first = document["layers"][0]
    layer = exported.network.layers[0]
    assert first["kind"] == "dense"
    assert first["weights"] == 12 * 16
    assert first["synapses"] == np.count_nonzero(layer.synapses.weight)
    assert (first["smallest_weight"], first["largest_weight"]) == (
        layer.synapses.weight.min(), layer.synapses.weight.max(),
    )  # fmt: skip
    assert first["threshold"] == layer.neuron.threshold
    assert document["notes"]["target"] == "loihi2"
    assert document["lava_dl"] == exported.document()["lava_dl"]
    assert document["lava_dl"]["lines"] == [
        "from lava.lib.dl import netx",
        f"net = netx.hdf5.Network(net_config='{exported.path}', input_message_bits=32, "
        "reset_interval=5, reset_offset=1)",
    ]


def test_binary_input_needs_no_message_bits(exported_events: ExportOutcome) -> None:
    """Spikes that are 0 or 1 are what lava-dl expects when nobody says otherwise."""
    assert "input_message_bits" not in exported_events.lines[-1]


def test_bits_for_all_layers_and_for_one(trained: Path, tmp_path: Path) -> None:
    options = ExportOptions(samples=60, lava=False, weight_bits={"": 4, "dense2": 8})
    outcome = export(trained, "loihi2", tmp_path / "x.net", options, lambda _: None)
    assert [report.largest_weight for report in outcome.layers] == [14, 254]
    assert outcome.proof.verdict == "PASS without Lava"


@pytest.mark.parametrize("given", ["4", 4.5, True])
@pytest.mark.parametrize("layer", ["", "dense1"])
def test_bits_that_are_no_number(given: object, layer: str, trained: Path, tmp_path: Path) -> None:
    options = ExportOptions(lava=False, weight_bits={layer: given})  # type: ignore[dict-item]
    with pytest.raises(ConfigError, match=r"weight bits of .*: .* is not a whole number"):
        export(trained, "loihi2", tmp_path / "x.net", options, lambda _: None)
    assert not list(tmp_path.glob("x*"))
