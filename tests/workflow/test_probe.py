"""A sample that runs again for its picture is the one that was counted, or is not shown."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tssl import netx
from tssl.chip import ChipNetwork, InputLayer, dense_layer
from tssl.lava_runtime.engine import Engine
from tssl.results import RunResult
from tssl.workflow.export import ExportOutcome
from tssl.workflow.inputs import InputChoice, load_inputs
from tssl.workflow.probe import traces_of
from tssl.workflow.run import run_network


def ran(network: ChipNetwork, choice: InputChoice) -> RunResult:
    return run_network(network, load_inputs(network, choice), Engine(), lambda _: None)


def test_the_first_sample_runs_again(exported: ExportOutcome) -> None:
    network = exported.network
    result = ran(network, InputChoice(data="rows", samples=3))
    traces, note = traces_of(network, result, exported.path)
    assert [trace.layer for trace in traces] == [layer.name for layer in network.layers]
    assert [int(trace.spikes.sum()) for trace in traces] == result.spike_counts[0].tolist()
    assert traces[0].voltage.shape == traces[0].spikes.shape
    assert "first sample of rows, test split" in note


def test_other_spikes_are_not_shown(exported: ExportOutcome) -> None:
    network = exported.network
    result = ran(network, InputChoice(data="rows", samples=1))
    other = replace(result, output_spikes=1 - result.output_spikes)
    traces, note = traces_of(network, other, exported.path)
    assert traces == ()
    assert "other output spikes" in note


def test_input_that_is_not_named_is_not_guessed(exported: ExportOutcome) -> None:
    network = exported.network
    result = ran(network, InputChoice(seed=3))
    traces, note = traces_of(network, result, exported.path)
    assert traces == ()
    assert "does not say which input" in note


def test_input_from_a_file_with_recurrence_and_delays(
    exported: ExportOutcome, tmp_path: Path, rng: np.random.Generator
) -> None:
    neuron = replace(exported.network.layers[0].neuron, threshold=20)
    delayed = dense_layer(
        name="delayed",
        source="input",
        weight=rng.integers(-20, 60, (6, 5)),
        neuron=neuron,
        delay=rng.integers(0, 3, (6, 5)),
    )
    loop = dense_layer(
        name="loop",
        source="delayed",
        weight=rng.integers(-20, 60, (4, 6)),
        neuron=neuron,
        recurrent_weight=rng.integers(-20, 60, (4, 4)),
    )
    network = ChipNetwork(name="two", input=InputLayer(shape=(5,)), layers=(delayed, loop))
    path = tmp_path / "spikes.npy"
    np.save(path, rng.integers(0, 2, (2, 12, 5)))
    result = ran(network, InputChoice(file=path))
    assert result.spike_counts[0].all()
    traces, _ = traces_of(network, result, exported.path)
    assert [int(trace.spikes.sum()) for trace in traces] == result.spike_counts[0].tolist()
    path.unlink()
    assert traces_of(network, result, exported.path)[0] == ()


def test_data_that_cannot_be_loaded(
    exported: ExportOutcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = ran(exported.network, InputChoice(data="rows", samples=1))
    monkeypatch.setattr(netx, "read_notes", lambda _: {})
    network = replace(exported.network, encoding=None)
    traces, note = traces_of(network, result, exported.path)
    assert traces == ()
    assert "cannot be loaded" in note
