"""What differs between two networks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.lava_runtime.networks import conv_net, dense_net
from tests.layers import reconnected
from tssl import netx
from tssl.chip import ChipNetwork, ClassReadOut, CubaNeuron, InputLayer, ReadOut, ValueReadOut
from tssl.errors import ConfigError
from tssl.workflow.diff import LayerDifference, diff
from tssl.workflow.inputs import InputChoice


def saved(path: Path, network: ChipNetwork) -> Path:
    netx.write(path, network)
    return path


@pytest.fixture
def nets(rng: np.random.Generator, tmp_path: Path) -> tuple[Path, ChipNetwork]:
    network = dense_net(rng)
    return saved(tmp_path / "a.net", network), network


def test_equal_networks(nets: tuple[Path, ChipNetwork], tmp_path: Path) -> None:
    path, network = nets
    same = saved(tmp_path / "b.net", network)
    found = diff(path, same, InputChoice(density=0.5, samples=3, steps=8))
    assert found.equal
    assert all(layer.equal for layer in found.layers)
    assert found.first is None
    assert found.predictions == 1
    assert sum(layer.left for layer in found.spikes) > 0
    for layer in found.spikes:
        assert (layer.differences, layer.van_rossum, layer.victor_purpura) == (0, 0, 0)
        assert layer.left == layer.right


def test_what_was_changed_is_found(nets: tuple[Path, ChipNetwork], tmp_path: Path) -> None:
    path, network = nets
    first, second, third = network.layers
    weight = first.synapses.weight.copy()
    weight[1, 2] += 7
    weight[3, 0] -= 30
    layers = (
        reconnected(first, weight=weight),
        replace(second, neuron=replace(second.neuron, threshold=second.neuron.threshold - 9)),
        replace(third, bias=third.bias + np.array([0, 1, 0, 0])),
    )
    other = saved(tmp_path / "b.net", replace(network, layers=layers))
    found = diff(path, other, InputChoice(density=0.5, samples=3, steps=8))
    assert not found.equal
    one, two, three = found.layers
    assert (one.weights, one.largest, one.biases, one.what) == (2, 30, 0, ())
    assert two.what == (f"threshold {second.neuron.threshold} and {second.neuron.threshold - 9}",)
    assert (three.weights, three.biases) == (0, 1)
    changed = [layer for layer in found.spikes if layer.differences]
    assert changed
    assert all(layer.van_rossum > 0 for layer in changed)
    assert all(layer.victor_purpura > 0 for layer in changed)
    assert found.first is not None
    assert found.first.startswith(f"layer {changed[0].layer}, ")


def test_layers_of_one_network_alone(
    nets: tuple[Path, ChipNetwork], rng: np.random.Generator, tmp_path: Path
) -> None:
    path, network = nets
    other = saved(tmp_path / "b.net", conv_net(rng))
    found = diff(path, other)
    assert (found.only_left, found.only_right) == (("a", "b", "c"), ("c1", "c2", "out"))
    assert [each.layer for each in found.layers] == ["input"]
    with pytest.raises(ConfigError, match="cannot run on the same input"):
        diff(path, other, InputChoice(density=0.5))
    shorter = saved(tmp_path / "c.net", replace(network, layers=network.layers[:2]))
    found = diff(path, shorter, InputChoice(density=0.5))
    assert found.only_left == ("c",)
    assert all(layer.differences == 0 for layer in found.spikes)


def test_other_inputs_are_told(nets: tuple[Path, ChipNetwork], tmp_path: Path) -> None:
    path, network = nets
    neuron = CubaNeuron(current_decay=4096, voltage_decay=0, threshold=10)
    driven = replace(network, input=InputLayer(shape=(1, 1, network.input.neurons), neuron=neuron))
    slower = replace(network, input=replace(driven.input, neuron=replace(neuron, threshold=11)))
    others = saved(tmp_path / "b.net", driven), saved(tmp_path / "c.net", slower)
    found = diff(path, others[0])
    told = f"shape {network.input.shape} and {driven.input.shape}", "neurons none and CUBA"
    assert [layer for layer in found.layers if not layer.equal] == [
        LayerDifference(layer="input", what=told)
    ]
    (only,) = [layer for layer in diff(*others).layers if not layer.equal]
    assert only == LayerDifference(layer="input", what=("threshold 10 and 11",))


NUMBERS = ValueReadOut((0.5, 1.0, 2.0, 4.0), (0.0, 0.0, 1.0, 0.0))


@pytest.mark.parametrize(
    ("read_out", "words"),
    [
        (ClassReadOut(2), "1 neuron for each class and 2 neurons for each class"),
        (NUMBERS, "1 neuron for each class and numbers by gain [0.5, 1.0, 2.0, 4.0], offset "),
    ],
)
def test_networks_that_are_read_otherwise_differ(
    nets: tuple[Path, ChipNetwork], tmp_path: Path, read_out: ReadOut, words: str
) -> None:
    path, network = nets
    other = saved(tmp_path / "b.net", replace(network, read_out=read_out))
    found = diff(path, other, InputChoice(density=0.5, samples=3, steps=8))
    assert not found.equal
    assert found.left.digest == found.right.digest  # which is of the integers
    (row,) = [layer for layer in found.layers if not layer.equal]
    assert row.layer == "read-out"
    assert row.what[0].startswith(words)
    assert (found.predictions is None) == (read_out is NUMBERS)
