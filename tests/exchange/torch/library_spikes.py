"""Networks of the libraries themselves, untrained, spike by spike beside what they become.

    TSSL_TORCH_LIBRARIES=FOLDER python -m tests.exchange.torch.library_spikes CASE

A process of its own, so that the libraries' warnings are theirs.
"""

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from tests.exchange.nir.floats import spikes_of
from tests.exchange.torch.comparing import SAMPLES, STEPS, inputs, lowered

Step = Callable[[Tensor], Any]


class Case(NamedTuple):
    """A network, and how its user runs a time step."""

    network: nn.Module
    step: Step
    shape: tuple[int, ...]


def gesture_network() -> Case:
    """Return a network like SpikingJelly's for DVS128 Gesture, with fewer maps."""
    from spikingjelly.activation_based import layer, neuron

    def block(incoming: int) -> Iterator[nn.Module]:
        yield layer.Conv2d(incoming, 6, kernel_size=3, padding=1, bias=False)
        yield layer.BatchNorm2d(6)
        yield neuron.LIFNode(v_threshold=0.4)
        yield layer.MaxPool2d(2, 2)

    network = nn.Sequential(
        *block(2), *block(6), layer.Flatten(), layer.Dropout(0.5), layer.Linear(24, 12),
        neuron.LIFNode(v_threshold=0.1), layer.VotingLayer(4),
    )  # fmt: skip
    return Case(network, network, (2, 8, 8))


def averages() -> Case:
    """Return windows of SpikingJelly that overlap, and its average of whole maps."""
    from spikingjelly.activation_based import layer, neuron

    network = nn.Sequential(
        layer.Conv2d(2, 6, 3, padding=1), neuron.LIFNode(v_threshold=0.4),
        layer.AvgPool2d(3, 2, 1), layer.Conv2d(6, 6, 2), neuron.LIFNode(v_threshold=0.2),
        layer.AdaptiveAvgPool2d(1), layer.Flatten(), layer.Linear(6, 5),
        neuron.LIFNode(v_threshold=0.1),
    )  # fmt: skip
    return Case(network, network, (2, 8, 7))


def recurrent_leaky() -> Case:
    """Return ``RLeaky`` of snnTorch, with a layer of weights and with one factor."""
    import snntorch as snn

    kept = {"reset_mechanism": "zero", "reset_delay": False, "init_hidden": True}
    network = nn.Sequential(
        nn.Linear(6, 9),
        snn.RLeaky(beta=0.9, linear_features=9, **kept),
        nn.Linear(9, 5),
        snn.RLeaky(beta=0.8, V=-0.6, all_to_all=False, **kept),
    )
    return Case(network, in_double(network), (6,))


def recurrent_maps() -> Case:
    """Return ``RLeaky`` of snnTorch whose spikes return through a convolution."""
    import snntorch as snn

    kept = {"reset_mechanism": "zero", "reset_delay": False, "init_hidden": True}
    network = nn.Sequential(
        nn.Conv2d(2, 3, 3),
        snn.RLeaky(beta=0.7, conv2d_channels=3, kernel_size=3, **kept),
        nn.MaxPool2d(2),
    )
    return Case(network, in_double(network), (2, 6, 6))


def in_double(network: nn.Sequential) -> nn.Sequential:
    """Return the network; snnTorch's spikes are of single precision, and enter layers as such."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            module.register_forward_pre_hook(lambda _, sent: (sent[0].double(),))
    return network


def recurrent_cells() -> Case:
    """Return ``LIFRecurrentCell`` of Norse."""
    from norse.torch import LIFParameters, LIFRecurrentCell, SequentialState

    p = LIFParameters(v_th=torch.as_tensor(0.4))
    network = SequentialState(LIFRecurrentCell(6, 9, p), LIFRecurrentCell(9, 5, p, autapses=True))
    state: Any = None

    def step(values: Tensor) -> None:
        nonlocal state
        _, state = network(values, state)

    return Case(network, step, (6,))


def recurrent_containers() -> Case:
    """Return both of SpikingJelly's containers."""
    from spikingjelly.activation_based import layer, neuron

    inner = nn.Sequential(layer.Linear(6, 9), neuron.LIFNode(v_threshold=0.2))
    network = nn.Sequential(
        layer.LinearRecurrentContainer(inner, 6, 9),
        layer.Linear(9, 5),
        layer.ElementWiseRecurrentContainer(neuron.LIFNode(v_threshold=0.3), lambda x, y: x + y),
    )
    return Case(network, network, (6,))


class Named(NamedTuple):
    """A case, and the library that it needs."""

    library: str
    make: Callable[[], Case]


CASES = {
    "averages": Named("spikingjelly", averages),
    "gesture_network": Named("spikingjelly", gesture_network),
    "recurrent_leaky": Named("snntorch", recurrent_leaky),
    "recurrent_maps": Named("snntorch", recurrent_maps),
    "recurrent_cells": Named("norse", recurrent_cells),
    "recurrent_containers": Named("spikingjelly", recurrent_containers),
}


def differing(name: str) -> str:
    """Return how many spikes of each layer differ, in a line."""
    torch.manual_seed(3)
    network, step, shape = CASES[name].make()
    network.eval().double()
    for parameter in network.parameters():
        if parameter.dim() > 1:
            parameter.data += 0.05
    read, made = lowered(network, shape)
    train = inputs(shape, 0.4)
    there = fired(network, step, read.modules, train)
    ones = np.ones((STEPS, SAMPLES, made.always_on))
    here = spikes_of(
        made.checkpoint, np.concatenate([train.reshape(STEPS, SAMPLES, -1), ones], axis=2)
    )
    parts = []
    for layer, node in made.layers.items():
        spikes = there[read.modules[node]]
        differ = int((spikes != here[layer][..., : spikes.shape[2]]).sum())
        parts.append(f"{layer} {differ} of {int(spikes.sum())}")
    return ", ".join(parts)


def fired(
    network: nn.Module, step: Step, modules: dict[str, str], train: np.ndarray
) -> dict[str, np.ndarray]:
    """Return what the modules of these paths fire."""
    trains: dict[str, list[np.ndarray]] = {path: [] for path in modules.values()}
    for path, steps in trains.items():
        network.get_submodule(path).register_forward_hook(
            lambda _, __, sent, steps=steps: steps.append(
                (sent[0] if isinstance(sent, tuple) else sent).flatten(1).numpy() > 0
            )
        )
    with torch.no_grad():
        for values in torch.from_numpy(train).double():
            step(values)
    return {path: np.stack(steps) for path, steps in trains.items()}


if __name__ == "__main__":
    sys.path.append(os.environ.get("TSSL_TORCH_LIBRARIES", ""))  # behind our own packages
    sys.stdout.write(f"{differing(sys.argv[1])}\n")
