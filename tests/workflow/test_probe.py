"""A sample that runs again for its picture is the one that was counted, or is not shown."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trainer.tiny import Rows
from tssl import datasets, netx
from tssl.chip import ChipNetwork, InputLayer, dense_layer
from tssl.datasets import Dataset, Description
from tssl.engine import Engine
from tssl.results import RunResult, TraceName
from tssl.workflow import probe
from tssl.workflow.export import ExportOutcome
from tssl.workflow.inputs import InputChoice, load_inputs
from tssl.workflow.probe import recorded_of, traces_of
from tssl.workflow.run import run_network, save_result


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


def test_of_a_long_sample_the_beginning_is_shown(
    exported: ExportOutcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = exported.network
    choice = InputChoice(data="rows", samples=1, steps=12)
    result = ran(network, choice)
    whole, _ = traces_of(network, result, exported.path)
    kept = {TraceName(each.layer, "spikes"): each.spikes[np.newaxis] for each in whole}
    result = replace(result, traces=kept)
    recorded, note = recorded_of(network, result)
    assert note == "The first sample, as the run on engine recorded it."
    monkeypatch.setattr(probe, "_MOST_STEPS", 8)
    traces, note = traces_of(network, result, exported.path)
    assert note == (
        "The first 8 of 12 time steps of the first sample of rows, test split, run again: same "
        "output spikes."
    )
    assert all(trace.time_steps == 8 for trace in traces)
    assert all(
        np.array_equal(short.voltage, long.voltage[:8])
        for short, long in zip(traces, whole, strict=True)
    )
    beginning, note = recorded_of(network, result)
    assert note == (
        "The first 8 of 12 time steps of the first sample, as the run on engine recorded it."
    )
    assert all(
        np.array_equal(short.spikes, long.spikes[:8])
        for short, long in zip(beginning, recorded, strict=True)
    )
    other = np.array(result.output_spikes)
    other[0, 7] = 1 - other[0, 7]
    assert traces_of(network, replace(result, output_spikes=other), exported.path)[0] == ()


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
    np.save(path, np.ones((2, 11, 5), np.int64))
    traces, note = traces_of(network, result, exported.path)
    assert traces == ()
    assert "another number of time steps" in note
    path.unlink()
    traces, note = traces_of(network, result, exported.path)
    assert traces == ()
    assert f"{path} is not there any more" in note


def test_data_that_cannot_be_loaded(
    exported: ExportOutcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = ran(exported.network, InputChoice(data="rows", samples=1))
    monkeypatch.setattr(netx, "read_notes", lambda _: {})
    network = replace(exported.network, encoding=None)
    traces, note = traces_of(network, result, exported.path)
    assert traces == ()
    assert "cannot be loaded" in note


class Elsewhere(Rows):
    """The rows, in a folder that must be named or on a server that must not be asked."""

    def describe(self, *, data_dir: Path | None = None, **_: Any) -> Description:
        ready = data_dir is not None and (data_dir / "here").exists()
        return replace(super().describe(), name="elsewhere", ready=ready)

    def load(self, split: str, *, data_dir: Path | None = None, **_: Any) -> Dataset:
        assert self.describe(data_dir=data_dir).ready, "this would be a download"
        return replace(super().load(split), name="elsewhere")


ELSEWHERE = Elsewhere()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the data set ``elsewhere``."""
    monkeypatch.setitem(datasets.DATASETS, "elsewhere", f"{__name__}:ELSEWHERE")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "here").touch()
    return tmp_path / "data"


def test_the_data_folder_travels_with_the_result(
    exported: ExportOutcome, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    choice = InputChoice(data="elsewhere", samples=2, data_dir=Path("data"))
    save_result(ran(exported.network, choice), exported.path, tmp_path / "result")
    monkeypatch.chdir("/")
    result = RunResult.load(tmp_path / "result")
    traces, note = traces_of(exported.network, result, exported.path)
    assert len(traces) == len(exported.network.layers), note
    moved = folder.rename(tmp_path / "moved")
    traces, note = traces_of(exported.network, result, exported.path)
    assert traces == ()
    assert "data set elsewhere: is not on this machine, and nothing is downloaded" in note
    assert traces_of(exported.network, result, exported.path, moved)[0]


def test_results_of_before_say_it_in_words_alone(exported: ExportOutcome, tmp_path: Path) -> None:
    result = ran(exported.network, InputChoice(data="rows", samples=1))
    save_result(result, exported.path, tmp_path)
    document = json.loads((tmp_path / "result.json").read_text())
    assert document.pop("source")["data"] == "rows"
    (tmp_path / "result.json").write_text(json.dumps(document))
    older = RunResult.load(tmp_path)
    assert older.source is None
    assert traces_of(exported.network, older, exported.path)[0]


def test_words_for_people_decide_nothing(exported: ExportOutcome) -> None:
    result = ran(exported.network, InputChoice(data="rows", samples=1))
    assert traces_of(exported.network, replace(result, data="anything"), exported.path)[0]
