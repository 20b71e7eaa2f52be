"""``--data-dir`` is given once: runs, networks and results remember it."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.trainer import tiny
from tests.workflow import lying
from tests.workflow.conftest import QUICK
from tssl import datasets, netx
from tssl.checkpoint import Checkpoint
from tssl.cli import cli
from tssl.errors import DataError
from tssl.recipe import recipe_from_tables
from tssl.results import RunResult
from tssl.trainer.run_directory import RunDirectory
from tssl.workflow.export import ExportOptions, export
from tssl.workflow.inputs import InputChoice, completed
from tssl.workflow.probe import traces_of
from tssl.workflow.train import Environment, Origin, resume, start, train

CPU = Environment(device="cpu")
GONE = "is no folder any more; name the folder that holds its files with --data-dir"


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(datasets.DATASETS, lying.NAME, "tests.workflow.lying:LYING")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return lying.put(tmp_path / "data")


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    tables = tiny.recipe(epochs=2).model_dump(exclude_none=True)
    path = tmp_path / "mine.toml"
    path.write_text(recipe_from_tables({**tables, "data": {"name": lying.NAME}}, "").to_toml())
    return str(path)


@pytest.fixture
def run(recipe: str, data: Path, tmp_path: Path) -> Path:
    """Return the folder of a finished run, for which the data's folder was named."""
    out = tmp_path / "run"
    train(start(recipe, {}, out, Environment(data_dir=data, device="cpu")), tiny.Watcher())
    return out


def folders(run: Path) -> object:
    return Checkpoint.load(run / "best.safetensors").provenance.get("data_folders")


def remembered(run: Path) -> object:
    state = RunDirectory(run).read_state()
    assert state is not None
    return state.data_folders


def test_the_recipe_names_no_folder(run: Path, data: Path) -> None:
    assert str(data) not in (run / "recipe.toml").read_text()
    assert folders(run) == {"lying": str(data)}


def test_nothing_is_remembered_where_no_folder_was_named(trained: Path) -> None:
    assert folders(trained) is None
    assert remembered(trained) is None


def test_a_run_that_was_stopped_in_its_first_epoch_goes_on(
    recipe: str, data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "stopped"
    first = start(recipe, {}, run, Environment(data_dir=data, device="cpu"))
    assert not train(first, tiny.Watcher(stop_after=1)).finished
    fit = resume(run, None, {}, CPU)
    assert fit.progress.batch == 1
    assert train(fit, tiny.Watcher()).finished
    assert folders(run) == {"lying": str(data)}


def test_a_folder_that_is_named_now_counts_and_is_remembered(
    run: Path, data: Path, tmp_path: Path
) -> None:
    new = data.rename(tmp_path / "moved")
    more = {"training.epochs": 3}
    with pytest.raises(DataError, match=GONE):
        resume(run, None, more, CPU)
    train(resume(run, None, more, Environment(data_dir=new, device="cpu")), tiny.Watcher())
    assert remembered(run) == {"lying": str(new)}
    assert resume(run, None, {}, CPU).is_finished


def test_a_network_is_exported_and_run_without_naming_the_folder(
    run: Path, data: Path, tmp_path: Path
) -> None:
    net, result = tmp_path / "x.net", tmp_path / "result"
    assert export(run, "loihi2", net, QUICK, lambda _: None).samples == 60
    assert netx.read_notes(net)["data_folders"] == {"lying": str(data)}
    args = ["run", str(net), "--backend", "engine", "--out", str(result), "--quiet"]
    assert CliRunner().invoke(cli, args, catch_exceptions=False).exit_code == 0
    found = RunResult.load(result)
    assert found.source is not None
    assert found.source.data_dir == str(data)
    assert len(traces_of(netx.read(net), found, net)[0]) == 2

    data.rename(tmp_path / "moved")
    traces, why = traces_of(netx.read(net), found, net)
    assert not traces
    assert f"data set lying: was read from {data}, which {GONE}" in why
    assert traces_of(netx.read(net), found, net, tmp_path / "moved")[0]


def test_an_export_remembers_the_folder_that_it_was_given(
    run: Path, data: Path, tmp_path: Path
) -> None:
    new, net = data.rename(tmp_path / "moved"), tmp_path / "x.net"
    with pytest.raises(DataError, match=GONE):
        export(run, "loihi2", net, QUICK, lambda _: None)
    options = ExportOptions(lava=False, proof_samples=6, data_dir=new)
    export(run, "loihi2", net, options, lambda _: None)
    assert completed(InputChoice(), net).data_dir == new


def test_other_data_are_not_looked_for_there(run: Path, data: Path, tmp_path: Path) -> None:
    net = tmp_path / "x.net"
    export(run, "loihi2", net, QUICK, lambda _: None)
    shutil.rmtree(data)
    assert completed(InputChoice(data="rows"), net).data_dir is None
    assert completed(InputChoice(seed=0), net).data_dir is None


def test_training_from_a_run(run: Path, data: Path, tmp_path: Path) -> None:
    fit = start(None, {}, tmp_path / "second", CPU, Origin(run=run))
    train(fit, tiny.Watcher())
    assert folders(tmp_path / "second") == {"lying": str(data)}
