"""The scripts in `benchmarks/` work; what they measure is not judged here."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from tssl.chip import INPUT
from tssl.engine import run_chunk
from tssl.recipe import load_recipe
from tssl.workflow.recipes import recipe_path

ROOT = Path(__file__).parents[1]
GRAPHS = ["branches", "gates", "recurrent", "delays"]


@pytest.fixture
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.fixture
def official(_scripts: None) -> ModuleType:
    return importlib.import_module("official")


class TestOfficial:
    """Both forms of the function that sets the official code's global variables."""

    def test_with_type_and_device(self, official: ModuleType) -> None:
        seen: list[Any] = []

        def init(dty: Any, dev: Any, n_t: Any, ts: Any) -> None:
            seen.append((dty, dev, n_t, ts))

        device = torch.device("cpu")
        official.begin(init, load_recipe(recipe_path("fashion-mnist-mlp")), device)
        assert seen == [(torch.float32, device, 5, 3.0)]

    def test_without(self, official: ModuleType) -> None:
        seen: list[Any] = []

        def init(n_t: Any, ts: Any) -> None:
            seen.append((n_t, ts))

        official.begin(init, load_recipe(recipe_path("fashion-mnist-mlp")), torch.device("cpu"))
        assert seen == [(5, 3.0)]

    def test_another_form_is_named(self, official: ModuleType) -> None:
        recipe = load_recipe(recipe_path("fashion-mnist-mlp"))
        with pytest.raises(SystemExit, match=r"init\(one\) of global_v.py"):
            official.begin(lambda one: None, recipe, torch.device("cpu"))


@pytest.mark.slow
def test_steps_beside_a_rival(tmp_path: Path) -> None:
    file = tmp_path / "steps.json"
    command = [sys.executable, str(ROOT / "benchmarks" / "train.py"), "--json", str(file)]
    command += ["--only", "fashion-mnist-mlp", "--rounds", "1", "--side", "8", "--batch", "2"]
    command += ["--time-steps", "5", "10", "--rivals", "plain", "norse-lif"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text())
    assert [each["time_steps"] for each in found["tables"]] == [5, 10]
    for table in found["tables"]:
        rows = {row["variant"]: row for row in table["rows"]}
        assert {"ours", "chip", "products", "eager", "published", "plain"} <= rows.keys()
        for row in rows.values():
            share = rows["products"]["milliseconds"] / row["milliseconds"]
            assert row["share_of_products"] == pytest.approx(share)
            assert row["samples_per_second"] == pytest.approx(2e3 / row["milliseconds"])
    if "norse-lif" not in rows:
        assert "norse-lif: norse is not installed" in done.stdout


@pytest.mark.usefixtures("_scripts")
@pytest.mark.parametrize("name", GRAPHS)
def test_networks_that_are_no_chains(name: str) -> None:
    """They fire, and the engine does what `tssl.chip` says of each layer."""
    case = importlib.import_module("engine").CASES[name]()
    train, steps = case.inputs(3), case.time_steps
    trains = {INPUT: np.broadcast_to(train, (steps, *train.shape[1:]))}
    for layer in case.network.layers:
        trains[layer.name] = layer.run(trains, steps).spikes.astype(np.int64)
    found = run_chunk(case.network, train, steps).trains
    for layer in case.network.layers:
        assert 0 < trains[layer.name].mean() < 0.7, layer.name
        assert np.array_equal(found[layer.name], trains[layer.name]), layer.name


@pytest.mark.slow
def test_the_parts_of_an_epoch(tmp_path: Path) -> None:
    file = tmp_path / "epoch.json"
    command = [sys.executable, str(ROOT / "benchmarks" / "epoch.py"), "digits", "--epochs", "2"]
    done = subprocess.run(
        [*command, "--json", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text())
    seconds = {each["what"]: each["seconds"] for each in found["parts"]}
    assert sum(seconds.values()) == pytest.approx(found["epoch"])
    assert min(seconds.values()) >= 0
    assert found["first_step"] > 0
    assert done.stdout.count("%") == len(seconds)
