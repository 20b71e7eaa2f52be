"""Every shipped recipe can be exported for Loihi 2, but for those that are known not to fit."""

import numpy as np
import pytest
import torch

from tssl import datasets
from tssl.checkpoint import Checkpoint
from tssl.chip import ChipNetwork, Connection, CubaNeuron, InputLayer, Layer
from tssl.errors import CapacityError
from tssl.exporter import quantize
from tssl.exporter.lower import lower
from tssl.hw_profiles import check_limits, load_profile, map_to_cores
from tssl.recipe import load_recipe
from tssl.trainer.network import SpikingNetwork
from tssl.trainer.samples import chip_encoding
from tssl.workflow.recipes import shipped_recipes

RECIPES = shipped_recipes()
LARGE = {"fashion-mnist-cnn", "nmnist-cnn"}
NEURON = CubaNeuron(current_decay=1365, voltage_decay=819, threshold=1000)
TOO_LARGE = {  # a dense layer with so many inputs that not even one neuron's synapses fit a core
    "cifar10-cnn": "layer dense8: needs synaptic memory for 16384",
    "cifar10-cnn-large": "layer dense8: needs synaptic memory for 32768",
}


def untrained(name):
    """Return a checkpoint with initial weights, and what its data set says of itself."""
    recipe = load_recipe(RECIPES[name])
    data = datasets.describe(recipe.data.name)
    network = SpikingNetwork(recipe, data.shape, torch.Generator().manual_seed(1))
    checkpoint = Checkpoint(
        recipe=recipe,
        input_shape=data.shape,
        encoding=chip_encoding(recipe.encoding, data.full_scale),
        weights=network.numpy_weights(),
        provenance={},
    )
    for name, array in checkpoint.weights.items():
        if name.endswith("_norm_scale"):  # residual branches begin silent
            array[:] = 1
    return checkpoint, data


def drafted(checkpoint):
    """Return the network in integers whose scale nobody searched for: quick, and of equal size."""
    layers, source = [], "input"
    for stage in lower(checkpoint):
        (arriving,) = stage.arriving
        weight = np.rint(arriving.weight * (254 / stage.largest_weight)).astype(np.int64)
        connection = Connection(source=source, synapses=arriving.synapses(weight))
        layers.append(Layer(name=stage.name, connections=(connection,), neuron=NEURON))
        source = stage.name
    return ChipNetwork(name="draft", input=InputLayer(shape=(3, 32, 32)), layers=tuple(layers))


def test_there_are_recipes():
    assert "fashion-mnist-cnn" in RECIPES


@pytest.mark.slow
@pytest.mark.parametrize("name", TOO_LARGE)
def test_a_shipped_recipe_is_too_large(name):
    """Of cores, not of weights: any integers do."""
    with pytest.raises(CapacityError, match=TOO_LARGE[name]):
        map_to_cores(load_profile("loihi2"), drafted(untrained(name)[0]))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name
        for name in RECIPES
        if name not in TOO_LARGE
    ],
)
def test_a_shipped_recipe_fits_loihi2(name, rng):
    profile = load_profile("loihi2")
    checkpoint, data = untrained(name)
    low, high = checkpoint.encoding.span(0, data.full_scale)
    pixels = rng.integers(0, data.full_scale + 1, (3, *data.shape))
    steps = checkpoint.graph.time_steps
    calibration = checkpoint.encoding.train(checkpoint.encoding.integers(pixels), steps)
    network = quantize(checkpoint, profile.limits, calibration, (low, high)).network
    check_limits(profile, network, (low, high))
    mapping = map_to_cores(profile, network)
    own = [row for row in mapping if not row.relay_of and row.layer != "input"]
    assert len(own) == len(network.layers)
    assert 0 < sum(layer.cores for layer in mapping) <= 128
