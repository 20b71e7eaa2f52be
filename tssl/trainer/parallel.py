"""Several processes that share every batch, as ``torchrun`` starts them."""

import os
from collections.abc import Sequence
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from tssl.errors import BackendUnavailableError, ConfigError

_PATIENCE = timedelta(minutes=30)
"""The slowest process may be so far behind the others."""


def is_first_process() -> bool:
    """Return whether this process writes files and talks: the only one, or the first of many."""
    return os.environ.get("RANK", "0") == "0"


class Group:
    """The processes of a training run; alone, unless ``torchrun`` says otherwise."""

    def __init__(self, device: str) -> None:
        self.size = _count("WORLD_SIZE", default=1)
        self.rank = _count("RANK", default=0)
        if self.rank >= self.size:
            raise ConfigError(
                f"RANK = {self.rank}, but WORLD_SIZE = {self.size}: there is no such process; "
                "unset both, or start with torchrun --nproc-per-node N -m tssl train ..."
            )
        self.device = device
        if self.size == 1:
            return
        if device == "cuda":
            self.device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
            torch.cuda.set_device(self.device)
        if not dist.is_initialized():
            backend = "nccl" if device == "cuda" else "gloo"
            try:
                dist.init_process_group(backend, timeout=_PATIENCE)
            except (RuntimeError, ValueError) as error:
                raise BackendUnavailableError(
                    f"WORLD_SIZE = {self.size}, but the processes do not find each other: "
                    f"{error}; start with torchrun --nproc-per-node {self.size} -m tssl train ..."
                ) from error

    @property
    def share(self) -> slice:
        """The process's own part of anything that all have in the same order."""
        return slice(self.rank, None, self.size)

    def wrap(self, network: nn.Module) -> nn.Module:
        """Return a module whose gradients are the mean over all processes."""
        return network if self.size == 1 else DistributedDataParallel(network)

    def totals(self, numbers: Sequence[float]) -> list[float]:
        """Return each number's sum over all processes."""
        if self.size == 1:
            return list(numbers)
        sums = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        dist.all_reduce(sums)
        return [float(number) for number in sums]

    def average(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace each tensor by its mean over all processes."""
        if self.size > 1:
            for tensor in tensors:
                dist.all_reduce(tensor)
                tensor /= self.size

    def barrier(self) -> None:
        """Wait for the others."""
        if self.size > 1:
            dist.barrier()


def _count(name: str, *, default: int) -> int:
    """Return a number that ``torchrun`` puts into the environment."""
    text = os.environ.get(name, str(default))
    if not (text.isdecimal() and len(text) < 10):
        raise ConfigError(
            f"{name} = {text!r} in the environment is no count of processes; unset it, or start "
            "with torchrun --nproc-per-node N -m tssl train ..."
        )
    return int(text)
