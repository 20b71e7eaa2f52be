"""Potentials of a library's last neurons, run as its user runs it, beside those of tssl.

    python -m tests.exchange.torch.read_there LIBRARY

``TSSL_TORCH_LIBRARIES`` names a ``site-packages`` that holds the library where tssl's does not.
Prints the largest distance of potentials after the last step, and their spread.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tssl.exchange import torch as modules
from tssl.exchange.nir import Timing, simulate

STEPS = 12
Ran = Callable[[Tensor], Tensor]


def snntorch() -> tuple[nn.Module, Ran]:
    """Read the potential of a ``Leaky`` without reset."""
    import snntorch as snn

    read = snn.Leaky(beta=0.8, reset_mechanism="none", init_hidden=True, output=True)
    first = snn.Leaky(beta=0.9, reset_mechanism="zero", init_hidden=True, reset_delay=False)
    network = nn.Sequential(nn.Linear(20, 30), first, nn.Linear(30, 5), read)

    def ran(train: Tensor) -> Tensor:
        for step in train:
            _, potential = network(step)
        return potential

    return network, ran


def spikingjelly() -> tuple[nn.Module, Ran]:
    """Decode a ``NonSpikingLIFNode`` by its last potential, all steps in one call."""
    from spikingjelly.activation_based import neuron

    read = neuron.NonSpikingLIFNode(3.0, decode="last_mem")
    first = neuron.LIFNode(2.0, v_threshold=0.3, step_mode="m")
    network = nn.Sequential(nn.Linear(20, 30), first, nn.Linear(30, 5), read)
    return network, network


def norse() -> tuple[nn.Module, Ran]:
    """Take what an ``LILinearCell`` returns at the last step."""
    import norse.torch as norse

    network = norse.SequentialState(
        nn.Linear(20, 30), norse.LIFBoxCell(norse.LIFBoxParameters(v_th=torch.tensor(0.1))),
        norse.LILinearCell(30, 5),
    )  # fmt: skip

    def ran(train: Tensor) -> Tensor:
        state: Any = None
        for step in train:
            potential, state = network(step, state)
        return potential

    return network, ran


def main(library: str) -> None:
    """Compare the library's own run with its modules as tssl steps them, and with their graph."""
    sys.path.append(os.environ.get("TSSL_TORCH_LIBRARIES", ""))
    torch.manual_seed(1)
    network, ran = {"snntorch": snntorch, "spikingjelly": spikingjelly, "norse": norse}[library]()
    train = (torch.rand(STEPS, 7, 20) < 0.4).float()
    with torch.no_grad():
        there = ran(train).numpy()
        steps = modules.Stepped(network)
        with steps.undisturbed():
            steps.rest()
            *_, stepped = [steps(each) for each in train]
    graph = modules.read(network, (20,)).graph
    found = simulate(graph, Timing(dt=1.0, rule="euler"), train.double().numpy())
    assert graph.read is not None
    here = found[graph.read.name].potential[-1]
    distance = max(np.abs(each - there).max() for each in (here, stepped.numpy()))
    sys.stdout.write(f"{distance:.3g} {there.std():.3g}\n")


if __name__ == "__main__":
    main(sys.argv[1])
