"""The examples of docs/extending.md, taken from the page, registered, and run."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from tests.datasets import test_table
from tests.hw_profiles.networks import counts, dense
from tests.lava_runtime.networks import conv_net, dense_net
from tests.trainer import test_rules, tiny
from tssl import datasets
from tssl.chip import ChipNetwork
from tssl.engine import collect
from tssl.errors import DataError
from tssl.hw_profiles import CostOptions, estimate, load_profile, map_to_cores
from tssl.lava_runtime import BACKENDS, BackendOptions, create_backend
from tssl.trainer.methods import METHODS
from tssl.trainer.neuron import Activity, Neurons
from tssl.trainer.recurrence import RecurrenceRule

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(py|toml)\n(.*?)```", PAGE, re.DOTALL)
FILES = {
    block.partition("\n")[0].removeprefix("# "): block
    for _, block in BLOCKS
    if block.startswith(("# tssl/", "# mychip.toml"))
}
PARTS = {  # pieces that belong into files of the package
    block.partition("\n")[0].removeprefix("# into "): block
    for _, block in BLOCKS
    if block.startswith("# into ")
}
LINES = {
    name: place
    for _, block in BLOCKS
    for name, place in re.findall(r'^    "([\w-]+)": "(tssl[\w.]+:\w+)",$', block, re.MULTILINE)
}
"""What the page says goes into the tables."""


def module_name(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


@pytest.fixture(autouse=True)
def modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the page's Python files importable."""
    for path, code in FILES.items():
        if path.endswith(".py"):
            name = module_name(path)
            module = ModuleType(name)
            monkeypatch.setitem(sys.modules, name, module)
            exec(compile(code, path, "exec"), vars(module))


def register(name: str, table: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(table, name, LINES[name])


def test_the_page_has_its_examples() -> None:
    assert list(FILES) == [
        "tssl/trainer/methods/local.py",
        "tssl/trainer/methods/arctan.py",
        "tssl/datasets/letters.py",
        "mychip.toml",
        "tssl/lava_runtime/chip_model.py",
        "tssl/graph/kinds/local.py",
    ]
    assert list(LINES) == ["local", "arctan", "letters", "model"]
    assert len(PARTS) == 3


# --- rules -----------------------------------------------------------------------------------

CONTRACT = [name for name in vars(test_rules.TestEveryRule) if name.startswith("test_")]


@pytest.mark.parametrize("rule", ["local", "arctan"])
class TestRules:
    @pytest.mark.parametrize("name", CONTRACT)
    def test_it_fulfils_the_contract(
        self, rule: str, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        register(rule, METHODS, monkeypatch)
        case = getattr(test_rules.TestEveryRule(), name)
        if "extreme" not in name:
            case(rule)
            return
        for dtype in (torch.float32, torch.float64):
            case(rule, dtype)

    def test_it_learns(self, rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        register(rule, METHODS, monkeypatch)
        watcher = tiny.Watcher()
        training = tiny.fit(tmp_path / "run", tiny.recipe(rule=rule, epochs=8))
        assert training.fit(watcher)
        first, last = watcher.epochs[0], watcher.epochs[-1]
        assert last.loss < first.loss
        assert last.test_accuracy > 0.8  # a third by chance

    def test_it_serves_recurrent_layers(self, rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
        register(rule, METHODS, monkeypatch)
        given = test_rules.current(9, 4, 6)
        feedback = torch.full((6, 6), 0.3, dtype=torch.float64, requires_grad=True)
        neurons = Neurons(**test_rules.CONSTANTS, record=True, feedback=feedback)
        trace = tiny.rule_of(rule=rule)(given, neurons, Activity())
        reference = tiny.rule_of()(given, neurons, Activity())
        assert torch.equal(trace.spikes, reference.spikes)
        trace.psp.sum().backward()
        assert feedback.grad is not None
        assert feedback.grad.any()


def test_only_a_setting_of_the_recurrence_can_train_on_the_chips_integers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for rule, can in (("local", True), ("arctan", False)):
        register(rule, METHODS, monkeypatch)
        assert isinstance(tiny.rule_of(rule=rule), RecurrenceRule) is can


def test_the_own_rule_is_the_gradient_of_its_surrogate() -> None:
    """One spike and one step: k / (1 + (pi (u - threshold))^2)."""
    rule = sys.modules["tssl.trainer.methods.arctan"].arctan
    given = torch.tensor([[[1.25]]], dtype=torch.float64, requires_grad=True)
    rule(given, Neurons(**test_rules.CONSTANTS), Activity()).psp.sum().backward()
    assert given.grad is not None
    assert float(given.grad) == pytest.approx(1 / 3 / (1 + (np.pi * 0.25) ** 2), rel=1e-12)


# --- data set --------------------------------------------------------------------------------


def write_letters(folder: Path) -> None:
    rng = np.random.default_rng(5)
    arrays: dict[str, Any] = {}
    for split, samples in (("train", 1040), ("test", 260)):
        arrays[f"{split}_inputs"] = rng.integers(0, 256, (samples, 16, 16)).astype(np.uint8)
        arrays[f"{split}_labels"] = np.arange(samples) % 26
    folder.mkdir(exist_ok=True)
    np.savez(folder / "letters.npz", **arrays)


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("split", datasets.SPLITS)
def test_the_data_set_fulfils_the_contract(
    split: str, there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register("letters", datasets.DATASETS, monkeypatch)
    test_table.test_describing_reads_and_creates_nothing("letters", tmp_path)
    if there:
        write_letters(tmp_path / "letters")
    assert datasets.describe("letters", cache=tmp_path).ready is there
    test_table.test_every_entry_loads_as_described_or_says_what_to_do("letters", split, tmp_path)


def test_the_data_set_is_looked_for_in_the_named_folder_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register("letters", datasets.DATASETS, monkeypatch)
    write_letters(tmp_path)
    data = datasets.load("letters", "test", data_dir=tmp_path, cache=tmp_path / "none")
    assert data.source == str(tmp_path / "letters.npz")
    (tmp_path / "letters.npz").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"letters\.npz: is not the archive"):
        datasets.load("letters", "test", data_dir=tmp_path)


# --- profile ---------------------------------------------------------------------------------


def test_the_profile_prices_a_network(tmp_path: Path) -> None:
    path = tmp_path / "mychip.toml"
    path.write_text(FILES["mychip.toml"], encoding="utf-8")
    profile = load_profile(path)
    assert profile.name == "mychip"
    assert profile.limits.weight_bits == 8
    network = dense(4, 3)
    done = counts(network, operations=[6], active=[2], spikes=[1], time_steps=2)
    costs = estimate(profile, network, done, map_to_cores(profile, network), CostOptions())
    dynamic = 12 * 10e-12 + 4 * 50e-12 + 2 * 25e-12
    assert costs.by_part["dynamic"].value == pytest.approx(dynamic)
    assert costs.latency is not None
    # two steps and one of depth, none longer than the shortest, each with its barrier
    assert costs.latency.value == pytest.approx(3 * (2e-6 + 1e-6))
    assert costs.by_part["static"].value == pytest.approx(0.01 * costs.latency.value)


# --- backend ---------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [dense_net, conv_net])
def test_the_backend_equals_the_engine(
    make: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    register("model", BACKENDS, monkeypatch)
    network: ChipNetwork = make(rng)
    train = rng.integers(0, 30, (5, 19, network.input.neurons))
    results = []
    for name in ("model", "engine"):
        backend = create_backend(name, BackendOptions())
        assert backend.name == name
        reports: list[int] = []
        chunks = backend.run(network, train, 5, reports.append)
        results.append(
            collect(network, chunks, backend=name, data="made up", labels=None, started=0.0)
        )
        assert reports[-1] == 19
    ours, reference = results
    assert reference.counts.spikes.any()
    assert np.array_equal(ours.counts.spikes, reference.counts.spikes)
    assert np.array_equal(ours.output_spikes, reference.output_spikes)
    assert np.array_equal(ours.predictions, reference.predictions)
    assert np.array_equal(ours.counts.synaptic_operations, reference.counts.synaptic_operations)


# --- kind of layer ---------------------------------------------------------------------------


RECIPE = """
name = "locals"
data = {name = "digits"}
[network]
time_steps = 4
layers = [
  {type = "local", name = "a", channels = 3, kernel = 3, norm = "batch"},
  {type = "pool", kernel = 2, mode = "average"},
  {type = "local", name = "b", channels = 4, kernel = [2, 1], bias = true},
  {type = "conv", name = "c", channels = 4, kernel = 2},
  {type = "dense", name = "d", neurons = 10},
]
[training]
loss = "count"
epochs = 1
"""


def copied(folder: Path) -> Path:
    """Return a copy of the package; loops are compiled once for both and kept with the original."""
    package = folder / "tssl"
    shutil.copytree(ROOT / "tssl", package, ignore=shutil.ignore_patterns("__pycache__"))
    for place in {kernels.parent for kernels in package.rglob("*kernels.py")}:
        kept = ROOT / place.relative_to(folder) / "__pycache__"
        kept.mkdir(exist_ok=True)
        (place / "__pycache__").symlink_to(kept)
    return package


@pytest.mark.slow
@pytest.mark.lava
def test_the_local_layer_goes_to_lava(tmp_path: Path) -> None:
    """In a copy of the package that has what the page says, and nothing else."""
    package = copied(tmp_path)
    (package / "graph" / "kinds" / "local.py").write_text(FILES["tssl/graph/kinds/local.py"])
    for path, code in PARTS.items():
        with (tmp_path / path).open("a") as file:
            file.write(f"\n\n{code}")
    (tmp_path / "mine.toml").write_text(RECIPE)

    def tssl(*words: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        command = [sys.executable, "-B", "-m", "tssl", *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert not done.returncode, done.stderr
        return done.stdout

    tssl("train", "mine.toml", "--out", "run", "--device", "cpu")
    document = json.loads(tssl("export", "run", "--target", "loihi2", "-o", "x.net", "--json"))
    assert document["proof"]["verdict"] == "PASS"
    assert [layer["layer"] for layer in document["layers"]] == ["a", "b", "c", "d"]
    tssl("train", "--from", "run", "--set", "forward=chip", "--epochs", "1", "--out", "chip")
    document = json.loads(tssl("export", "chip", "--target", "loihi2", "-o", "y.net", "--json"))
    assert document["proof"]["verdict"] == "PASS"


def named() -> list[tuple[str, str]]:
    """Return the files and names in the tables of what to touch."""
    rows = re.findall(r"^\| `(tssl/[\w/]+\.py)` \| ([^|]+) \|", PAGE, re.MULTILINE)
    return [(path, name) for path, names in rows for name in re.findall(r"`([\w.]+)`", names)]


def test_the_tables_name_places() -> None:
    assert len(named()) >= 8


@pytest.mark.parametrize(("path", "name"), named())
def test_a_place_that_the_page_names_is_there(path: str, name: str) -> None:
    place: Any = importlib.import_module(module_name(path))
    for part in name.split("."):
        place = getattr(place, part)
