"""From a loss to better weights: backward, clip, AdamW, clamp, and the learning rate."""

import math
from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from operator import is_
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tssl.recipe import TrainingSpec
from tssl.trainer import adamw_kernels, kernels

__all__ = [
    "AdamW", "learning_rate", "make_optimizer", "optimizer_step", "plain_step", "set_learning_rate",
]  # fmt: skip

_CLIP_EPSILON = 1e-6
"""Of PyTorch's clipping."""


class AdamW:
    """AdamW, with groups and states as PyTorch's has them.

    PyTorch's own, which takes over where the compiled loops do not know the tensors, is made when
    it is needed: that imports PyTorch's compiler, for a second.
    """

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        self.param_groups = groups
        self.state: dict[Tensor, dict[str, Tensor]] = defaultdict(dict)
        self._known: dict[Tensor, _Arrays] = {}

    @cached_property
    def of_pytorch(self) -> torch.optim.AdamW:
        """PyTorch's, on the same groups and states."""
        optimizer = torch.optim.AdamW(self.param_groups, fused=True)
        optimizer.state = self.state  # type: ignore[assignment]
        return optimizer

    def arrays(self, weight: Tensor) -> "_Arrays":
        """Return a weight and what AdamW keeps of it; zeros before its first step."""
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"], state["exp_avg_sq"] = (torch.zeros_like(weight) for _ in range(2))
        known = self._known.get(weight)
        if known is None or not known.fits(weight, state):
            known = self._known[weight] = _Arrays(weight, state)
        return known


class _Arrays:
    """The memory of a weight and of what AdamW keeps of it."""

    def __init__(self, weight: Tensor, state: Mapping[str, Tensor]) -> None:
        self._pointer, self._state = weight.data_ptr(), tuple(state.values())
        self.steps: NDArray[np.float32] = state["step"].numpy()
        self.weight = _flat(weight)
        self.moments = _flat(state["exp_avg"]), _flat(state["exp_avg_sq"])

    def fits(self, weight: Tensor, state: Mapping[str, Tensor]) -> bool:
        """Return whether it still is that memory: a state may have been read since."""
        return weight.data_ptr() == self._pointer and all(map(is_, state.values(), self._state))


def make_optimizer(network: nn.Module, training: TrainingSpec) -> AdamW:
    """Return AdamW with the recipe's settings.

    Biases and the numbers of norms, which have one axis, do not decay.
    """
    trained = [each for each in network.parameters() if each.requires_grad]
    weights = [each for each in trained if each.dim() > 1]
    biases = [each for each in trained if each.dim() == 1]
    same = {"lr": training.lr, "betas": (0.9, 0.999), "eps": 1e-8}
    groups = [{"params": weights, "weight_decay": training.weight_decay, **same}]
    if biases:
        groups.append({"params": biases, "weight_decay": 0.0, **same})
    return AdamW(groups)


def learning_rate(training: TrainingSpec, epoch: int) -> float:
    """Return the rate of an epoch, counted from 0."""
    if training.lr_schedule == "cosine":
        return training.lr * 0.5 * (1 + math.cos(math.pi * epoch / training.epochs))
    if training.lr_schedule == "step":
        return training.lr * training.lr_factor ** (epoch // training.lr_step)
    return training.lr


def set_learning_rate(optimizer: AdamW, rate: float) -> None:
    """Let the next steps use this rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def optimizer_step(network: nn.Module, optimizer: AdamW, training: TrainingSpec) -> float:
    """Clip, step by AdamW and clamp; return the gradient's norm before clipping."""
    if _is_compiled(optimizer):
        return _compiled_step(optimizer, training)
    return float(plain_step(network, optimizer, training))


def plain_step(network: nn.Module, optimizer: AdamW, training: TrainingSpec) -> Tensor:
    """Clip, step and clamp by PyTorch's own functions; return the norm, for which nothing waits."""
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), training.clip_norm)
    optimizer.of_pytorch.step()
    with torch.no_grad():
        for weight in network.parameters():
            if weight.dim() > 1 and weight.requires_grad:
                weight.clamp_(-training.weight_limit, training.weight_limit)
    return norm


def _is_compiled(optimizer: AdamW) -> bool:
    """Return whether the compiled loops know all that is trained; PyTorch's own are for others."""
    return all(
        weight.dtype == torch.float32 and weight.is_cpu and weight.is_contiguous()
        for group in optimizer.param_groups
        for weight in group["params"]
    )


def _compiled_step(optimizer: AdamW, training: TrainingSpec) -> float:
    """Clip, step and clamp through :mod:`tssl.trainer.adamw_kernels`; return the norm."""
    kernels.threads()
    moved = []
    for group in optimizer.param_groups:
        for weight in group["params"]:
            if (gradient := weight.grad) is not None:
                arrays = optimizer.arrays(weight)
                moved.append((group, weight.dim() > 1, arrays, _flat(gradient)))
    norm = math.sqrt(sum(adamw_kernels.square_sum(gradient) for *_, gradient in moved))
    clip = min(1.0, training.clip_norm / (norm + _CLIP_EPSILON))
    known: dict[Any, adamw_kernels.Step] = {}
    for group, is_bounded, arrays, gradient in moved:
        arrays.steps += 1
        key = id(group), is_bounded, float(arrays.steps)
        if key not in known:
            limit = training.weight_limit if is_bounded else math.inf
            known[key] = _numbers(group, key[-1], clip, limit)
        adamw_kernels.update(arrays.weight, gradient, *arrays.moments, known[key])
    return norm


def _numbers(group: dict[str, Any], steps: float, clip: float, limit: float) -> adamw_kernels.Step:
    first, second = group["betas"]
    return adamw_kernels.Step(
        clip=clip,
        keep=1 - group["lr"] * group["weight_decay"],
        first=first,
        second=second,
        rate=group["lr"] / (1 - first**steps),
        bias=math.sqrt(1 - second**steps),
        epsilon=group["eps"],
        limit=limit,
    )


def _flat(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().numpy()
    return array.reshape(-1)
