"""Networks trained in snnTorch, SpikingJelly and Norse, there, here, on the chip and on Lava.

    TSSL_TORCH_LIBRARIES=FOLDER python benchmarks/torch_libraries.py [snntorch spikingjelly norse]

FOLDER is a ``site-packages`` of the same Python and PyTorch that holds the three; it is not needed
where they are installed beside tssl. Trains on scikit-learn's digits (1,437 samples, 16 steps of a
constant current each) and classifies the other 360 by the number of spikes.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import Tensor, nn

import tssl
from tssl.exchange import nir

STEPS, TRAIN, BATCH = 16, 1437, 64
Counts = Callable[[Tensor], Tensor]


class Own(NamedTuple):
    """A network of another library, and how its user runs it."""

    network: nn.Module
    counts: Counts
    """Takes pictures ``(batch, 1, 8, 8)``, returns spikes of the classes ``(batch, 10)``."""


def snntorch() -> Own:
    """Return dense layers of ``Leaky`` and ``Synaptic``."""
    import snntorch as snn
    from snntorch import utils

    kept = {"reset_mechanism": "zero", "init_hidden": True, "reset_delay": False}
    network = nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 100),
        snn.Leaky(beta=0.9, **kept),
        nn.Linear(100, 10, bias=False),
        snn.Synaptic(alpha=0.5, beta=0.8, **kept),
    )

    def counts(pictures: Tensor) -> Tensor:
        utils.reset(network)
        return sum((network(pictures) for _ in range(STEPS)), start=torch.zeros(1))

    return Own(network, counts)


def spikingjelly() -> Own:
    """Return a convolution with batch norm and ``LIFNode``, and a ``ParametricLIFNode``."""
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    network = nn.Sequential(
        layer.Conv2d(1, 8, 3, padding=1, bias=False),
        layer.BatchNorm2d(8),
        neuron.LIFNode(tau=2.0, surrogate_function=surrogate.ATan()),
        layer.AvgPool2d(2),
        layer.Flatten(),
        layer.Dropout(0.2),
        layer.Linear(128, 10),
        neuron.ParametricLIFNode(decay_input=False, surrogate_function=surrogate.ATan()),
    )

    def counts(pictures: Tensor) -> Tensor:
        functional.reset_net(network)
        return sum((network(pictures) for _ in range(STEPS)), start=torch.zeros(1))

    return Own(network, counts)


def norse() -> Own:
    """Return dense layers of ``LIFCell``."""
    from norse.torch import LIFCell, LIFParameters, SequentialState

    neuron = LIFParameters(v_th=torch.as_tensor(0.5))
    network = SequentialState(
        nn.Flatten(),
        nn.Linear(64, 100, bias=False),
        LIFCell(neuron),
        nn.Linear(100, 10),
        LIFCell(neuron),
    )

    def counts(pictures: Tensor) -> Tensor:
        state, total = None, torch.zeros(1)
        for _ in range(STEPS):
            spikes, state = network(pictures, state)
            total = total + spikes
        return total

    return Own(network, counts)


NETWORKS = {"snntorch": snntorch, "spikingjelly": spikingjelly, "norse": norse}


def trained(own: Own, epochs: int) -> tuple[NDArray[Any], float]:
    """Train on the digits; return spikes ``(360, 10)`` and accuracy on the test samples."""
    pictures, labels = map(torch.tensor, load_digits(return_X_y=True))
    pictures = (pictures.float() / 16).reshape(-1, 1, 8, 8)
    optimizer = torch.optim.Adam(own.network.parameters(), lr=5e-3)
    for _ in range(epochs):
        for batch in torch.randperm(TRAIN).split(BATCH):
            loss = nn.functional.cross_entropy(own.counts(pictures[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    own.network.eval()
    with torch.no_grad():
        counts = own.counts(pictures[TRAIN:])
    return counts.numpy(), float((counts.argmax(1) == labels[TRAIN:]).float().mean())


def by_the_graph(run: Path) -> NDArray[np.int64]:
    """Return how often the classes of a read network spike in double precision, ``(360, 10)``."""
    graph = nir.read(run / "graph.nir")
    pictures = load_digits().images[TRAIN:].reshape(-1, 1, 8, 8) / 16
    train = np.broadcast_to(pictures, (STEPS, *pictures.shape))
    traces = nir.simulate(graph, nir.Timing(dt=1.0, rule="euler"), train)
    return traces[graph.firing[-1].name].spikes.sum(axis=0)


def compared(library: str, epochs: int, folder: Path, *, lava: bool) -> dict[str, Any]:
    """Return accuracies of one library's network."""
    torch.manual_seed(0)
    own = NETWORKS[library]()
    counts, there = trained(own, epochs)
    run = tssl.from_torch(own.network, torch.zeros(1, 1, 8, 8), time_steps=STEPS, data="digits",
                          encoding={"resolution": 16.0}, out=folder / library)  # fmt: skip
    chip = tssl.export(run, target="loihi2", samples=360, lava=lava, progress=False)
    found = {
        "library": library,
        "there": there,
        "ties": f"{(np.sort(counts)[:, -1] == np.sort(counts)[:, -2]).sum()}/360",
        "same counts": f"{(counts == by_the_graph(run.directory)).all(axis=1).sum()}/360",
        "there by tssl": getattr(chip.there, "accuracy", None),
        "float": chip.float_accuracy,
        "chip": chip.chip_accuracy,
        "proof": chip.proof.verdict,
    }
    if lava:
        found["lava"] = tssl.run(chip, backend="sim", progress=False).result.accuracy
    return found


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="Networks of other PyTorch libraries.")
    parser.add_argument("libraries", nargs="*", default=list(NETWORKS))
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--no-lava", action="store_true")
    arguments = parser.parse_args()
    sys.path.append(os.environ.get("TSSL_TORCH_LIBRARIES", ""))  # behind our own packages
    with tempfile.TemporaryDirectory() as folder:
        for library in arguments.libraries:
            found = compared(library, arguments.epochs, Path(folder), lava=not arguments.no_lava)
            numbers = {key: f"{v:.2%}" if isinstance(v, float) else v for key, v in found.items()}
            print("  ".join(f"{key} {value}" for key, value in numbers.items()), flush=True)


if __name__ == "__main__":
    main()
