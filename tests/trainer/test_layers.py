"""``tssl.nn`` against the network of a recipe: the same bits forward and backward."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import tssl
from tests.exchange.nir.floats import spikes_of
from tssl import nn as own
from tssl.recipe import recipe_from_tables
from tssl.trainer.network import SpikingNetwork

STEPS, SHAPE = 6, (2, 8, 8)
COMMON: dict[str, Any] = {"tau_m": 4.0, "tau_s": 2.5}
LAYERS: list[dict[str, Any]] = [
    {"type": "conv", "channels": 6, "kernel": [3, 3], "padding": [1, 1], "bias": True, **COMMON},
    {"type": "pool", "kernel": [2, 2]},
    {"type": "conv", "channels": 4, "kernel": [2, 1], "stride": [1, 2], "groups": 2,
     "threshold": 0.5, **COMMON},
    {"type": "pool", "kernel": [3, 1], "mode": "average"},
    {"type": "dense", "neurons": 70, "threshold": 0.3, **COMMON},
    {"type": "dense", "neurons": 5, "bias": True, "threshold": 0.6, **COMMON},
]  # fmt: skip


def made() -> own.Sequential:
    torch.manual_seed(2)
    network = own.Sequential(
        own.Conv2d(2, 6, 3, padding=1, bias=True, **COMMON),
        own.Pool(2),
        own.Conv2d(6, 4, (2, 1), stride=(1, 2), groups=2, threshold=0.5, **COMMON),
        own.Pool((3, 1), "average"),
        own.Dense(8, 70, threshold=0.3, **COMMON),
        own.Dense(70, 5, bias=True, threshold=0.6, **COMMON),
        time_steps=STEPS,
    )
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.uniform_(parameter, 0.0, 0.2)
        else:
            parameter.data += 0.2  # so that all layers fire
    return network


def recipes() -> SpikingNetwork:
    tables = {
        "name": "n", "data": {"name": "digits"}, "training": {"loss": "count"},
        "network": {"time_steps": STEPS, "layers": LAYERS},
    }  # fmt: skip
    return SpikingNetwork(recipe_from_tables(tables, "n"), SHAPE, torch.Generator())


def numbers(network: own.Sequential) -> dict[str, np.ndarray]:
    """Return parameters by the names of a checkpoint."""
    return {
        entry["name"] if role == "weight" else f"{entry['name']}_{role}": array
        for entry, arrays in network.described()
        for role, array in arrays.items()
    }


@pytest.mark.parametrize("shape", [(3, *SHAPE), (STEPS, 3, *SHAPE)], ids=["static", "over time"])
def test_the_same_bits_as_the_network_of_a_recipe(shape: tuple[int, ...]) -> None:
    network, wanted = made(), recipes()
    wanted.load_weights(numbers(network))
    inputs = torch.rand(shape)
    found, expected = network(inputs), wanted(inputs).output.psp
    assert torch.equal(found, expected)
    assert 0 < float(expected.detach().mean()) < 1, "the case shows nothing"
    weights = torch.rand(expected.shape) - 0.5
    for output in (found, expected):
        (output * weights).sum().backward()
    errors: list[Tensor | None] = [each.grad for each in network.parameters()]
    assert len(errors) == len(list(wanted.weights.values())) == 6
    for mine, (name, theirs) in zip(errors, wanted.weights.items(), strict=True):
        assert mine is not None
        assert theirs.grad is not None
        assert torch.equal(mine, theirs.grad), name
        assert mine.abs().max() > 0, name


def test_flat_input_is_a_map_of_one_pixel() -> None:
    network = own.Sequential(own.Dense(12, 4), time_steps=STEPS)
    flat = torch.rand(3, 12)
    assert torch.equal(network(flat), network(flat[:, :, None, None]))
    over_time = flat.expand(STEPS, 3, 12)
    assert torch.allclose(network(flat), network(over_time))


def test_an_export_takes_it(tmp_path: Path) -> None:
    network = made()
    run = tssl.from_torch(network, torch.zeros(1, *SHAPE), out=tmp_path / "run")
    saved = run.lowered.checkpoint
    assert saved.graph.time_steps == STEPS
    assert {name: weight.tobytes() for name, weight in saved.weights.items()} == {
        name: array.tobytes() for name, array in numbers(network).items()
    }
    train = torch.rand(STEPS, 4, *SHAPE) < 0.5
    potentials = network(train.float()).detach().numpy()
    spikes = 2.5 * potentials
    spikes[1:] -= 1.5 * potentials[:-1]
    fired = spikes_of(saved, train.numpy().reshape(STEPS, 4, -1))
    assert np.array_equal(spikes > 0.5, fired["dense6"])
    chip = tssl.export(run, "loihi2", lava=False, proof_samples=4, progress=False)
    assert chip.proof.verdict == "PASS without Lava"
    assert chip.nir is not None
    assert [each.layer for each in chip.nir.agreements] == ["conv1", "conv3", "dense5", "dense6"]
    for each in chip.nir.agreements:  # weights of 8 bits and rounded decays move some spikes
        assert each.differ <= 0.05 * each.compared, each
        assert each.reference > 0


WRONG = {
    "another layer": (lambda: own.Sequential(torch.nn.Linear(2, 2), time_steps=5), "is a Linear"),
    "a pool at the end": (lambda: own.Sequential(own.Dense(2, 2), own.Pool(2), time_steps=5),
                          "must have neurons"),
    "nothing": (lambda: own.Sequential(time_steps=5), "must have neurons"),
    "two filters": (lambda: own.Sequential(own.Dense(2, 2), own.Dense(2, 2, tau_s=2.0),
                                           time_steps=5), "tau_s = 2.0, 3.0"),
    "groups": (lambda: own.Conv2d(3, 4, 3, groups=2), "groups = 2 do not divide 3"),
    "a pool": (lambda: own.Pool(2, "max"), "mode = 'max'"),
    "no time constant": (lambda: tssl.from_torch(
        own.Sequential(own.Dense(2, 2, tau_m=0.5), time_steps=5), torch.zeros(1, 2)), "tau_m"),
    "two axes": (lambda: tssl.from_torch(made(), torch.zeros(1, 8, 8)), "(samples, C, H, W)"),
    "weights that are none": (lambda: tssl.from_torch(spoilt(), torch.zeros(1, 2)), "not finite"),
}  # fmt: skip


def spoilt() -> own.Sequential:
    layer = own.Dense(2, 2)
    layer.weight.data[0, 0] = float("nan")
    return own.Sequential(layer, time_steps=5)


@pytest.mark.parametrize("name", WRONG)
def test_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make, says = WRONG[name]
    with pytest.raises(tssl.TsslError) as caught:
        make()
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
