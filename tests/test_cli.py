"""The ``tssl`` command as its users and their scripts see it."""

import errno
import gzip
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from tests.command import Ran, in_this_process
from tests.trainer import tiny
from tssl import datasets, netx
from tssl.chip import ChipNetwork, CubaNeuron, InputLayer, dense_layer
from tssl.cli import run_command
from tssl.recipe import load_recipe
from tssl.workflow.recipes import shipped_recipes

SMALL = ["--set", 'network.layers=[{"type": "dense", "neurons": 10}]', "--device", "cpu"]


@pytest.fixture(autouse=True, scope="module")
def rows() -> Iterator[None]:
    """The data set of ``tests.trainer.tiny`` in the table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(datasets.DATASETS, "rows", "tests.trainer.tiny:ROWS")
        yield


@pytest.fixture
def tssl(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run the command in this process."""
    return in_this_process(capsys)


def process(*arguments: object, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tssl", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def finished(started: "subprocess.Popen[str]") -> Ran:
    out, err = started.communicate(timeout=120)
    return Ran(started.returncode, out, err)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a trained, exported and run network; not to be written to."""
    folder = tmp_path_factory.mktemp("work")
    recipe = folder / "rows.toml"
    recipe.write_text(tiny.recipe(epochs=3).to_toml())
    quiet = ["--quiet"]
    assert run_command(["train", str(recipe), "--out", str(folder / "run"), *quiet]) == 0
    net = str(folder / "rows.net")
    export = ["export", str(folder / "run"), "--target", "loihi2", "-o", net, "--no-lava"]
    assert run_command([*export, *quiet]) == 0
    run = ["run", net, "--backend", "engine", "--data", "rows", "--out", str(folder / "result")]
    assert run_command([*run, *quiet]) == 0
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# --- the whole chain -------------------------------------------------------------------------


@pytest.mark.slow
def test_demo_without_lava(
    tssl: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TSSL_LAVA_PYTHON", "none")
    ran = tssl("demo", "--out", tmp_path / "demo", "--json")
    assert ran.status == 0, ran.err
    assert ran.document["lava"] is False
    assert "without Lava" in ran.err
    assert ran.err.count("$ tssl ") == 4
    page = (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    again = tssl("demo", "--out", tmp_path / "demo")
    assert again.status == USAGE
    assert "already holds a run" in again.err


def test_chain_on_digits(tssl: Callable[..., Ran], tmp_path: Path) -> None:
    run, net = tmp_path / "run", tmp_path / "digits.net"
    trained = tssl("train", "digits", "--epochs", 2, *SMALL, "--out", run, "--json")
    assert trained.status == 0
    assert trained.document["epochs"] == 2
    assert trained.document["finished"] is True
    assert trained.err.count("epoch ") == 2
    exported = tssl("export", run, "--target", "loihi2", "-o", net, "--no-lava", "--json")
    assert exported.status == 0, exported.err
    assert exported.document["proof"]["verdict"] == "PASS without Lava"
    assert exported.document["chip_accuracy"] > 0.3
    result = tmp_path / "result"
    ran = tssl("run", net, "--backend", "engine", "--data", "digits", "--out", result, "--json")
    assert ran.status == 0
    assert ran.document["samples"] == 360
    assert ran.document["accuracy"] == exported.document["chip_accuracy"]
    with np.load(result / "result.npz") as arrays:
        assert arrays["output_spikes"].shape == (360, 5, 10)
        assert arrays["output_spikes"].any()
    page = tmp_path / "report.html"
    reported = tssl(
        "report", result, "--profile", "loihi2", "--profile", "loihi1", "--html", page, "--json"
    )
    assert reported.status == 0
    assert [priced["profile"] for priced in reported.document["profiles"]] == ["loihi2"]
    assert "loihi1" in str(reported.document["refused"])
    assert page.read_text().lstrip().lower().startswith("<!doctype html>")
    inspected = tssl("inspect", net, "--json")
    assert inspected.document["digest"] == exported.document["digest"] == ran.document["digest"]


def test_chain_for_people(tssl: Callable[..., Ran], work: Path, tmp_path: Path) -> None:
    """The same without --json: tables on stdout, with the numbers that matter."""
    out = tmp_path / "x.net"
    exported = tssl("export", work / "run", "--target", "loihi2", "-o", out, "--no-lava").out
    for phrase in ("Quantization", "Cores on loihi2", "Proof of rows: PASS", "accuracy float"):
        assert phrase in exported
    shown = tssl(
        "run", out, "--backend", "engine", "--data", "rows", "--samples", 5, "--out", tmp_path / "r"
    ).out
    assert "rows, test split" in shown
    priced = tssl("report", work / "result", "--profile", "loihi2").out.lower()
    assert "energy" in priced
    assert "latency" in priced
    inspected = tssl("inspect", out).out
    assert "dense1" in inspected
    for text in (exported, inspected):
        assert "    from lava.lib.dl import netx\n" in text
        assert f"    net = netx.hdf5.Network(net_config='{out}', input_message_bits=32, " in text


def test_shims_are_the_file_that_the_shown_lines_import(tssl: Callable[..., Ran]) -> None:
    text = tssl("lava", "shims").out
    assert tssl("lava", "shims", "--json").document["text"] == text
    namespace: dict[str, Any] = {"__name__": "lava_worker"}
    exec(compile(text, "lava_worker.py", "exec"), namespace)
    assert callable(namespace["import_lava"])


LISTS = [
    ["recipes"], ["profiles", "list"], ["profiles", "show", "loihi2"], ["data", "list"],
    ["data", "fetch", "digits"],
]  # fmt: skip


@pytest.mark.parametrize("arguments", LISTS, ids=" ".join)
def test_lists(tssl: Callable[..., Ran], arguments: list[str]) -> None:
    ran = tssl(*arguments, "--json")
    assert ran.status == 0
    assert ran.document
    assert ran.err == ""
    people = tssl(*arguments)
    assert people.status == 0
    assert people.out.strip()


def test_json_is_the_only_thing_on_stdout(tssl: Callable[..., Ran], work: Path) -> None:
    for arguments in (
        ["inspect", work / "rows.net"],
        ["report", work / "result", "--profile", "loihi2"],
        ["train", "--resume", work / "run"],  # nothing left to do
    ):
        ran = tssl(*arguments, "--json")
        assert ran.status == 0
        assert ran.document
        assert ran.out.startswith("{")


def test_accuracy_that_is_unknown_is_null(tssl: Callable[..., Ran], tmp_path: Path) -> None:
    recipe = tmp_path / "rows.toml"
    recipe.write_text(tiny.recipe(epochs=1, validation=0).to_toml())
    ran = tssl("train", recipe, "--out", tmp_path / "run", "--json")
    assert ran.document["best"]["validation_accuracy"] is None


def test_quiet(tssl: Callable[..., Ran], work: Path, tmp_path: Path) -> None:
    recipe = work / "rows.toml"
    assert tssl("train", recipe, "--out", tmp_path / "loud").err.count("\n") == 3
    ran = tssl("train", recipe, "--out", tmp_path / "quiet", "--quiet")
    assert ran.err == ""
    assert "chosen on held-out samples" in ran.out


def test_default_folders(
    tssl: Callable[..., Ran], work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert tssl("train", work / "rows.toml").status == 0
    assert tssl("export", "runs/rows", "--target", "loihi2", "--no-lava").status == 0
    net = Path("runs/rows/rows-loihi2.net")
    assert tssl("run", net, "--backend", "engine", "--data", "rows").status == 0
    assert (tmp_path / "runs/rows/rows-loihi2-engine/result.json").exists()


def test_run_of_a_file(tssl: Callable[..., Ran], work: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((3, 9, 1, 4, 4), np.int64))
    ran = tssl(
        "run", work / "rows.net", "--backend", "engine", "--input", tmp_path / "x.npy",
        "--out", tmp_path / "result", "--json",
    )  # fmt: skip
    assert (ran.document["samples"], ran.document["time_steps"]) == (3, 9)
    assert ran.document["accuracy"] is None


def test_flags_are_overrides(tssl: Callable[..., Ran], work: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    flags = ["--epochs", 1, "--batch-size", 7, "--lr", 0.003, "--seed", 5, "--set", "tau_m=4"]
    assert tssl("train", work / "rows.toml", *flags, "--out", out).status == 0
    text = (out / "recipe.toml").read_text()
    for line in ("epochs = 1", "batch_size = 7", "lr = 0.003", "seed = 5", "tau_m = 4.0"):
        assert line in text


def test_no_colour_in_files_and_with_no_color(work: Path) -> None:
    for environment in ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, {}):
        ran = finished(process("inspect", work / "rows.net", **environment))
        assert ran.status == 0
        assert "\x1b[3" not in ran.out + ran.err


def test_version_and_help(tssl: Callable[..., Ran]) -> None:
    assert tssl("--version").out.startswith("tssl, version ")
    assert tssl("--version").status == 0
    for arguments in (("--help",), ("-h",)):
        ran = tssl(*arguments)
        assert ran.status == 0
        assert ran.out.startswith("Usage: tssl")


def test_reader_that_goes_away() -> None:
    started = process("profiles", "show", "loihi2", "--json")
    assert started.stdout is not None
    assert started.stderr is not None
    started.stdout.close()
    assert started.stderr.read() == ""
    started.stderr.close()
    assert started.wait(60) == 0


# --- wrong input -----------------------------------------------------------------------------

USAGE, TARGET, VERIFICATION, BACKEND = 2, 3, 4, 5


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def bare_recipe(data: str = "rows", *, layers: str = "", extra: str = "") -> str:
    layers = layers or '{ type = "dense", neurons = 3 }'
    return f'name = "x"\n[data]\nname = "{data}"\n[network]\nlayers = [{layers}]\n{extra}'


def idx_files(folder: Path, damage: str) -> None:
    """Write four files named as Fashion-MNIST's, one of them damaged."""
    images = b"\x00\x00\x08\x03" + np.array([1, 28, 28], ">i4").tobytes() + bytes(784)
    labels = b"\x00\x00\x08\x01" + np.array([1], ">i4").tobytes() + b"\x00"
    for split in ("train", "t10k"):
        write(folder / f"{split}-labels-idx1-ubyte.gz", gzip.compress(labels))
        content = gzip.compress(images)
        if damage == "truncated":
            content = content[: len(content) // 2]
        if damage == "magic":
            content = gzip.compress(b"\x00\x00\x09\x09" + images[4:])
        if damage == "text":
            content = b"<html>not found</html>"
        write(folder / f"{split}-images-idx3-ubyte.gz", content)


def hdf5_without_layers(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file["other"] = 1
    return path


def net_without(path: Path, net: Path, key: str) -> Path:
    write(path, net.read_bytes())
    with h5py.File(path, "a") as file:
        del file[key]
    return path


def recipe_at(work: Path, text: str) -> list[Any]:
    return ["train", write(work / "bad.toml", text), "--out", work / "new"]


Wrong = tuple[Callable[[Path, Path], list[Any]], int, str]
"""Arguments from a scratch folder and the folder of ``work``; status; a phrase."""

ENGINE = ["--backend", "engine"]
WRONG: dict[str, Wrong] = {
    # command line
    "no such command": (lambda t, w: ["trian"], USAGE, "No such command"),
    "group without command": (lambda t, w: ["profiles"], USAGE, "tssl profiles --help"),
    "no such option": (lambda t, w: ["recipes", "--jsno"], USAGE, "No such option"),
    "argument missing": (lambda t, w: ["inspect"], USAGE, "Missing argument 'NET'"),
    "option missing": (lambda t, w: ["export", w / "run"], USAGE, "--target"),
    "number expected": (lambda t, w: ["train", "digits", "--epochs", "x"], USAGE, "--epochs"),
    # train
    "neither recipe nor resume": (
        lambda t, w: ["train"], USAGE, "give a RECIPE, --from RUN or --resume",
    ),
    "weights of another run and resume": (
        lambda t, w: ["train", "--resume", w / "run", "--from", w / "run"], USAGE, "without --from",
    ),
    "a start that is no run": (
        lambda t, w: ["train", "digits", "--from", t / "none", "--out", t / "new"], USAGE,
        "does not exist",
    ),
    "chip integers from nothing": (
        lambda t, w: ["train", "digits", "--set", "forward=chip", "--epochs", "1",
                      "--out", t / "new"], USAGE,
        "--from",
    ),
    "bits of a layer that is not there": (
        lambda t, w: ["export", w / "run", "--target", "loihi2", "--weight-bits", "dense9=4",
                      "-o", t / "x.net"], USAGE, "the layers are dense1, dense2",
    ),
    "bits that are no number": (
        lambda t, w: ["export", w / "run", "--target", "loihi2", "--weight-bits", "many",
                      "-o", t / "x.net"], USAGE, "expected N or LAYER=N",
    ),
    "recipe and resume": (
        lambda t, w: ["train", "digits", "--resume", w / "run"], USAGE, "only --epochs may change",
    ),
    "resume into another folder": (
        lambda t, w: ["train", "--resume", w / "run", "--out", t / "new"], USAGE, "--out",
    ),
    "unknown recipe": (lambda t, w: ["train", "digit"], USAGE, "neither a file nor a shipped"),
    "unknown key": (
        lambda t, w: recipe_at(t, bare_recipe(extra="[training]\nepoch = 3\n")),
        USAGE, "unknown key 'training.epoch'; did you mean 'epochs'",
    ),
    "unknown key by flag": (
        lambda t, w: ["train", "digits", "--set", "epocs=3", "--out", t / "new"],
        USAGE, "did you mean 'epochs'",
    ),
    "no KEY=VALUE": (lambda t, w: ["train", "digits", "--set", "lr"], USAGE, "expected KEY=VALUE"),
    "syntax": (lambda t, w: recipe_at(t, "name = "), USAGE, "not valid TOML"),
    "not text": (lambda t, w: recipe_at(t, b"\xff\xfe\x00"), USAGE, "text in TOML"),
    "data in place of a recipe": (
        lambda t, w: ["train", write(t / "x.npz", b"PK\3\4" + bytes(9)), "--out", t / "new"],
        USAGE, "give them by `tssl train RECIPE --data",
    ),
    "a recipe in place of a run": (
        lambda t, w: ["export", write(t / "mine.toml", "name = 'x'"), "--target", "loihi2"],
        USAGE, "is a recipe; train it by `tssl train",
    ),
    "impossible shape": (
        lambda t, w: recipe_at(
            t, bare_recipe(layers='{type="conv", channels=2, kernel=9}, {type="dense", neurons=3}')
        ),
        USAGE, "does not fit an input of shape (1, 4, 4)",
    ),
    "conv after dense": (
        lambda t, w: recipe_at(
            t, bare_recipe(layers='{type="dense", neurons=3}, {type="conv", channels=2, kernel=1}')
        ),
        USAGE, "cannot follow a dense layer",
    ),
    "wrong number of classes": (
        lambda t, w: recipe_at(t, bare_recipe(layers='{ type = "dense", neurons = 4 }')),
        USAGE, "4 neurons",
    ),
    "not a number": (
        lambda t, w: recipe_at(t, bare_recipe(extra='[training]\nlr = "fast"\n')), USAGE, "lr",
    ),
    "negative": (lambda t, w: ["train", "digits", "--lr", "-1"], USAGE, "training.lr"),
    "zero epochs": (lambda t, w: ["train", "digits", "--epochs", "0"], USAGE, "training.epochs"),
    "unknown data set": (
        lambda t, w: recipe_at(t, bare_recipe("stars")), USAGE, "'stars' is unknown",
    ),
    "data folder missing": (
        lambda t, w: ["train", "fashion-mnist-mlp", "--data-dir", t / "none", "--out", t / "new"],
        USAGE, "not a folder",
    ),
    "data truncated": (
        lambda t, w: damaged_data(t, "truncated"), USAGE, "images-idx3-ubyte",
    ),
    "data of another kind": (lambda t, w: damaged_data(t, "magic"), USAGE, "images-idx3-ubyte"),
    "data not compressed": (lambda t, w: damaged_data(t, "text"), USAGE, "images-idx3-ubyte"),
    "run in use": (
        lambda t, w: ["train", w / "rows.toml", "--out", w / "run"], USAGE, "already holds a run",
    ),
    "run below a file": (
        lambda t, w: ["train", w / "rows.toml", "--out", write(t / "file", "") / "run"],
        USAGE, "cannot be written",
    ),
    "nothing to resume": (lambda t, w: ["train", "--resume", t], USAGE, "holds no run"),
    "resume changed": (
        lambda t, w: ["train", "--resume", w / "run", "--lr", "1"], USAGE, "only --epochs",
    ),
    # export
    "no run": (
        lambda t, w: ["export", t, "--target", "loihi2"], USAGE, "holds no best.safetensors",
    ),
    "damaged checkpoint": (
        lambda t, w: ["export", write(t / "best.safetensors", "x" * 99), "--target", "loihi2"],
        USAGE, "cannot be read as a checkpoint",
    ),
    "unknown profile": (
        lambda t, w: ["export", w / "run", "--target", "loihi3"], USAGE, "no hardware profile",
    ),
    "not .net": (
        lambda t, w: ["export", w / "run", "--target", "loihi2", "-o", t / "a.h5", "--no-lava"],
        USAGE, "must end in .net",
    ),
    "target too small": (
        lambda t, w: ["export", w / "run", "--target", "loihi1", "-o", t / "a.net", "--no-lava"],
        TARGET, "a smaller encoding.resolution",
    ),
    "no samples to prove": (
        lambda t, w: ["export", w / "run", "--target", "loihi2", "--proof-samples", "0"],
        USAGE, "--proof-samples",
    ),
    # run
    "two inputs": (
        lambda t, w: [
            "run", w / "rows.net", *ENGINE, "--data", "rows", "--input", t / "x.npy",
        ],
        USAGE, "not both",
    ),
    "unknown backend": (
        lambda t, w: ["run", w / "rows.net", "--backend", "gpu", "--data", "rows"],
        USAGE, "there are engine, sim, loihi2",
    ),
    "no net": (
        lambda t, w: ["run", t / "none.net", *ENGINE, "--data", "rows"], USAGE, "none.net",
    ),
    "not HDF5": (
        lambda t, w: ["run", write(t / "a.net", "x" * 999), *ENGINE, "--data", "rows"],
        USAGE, "cannot be read as a .net file",
    ),
    "another HDF5": (
        lambda t, w: ["inspect", hdf5_without_layers(t / "a.net")], USAGE, "no key 'layer'",
    ),
    "missing key": (
        lambda t, w: ["inspect", net_without(t / "a.net", w / "rows.net", "layer/2/weight")],
        USAGE, "weight' is missing",
    ),
    "data set of another shape": (
        lambda t, w: ["run", w / "rows.net", *ENGINE, "--data", "digits"], USAGE, "takes (1, 4, 4)",
    ),
    "no samples": (
        lambda t, w: ["run", w / "rows.net", *ENGINE, "--data", "rows", "--samples", "0"],
        USAGE, "at least 1",
    ),
    "fractions": (
        lambda t, w: ["run", w / "rows.net", *ENGINE, "--input", npy(t, 0.5)], USAGE, "whole",
    ),
    "scalar": (
        lambda t, w: ["run", w / "rows.net", *ENGINE, "--input", npy(t, 1, shape=())],
        USAGE, "do not fit",
    ),
    "result below a file": (
        lambda t, w: [
            "run", w / "rows.net", *ENGINE, "--data", "rows", "--out", write(t / "file", "") / "r",
        ],
        USAGE, "cannot be written",
    ),
    "result is a file": (
        lambda t, w: [
            "run", w / "rows.net", *ENGINE, "--data", "rows", "--out", write(t / "file", ""),
        ],
        USAGE, "is a file",
    ),
    "no Loihi 2": (
        lambda t, w: [
            "run", w / "rows.net", "--backend", "loihi2", "--data", "rows", "--samples", "1",
            "--lava-python", t / "no-python",
        ],
        BACKEND, "no-python",
    ),
    # verify
    "verify without Lava": (
        lambda t, w: ["verify", w / "rows.net", "--lava-python", t / "no-python"],
        BACKEND, "tssl lava install",
    ),
    "no workers": (
        lambda t, w: ["verify", w / "rows.net", "--workers", "0"], USAGE, "--workers",
    ),
    "several workers on a board": (
        lambda t, w: [
            "run", w / "rows.net", "--backend", "loihi2", "--data", "rows", "--workers", "2",
        ],
        USAGE,
        "a board takes one",
    ),
    "a bundle among other files": (
        lambda t, w: [
            "export", w / "run", "--target", "loihi2", "-o", t / "a.net", "--no-lava",
            "--bundle", write(t / "mine" / "letter.txt", "").parent,
        ],
        USAGE,
        "not empty and not a bundle",
    ),
    "verify nothing": (
        lambda t, w: ["verify", w / "rows.net", "--samples", "0"], USAGE, "at least 1",
    ),
    # report and profiles
    "no result": (
        lambda t, w: ["report", t / "none", "--profile", "loihi2"], USAGE, "result.json",
    ),
    "damaged result": (
        lambda t, w: ["report", damaged_result(t, w), "--profile", "loihi2"], USAGE, "result.npz",
    ),
    "report on what": (
        lambda t, w: ["report", w / "result", "--profile", "abacus"], USAGE, "no hardware profile",
    ),
    "page below a file": (
        lambda t, w: [
            "report", w / "result", "--profile", "loihi2",
            "--html", write(t / "file", "") / "a.html",
        ],
        USAGE, "cannot be written",
    ),
    "wrong profile": (
        lambda t, w: ["profiles", "check", write(t / "mine.toml", "[chip]\ntitel = 3\n")],
        USAGE, "mine.toml",
    ),
    "profile of another kind": (
        lambda t, w: ["profiles", "show", write(t / "mine.toml", "x = ")], USAGE, "not valid TOML",
    ),
    "unknown data to fetch": (
        lambda t, w: ["data", "fetch", "stars"], USAGE, "'stars' is unknown",
    ),
    "Lava into what": (
        lambda t, w: ["lava", "install", "--lava-python", t / "no-python"],
        BACKEND, "not a Python interpreter",
    ),
}  # fmt: skip


def damaged_data(scratch: Path, damage: str) -> list[Any]:
    idx_files(scratch / "data", damage)
    return [
        "train", "fashion-mnist-mlp", "--data-dir", scratch / "data", "--out", scratch / "new",
    ]  # fmt: skip


def npy(scratch: Path, value: float, shape: tuple[int, ...] = (2, 1, 4, 4)) -> Path:
    np.save(scratch / "x.npy", np.full(shape, value))
    return scratch / "x.npy"


def damaged_result(scratch: Path, work: Path) -> Path:
    write(scratch / "result.json", (work / "result" / "result.json").read_bytes())
    write(scratch / "network.net", (work / "rows.net").read_bytes())
    content = (work / "result" / "result.npz").read_bytes()
    write(scratch / "result.npz", content[: len(content) // 2])
    return scratch


def assert_one_line(ran: Ran, status: int, phrase: str) -> None:
    assert ran.status == status, ran.err
    assert ran.err.startswith("tssl: error: ")
    assert ran.err.count("\n") == 1
    assert phrase in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input(
    name: str,
    tssl: Callable[..., Ran],
    work: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make, status, phrase = WRONG[name]
    monkeypatch.chdir(tmp_path)
    arguments = make(tmp_path, work)
    before = files(tmp_path), files(work)
    assert_one_line(tssl(*arguments), status, phrase)
    assert (files(tmp_path), files(work)) == before


def test_debug_shows_the_traceback(tssl: Callable[..., Ran]) -> None:
    ran = tssl("train", "digit", "--debug")
    assert ran.status == USAGE
    assert "Traceback" in ran.err
    assert "ConfigError" in ran.err


def test_wrong_input_as_a_process(tmp_path: Path) -> None:
    ran = finished(process("inspect", tmp_path / "none.net"))
    assert_one_line(ran, USAGE, "none.net")


# --- disks -----------------------------------------------------------------------------------


def fill_disk(patch: pytest.MonkeyPatch, noticed: str) -> None:
    """Pretend that nothing more fits, noticed while writing or only while flushing."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if noticed == "while flushing":
        patch.setattr(os, "fsync", refuse)
        return
    for method in ("write_bytes", "write_text"):
        patch.setattr(Path, method, refuse)
    patch.setattr(np, "savez_compressed", refuse)


@pytest.mark.parametrize("noticed", ["while writing", "while flushing"])
@pytest.mark.parametrize("command", ["train", "run", "report", "export"])
def test_full_disk(
    command: str,
    noticed: str,
    tssl: Callable[..., Ran],
    work: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = {
        "train": [work / "rows.toml", "--out", tmp_path / "new"],
        "run": [work / "rows.net", *ENGINE, "--data", "rows", "--out", tmp_path / "new"],
        "report": [work / "result", "--profile", "loihi2", "--html", tmp_path / "a.html"],
        "export": [work / "run", "--target", "loihi2", "-o", tmp_path / "a.net", "--no-lava"],
    }
    with monkeypatch.context() as patch:
        fill_disk(patch, noticed)
        ran = tssl(command, *arguments[command], "--quiet")
    assert_one_line(ran, USAGE, "No space left on device")
    assert files(tmp_path) == {}


def test_full_disk_keeps_what_was_there(
    tssl: Callable[..., Ran], work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training that can no longer save keeps its last state, and goes on from there."""
    run = tmp_path / "run"
    assert tssl("train", work / "rows.toml", "--epochs", 1, "--out", run).status == 0
    before = files(run)

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        ran = tssl("train", "--resume", run, "--epochs", 3, "--quiet")
    assert_one_line(ran, USAGE, "No space left")
    assert files(run) == before
    assert tssl("train", "--resume", run, "--epochs", 3, "--quiet").status == 0


def test_folder_that_may_not_be_written(
    tssl: Callable[..., Ran], work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a stand-in, because tests may run as root, whom no folder refuses."""

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    ran = tssl("train", work / "rows.toml", "--out", tmp_path / "new", "--quiet")
    assert_one_line(ran, USAGE, "Permission denied")


# --- training that fails or is interrupted ---------------------------------------------------


def test_loss_that_is_no_number(
    tssl: Callable[..., Ran], work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tssl.trainer.network import SpikingNetwork

    learn = SpikingNetwork.learn
    monkeypatch.setattr(
        SpikingNetwork, "learn", lambda *given: (learn(*given)[0], torch.tensor(math.nan))
    )
    ran = tssl("train", work / "rows.toml", "--out", tmp_path / "run", "--quiet")
    assert_one_line(ran, USAGE, "epoch 1, batch 1: the loss is nan; lower training.lr")


def test_ctrl_c_in_process(
    tssl: Callable[..., Ran], work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status is the contract's, the state is on disk, and --resume finishes."""
    from tssl.terminal import TrainingBar

    asked = iter([False, False, True])
    with monkeypatch.context() as patch:
        patch.setattr(TrainingBar, "stop_requested", lambda _: next(asked))
        ran = tssl("train", work / "rows.toml", "--out", tmp_path / "run", "--json")
    assert ran.status == 130
    assert ran.document["finished"] is False
    assert "go on with: tssl train --resume" in ran.err
    assert tssl("train", "--resume", tmp_path / "run", "--json").document["epochs"] == 3
    same = tmp_path / "run" / "last.safetensors"
    ours, theirs = (torch_weights(path) for path in (same, work / "run" / "last.safetensors"))
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


def torch_weights(path: Path) -> dict[str, Any]:
    from tssl.checkpoint import Checkpoint

    return Checkpoint.load(path).weights


def started_training(run: Path) -> "subprocess.Popen[str]":
    """Return a process that has begun to train for very long."""
    started = process("train", "digits", *SMALL, "--epochs", 100_000, "--out", run)
    deadline = time.monotonic() + 100
    while not (run / "metrics.csv").exists():
        assert started.poll() is None, started.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return started


@pytest.mark.slow
def test_ctrl_c_saves_and_resume_finishes(tssl: Callable[..., Ran], tmp_path: Path) -> None:
    run = tmp_path / "run"
    started = started_training(run)
    started.send_signal(signal.SIGINT)
    ran = finished(started)
    assert ran.status == 130
    assert "stopping after this batch" in ran.err
    assert f"--resume {run}" in ran.err
    assert "Traceback" not in ran.err
    rows = len((run / "metrics.csv").read_text().splitlines()) - 1
    resumed = tssl("train", "--resume", run, "--epochs", rows + 1, "--json")
    assert resumed.status == 0
    assert resumed.document["finished"] is True
    assert resumed.document["epochs"] == rows + 1
    assert not list(run.glob(".*.part"))


@pytest.mark.slow
def test_second_ctrl_c_stops_at_once(tssl: Callable[..., Ran], tmp_path: Path) -> None:
    """Whatever it was doing, the run can be gone on with."""
    run = tmp_path / "run"
    started = started_training(run)
    started.send_signal(signal.SIGINT)
    time.sleep(0.001)
    started.send_signal(signal.SIGINT)
    ran = finished(started)
    assert ran.status == 130
    assert "Traceback" not in ran.err
    rows = len((run / "metrics.csv").read_text().splitlines()) - 1
    assert tssl("train", "--resume", run, "--epochs", rows + 1, "--quiet").status == 0


# --- Lava ------------------------------------------------------------------------------------


def test_verify_failure_is_status_4(
    tssl: Callable[..., Ran], work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A witness that computes another network, as a broken Lava would."""
    from tssl.engine import run_chunk
    from tssl.lava_runtime import lava_sim

    def wrong_witness(_: Any, network: Any, train: Any, time_steps: int, __: Any) -> Any:
        recording = run_chunk(network, train, time_steps)
        recording.trains["dense2"][1, 2, 0] ^= 1
        yield train, recording

    monkeypatch.setattr(lava_sim, "run_workers", wrong_witness)
    ran = tssl("verify", work / "rows.net", "--samples", 4)
    assert ran.status == VERIFICATION
    assert "FAIL" in ran.out
    assert re.search(r"layer dense2, neuron 0, step 1, sample 2: spikes [01] against [01]", ran.out)
    document = tssl("verify", work / "rows.net", "--samples", 4, "--json")
    assert document.status == VERIFICATION
    assert document.document["verdict"] == "FAIL"
    difference = document.document["stages"][0]["difference"]
    assert (difference["layer"], difference["neuron"], difference["step"]) == ("dense2", 0, 1)
    assert {difference["left"], difference["right"]} == {0, 1}


def test_interpreter_without_lava(tssl: Callable[..., Ran], work: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    python = bare / "bin" / "python"
    for command in (
        ["verify", work / "rows.net", "--samples", 1],
        ["run", work / "rows.net", "--backend", "sim", "--data", "rows", "--out", tmp_path / "r"],
    ):
        ran = tssl(*command, "--lava-python", python)
        assert_one_line(ran, BACKEND, "tssl lava install")
    export = ["export", work / "run", "--target", "loihi2", "-o", tmp_path / "a.net"]
    assert_one_line(tssl(*export, "--lava-python", python), BACKEND, "tssl lava install")
    assert not (tmp_path / "a.net").exists()


@pytest.mark.lava
@pytest.mark.slow
def test_chain_with_lava(tssl: Callable[..., Ran], work: Path, tmp_path: Path) -> None:
    net = tmp_path / "rows.net"
    exported = tssl(
        "export", work / "run", "--target", "loihi2", "-o", net, "--proof-samples", 4, "--json"
    )
    assert exported.status == 0, exported.err
    lava = exported.document["proof"]["stages"][1]
    assert lava["verdict"] == "PASS"
    assert lava["rows"][0]["left"] > 0
    results = {}
    for backend in ("engine", "sim"):
        out = tmp_path / backend
        ran = tssl("run", net, "--backend", backend, "--data", "rows", "--samples", 8, "--out", out)
        assert ran.status == 0, ran.err
        with np.load(out / "result.npz") as arrays:
            results[backend] = dict(arrays)
    assert results["engine"]["output_spikes"].any()
    for name, array in results["engine"].items():
        assert np.array_equal(array, results["sim"][name]), name
    verified = tssl("verify", net, "--samples", 3, "--json")
    assert verified.status == 0
    assert verified.document["verdict"] == "PASS"
    assert tssl("verify", net, "--samples", 3, "--steps", 6, "--seed", 1).status == 0


@pytest.mark.lava
def test_two_workers_and_a_bundle(tssl: Callable[..., Ran], work: Path, tmp_path: Path) -> None:
    """The same result from two workers; a folder for the board that passes its own check."""
    net, board = tmp_path / "a.net", tmp_path / "board"
    ran = tssl(
        "export", work / "run", "--target", "loihi2", "-o", net, "--no-lava", "--bundle", board,
        "--proof-samples", 3,
    )  # fmt: skip
    assert ran.status == 0
    assert "check.py" in ran.err
    done = subprocess.run(
        [sys.executable, str(board / "check.py")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert tssl("verify", net, "--samples", 5, "--workers", 2).status == 0
    spikes = []
    for workers in (1, 2):
        out = tmp_path / f"by{workers}"
        run = ["run", net, "--backend", "sim", "--data", "rows", "--samples", 5, "--out", out]
        assert tssl(*run, "--workers", workers).status == 0
        with np.load(out / "result.npz") as file:
            spikes.append({name: file[name] for name in file})
    assert spikes[0]["output_spikes"].any()
    assert all(np.array_equal(spikes[0][name], spikes[1][name]) for name in spikes[0])


@pytest.mark.lava
def test_lava_given_another_network(
    tssl: Callable[..., Ran], work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real Lava, but with one threshold changed in the file that it reads."""
    from tssl.workflow import proof

    other = write(tmp_path / "other.net", (work / "rows.net").read_bytes())
    with h5py.File(other, "a") as file:
        threshold = file["layer/2/neuron/vThMant"]
        threshold[...] = int(threshold[()]) // 2
    true_backend = proof.create_backend
    monkeypatch.setattr(
        proof, "create_backend", lambda n, o: true_backend(n, replace(o, net_path=other))
    )
    ran = tssl("verify", work / "rows.net", "--samples", 10)
    assert ran.status == VERIFICATION, ran.err
    assert re.search(
        r"differ: layer dense1, neuron \d+, step \d+, sample \d+: spikes 0 against 1",
        ran.out,
    )


@pytest.mark.lava
def test_no_loihi_2_here(tssl: Callable[..., Ran], work: Path, tmp_path: Path) -> None:
    ran = tssl(
        "run", work / "rows.net", "--backend", "loihi2", "--data", "rows", "--samples", 1,
        "--out", tmp_path / "r",
    )  # fmt: skip
    assert_one_line(ran, BACKEND, "Loihi 2")
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("module", "status", "message"),
    [
        ("h5py", BACKEND, "tssl: error: h5py is not installed; pip install h5py"),
        ("tssl.absent", 1, "ModuleNotFoundError"),
        ("_ctypes_absent.part", 1, "ModuleNotFoundError"),
    ],
)
def test_packages_that_are_missing(work: Path, module: str, status: int, message: str) -> None:
    """One line for what pip can install; everything else missing is our bug."""
    code = (
        "import sys\n"
        f"error = ModuleNotFoundError('No module named {module}', name='{module}')\n"
        "class Hidden:\n"
        "    @staticmethod\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        if name == 'h5py':\n"
        "            raise error\n"
        "sys.meta_path.insert(0, Hidden)\n"
        "from tssl.cli import run_command\n"
        f"sys.exit(run_command(['inspect', r'{work / 'rows.net'}']))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False
    )
    lines = ran.stderr.strip().splitlines()
    assert ran.returncode == status, ran.stderr
    assert lines[-1].startswith(message)
    assert (len(lines) == 1) == (status == BACKEND)


def test_a_printed_recipe_can_be_trained(tssl: Callable[..., Ran], tmp_path: Path) -> None:
    printed = tssl("recipes", "digits")
    assert printed.status == 0
    path = tmp_path / "mine.toml"
    path.write_text(printed.out)
    assert load_recipe(path) == load_recipe(shipped_recipes()["digits"])
    assert tssl("recipes", "digits", "--json").document["recipe"]["name"] == "digits"
    assert_one_line(tssl("recipes", "nothing"), USAGE, "neither a file nor a shipped recipe")


def test_neurons_that_differ_are_shown_as_a_span(tssl: Callable[..., Ran], tmp_path: Path) -> None:
    neuron = CubaNeuron(current_decay=(9, 4096, 50), voltage_decay=7, threshold=(300, 20, 40))
    layer = dense_layer(name="d", source="input", weight=[[1], [-2], [3]], neuron=neuron)
    block = InputLayer(shape=(1,), neuron=replace(neuron, current_decay=1, threshold=2))
    netx.write(tmp_path / "d.net", ChipNetwork(name="d", input=block, layers=(layer,)))
    shown = tssl("inspect", tmp_path / "d.net").out
    assert "20..300" in shown
    assert "9..4096, 7" in shown
    document = tssl("inspect", tmp_path / "d.net", "--json").document
    (facts,) = document["layers"]
    assert (facts["threshold"], facts["voltage_decay"]) == ([300, 20, 40], 7)
    assert document["input_neuron"] == {"current_decay": 1, "voltage_decay": 7, "threshold": 2}


def test_a_name_that_is_no_text(tssl: Callable[..., Ran], work: Path, tmp_path: Path) -> None:
    """Linux allows any bytes; the result must be writable all the same."""
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/in\xff.npy"))
    np.save(odd, np.zeros((2, 1, 4, 4), np.int64))
    ran = tssl("run", work / "rows.net", "--backend", "engine", "--input", odd, "--out",
               tmp_path / "out")  # fmt: skip
    assert ran.status == 0
    assert "in\N{REPLACEMENT CHARACTER}.npy" in (tmp_path / "out" / "result.json").read_text()


def test_files_whose_names_are_no_text(work: Path, tmp_path: Path) -> None:
    """Network, input, result and page: in a process of its own, whose streams are strict."""
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    odd.mkdir()
    net, values, out = (Path(f"{odd}/{os.fsdecode(name)}") for name in (
        b"n\xfe.net", b"x\xfe.npy", b"out\xfe"))  # fmt: skip
    plain = tmp_path / "plain.net"
    plain.write_bytes((work / "rows.net").read_bytes())
    with h5py.File(plain, "r+") as opened:
        opened.attrs.clear()  # so that the file's name is the network's
    plain.rename(net)
    np.save(values, np.zeros((2, 1, 4, 4), np.int64))
    run = ["run", net, "--backend", "engine", "--input", values, "--steps", 4, "--out", out]
    report = ["report", out, "--profile", "loihi2", "--html", odd / "page.html"]
    for command in (["inspect", net], run, report):
        for option in ([], ["--json"]):
            ran = finished(process(*command, *option))
            assert ran.status == 0, ran.err
    document = json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert document["network"] == "n\N{REPLACEMENT CHARACTER}"
    assert "n\N{REPLACEMENT CHARACTER}" in (odd / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("redirection", ["", ">&-", "2>&-"])
def test_terminals_that_lack_letters_and_streams(work: Path, redirection: str) -> None:
    command = f"exec {sys.executable} -m tssl inspect {work / 'rows.net'} {redirection}"
    ran = subprocess.run(
        ["bash", "-c", command], env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True, timeout=100, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert b"Traceback" not in ran.stderr
    assert (b"dense1" in ran.stdout) == (redirection != ">&-")


def test_more_random_samples_than_numbers(tssl: Callable[..., Ran], work: Path) -> None:
    for samples in (10**18, 10**27):
        ran = tssl("verify", work / "rows.net", "--seed", 1, "--samples", samples)
        assert_one_line(ran, USAGE, "more values than any memory holds")


def test_a_bundle_that_would_hold_the_network_too(tssl: Callable[..., Ran], work: Path) -> None:
    ran = tssl("export", work / "run", "--target", "loihi2", "--no-lava", "-o",
               work / "bb" / "b.net", "--bundle", work / "bb")  # fmt: skip
    assert_one_line(ran, USAGE, "write that to another folder")
    assert not (work / "bb").exists()


@pytest.mark.parametrize(
    "command",
    [
        "train digits --out", "train --resume", "train --from", "recipes",
        "export --target loihi2", "report --profile loihi2", "data list --data-dir",
        "run rows.net --backend engine --samples 1 --out",
        "export run --target loihi2 --no-lava --bundle",
    ],
)  # fmt: skip
def test_names_that_are_too_long(
    tssl: Callable[..., Ran], work: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(work)
    before = files(work)
    assert_one_line(tssl(*command.split(), "n" * 256), USAGE, "File name too long")
    assert files(work) == before


def test_alone_it_shows_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    """Five lines within 80 columns; the four verbs take what the one before wrote."""
    ran = in_this_process(capsys)()
    lines = ran.out.splitlines()
    assert ran.status == 0
    assert len(lines) == 5
    assert max(map(len, lines)) <= 80
    commands = [line.partition(": ")[2].split() for line in lines[:4]]
    assert [words[:2] for words in commands] == [
        ["tssl", verb] for verb in ("train", "export", "run", "report")
    ]
    train, export, run, report = commands
    assert export[2] == f"runs/{train[2]}"
    assert run[2] == export[export.index("-o") + 1]
    assert report[2] == run[run.index("--out") + 1]
