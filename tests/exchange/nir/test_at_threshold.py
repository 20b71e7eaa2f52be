"""Neurons that fire where the potential equals the threshold, spike by spike."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import tssl
from tests.exchange.nir.floats import spikes_of
from tests.exchange.torch.comparing import fired
from tests.exchange.torch.stand_ins import IFNode
from tssl.errors import UnsupportedLayerError
from tssl.exchange.nir import Nir, NirNode, Timing, firing_at, lower, read, simulate, timing
from tssl.exchange.nir.at_threshold import lowered_to
from tssl.exchange.nir.description import INPUT, OUTPUT
from tssl.exchange.nir.layers import NirLayer, Pool
from tssl.exchange.nir.writing import description_bytes
from tssl.geometry import Geometry
from tssl.workflow.nir import NirChoice
from tssl.workflow.nir import read as workflow_read

EULER = Timing(dt=1.0, rule="euler")
RNG = np.random.default_rng(2)


def graph(kind: str, weights: list[np.ndarray], thresholds: list[float], name: str = "x") -> Nir:
    """Return layers of neurons that lose nothing, or half of it, in a step."""
    nodes = {
        "in": NirNode(name="in", kind=INPUT, numbers={"shape": np.array(weights[0].shape[1:])})
    }
    for number, (weight, threshold) in enumerate(zip(weights, thresholds, strict=True)):
        size = np.ones(len(weight))
        fields = {"v_threshold": threshold * size, "v_reset": 0 * size, "r": size}
        if kind == "LIF":
            fields |= {"tau": 2 * size, "r": 2 * size, "v_leak": 0 * size}
        nodes[f"w{number}"] = NirNode(name=f"w{number}", kind="Linear", numbers={"weight": weight})
        nodes[f"n{number}"] = NirNode(name=f"n{number}", kind=kind, numbers=fields)
    nodes["out"] = NirNode(name="out", kind=OUTPUT, numbers={"shape": np.array([len(weights[-1])])})
    names = list(nodes)
    return Nir(origin=name, nodes=nodes, edges=tuple(pairwise(names)))


def whole(*shape: int) -> np.ndarray:
    weights = 2.0 * RNG.integers(-30, 60, shape)
    weights.flat[0] = 254
    return weights


NETWORK = graph("IF", [whole(12, 8), whole(5, 12)], [120.0, 180.0])
INPUT_SPIKES = (RNG.random((40, 6, 8)) < 0.4).astype(float)


def spelled_out(weights: list[np.ndarray], thresholds: list[float], train: np.ndarray) -> Any:
    """Return spikes of the last neurons, and how often a potential equalled its threshold."""
    potentials = [np.zeros((train.shape[1], len(each))) for each in weights]
    spikes, equal = [], 0
    for values in train:
        for place, (weight, threshold) in enumerate(zip(weights, thresholds, strict=True)):
            potentials[place] += values @ weight.T
            equal += int((potentials[place] == threshold).sum())
            values = (potentials[place] >= threshold).astype(float)
            potentials[place][values > 0] = 0
        spikes.append(values > 0)
    return np.stack(spikes), equal


def weights_of(nir: Nir) -> list[np.ndarray]:
    return [node["weight"] for node in nir if node.kind == "Linear"]


def test_the_reference_and_the_lowered_layers_fire_at_the_threshold() -> None:
    wanted, equal = spelled_out(weights_of(NETWORK), [120.0, 180.0], INPUT_SPIKES)
    assert equal > 10
    at = firing_at(NETWORK, ["n0", "n1"])
    assert np.array_equal(simulate(at, EULER, INPUT_SPIKES)["n1"].spikes, wanted)
    above = simulate(NETWORK, EULER, INPUT_SPIKES)["n1"].spikes
    assert not np.array_equal(above, wanted)
    lowered = lower(at, EULER, name="x", time_steps=40, provenance={})
    assert np.array_equal(spikes_of(lowered.checkpoint, INPUT_SPIKES)["n1"] > 0, wanted)
    assert "multiples of 2, so > half of that below" in lowered.notes[0]


@pytest.mark.parametrize("lava", [False, pytest.param(True, marks=[pytest.mark.lava,
                                                                   pytest.mark.slow])])  # fmt: skip
def test_a_file_of_such_a_maker_is_exact_on_the_chip(lava: bool, tmp_path: Path) -> None:
    path = tmp_path / "of_slayer.nir"
    path.write_bytes(description_bytes(NETWORK, {"by": "slayer"}))
    data = INPUT_SPIKES.swapaxes(0, 1).astype(np.int64)
    chip = tssl.export(path, "loihi2", data=data, lava=lava, proof_samples=6, progress=False)
    assert chip.proof.verdict == ("PASS" if lava else "PASS without Lava")
    assert chip.nir is not None
    assert [each.differ for each in chip.nir.agreements] == [0, 0]
    assert [layer.neuron.threshold for layer in chip.network.layers] == [119, 179]
    wanted, _ = spelled_out(weights_of(NETWORK), [120.0, 180.0], INPUT_SPIKES)
    assert chip.nir.agreements[1].chip == wanted.sum()


def test_other_signs_and_leaks_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "of_slayer.nir"
    leaky = graph("LIF", weights_of(NETWORK), [120.0, 180.0])
    path.write_bytes(description_bytes(leaky, {}))
    choice = NirChoice(dt=1.0, rule="euler")
    with pytest.raises(
        UnsupportedLayerError, match=r"node n0 \(LIF\) is no IF: its potentials lie"
    ):
        workflow_read(path, choice)
    other = path.rename(tmp_path / "of_slayer_subtract.nir")
    with pytest.raises(UnsupportedLayerError, match="slayer, whose neurons fire at the threshold"):
        workflow_read(other, choice)
    as_nir = workflow_read(other, NirChoice(dt=1.0, rule="euler", as_nir=True))
    assert as_nir.checkpoint.provenance["nir"]["at_threshold"] == []


def test_weights_of_no_grid_are_said(tmp_path: Path) -> None:
    odd = graph("IF", [RNG.normal(size=(5, 8))], [1.0])
    lowered = lower(firing_at(odd, ["n0"]), EULER, name="x", time_steps=9, provenance={})
    assert "no multiples of one number" in lowered.notes[0]
    path = tmp_path / "x.nir"
    path.write_bytes(description_bytes(firing_at(odd, ["n0"]), firing_at(odd, ["n0"]).metadata))
    assert read(path).at_threshold == {"n0"}
    assert timing(read(path), 1.0, "euler").dt == 1.0


def test_a_layer_of_zeros_keeps_its_threshold() -> None:
    silent = firing_at(graph("IF", [np.zeros((5, 8))], [1.0]), ["n0"])
    lowered = lower(silent, EULER, name="x", time_steps=9, provenance={})
    assert lowered.checkpoint.graph.output.neuron.threshold == 1.0


def test_averages_of_two_sizes_divide_by_what_both_divide() -> None:
    """Quarters and ninths are multiples of a 36th, and not of a ninth."""
    pools = {
        name: Pool(name=name, source="input", windows=Geometry(kernel=(size, size)), mode="average")
        for name, size in (("two", 2), ("three", 3))
    }
    layer = NirLayer(
        name="n", node=NirNode(name="n", kind="IF", numbers={}), sources=("two", "three"),
        weight=np.array([[1.0, 1.0]]), windows=None, recurrent=None, bias=None, drive=None,
        neuron={"threshold": 1.0}, shape=(1,),
    )  # fmt: skip
    lowered, _ = lowered_to(layer, pools)
    below = 1.0 - lowered.neuron["threshold"]
    sums = {twos / 4 + threes / 9 for twos in range(5) for threes in range(10)}
    assert pytest.approx(max(each for each in sums if each < 1 - 1e-9)) == 1 - 1 / 36
    assert 0 < below < 1 / 36


def test_an_average_divides_the_grid() -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 2, 3, bias=False), IFNode(4.0), nn.AvgPool2d(2),
              nn.Conv2d(2, 2, 1, bias=False), IFNode(1.5)]  # fmt: skip
    for layer in (layers[0], layers[3]):
        layer.weight.data = torch.randint(-1, 3, layer.weight.shape).float()
        layer.weight.data.view(-1)[0] = 2.0
    network = nn.Sequential(*layers)
    run_of = tssl.exchange.torch.read(network, (1, 6, 6))
    lowered = lower(run_of.graph, EULER, name="x", time_steps=30, provenance={})
    assert "multiples of 0.125" in lowered.notes[1]
    assert lowered.layers
    train = np.random.default_rng(3).random((30, 5, 1, 6, 6)) < 0.4
    there = fired(network, train)
    here = spikes_of(lowered.checkpoint, train.reshape(30, 5, -1).astype(float))
    for node, path in run_of.modules.items():
        assert np.array_equal(here[node].reshape(there[path].shape) > 0, there[path]), path
        assert 0 < there[path].mean() < 1
