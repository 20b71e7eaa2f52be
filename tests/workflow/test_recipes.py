"""Every shipped recipe is a network that runs on its data set."""

import math
from pathlib import Path

import pytest
import torch

from tssl import datasets
from tssl.graph import resolve
from tssl.recipe import load_recipe
from tssl.trainer.network import SpikingNetwork
from tssl.workflow.data import frames_of
from tssl.workflow.recipes import shipped_recipes

SHIPPED = shipped_recipes()


def test_there_are_the_papers_networks() -> None:
    assert {"mnist-cnn", "fashion-mnist-cnn", "nmnist-cnn", "cifar10-cnn"} <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_forward_pass(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(SHIPPED[name])
    data = datasets.describe(recipe.data.name, cache=tmp_path)
    network = SpikingNetwork(recipe, data.shape, torch.Generator().manual_seed(0)).eval()
    frames = frames_of(recipe)
    steps = () if frames is None else (frames.time_steps,)
    if recipe.encoding.input == "neurons":
        steps = (recipe.network.time_steps,)
    if recipe.encoding.steps is not None:
        steps = (recipe.encoding.steps,)
    inputs = torch.rand(*steps, 1, *data.shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        forward = network(inputs.round())
    assert forward.output.spikes.shape == (
        recipe.network.time_steps,
        1,
        data.classes or data.numbers,
    )
    nodes = network.graph.firing
    sending = nodes[:-1] if nodes[-1].neuron.values else nodes  # such an output is only read
    assert list(forward.activity) == [node.name for node in sending]


@pytest.mark.parametrize(
    ("name", "inputs_of_the_first_dense"),
    [("nmnist-cnn", 2304), ("cifar10-cnn", 16384), ("cifar10-cnn-large", 32768)],
)
def test_maps_shrink_as_in_the_official_configurations(
    name: str, inputs_of_the_first_dense: int, tmp_path: Path
) -> None:
    recipe = load_recipe(SHIPPED[name])
    shape = datasets.describe(recipe.data.name, cache=tmp_path).shape
    first = next(node for node in resolve(recipe.network, shape) if node.kind == "dense")
    assert math.prod(first.input_shape) == inputs_of_the_first_dense
