"""What training keeps in memory, and what to say when there is too little."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from tssl.errors import TrainingError
from tssl.trainer.network import SpikingNetwork

_RESERVE = 0.8
"""Of the free memory; the rest is for what lives shorter than a step."""


@contextmanager
def explained_shortage(
    network: SpikingNetwork, input_shape: tuple[int, int, int], batch: int
) -> Iterator[None]:
    """Turn running out of memory into an error that says which batch size would fit."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_shortage(error):
            raise
        free = free_bytes(next(network.parameters()).device)
        fitting = int(_RESERVE * free / bytes_per_sample(network, input_shape))
        fitting = max(1, min(fitting, batch // 2))
        raise TrainingError(
            f"training.batch_size = {batch}: memory ran out with {free / 2**30:.1f} GiB free; "
            f"about {fitting} would fit: --batch-size {fitting}"
        ) from error


def bytes_per_sample(network: SpikingNetwork, input_shape: tuple[int, int, int]) -> int:
    """Return what the backward pass needs of each layer: its current and its output."""
    steps = network.network.time_steps
    neurons = sum(int(np.prod(shape)) for shape in network.network.shapes(input_shape))
    return 2 * 4 * steps * neurons


def free_bytes(device: torch.device) -> int:
    """Return the memory that is free on a device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    pages = "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in os.sysconf_names else "SC_PHYS_PAGES"
    return int(os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE"))


def _is_shortage(error: BaseException) -> bool:
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate" in str(error)
