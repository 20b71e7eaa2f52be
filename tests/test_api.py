"""The verbs in Python: the same outcome as the command line, one after the other."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import tssl
from tests.trainer import tiny
from tssl import datasets
from tssl.cli import run_command

QUIET = {"progress": False}


@pytest.fixture(autouse=True, scope="module")
def rows() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(datasets.DATASETS, "rows", "tests.trainer.tiny:ROWS")
        yield


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "rows.toml"
    path.write_text(tiny.recipe().to_toml())
    return path


def test_the_whole_way(recipe: Path, tmp_path: Path) -> None:
    trained = tssl.train(recipe, out=tmp_path / "run", settings={"epochs": 2}, **QUIET)
    assert trained.finished
    assert trained.best is not None
    chip = tssl.export(trained, target="loihi2", samples=20, proof_samples=2, lava=False, **QUIET)
    result = tssl.run(chip, samples=20, out=tmp_path / "result", **QUIET)
    assert result.result.accuracy == chip.chip_accuracy
    report = tssl.report(result, ["loihi2", "loihi1"], html=tmp_path / "page.html")
    assert [cost.profile for cost in report.priced] == ["loihi2"]  # graded input
    assert [refusal.profile for refusal in report.refused] == ["loihi1"]
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")


def test_a_bundle_beside_the_file(recipe: Path, tmp_path: Path) -> None:
    run = tssl.train(recipe, out=tmp_path / "run", settings={"epochs": 1}, **QUIET)
    options = {"samples": 5, "proof_samples": 2, "lava": False, **QUIET}
    tssl.export(run, "loihi2", bundle=tmp_path / "board", **options)
    names = {path.name for path in (tmp_path / "board").iterdir()}
    assert {"README.md", "check.py", "network.net", "input.npy"} <= names
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("kept")
    with pytest.raises(tssl.TsslError, match="other"):
        tssl.export(run, "loihi2", bundle=tmp_path / "other", **options)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["mine.txt"]


def test_same_as_the_command_line(recipe: Path, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "api", tmp_path / "command"
    tssl.train(recipe, out=ours, settings={"epochs": 1, "training.lr": 0.01}, **QUIET)
    command = ["train", str(recipe), "--out", str(theirs), "--quiet"]
    assert run_command([*command, "--epochs", "1", "--set", "lr=0.01"]) == 0
    assert (ours / "best.safetensors").read_bytes() == (theirs / "best.safetensors").read_bytes()
    bits = {"weight_bits": {"dense1": 4}, "samples": 5, "proof_samples": 1, "lava": False}
    chip = tssl.export(ours, "loihi2", **bits, **QUIET)
    command = ["export", str(theirs), "--target", "loihi2", "--weight-bits", "dense1=4"]
    command += ["--samples", "5", "--proof-samples", "1", "--no-lava", "--quiet"]
    assert run_command(command) == 0
    assert chip.layers[0].layer.weight_bits == 4
    written = theirs / chip.path.name
    assert (
        json.loads(chip.path.with_suffix(".proof.json").read_text())["digest"]
        == (json.loads(written.with_suffix(".proof.json").read_text())["digest"])
    )


def test_paths_stand_for_what_was_returned(recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    tssl.train(str(recipe), out=str(run), settings={"epochs": 1}, **QUIET)
    net = tmp_path / "rows.net"
    few = {"samples": 5, "proof_samples": 1, "lava": False}
    tssl.export(str(run), "loihi2", out=str(net), weight_bits=6, **few, **QUIET)
    zeros = np.zeros((2, 1, 4, 4), dtype=np.int64)
    np.save(tmp_path / "input.npy", zeros)
    tssl.run(str(net), input=str(tmp_path / "input.npy"), out=tmp_path / "result", **QUIET)
    assert tssl.report(str(tmp_path / "result"), "loihi2").result.predictions.shape == (2,)
    array = tssl.run(net, input=zeros, out=tmp_path / "array", **QUIET).result
    assert array.predictions.shape == (2,)


@pytest.mark.lava
def test_verify(recipe: Path, tmp_path: Path) -> None:
    run = tssl.train(recipe, out=tmp_path / "run", settings={"epochs": 1}, **QUIET)
    chip = tssl.export(run, "loihi2", samples=5, proof_samples=1, lava=False, **QUIET)
    proof = tssl.verify(chip, samples=3, **QUIET)
    assert proof.problem is None
    assert proof.stages[0].samples == 3


def test_going_on_with_a_run(recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    tssl.train(recipe, out=run, settings={"epochs": 1}, **QUIET)
    more = tssl.train(resume=run, settings={"epochs": 2}, **QUIET)
    assert [row.epoch for row in more.metrics] == [1, 2]
    settings = {"epochs": 1, "forward": "chip"}
    tuned = tssl.train(origin=more, out=tmp_path / "chip", settings=settings, **QUIET)
    assert tuned.recipe.training.forward == "chip"


def test_outside_the_main_thread(recipe: Path, tmp_path: Path) -> None:
    """Signals reach the main thread alone; notebooks and servers train in others."""
    outcomes: list[bool] = []

    def train() -> None:
        run = tssl.train(recipe, out=tmp_path / "run", settings={"epochs": 1}, **QUIET)
        outcomes.append(run.finished)

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert outcomes == [True]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda folder: tssl.train("nothing", out=folder), "nothing"),
        (lambda folder: tssl.train(), "give a recipe"),
        (lambda folder: tssl.train(resume=folder, out=folder), "its own folder"),
        (lambda folder: tssl.train("digits", settings={"epoch": 1}), "did you mean 'epochs'"),
        (lambda folder: tssl.export(folder, "loihi2"), "does not exist"),
        (lambda folder: tssl.run(folder / "no.net"), "no.net"),
        (lambda folder: tssl.report(folder, "loihi2"), "result.json"),
    ],
)
def test_mistakes_raise_the_errors_of_the_command(
    call: Callable[[Path], object], words: str, tmp_path: Path
) -> None:
    with pytest.raises(tssl.TsslError, match=words):
        call(tmp_path / "absent")


def test_import_is_light() -> None:
    code = "import sys, tssl; print({'torch', 'numpy', 'h5py', 'lava'} & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert output.stdout.decode().strip() == "set()"


def test_a_text_stays_a_text(recipe: Path, tmp_path: Path) -> None:
    trained = tssl.train(recipe, out=tmp_path / "run", settings={"name": "2", "epochs": 1}, **QUIET)
    assert trained.recipe.name == "2"
    with pytest.raises(tssl.errors.ConfigError, match=r"epochs: must be a valid integer"):
        tssl.train(recipe, out=tmp_path / "other", settings={"epochs": "1"}, **QUIET)
