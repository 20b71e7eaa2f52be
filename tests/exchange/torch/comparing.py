"""Modules step by step in double precision, beside their graph and the layers that it becomes."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from tests.exchange.nir.floats import spikes_of
from tests.exchange.torch.stand_ins import IFNode, Leaky, LIFCell, LIFNode, ParametricLIFNode
from tssl.exchange.nir import Lowered, Timing, lower, simulate
from tssl.exchange.torch import Read, read

STEPS, SAMPLES = 40, 5
EULER = Timing(dt=1.0, rule="euler")
FIRING = (Leaky, IFNode, LIFNode, ParametricLIFNode, LIFCell, nn.MaxPool2d)


def check_every_spike(
    make: Callable[[], nn.Module], shape: tuple[int, ...], share: float = 0.4
) -> Lowered:
    """Compare all spikes for input of which a share is active; return the layers."""
    network = built(make)
    found, made = lowered(network, shape)
    train = inputs(shape, share)
    ones = np.ones((STEPS, SAMPLES, made.always_on))
    flat = np.concatenate([train.reshape(STEPS, SAMPLES, -1), ones], axis=2)
    here = spikes_of(made.checkpoint, flat)
    graph = simulate(found.graph, EULER, train.astype(float))
    there = fired(network, train)
    assert list(there) == list(found.modules.values())
    for layer, node in made.layers.items():
        spikes = there[found.modules[node]]
        assert np.array_equal(spikes, graph[node].spikes.reshape(spikes.shape)), "the graph"
        assert np.array_equal(spikes, here[layer][..., : spikes.shape[2]]), layer
        assert 0 < spikes.mean() < 1, "the case shows nothing"
    return made


def built(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(3)
    network = make().eval()
    for parameter in network.parameters():
        if parameter.dim() > 1:
            parameter.data += 0.1
    return network


def lowered(network: nn.Module, shape: tuple[int, ...]) -> tuple[Read, Lowered]:
    found = read(network, shape)
    return found, lower(found.graph, EULER, name="n", time_steps=STEPS, provenance={})


def fired(network: nn.Module, train: np.ndarray) -> dict[str, np.ndarray]:
    """Return what modules fire, by their paths, in double precision."""
    trains: dict[str, list[np.ndarray]] = {}
    for path, module in network.named_modules():
        if isinstance(module, FIRING):
            steps = trains[path] = []
            module.register_forward_hook(
                lambda _, __, spikes, steps=steps: steps.append(spikes.flatten(1).numpy() > 0)
            )
    with torch.no_grad():
        for values in torch.from_numpy(train).double():
            network.double()(values)
    return {path: np.stack(steps) for path, steps in trains.items()}


def inputs(shape: tuple[int, ...], share: float) -> np.ndarray:
    return np.random.default_rng(1).random((STEPS, SAMPLES, *shape)) < share
