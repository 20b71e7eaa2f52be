"""Silent layers get larger weights, others keep theirs."""

import numpy as np
import torch

from tests.trainer.test_network import LAYERS, images, network
from tssl.trainer.wake import wake_silent_layers


def test_layers_that_fire_keep_their_weights() -> None:
    firing = network()
    before = firing.numpy_weights()
    wake_silent_layers(firing, images(), 0.001)
    for name, weight in firing.numpy_weights().items():
        assert np.array_equal(weight, before[name])


def test_silent_layers_fire_afterwards() -> None:
    weak = [
        {**layer, **({} if layer["type"] == "pool" else {"weight_scale": 0.02})} for layer in LAYERS
    ]
    silent = network(seed=1, layers=weak)
    before = silent.numpy_weights()
    assert not any(float(a.spikes) for a in silent(images()).activity.values())
    wake_silent_layers(silent, images(), 0.02)
    for name, activity in silent(images()).activity.items():
        assert float(activity.spikes) >= 0.02 * activity.neuron_steps, name
    for name, weight in silent.numpy_weights().items():
        factor = weight / before[name]
        np.testing.assert_allclose(factor, factor.flat[0], rtol=1e-4)  # a layer keeps its pattern


def test_what_no_scale_wakes_keeps_its_weights() -> None:
    inhibited = network()
    with torch.no_grad():
        inhibited.weights["conv1"].abs_().neg_()
    before = inhibited.numpy_weights()
    wake_silent_layers(inhibited, images(), 0.01)
    assert np.array_equal(inhibited.numpy_weights()["conv1"], before["conv1"])
