"""The reference against eleven stored traces of one neuron: ten simulators and a Loihi 2 chip."""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests.exchange.nir.files import chain, cuba, ends, in_memory, linear
from tssl.exchange import nir
from tssl.exchange.nir import simulate, timing
from tssl.exchange.nir.reference import Trace

FOLDER = "data/nir/paper/01_lif"
FIRST = 60
"""Step of the first input spike."""


class Row(NamedTuple):
    """How a trace and the reference that it follows agree.

    ``late``: steps by which its spikes, and its potentials, are later. ``unit``: its potential over
    the reference's at the first spike. ``error``: largest difference of potentials in that unit, in
    thresholds, up to the first spike.
    """

    graph: str
    rule: str
    late: tuple[int, int]
    unit: float
    error: float


TRACES = {
    "lif_exact": Row("lif_norse", "exp", (0, 0), 1.0, 1e-7),
    "lif_nengo": Row("lif_norse", "exp", (0, 0), 10.0, 1e-7),
    "lif_norse": Row("lif_norse", "euler", (0, 0), 1.0, 1e-6),
    "lif_snntorch": Row("lif_norse", "euler", (0, 0), 25.0, 1e-6),
    "lif_spinnaker2": Row("lif_norse", "euler", (0, 0), 24.9951, 1e-6),
    "lif_rockpool": Row("lif_rockpool", "exp", (0, 0), 1.0, 1e-6),
    "lif_sinabs": Row("lif_rockpool", "exp", (0, 0), 1.0, 1e-6),
    "lif_spyx": Row("lif_norse", "euler", (1, 0), 1.0, 1e-6),
    "lif_lava_cpu_float": Row("lif_norse", "euler", (1, 1), 1.0, 1e-6),
    "lif_lava_cpu_fixed": Row("lif_norse", "euler", (1, 1), 16000.0, 9e-3),
    "lif_lava_loihi_fixed": Row("lif_norse", "euler", (1, 1), 16000.0, 9e-3),
}


@pytest.fixture(scope="module")
def folder(shared_dir: Path) -> Path:
    return shared_dir / FOLDER


def columns(path: Path) -> np.ndarray:
    with path.open() as file:
        return np.array([[float(value) for value in row] for row in csv.reader(file)])


def reference(folder: Path, graph: str, rule: str, given: np.ndarray) -> Trace:
    source = nir.read(folder / f"{graph}.nir")
    asked = (1e-4, rule) if graph == "lif_norse" else ()  # the other gives both away
    (trace,) = simulate(source, timing(source, *asked), given.reshape(-1, 1, 1)).values()
    return trace


@pytest.mark.parametrize("name", TRACES)
def test_every_spike_and_potential(name: str, folder: Path) -> None:
    row, stored = TRACES[name], columns(folder / f"{name}.csv")
    given = columns(folder / "lif_exact.csv")[:, 0]
    assert np.array_equal(np.flatnonzero(stored[:, 0]), np.flatnonzero(given))
    trace = reference(folder, row.graph, row.rule, given)
    spikes, potential = trace.spikes[:, 0, 0], trace.potential[:, 0, 0]
    assert np.array_equal(np.flatnonzero(stored[:, 2]), np.flatnonzero(spikes) + row.late[0])
    theirs = stored[row.late[1] :, 1]
    ours = potential[: len(theirs)]
    assert theirs[FIRST] / ours[FIRST] == pytest.approx(row.unit, rel=1e-5)
    before = int(np.flatnonzero(spikes)[0])  # afterwards it depends on the reset and its record
    error = np.abs(theirs / row.unit - ours)[:before].max() / 0.1
    assert error < row.error


def test_the_table_on_the_page_is_in_step() -> None:
    page = (Path(__file__).parents[3] / "docs" / "nir.md").read_text(encoding="utf-8")
    fired = {"lif_norse": (460, 510, 710, 760), "lif_rockpool": (450, 500, 710, 760)}
    for name, row in TRACES.items():
        spikes = " ".join(str(step + row.late[0]) for step in fired[row.graph])
        line = (
            f"| `{name}` | `{row.graph}` | {row.rule} | {spikes} | {row.late[0]} | x {row.unit:g} |"
        )
        assert line in page


def test_which_rule_matters(folder: Path) -> None:
    """Rule and gain move two of four spikes by ten steps."""
    given = columns(folder / "lif_exact.csv")[:, 0]
    found = {
        (graph, rule): np.flatnonzero(reference(folder, graph, rule, given).spikes).tolist()
        for graph, rule in [("lif_norse", "euler"), ("lif_norse", "exp"), ("lif_rockpool", "exp")]
    }
    assert found == {
        ("lif_norse", "euler"): [460, 510, 710, 760],
        ("lif_norse", "exp"): [460, 510, 710, 760],
        ("lif_rockpool", "exp"): [450, 500, 710, 760],
    }


def test_by_hand() -> None:
    """A recurrent CubaLIF of three steps: new current at once, own spikes a step later."""
    alpha, beta, weight, own = 0.25, 0.1, 1.5, -2.0
    nodes = ends([1], [1]) | {
        "w": linear([[weight]]),
        "l": cuba(1, tau_syn=1e-3 / alpha, tau_mem=1e-3 / beta),
        "r": linear([[own]]),
    }
    edges = [*chain("input", "w", "l", "output"), *chain("l", "r", "l")]
    graph = in_memory(nodes, edges)
    found = simulate(graph, timing(graph), np.array([1.0, 0, 0]).reshape(3, 1, 1))["l"]
    first = weight  # above 1: a spike
    second = (1 - alpha) * weight + own  # the potential began again at 0
    third = (1 - beta) * second + (1 - alpha) * second
    assert found.spikes.reshape(-1).tolist() == [first > 1, False, False]
    assert found.potential.reshape(-1) == pytest.approx([0.0, second, third], abs=1e-12)
