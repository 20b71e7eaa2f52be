"""`tssl.from_torch`: from modules to a proven file, and what a user may get wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

import tssl
from tests.exchange.torch.comparing import fired
from tests.exchange.torch.stand_ins import (
    IFNode,
    LIBoxCell,
    LIFCell,
    LIFNode,
    NonSpikingIFNode,
    RLeaky,
)
from tssl.chip import ClassReadOut
from tssl.errors import RangeError
from tssl.results import RunResult

PICTURE = torch.zeros(1, 1, 8, 8)


def integers(*layers: nn.Module) -> nn.Sequential:
    """Return a network whose weights the chip can hold: even integers of 8 bits."""
    torch.manual_seed(0)
    for layer in layers:
        if isinstance(layer, nn.Linear | nn.Conv2d):
            layer.weight.data = 2.0 * torch.randint(-63, 128, layer.weight.shape)
            layer.weight.data.view(-1)[0] = 254.0
    return nn.Sequential(*layers)


def exported(network: nn.Module, sample: Any, out: Path, **choice: Any) -> Any:
    run = tssl.from_torch(network, sample, time_steps=12, out=out, **choice)
    data = choice.get("data")
    return tssl.export(
        run, "loihi2", lava=False, samples=50, proof_samples=4, data=data, progress=False
    )


def check_chip(network: nn.Module, shape: tuple[int, ...], paths: list[str], out: Path) -> None:
    """Compare the spikes of all layers on the chip with those of the modules of these paths."""
    chip = exported(network, torch.zeros(1, *shape), out / "run")
    train = np.random.default_rng(5).random((7, 12, *shape)) < 0.4
    result = tssl.run(chip, input=train.astype(np.int64), record={"all": ["spikes"]},
                      out=out / "result", progress=False).result  # fmt: skip
    there = fired(network, train.swapaxes(0, 1).astype(float))
    for spikes, path in zip(result.traces.values(), paths, strict=True):
        assert np.array_equal(spikes.reshape(7, 12, -1) > 0, there[path].swapaxes(0, 1)), path
        assert 0 < spikes.mean() < 1, path
    assert all(each.differ == 0 for each in chip.nir.agreements)
    assert chip.proof.verdict == "PASS without Lava"


def test_the_chip_fires_what_the_modules_fire(tmp_path: Path) -> None:
    network = integers(
        nn.Conv2d(1, 3, 3, padding=1, bias=False), IFNode(601.0), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(27, 9, bias=False), IFNode(701.0), nn.Linear(9, 4, bias=False), IFNode(301.0),
    )  # fmt: skip
    check_chip(network, (1, 6, 6), ["1", "2", "5", "7"], tmp_path)


def test_the_chip_sends_spikes_back_as_the_modules_do(tmp_path: Path) -> None:
    own = nn.Linear(9, 9, bias=False)
    integers(own)
    network = integers(
        nn.Linear(6, 9, bias=False), RLeaky(1.0, own, threshold=301.0),
        nn.Linear(9, 4, bias=False), IFNode(701.0),
    )  # fmt: skip
    check_chip(network, (6,), ["1", "3"], tmp_path)


def test_the_chip_averages_windows_that_overlap(tmp_path: Path) -> None:
    torch.manual_seed(2)
    network = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), LIFNode(2.0, v_threshold=0.2), nn.AvgPool2d(3, 2, 1),
        nn.Conv2d(3, 4, 2), LIFNode(2.0, v_threshold=0.1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 5), LIFNode(2.0, v_threshold=0.1),
    )  # fmt: skip
    chip = exported(network, torch.zeros(1, 1, 8, 7), tmp_path / "run")
    assert chip.proof.verdict == "PASS without Lava"
    for each in chip.nir.agreements:
        assert each.differ <= 0.05 * each.compared
        assert each.reference > 0


def test_rounded_decays_move_few_spikes(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(20, 15), LIFCell(v_th=0.2), nn.Linear(15, 6),
                            LIFNode(3.0, v_threshold=0.2))  # fmt: skip
    chip = exported(network, torch.zeros(1, 20), tmp_path / "run")
    assert "always" in " ".join(chip.nir.facts["notes"]) or chip.nir.facts["always_on"] == 1
    for each in chip.nir.agreements:
        assert each.differ <= 0.03 * each.compared
        assert each.reference > 0


def trained() -> nn.Sequential:
    """Return a network that knows its digits a little: a perceptron in front of neurons."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), LIFNode(2.0, v_threshold=0.4))
    pictures, labels = map(torch.tensor, load_digits(return_X_y=True))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    wanted = nn.functional.one_hot(labels[:1437]).float()
    for _ in range(100):
        sums = network[1](pictures[:1437].float() / 16)
        loss = nn.functional.binary_cross_entropy_with_logits(sums, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


def test_with_data(tmp_path: Path) -> None:
    network = trained()
    chip = exported(network, PICTURE, tmp_path / "run", data="digits", encoding={"resolution": 16})
    pictures, _ = load_digits(return_X_y=True)
    train = np.broadcast_to(pictures[1437:1487].reshape(50, 1, 8, 8) / 16, (12, 50, 1, 8, 8))
    counts = fired(network, train.copy())["2"].sum(axis=0)
    assert abs(chip.chip_accuracy - chip.float_accuracy) <= 0.04
    assert chip.float_accuracy > 0.7
    result = tssl.run(chip, samples=50, out=tmp_path / "result", progress=False).result
    assert result.accuracy == chip.chip_accuracy
    highest = np.sort(counts, axis=1)
    clear = highest[:, -1] > highest[:, -2]  # ties go by the potential here
    assert clear.mean() > 0.4
    assert (result.predictions[clear] != counts[clear].argmax(axis=1)).mean() <= 0.04


def test_potentials_that_are_read(tmp_path: Path) -> None:
    """The class there, here and on the chip is that of the largest potential."""
    network = nn.Sequential(*trained()[:2], LIBoxCell()).double()
    chip = exported(network, PICTURE, tmp_path / "run", data="digits", encoding={"resolution": 16})
    assert chip.network.output.neuron.never_fires
    assert chip.there is not None
    assert chip.there.read == "potentials after the last step"
    assert chip.there.accuracy > 0.7
    assert abs(chip.there.accuracy - chip.float_accuracy) <= 0.04
    assert abs(chip.chip_accuracy - chip.float_accuracy) <= 0.04


@pytest.mark.parametrize("neuron", [LIFNode(2.0, v_threshold=0.4), NonSpikingIFNode()])
def test_a_last_layer_of_maps_is_evaluated(neuron: nn.Module, tmp_path: Path) -> None:
    """One convolution over the whole picture is the dense layer of the same weights."""
    dense = trained()[1]
    maps = nn.Conv2d(1, 10, 8)
    maps.weight.data, maps.bias.data = dense.weight.data.view(10, 1, 8, 8), dense.bias.data
    chips = [
        exported(network, PICTURE, tmp_path / network[0]._get_name(), data="digits")
        for network in (nn.Sequential(maps, neuron), nn.Sequential(nn.Flatten(), dense, neuron))
    ]
    accuracies = [(each.float_accuracy, each.chip_accuracy) for each in chips]
    assert accuracies[0] == accuracies[1]
    assert accuracies[0][0] > 0.7


def test_with_votes(tmp_path: Path) -> None:
    """Three neurons of each class: counts are added up there, here and in results."""
    single = trained()
    linear, voters = single[1], nn.Linear(64, 30)
    voters.weight.data = linear.weight.data.repeat_interleave(3, dim=0)
    voters.bias.data = linear.bias.data.repeat_interleave(3) + torch.linspace(-0.1, 0.1, 30)
    network = nn.Sequential(nn.Flatten(), voters, LIFNode(2.0, v_threshold=0.4), nn.AvgPool1d(3))
    chip = exported(network, PICTURE, tmp_path / "run", data="digits", encoding={"resolution": 16})
    assert chip.float_accuracy > 0.7
    assert abs(chip.there.accuracy - chip.float_accuracy) <= chip.there.ties / 50
    result = tssl.run(chip, samples=50, out=tmp_path / "result", progress=False).result
    assert result.accuracy == chip.chip_accuracy
    assert result.output_spikes.shape[2] == 30
    votes = result.output_spikes.sum(axis=1, dtype=int).reshape(50, 10, 3).sum(axis=2)
    highest = np.sort(votes, axis=1)
    clear = highest[:, -1] > highest[:, -2]
    assert clear.mean() > 0.4
    assert np.array_equal(result.predictions[clear], votes[clear].argmax(axis=1))
    again = RunResult.load(tmp_path / "result")
    assert np.array_equal(again.predictions, result.predictions)
    assert again.read_out == result.read_out == ClassReadOut(3)
    for source in (chip, tmp_path / "run"):
        lost = tssl.nir_write(source, tmp_path / "out.nir").losses
        assert any("3 neurons of the last layer" in each for each in lost)


def test_a_flat_sample_takes_pictures(tmp_path: Path) -> None:
    flat = tssl.from_torch(
        trained()[1:], torch.zeros(1, 64), time_steps=12, out=tmp_path / "a", data="digits"
    )
    whole = tssl.from_torch(trained(), PICTURE, time_steps=12, out=tmp_path / "b", data="digits")
    weights = [next(iter(each.lowered.checkpoint.weights.values())) for each in (flat, whole)]
    assert np.array_equal(*weights)
    assert flat.lowered.checkpoint.input_shape == (1, 8, 8)


def test_data_over_time(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    x, y = (rng.random((30, 12, 2, 3, 3)) < 0.5).astype(np.uint8), np.arange(30) % 4
    network = integers(nn.Flatten(), nn.Linear(18, 4, bias=False), IFNode(701.0))
    spikes = {"encoding": {"resolution": 1}}
    chip = exported(network, torch.zeros(1, 2, 3, 3), tmp_path / "run", data=(x, y, x, y), **spikes)
    result = tssl.run(chip, data=(x, y, x, y), out=tmp_path / "result", progress=False).result
    there = fired(network, x.swapaxes(0, 1).astype(float))["2"]
    assert np.array_equal(result.output_spikes > 0, there.swapaxes(0, 1))
    assert there.any()


def test_a_dead_layer_of_others_is_told_without_a_key_of_recipes(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), LIFNode(2.0))
    for parameter in network[1].parameters():
        nn.init.constant_(parameter, -1.0)
    with pytest.raises(RangeError, match="larger initial weights or a lower threshold"):
        exported(network, PICTURE, tmp_path / "run", data="digits")


NETWORK = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), LIFNode())
WRONG: dict[str, tuple[nn.Module, Any, dict[str, Any], str]] = {
    "no batch": (NETWORK, torch.zeros(64), {}, "samples, ..."),
    "no array": (NETWORK, 64, {}, "samples, ..."),
    "encoding alone": (NETWORK, PICTURE, {"encoding": {"resolution": 16}}, "without data"),
    "unknown key": (NETWORK, PICTURE, {"data": "digits", "encoding": {"gain": 1}}, "gain"),
    "other shape": (nn.Sequential(nn.Flatten(), nn.Linear(32, 10), LIFNode()),
                    torch.zeros(1, 2, 4, 4), {"data": "digits"}, "(1, 8, 8)"),
    "other classes": (nn.Sequential(nn.Flatten(), nn.Linear(64, 9), LIFNode()), PICTURE,
                      {"data": "digits"}, "10 classes"),
    "other votes": (nn.Sequential(nn.Flatten(), nn.Linear(64, 30), LIFNode(), nn.AvgPool1d(2)),
                    PICTURE, {"data": "digits"}, "30 neurons, 2 of each class"),
    "weights behind what is read": (
        nn.Sequential(nn.Flatten(), nn.Linear(64, 10), NonSpikingIFNode(), nn.Linear(10, 10)),
        PICTURE, {"data": "digits"}, "linear3 (Affine): is what the output gives, and has no",
    ),
    "a bias into synapses": (nn.Sequential(nn.Flatten(), nn.Linear(64, 10), LIFCell()), PICTURE,
                             {"data": "digits"}, "bias=False"),
    "no steps": (NETWORK, PICTURE, {"time_steps": None}, "time_steps: how long"),
    "steps": (NETWORK, PICTURE, {"time_steps": 0}, "0 time steps"),
    "no data": (NETWORK, PICTURE, {"data": "nothing-here"}, "nothing-here"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_one_line_and_nothing_written(name: str, tmp_path: Path) -> None:
    network, sample, choice, says = WRONG[name]
    with pytest.raises(tssl.TsslError) as caught:
        tssl.from_torch(network, sample, out=tmp_path / "run", **{"time_steps": 8, **choice})
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_folder_with_a_run_is_kept(tmp_path: Path) -> None:
    tssl.from_torch(NETWORK, PICTURE, time_steps=8, out=tmp_path / "run")
    with pytest.raises(tssl.TsslError, match="already holds a run"):
        tssl.from_torch(NETWORK, PICTURE, time_steps=8, out=tmp_path / "run")
