"""Every neuron of the table: constants that a chip can hold, one step, and a network of its own."""

import math

import numpy as np
import pytest
import torch

from tests.trainer import test_integration, test_sigma_delta, test_stdbp
from tests.trainer.test_neurons import NETWORKS
from tssl.graph import resolve
from tssl.neurons import NEURONS, membrane_step
from tssl.recipe import recipe_from_tables


@pytest.mark.parametrize("name", NEURONS)
class TestEveryNeuron:
    def test_a_recipe_names_it(self, name: str) -> None:
        fires = not NEURONS[name].is_read
        threshold = {"threshold": 0.5} if fires else {}
        layer = {"type": "dense", "neurons": 3, "neuron": name, **threshold}
        tables = {
            "name": "one",
            "data": {"name": "digits"},
            "network": {"tau_m": 4.0, "tau_s": 2.0, "layers": [layer]},
        }
        node = resolve(recipe_from_tables(tables, "one").network, (1, 8, 8))["dense1"]
        assert node.neuron is not None
        assert node.neuron.threshold == (0.5 if fires else math.inf)
        assert node.neuron.never_fires is not fires
        assert 0 <= node.neuron.current_decay <= 4096
        assert 0 <= node.neuron.voltage_decay <= 4096
        assert set(NEURONS[name].parameters) <= set(node.parameters)

    def test_a_network_of_the_equations_has_it(self, name: str) -> None:
        """Spikes, gradients and the chip's integers are compared there."""
        layers = [layer for layers in NETWORKS.values() for layer in layers]
        layers += [test_stdbp.CONV, test_stdbp.DENSE, test_sigma_delta.DENSE]
        layers += [test_integration.LAST, test_integration.LAST_WITHOUT_LEAK]
        assert any(layer.get("neuron", "lif") == name for layer in layers)


@pytest.mark.parametrize("tau_m", [1.0, 5.0, math.inf])
def test_a_step_is_the_same_of_arrays_and_tensors(tau_m: float) -> None:
    rng = np.random.default_rng(3)
    before, arriving = rng.normal(size=(2, 4, 50))
    arrays = membrane_step(before, arriving, tau_m=tau_m, threshold=0.4)
    tensors = membrane_step(
        torch.from_numpy(before), torch.from_numpy(arriving), tau_m=tau_m, threshold=0.4
    )
    for ours, theirs in zip(arrays, tensors, strict=True):
        assert np.array_equal(ours, theirs.numpy())
    potential, fires, after = arrays
    assert 0 < fires.mean() < 1
    for u, s, v, i, was in zip(*(each.flat for each in (*arrays, arriving, before)), strict=True):
        assert u == (1 - 1 / tau_m) * was + i
        assert s == (u > 0.4)
        assert v == (0 if s else u)
    assert potential.shape == after.shape == (4, 50)
