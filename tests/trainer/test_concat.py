"""Signals one behind another, and networks that train with them, against PyTorch."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.exporter.networks import LIMITS, after, checkpoint, concat, conv, dense, pool
from tests.lava_runtime.test_lava_sim import run_all
from tests.trainer import tiny
from tests.trainer.recorded import network_of, recipe_of
from tssl.engine import run_chunk
from tssl.exporter import quantize
from tssl.lava_runtime.lava_sim import LavaSim
from tssl.proof.compare import first_difference
from tssl.recipe import Recipe, recipe_from_tables
from tssl.trainer.concat import Places, concatenated
from tssl.trainer.memory import bytes_per_sample
from tssl.trainer.operations import Concatenated
from tssl.trainer.penalty import OperationsPenalty
from tssl.trainer.tape import Tape, apply

LEAD = (3, 2)
"""Time steps and samples."""


class TestSignals:
    def test_maps(self) -> None:
        first, second = torch.rand(*LEAD, 2, 4, 3), torch.rand(*LEAD, 3, 4, 3)
        found = concatenated(Places((5, 4, 3), (0, 2)), first, second)
        assert torch.equal(found, torch.cat([first, second], dim=2))

    def test_maps_beside_neurons(self) -> None:
        neurons, maps = torch.rand(*LEAD, 2), torch.rand(*LEAD, 3, 4, 3)
        found = concatenated(Places((38,), (0, 2)), neurons, maps)
        assert torch.equal(found, torch.cat([neurons, maps.flatten(2)], dim=2))

    def test_those_of_one_place_add_up_and_gaps_are_zeros(self) -> None:
        first, second = torch.rand(*LEAD, 2, 4, 3), torch.rand(*LEAD, 2, 4, 3)
        found = concatenated(Places((6, 4, 3), (3, 3)), first, second)
        expected = torch.zeros(*LEAD, 6, 4, 3)
        expected[:, :, 3:5] = first + second
        assert torch.equal(found, expected)

    def test_channels_stay_last_in_memory(self) -> None:
        """Convolutions take them so without a copy."""
        rows = (torch.rand(6, 4, 3, size).permute(0, 3, 1, 2) for size in (2, 5))
        first, second = (each.unflatten(0, LEAD) for each in rows)
        found = concatenated(Places((8, 4, 3), (0, 3)), first, second)
        assert found.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)

    def test_a_tape_gives_the_errors_of_autograd(self) -> None:
        places = Places((43,), (0, 2, 2, 41))
        signals = [torch.rand(*LEAD, *shape, requires_grad=True)
                   for shape in ((2,), (3, 4, 3), (3, 4, 3), (2,))]  # fmt: skip
        coming = torch.rand(*LEAD, 43)
        expected = torch.autograd.grad(concatenated(places, *signals), signals, coming)
        tape = Tape(len(signals))
        for _ in range(2):  # recorded, and then repeated
            tape.forward(lambda: [apply(Concatenated, places, *signals)], signals)
            found = tape.backward(coming)
            for ours, theirs in zip(found, expected, strict=True):
                assert ours is not None
                assert torch.equal(ours, theirs)
        assert len({id(each) for each in found}) == len(signals)


def network(**training: Any) -> Recipe:
    layers = [
        conv(3, 3, padding=1, name="a", weight_scale=4.0),
        dense(8, name="b", weight_scale=2.0, **after("input")),
        concat("a", "b", "input", name="c", dropout=0.1),
        dense(tiny.CLASSES, name="out"),
    ]
    tables = {
        "name": "beside",
        "data": {"name": "rows"},
        "network": {"layers": layers},
        "training": {"epochs": 8, "batch_size": 10, "lr": 0.01, **training},
    }
    return recipe_from_tables(tables, "test")


def test_it_learns_and_resumes(tmp_path: Path) -> None:
    whole = tiny.fit(tmp_path / "whole", network())
    whole.fit(tiny.Watcher())
    assert whole.progress.metrics[-1].train_accuracy > 0.9
    tiny.fit(tmp_path / "half", network()).fit(tiny.Watcher(stop_after=20))
    resumed = tiny.fit(tmp_path / "half", network())
    resumed.fit(tiny.Watcher())
    for ours, theirs in zip(resumed.network.parameters(), whole.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_step_keeps_the_concat_as_any_layer(tmp_path: Path) -> None:
    graph = tiny.fit(tmp_path, network()).network.graph
    values = 48 + 8 + (48 + 8 + 16) + tiny.CLASSES
    assert bytes_per_sample(graph) == 4 * graph.time_steps * 2 * values


def test_the_penalty_counts_the_synapses_behind_it(tmp_path: Path) -> None:
    """A spike of either layer drives the synapses of the last one, and none else."""
    fit = tiny.fit(tmp_path, network())
    inputs = fit.train.encode(fit.train.pixels(np.arange(20))[0])
    forward = fit.network.eval()(inputs, record_all=True)
    steps = fit.network.graph.time_steps
    sums = [forward.traces[name].psp.detach().sum() / 20 for name in "ab"]
    expected = float(sum(sums)) / ((48 + 8) * steps)
    share = float(OperationsPenalty(fit.network.graph).share(forward.traces).detach())
    assert share == pytest.approx(expected, rel=1e-5)


def test_lee_trains_layers_side_by_side_as_one() -> None:
    """But for the number of neurons of a layer, of which its errors have the root."""
    common: dict[str, Any] = {"threshold": 0.8}
    apart = [
        dense(4, name="a", **common),
        dense(3, name="b", **common, **after("input")),
        concat("a", "b", name="c"),
        dense(3, name="out", **common),
    ]
    one = [dense(7, name="ab", **common), dense(3, name="out", **common)]
    tables = {"time_steps": 9, "tau_m": 20.0, "tau_s": 1.0}
    two, single = (
        network_of(recipe_of({**tables, "layers": layers}, rule="lee"), 6, torch.float64)
        for layers in (apart, one)
    )
    weights = single.numpy_weights()
    two.load_weights({"a": weights["ab"][:4], "b": weights["ab"][4:], "out": weights["out"]})
    generator = torch.Generator().manual_seed(0)
    inputs = (torch.rand(9, 5, 6, 1, 1, generator=generator) < 0.5).double()
    labels = torch.tensor([0, 1, 2, 0, 1])
    for each in (two, single):
        found = each(inputs, record_all=True)
        each.loss.function(found.output, labels).backward()
    found = {name: weight.grad for name, weight in two.weights.items()}
    expected = {name: weight.grad for name, weight in single.weights.items()}
    assert expected["ab"] is not None
    assert expected["ab"][:4].any()
    assert expected["ab"][4:].any()
    torch.testing.assert_close(found["out"], expected["out"])
    torch.testing.assert_close(found["a"], expected["ab"][:4] * math.sqrt(4 / 7))
    torch.testing.assert_close(found["b"], expected["ab"][4:] * math.sqrt(3 / 7))


@pytest.mark.lava
def test_lava_agrees(rng: np.random.Generator) -> None:
    layers = [
        conv(2, 3, padding=1, name="a"),
        concat("a", "input", name="b"),
        conv(3, 3, padding=1, name="c"),
        pool(2, name="p", **after("b")),
        pool(2, name="q", **after("c")),
        concat("p", "q", name="d"),
        dense(20, name="e", bias=True),
        concat("e", "q", name="f"),
        dense(6, name="out", neuron="if"),
    ]
    trained = checkpoint(rng, layers, (2, 6, 6), spread=3.0, time_steps=6)
    train = rng.integers(0, 16, (1, 4, 72))
    chip = quantize(trained, LIMITS, train, (0, 15)).network
    ours, theirs = run_chunk(chip, train, 6), run_all(LavaSim(), chip, train, 6)
    assert first_difference(chip, ours, theirs) is None
    assert all(spikes.any() for spikes in ours.trains.values())
