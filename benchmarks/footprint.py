"""The memory of a training step."""

from pathlib import Path

import torch
from steps import Measured, product_shapes
from torch import Tensor

from tssl.trainer.linear import weighted
from tssl.trainer.network import SpikingNetwork


def kept_bytes(network: SpikingNetwork, x: Tensor) -> int:
    """Return what a forward pass keeps for the backward pass, weights apart."""
    own = {weight.untyped_storage().data_ptr() for weight in network.parameters()}
    own.add(x.untyped_storage().data_ptr())
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        network(x)
    return sum(size for pointer, size in kept.items() if pointer not in own)


def needed_bytes(measured: Measured) -> int:
    """Return what any exact backward pass needs: inputs of products, currents of neurons."""
    total = 0
    for position, (geometry, signal, weight) in enumerate(product_shapes(measured)):
        total += 4 * weighted(signal, weight, geometry).numel()
        total += 4 * signal.numel() if position else 0
    return total


def resident_megabytes(key: str) -> float:
    """Return this process's memory (VmRSS) or its peak (VmHWM)."""
    (line,) = [row for row in Path("/proc/self/status").read_text().splitlines() if key in row]
    return int(line.split()[1]) / 1024
