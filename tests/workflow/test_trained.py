"""Looking at the folder of a training run."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import tssl
from tests.command import in_this_process
from tests.exchange.torch.stand_ins import LIFNode
from tests.trainer import tiny
from tssl.errors import CheckpointError, ConfigError
from tssl.workflow import train as workflow
from tssl.workflow.recorded import look
from tssl.workflow.train import Environment
from tssl.workflow.trained import inspect_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a run of two epochs."""
    path = tmp_path / "rows.toml"
    path.write_text(tiny.recipe().to_toml())
    fit = workflow.start(str(path), {}, tmp_path / "run", Environment(device="cpu"))
    workflow.train(fit, tiny.Watcher())
    return tmp_path / "run"


def cells(directory: Path) -> dict[str, str]:
    return {str(name): str(value) for name, value in inspect_run(directory).tables()[0].rows}


def test_a_finished_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (run / "metrics.csv").read_text().splitlines()
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    best = max(rows, key=lambda row: (float(row["validation_accuracy"]), int(row["epoch"])))
    shown = cells(run)
    assert shown["epochs"] == "2 of 2 epochs"
    assert shown["best"] == (
        f"epoch {best['epoch']}, accuracy: test {float(best['test_accuracy']):.2%}, "
        f"held-out {float(best['validation_accuracy']):.2%}"
    )
    assert shown["next"] == f"`tssl export {run} --target loihi2`"
    ran = in_this_process(capsys)("inspect", run)
    assert (ran.status, ran.out.count("\n") < 10) == (0, True)
    document = in_this_process(capsys)("inspect", run, "--json").document
    assert document == json.loads(json.dumps(tssl.inspect(run).document()))
    assert (document["epochs"], document["epochs_wanted"], document["finished"]) == (2, 2, True)


def test_a_run_that_is_not_finished(run: Path) -> None:
    recipe = tiny.recipe(epochs=9)
    (run / "recipe.toml").write_text(recipe.to_toml())
    assert cells(run)["next"] == (
        f"`tssl train --resume {run}` or `tssl export {run} --target loihi2`"
    )
    (run / "recipe.toml").write_text(tiny.recipe(epochs=2, forward="chip").to_toml())
    assert not inspect_run(run).finished  # no epoch in integers yet
    for name in ("best", "last"):
        (run / f"{name}.safetensors").unlink()
    (run / "recipe.toml").write_text(recipe.to_toml())
    shown = cells(run)
    assert (shown["epochs"], shown["next"]) == ("0 of 9 epochs", f"`tssl train --resume {run}`")
    assert "best" not in shown


def test_a_network_that_was_trained_elsewhere(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), LIFNode(2.0))
    outcome = tssl.from_torch(network, torch.zeros(1, 1, 8, 8), time_steps=4, out=tmp_path / "run")
    found = tssl.inspect(outcome)
    assert found.headline == f"{tmp_path / 'run'}: trained elsewhere"
    assert found.commands == [f"tssl export {tmp_path / 'run'} --target loihi2"]


def test_what_cannot_be_shown(run: Path) -> None:
    with pytest.raises(ConfigError, match="--figures pictures: shows what a run recorded"):
        look(run, Path("pictures"))
    (run / "best.safetensors").write_bytes(b"half")
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
        inspect_run(run)
