"""What training keeps in memory, and what to say when there is too little."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tssl.errors import ConfigError, TrainingError
from tssl.graph import NORM, Graph, Node
from tssl.trainer.network import SpikingNetwork
from tssl.wording import count

_RESERVE = 0.8
"""Of the memory; the rest is for weights, data and what lives shorter than a step."""

_SIGNS = ("allocate", "out of memory", "ALLOC_FAILED")
"""In messages of the CPU's allocator, of CUDA where it reports late, and of CUDA's libraries."""

BYTES_PER_WEIGHT = 4 * 4
"""Of the weight, its gradient and two moments of the optimiser."""


@contextmanager
def explained_shortage(network: SpikingNetwork, batch: int) -> Iterator[None]:
    """Turn running out of memory into an error that says which batch size would fit."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_shortage(error):
            raise
        # what is free now says little: the failed step still holds its share
        present = all_bytes(next(network.parameters()).device)
        fitting = int(_RESERVE * present / bytes_per_sample(network.graph))
        fitting = max(1, min(fitting, batch // 2))
        raise TrainingError(
            f"training.batch_size = {batch}: memory ran out, there are {present / 2**30:.1f} GiB; "
            f"try --batch-size {fitting}"
        ) from error


@contextmanager
def explained_lack(device: str) -> Iterator[None]:
    """Turn running out of memory into an error, where it was not in a step of training."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_shortage(error):
            raise
        present = all_bytes(torch.device(device)) / 2**30
        raise TrainingError(
            f"network.layers: memory ran out before or between training steps, there are "
            f"{present:.1f} GiB; end other programs that use it, or use smaller layers"
        ) from error


def check_size(graph: Graph, device: torch.device) -> None:
    """Refuse a network that cannot be trained on this machine, however small the batches.

    Raises
    ------
    ConfigError
        When its weights and one sample need more than all memory there is.
    """
    weights = sum(math.prod(shape) for _, shape in graph.parameters.values())
    needed = BYTES_PER_WEIGHT * weights + bytes_per_sample(graph)
    present = all_bytes(device)
    if needed > present:
        raise ConfigError(
            f"network.layers: training {weights:.3g} weights needs "
            f"{count(round(needed / 2**30))} GiB of memory, and there are "
            f"{count(round(present / 2**30))}; use smaller layers"
        )


def bytes_per_sample(graph: Graph) -> int:
    """Return what the backward pass needs of each layer: its current and its output.

    A norm keeps the current before it, too; a trained leak the potentials, and its own current.
    """
    kept = sum(node.outputs * _kept(node) for node in graph)
    return 4 * graph.time_steps * kept


def _kept(node: Node) -> int:
    return 2 + (NORM[0] in node.parameters) + 2 * ("leak" in node.parameters)


def all_bytes(device: torch.device) -> int:
    """Return the memory that a device has, free or not."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[1])
    return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _is_shortage(error: BaseException) -> bool:
    is_one = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return is_one or any(sign in str(error) for sign in _SIGNS)
