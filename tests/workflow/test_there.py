"""How good modules are themselves, beside the graph in floating point and the chip's integers."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

import tssl
from tests.command import in_this_process
from tests.exchange.torch.stand_ins import IFNode, Leaky, LIFCell, LIFNode
from tests.workflow.test_modules import PICTURE, trained
from tssl import netx
from tssl.workflow.notes import notes_of
from tssl.workflow.provenance import accuracies

STEPS, KEPT = 12, {"progress": False}
DIGITS: dict[str, Any] = {"time_steps": STEPS, "data": "digits", "encoding": {"resolution": 16}}


def counted(network: nn.Sequential, reset: str, samples: int) -> np.ndarray:
    """Return spikes of the classes as a user counts them, ``(samples, 10)``."""
    pictures = torch.tensor(load_digits().images[1437 : 1437 + samples] / 16)
    with torch.no_grad():
        own = copy.deepcopy(network).double().eval()
        getattr(own[-1], reset)()
        steps = [own(pictures.reshape(-1, 1, 8, 8)) for _ in range(STEPS)]
    return torch.stack(steps).sum(0).numpy()


@pytest.mark.parametrize(("neuron", "reset"), [
    (LIFNode(2.0, v_threshold=0.4), "reset"), (Leaky(0.9, reset_delay=False), "reset_mem"),
])  # fmt: skip
def test_the_modules_themselves(neuron: nn.Module, reset: str, tmp_path: Path) -> None:
    network = nn.Sequential(*trained()[:2], nn.Dropout(), neuron)
    network[0](torch.zeros(3, 8, 8))
    counts = counted(network, reset, 360)
    labels = load_digits().target[1437:]
    run = tssl.from_torch(network, PICTURE, out=tmp_path / "run", **DIGITS)
    chip = tssl.export(run, "loihi2", lava=False, samples=200, proof_samples=2, **KEPT)
    there = chip.there
    assert there is not None
    assert there.samples == 200
    assert there.accuracy == np.mean(counts[:200].argmax(1) == labels[:200])
    highest = np.sort(counts[:200], axis=1)
    assert there.ties == np.sum(highest[:, -1] == highest[:, -2])
    assert there.accuracy > 0.5
    assert abs(there.accuracy - chip.float_accuracy) <= there.ties / 200
    assert there.by in ("spikingjelly", "snntorch")
    stored = run.lowered.checkpoint.provenance["there"]
    assert f"accuracy there {stored['accuracy']:.2%}" in repr(run)
    assert stored["accuracy"] == np.mean(counts.argmax(1) == labels)


def test_neurons_at_their_threshold_that_pixels_enter_are_said(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10, bias=False), IFNode(1.0))
    network[1].weight.data = torch.randint(-2, 3, (10, 64)) / 2
    run = tssl.from_torch(network, PICTURE, out=tmp_path / "run", **DIGITS)
    assert any("parts of a pixel are no multiples" in note for note in run.lowered.notes)


def test_a_cell_that_gives_its_state(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10, bias=False), LIFCell(v_th=0.2))
    pictures = torch.tensor(load_digits().images[1437:] / 16).float().reshape(-1, 1, 8, 8)
    total, state = torch.zeros(1), None
    with torch.no_grad():
        for _ in range(STEPS):
            spikes, state = network[2](network[1](network[0](pictures)), state)
            total = total + spikes
    run = tssl.from_torch(network, PICTURE, out=tmp_path / "run", **DIGITS)
    right = total.argmax(1).numpy() == load_digits().target[1437:]
    assert run.lowered.checkpoint.provenance["there"]["accuracy"] == right.mean()
    assert total.any()


def test_layers_of_tssl(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = tssl.nn.Sequential(tssl.nn.Dense(64, 10), time_steps=5)
    network.layers[0].weight.data *= 3
    pictures = torch.tensor(load_digits().images[1437:] / 16).float().reshape(-1, 1, 8, 8)
    with torch.no_grad():
        said = network(pictures).sum(0).argmax(1).numpy()
    run = tssl.from_torch(network, PICTURE, out=tmp_path / "run", data="digits",
                          encoding={"resolution": 16})  # fmt: skip
    kept = run.lowered.checkpoint.provenance["there"]
    assert kept["accuracy"] == np.mean(said == load_digits().target[1437:])
    assert kept["by"] == "tssl.nn"


def test_modules_stay_as_they_were(tmp_path: Path) -> None:
    network = trained().train()
    network[0].weight_of_a_user = 3
    with torch.no_grad():
        network(torch.ones(2, 1, 8, 8))
    potential = network[2].v
    tssl.from_torch(network, PICTURE, out=tmp_path / "run", **DIGITS)
    assert network[2].v is potential
    assert network.training
    assert network[2].training
    assert network[0].weight_of_a_user == 3


def test_modules_that_do_not_run(tmp_path: Path) -> None:
    """Another version of a library may want other arguments: the export needs none of them."""
    network = trained()
    network[2].charged = None
    run = tssl.from_torch(network, PICTURE, out=tmp_path / "run", **DIGITS)
    assert "its accuracy there is not known: its modules do not run" in run.lowered.notes[-1]
    assert run.lowered.notes[-1] in run.tables()[-1].rows[-1]
    chip = tssl.export(run, "loihi2", lava=False, samples=20, proof_samples=2, **KEPT)
    assert chip.there is None


def test_all_that_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Notebook, commands, files and the page."""
    command = in_this_process(capsys)
    tssl.from_torch(trained(), PICTURE, out=tmp_path / "run", **DIGITS)
    net = tmp_path / "a.net"
    printed = command("export", tmp_path / "run", "--target", "loihi2", "--no-lava",
                     "--samples", "50", "-o", net).out  # fmt: skip
    stored = netx.read_notes(net)["accuracy"]
    rows = [stored["there"]["accuracy"], stored["float"], stored["chip"]]
    for name, share in zip(("there: spikingjelly", "here, in floating", "by the engine"), rows,
                           strict=True):  # fmt: skip
        (line,) = [line for line in printed.splitlines() if name in line]
        assert f"{share:.2%}" in line
        assert line.split()[-1] == "50"
    ran = command("run", net, "--backend", "engine", "--samples", 40, "--out", tmp_path / "result")
    assert ran.status == 0, ran.err
    result = tssl.run(net, samples=40, out=tmp_path / "result", **KEPT)
    assert "there: spikingjelly, spikes counted" in ran.out
    last = result.tables()[-1].rows
    assert [row[1] for row in last[:3]] == [f"{share:.2%}" for share in rows]
    assert last[3] == ["this run: engine, digits, test split", f"{result.result.accuracy:.2%}", 40]
    assert "there: spikingjelly" in result._repr_html_()
    assert result.document()["exported"]["there"]["samples"] == 50
    known = accuracies(notes_of(net))
    assert known is not None
    assert (known.there, known.by) == (rows[0], "spikingjelly")
    page = tmp_path / "page.html"
    assert command("report", tmp_path / "result", "--profile", "loihi2", "--html", page).status == 0
    assert "by the modules themselves: spikingjelly" in page.read_text()
