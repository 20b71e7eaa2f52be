"""Data by path through the whole workflow: training, export, runs, and what the files keep."""

from pathlib import Path

import numpy as np
import pytest
import tomli_w
from sklearn.datasets import load_digits

import tssl
from tests.command import in_this_process
from tssl import netx
from tssl.checkpoint import Checkpoint
from tssl.errors import ConfigError, DataError
from tssl.hw_profiles import CostOptions
from tssl.recipe import load_recipe, recipe_from_tables
from tssl.results import RunResult
from tssl.workflow.report import reports, write_page

BUNCH = load_digits()
KEPT = BUNCH.target < 3
X = BUNCH.images[KEPT].astype(np.uint8)[:, None]
Y = np.array(["naught", "one", "two"])[BUNCH.target[KEPT]]
PARTS = {"x_train": X[:400], "y_train": Y[:400], "x_test": X[400:], "y_test": Y[400:]}
TABLES = {
    "name": "own",
    "data": {"path": "own.npz"},
    "network": {
        "time_steps": 5, "tau_m": 5, "tau_s": 3, "layers": [{"type": "dense", "neurons": 3}],
    },
    "training": {"epochs": 6, "lr": 0.01},
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with a recipe, its data, a run and an exported network."""
    folder = tmp_path_factory.mktemp("own")
    np.savez(folder / "own.npz", **PARTS)
    (folder / "own.toml").write_text(tomli_w.dumps(TABLES))
    tssl.train(folder / "own.toml", out=folder / "run", progress=False)
    tssl.export(
        folder / "run", "loihi2", out=folder / "own.net", samples=9, lava=False, progress=False
    )
    return folder


def accuracy(*given, **options) -> float:
    return tssl.run(*given, **options).result.accuracy


def test_what_the_files_keep(folder: Path):
    checkpoint = Checkpoint.load(folder / "run" / "best.safetensors")
    notes = netx.read_notes(folder / "own.net")
    names = ["naught", "one", "two"]
    assert checkpoint.recipe.data.path == str(folder / "own.npz") == notes["data"]
    assert checkpoint.provenance["class_names"] == notes["class_names"] == names
    assert checkpoint.provenance["fingerprint"] == notes["fingerprints"]["train"]
    assert notes["data_name"] == "own"
    assert (folder / "run" / "confusion.png").exists()


def test_a_run_finds_the_data(folder: Path, tmp_path: Path, capsys):
    own = tssl.run(folder / "own.net", out=tmp_path / "a", progress=False).result
    assert own.accuracy > 0.8
    assert len(own.labels) == len(X) - 400
    assert own.data == "own, test split"
    assert RunResult.load(tmp_path / "a").source.data == str(folder / "own.npz")
    given = tssl.run(folder / "own.net", data=PARTS, out=tmp_path / "b", progress=False).result
    assert np.array_equal(given.output_spikes, own.output_spikes)
    assert "is not the one" not in capsys.readouterr().err
    found = tssl.report(tmp_path / "a", "loihi2", html=tmp_path / "page.html")
    assert found.result.accuracy == own.accuracy
    assert "run again: same output spikes" in (tmp_path / "page.html").read_text()


def test_other_data_of_the_name_are_told(folder: Path, tmp_path: Path, capsys):
    np.savez(tmp_path / "own.npz", **{**PARTS, "x_test": X[400:, :, ::-1]})
    other = accuracy(folder / "own.net", data=tmp_path / "own.npz", out=tmp_path / "a")
    said = capsys.readouterr().err
    assert said.count("is not the one that the network was exported with: SHA-256") == 1
    assert other < accuracy(folder / "own.net", out=tmp_path / "b")


def test_moved_data_are_named_again(folder: Path, tmp_path: Path):
    tables = {**TABLES, "data": {"path": str(tmp_path / "gone.npz")}}
    (tmp_path / "own.toml").write_text(tomli_w.dumps(tables))
    with pytest.raises(DataError, match=r"gone\.npz: does not exist"):
        tssl.train(tmp_path / "own.toml", out=tmp_path / "run", progress=False)
    run = tssl.train(
        tmp_path / "own.toml", data=str(folder / "own.npz"), out=tmp_path / "run", progress=False
    )
    assert load_recipe(run.directory / "recipe.toml").data.path == str(folder / "own.npz")


def test_arrays_of_a_program(folder: Path, tmp_path: Path):
    run = tssl.train(folder / "own.toml", data=PARTS, out=tmp_path / "run", progress=False)
    with pytest.raises(ConfigError, match="arrays that a program gave: give them again, data="):
        tssl.export(run, "loihi2", lava=False, progress=False)
    options = {"samples": 5, "lava": False, "progress": False}
    made = tssl.export(run, "loihi2", data=PARTS, **options)
    assert made.network.digest == netx.read(folder / "own.net").digest
    with pytest.raises(ConfigError, match=r"names no data set; give data=NAME\|PATH"):
        tssl.run(made, progress=False)
    assert accuracy(made, data=PARTS) == accuracy(folder / "own.net", out=tmp_path / "r")


def test_a_run_that_goes_on_with_other_data_is_told(folder: Path, tmp_path: Path, capsys):
    quick = {"epochs": 1}
    tssl.train(folder / "own.toml", settings=quick, out=tmp_path / "run", progress=False)
    goes_on = {"resume": tmp_path / "run", "settings": {"epochs": 2}}
    other = {**PARTS, "x_train": X[:400, :, ::-1]}
    tssl.train(**goes_on, data=other)
    assert capsys.readouterr().err.count("is not the one that") == 1
    tssl.train(**{**goes_on, "settings": {"epochs": 3}})
    assert "is not the one that" in capsys.readouterr().err, "the last epoch saw other data"


def test_pictures_of_a_report_are_of_moved_data(folder: Path, tmp_path: Path):
    np.savez(tmp_path / "away.npz", **PARTS)
    tssl.run(
        folder / "own.net", data=tmp_path / "away.npz", out=tmp_path / "result", progress=False
    )
    (tmp_path / "away.npz").rename(tmp_path / "here.npz")
    (found,) = reports([tmp_path / "result"], ["loihi2"], CostOptions())
    (missing,) = write_page([found], tmp_path / "page.html")
    assert "away.npz is not there any more" in missing
    assert write_page([found], tmp_path / "page.html", data=tmp_path / "here.npz") == []


def test_paths_are_relative_to_the_recipe_and_settings_to_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "own.toml").write_text(tomli_w.dumps(TABLES))
    monkeypatch.chdir(tmp_path)
    path = Path("sub") / "own.toml"
    assert load_recipe(path).data.path == str(tmp_path / "sub" / "own.npz")
    assert load_recipe(path, {"data.path": "x.npz"}).data.path == str(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "data: give either name, of a data set, or path"),
        ({"name": "digits", "path": "x"}, "data: give either name"),
        ({"name": "digits", "range": [0, 1]}, r"data.range: named data sets, as digits, have no"),
        ({"path": ""}, "data.path: String should have at least 1 character"),
        ({"path": "x", "range": [1, 1]}, r"range = \[1.0, 1.0\]: the second number must be larger"),
        ({"path": "x", "test_share": 1.0}, "data.test_share: must be less than 1"),
    ],
)
def test_sections_that_contradict_themselves(data: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        recipe_from_tables({**TABLES, "data": data}, "own")


def test_a_network_that_does_not_fit_says_so(folder: Path, tmp_path: Path):
    settings = {"layers": [{"type": "dense", "neurons": 4}]}
    with pytest.raises(ConfigError, match="has 4 neurons, but data set own has 3 classes"):
        tssl.train(folder / "own.toml", settings=settings, out=tmp_path, progress=False)


def test_what_data_hold_is_shown(folder: Path, capsys):
    command = in_this_process(capsys)
    shown = command("data", "show", folder / "own.npz", "--set", "range=[0, 16]", "--json").document
    assert shown["class_names"] == ["naught", "one", "two"]
    assert (shown["train"], shown["test"], shown["full_scale"]) == (400, len(X) - 400, 16)
    assert "naught, one, two" in command("data", "show", folder / "own.npz").out
    for wrong in (["own.npz", "--set", "rnge=1"], ["nothing"], ["digits", "--set", "range=[0,1]"]):
        ran = command("data", "show", *wrong)
        assert (ran.status, ran.err.count("\n")) == (2, 1)
        assert (
            "did you mean 'range'" in ran.err or "unknown; there" in ran.err or "no use" in ran.err
        )


def test_frames_are_shown_and_many_classes_cut(tmp_path: Path, capsys):
    films = np.zeros((97, 7, 1, 2, 2), np.uint8)
    labels = np.arange(97)
    np.savez(tmp_path / "films.npz", x_train=films, y_train=labels, x_test=films, y_test=labels)
    command = in_this_process(capsys)
    words = ("data", "show", tmp_path / "films.npz", "--set", "time=true")
    assert command(*words, "--json").document["time_steps"] == 7
    shown = " ".join(command(*words).out.split())
    assert "frames of a sample 7" in shown
    assert "18, 19 and 77 more" in shown
    assert "20," not in shown


def flickers(folder: Path) -> Path:
    """Write recordings of two classes: brighter, then darker; or darker, then brighter."""
    rng = np.random.default_rng(2)
    for number in range(40):
        split, label = ("train", "test")[number % 4 == 3], number % 2
        times = np.sort(rng.integers(0, 100, 60))
        polarity = (times >= 50) ^ label
        events = np.stack([rng.integers(0, 3, 60), rng.integers(0, 3, 60), times, polarity], axis=1)
        path = folder / split / ("rise", "fall")[label] / f"{number}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, events)
    return folder


@pytest.mark.parametrize("frames", ["presence", "counts", "signed"])
def test_graded_events_reach_the_chip(frames: str, tmp_path: Path):
    data = {"path": str(flickers(tmp_path / "flickers")), "time_unit": "us", "frames": frames}
    tables = {
        **TABLES, "data": data, "encoding": {"resolution": 1},
        "network": {"time_steps": 10, "tau_m": 5, "tau_s": 3, "layers": [
            {"type": "dense", "neurons": 16}, {"type": "dense", "neurons": 2},
        ]},
        "training": {"epochs": 15, "lr": 0.02, "batch_size": 10, "validation": 0},
    }  # fmt: skip
    (tmp_path / "own.toml").write_text(tomli_w.dumps(tables))
    run = tssl.train(tmp_path / "own.toml", out=tmp_path / "run", progress=False)
    made = tssl.export(run, "loihi2", samples=10, lava=False, progress=False)
    assert made.proof.problem is None
    assert made.proof.stages[0].samples == 10, "the witness in PyTorch agrees"
    assert made.input_range == {"presence": (0, 1), "counts": (0, 15), "signed": (-15, 15)}[frames]
    assert abs(made.float_accuracy - made.chip_accuracy) <= 0.2
    assert tssl.run(made, progress=False).result.accuracy == made.chip_accuracy
    assert made.chip_accuracy > 0.7


def test_labels_that_were_read_as_numbers_say_how_classes_are_stored(tmp_path: Path):
    floats = {name: each.astype(float) for name, each in PARTS.items() if name[0] == "x"}
    labels = {name: np.arange(len(each)) % 3.0 for name, each in PARTS.items() if name[0] == "y"}
    np.savez(tmp_path / "own.npz", **floats, **labels)
    (tmp_path / "own.toml").write_text(tomli_w.dumps(TABLES))
    settings = {"data.range": [0, 16]}
    with pytest.raises(ConfigError, match="classes are stored as whole numbers"):
        tssl.train(tmp_path / "own.toml", settings=settings, out=tmp_path / "run", progress=False)


def test_films_are_frames_and_no_events(tmp_path: Path):
    films = {name: each[:, None].repeat(5, 1) for name, each in PARTS.items() if name[0] == "x"}
    np.savez(tmp_path / "own.npz", **{**PARTS, **films})
    (tmp_path / "own.toml").write_text(tomli_w.dumps(TABLES))
    settings = {"encoding.input": "changes", "data.time": True}
    with pytest.raises(ConfigError, match="holds frames, which enter as whole numbers"):
        tssl.train(tmp_path / "own.toml", settings=settings, out=tmp_path / "run", progress=False)
