"""Why a stored graph's spikes shift on the chip: which of the roundings does it, step by step.

The layers are run once more, in a few lines of numpy, with any of the roundings left out. With all
of them the lines fire what the engine fires; without any, what the graph fires.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from tssl.engine import Compiled
from tssl.exchange import nir
from tssl.exporter import quantize
from tssl.exporter.lower import Stage, lower
from tssl.hw_profiles import load_profile
from tssl.workflow.nir import NirChoice, read
from tssl.workflow.samples import samples_for

LARGEST, GRID, FINE = 254, 2, 64


class Case(NamedTuple):
    stages: list[Stage]
    scales: list[float]
    decays: dict[tuple[str, str], tuple[float, float]]
    """By layer and quantity: as the graph has it, and as the chip."""
    train: np.ndarray
    graph: list[np.ndarray]
    chip: list[np.ndarray]


@pytest.fixture(scope="module")
def braille(shared_dir: Path) -> Case:
    path = shared_dir / "data/nir/paper/03_rnn/braille_noDelay_bias_zero.nir"
    lowered = read(path, NirChoice())
    samples = samples_for(lowered.checkpoint, None, 2560, 2)
    found = quantize(
        lowered.checkpoint, load_profile("loihi2").limits, samples.calibration, samples.span
    )
    train: Any = samples.proof
    own = train[..., : train.shape[2] - lowered.always_on].astype(float)
    graph = nir.read(path)
    traces = nir.simulate(graph, nir.timing(graph, None, None), own)
    wanted = [traces[node].spikes.reshape(*own.shape[:2], -1) for node in lowered.layers.values()]
    fired = Compiled(found.network).run(train, len(train)).trains
    return Case(
        stages=list(lower(lowered.checkpoint)),
        scales=[report.scale for report in found.reports],
        decays={(d.layer, d.quantity): (d.wanted, d.integer / 4096) for d in lowered.decays},
        train=train.astype(float),
        graph=wanted,
        chip=[fired[name] > 0 for name in lowered.layers],
    )


def fired(
    case: Case, place: int, train: np.ndarray, bits: int = 8, parts: str = "", wider: float = 1.0
) -> np.ndarray:
    """Return a layer's spikes with these parts rounded: weights, threshold, decays, states.

    A scale that is wider than the largest weight allows clips weights.
    """
    stage = case.stages[place]
    scale = case.scales[place] * 2.0 ** (bits - 8) * wider
    weights = [each.weight.reshape(len(each.weight), -1) for each in stage.connections]
    threshold, bias = stage.neuron.threshold, 0.0 if stage.bias is None else stage.bias
    if "w" in parts:
        largest = (LARGEST + GRID) * 2 ** (bits - 8) - GRID
        weights = [
            np.rint(w * scale / GRID).clip(-largest, largest) * GRID / scale for w in weights
        ]
        bias = np.rint(bias * scale * FINE) / (scale * FINE)
    if "t" in parts:
        threshold = round(scale * threshold) / scale
    losses = [case.decays[stage.name, of]["d" in parts] for of in ("current", "potential")]
    grid = scale * FINE if "s" in parts else 2.0**60
    shape = (train.shape[1], len(weights[0]))
    current, potential, last = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    spikes = []
    for values in train:
        arriving = values @ weights[0].T
        arriving = sum((last @ own.T for own in weights[1:]), start=arriving)
        current = np.trunc((1 - losses[0]) * current * grid) / grid + arriving
        potential = np.trunc((1 - losses[1]) * potential * grid) / grid + current + bias
        last = (potential > threshold).astype(float)
        potential[last > 0] = 0
        spikes.append(last > 0)
    return np.stack(spikes)


def apart(case: Case, place: int, spikes: np.ndarray) -> int:
    wanted = case.graph[place]
    return int((spikes[..., : wanted.shape[2]] != wanted).sum())


def through(case: Case, bits: int, parts: str = "wtds") -> list[int]:
    """Return how many spikes of each layer differ, the second fed by the first."""
    first = fired(case, 0, case.train, bits, parts)
    return [apart(case, 0, first), apart(case, 1, fired(case, 1, first.astype(float), bits, parts))]


def test_nothing_rounded_is_the_graph_and_all_is_the_chip(braille: Case) -> None:
    assert through(braille, 8, "") == [0, 0]
    chip = [apart(braille, place, spikes) for place, spikes in enumerate(braille.chip)]
    assert chip == through(braille, 8) == [22, 535]


def test_decays_do_nothing_and_the_first_layer_s_weights_do_it(braille: Case) -> None:
    assert through(braille, 8, "d") == [0, 0]
    assert apart(braille, 0, fired(braille, 0, braille.train, 8, "w")) == 22
    assert apart(braille, 1, fired(braille, 1, braille.chip[0].astype(float))) == 458
    assert through(braille, 8, "t")[0] == through(braille, 8, "s")[0] == 0


def test_how_many_bits_it_would_take(braille: Case) -> None:
    assert [through(braille, bits)[0] == 0 for bits in (10, 11)] == [False, True]
    assert [through(braille, bits)[1] == 0 for bits in (13, 14)] == [False, True]


def test_clipping_does_not_reach_it(braille: Case) -> None:
    found = []
    for wider in (1.1, 1.2, 1.45, 1.75, 2.1, 2.5, 3.0, 4.0, 6.0):
        first = fired(braille, 0, braille.train, 8, "wtds", wider).astype(float)
        found.append(apart(braille, 1, fired(braille, 1, first, 8, "wtds")))
    assert (min(found), max(found)) == (248, 552)


def test_the_table_of_the_document(braille: Case) -> None:
    assert through(braille, 11) == [0, 53]
    assert through(braille, 14) == [0, 0]
