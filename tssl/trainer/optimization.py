"""From a loss to better weights: backward, clip, AdamW, clamp, and the learning rate."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tssl.recipe import TrainingSpec
from tssl.trainer import adamw_kernels, kernels

__all__ = [
    "learning_rate", "make_optimizer", "optimizer_step", "plain_step", "set_learning_rate",
]  # fmt: skip

_CLIP_EPSILON = 1e-6
"""Of PyTorch's clipping."""


def make_optimizer(network: nn.Module, training: TrainingSpec) -> torch.optim.Optimizer:
    """Return AdamW with the recipe's settings, all its arithmetic in one pass over the weights.

    Biases and the numbers of norms, which have one axis, do not decay.
    """
    trained = [each for each in network.parameters() if each.requires_grad]
    weights = [each for each in trained if each.dim() > 1]
    biases = [each for each in trained if each.dim() == 1]
    groups: list[dict[str, Any]] = [{"params": weights}]
    if biases:
        groups.append({"params": biases, "weight_decay": 0.0})
    return torch.optim.AdamW(groups, lr=training.lr, weight_decay=training.weight_decay, fused=True)


def learning_rate(training: TrainingSpec, epoch: int) -> float:
    """Return the rate of an epoch, counted from 0."""
    if training.lr_schedule == "cosine":
        return training.lr * 0.5 * (1 + math.cos(math.pi * epoch / training.epochs))
    if training.lr_schedule == "step":
        return training.lr * training.lr_factor ** (epoch // training.lr_step)
    return training.lr


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Let the next steps use this rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def optimizer_step(
    network: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor, training: TrainingSpec
) -> float:
    """Do backward, clip, AdamW and clamp; return the gradient's norm before clipping."""
    for weight in network.parameters():
        weight.grad = None
    loss.backward()
    if _is_compiled(optimizer):
        return _compiled_step(optimizer, training)
    return float(plain_step(network, optimizer, training))


def plain_step(
    network: nn.Module, optimizer: torch.optim.Optimizer, training: TrainingSpec
) -> Tensor:
    """Clip, step and clamp by PyTorch's own functions; return the norm, for which nothing waits."""
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), training.clip_norm)
    optimizer.step()
    with torch.no_grad():
        for weight in network.parameters():
            if weight.dim() > 1 and weight.requires_grad:
                weight.clamp_(-training.weight_limit, training.weight_limit)
    return norm


def _is_compiled(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether the compiled loops know all that is trained; PyTorch's own are for others."""
    return all(
        each.device.type == "cpu"
        and each.dtype == torch.float32
        and each.is_contiguous()
        and (each.grad is None or each.grad.is_contiguous())
        for group in optimizer.param_groups
        for each in group["params"]
    )


def _compiled_step(optimizer: torch.optim.Optimizer, training: TrainingSpec) -> float:
    """Clip, step and clamp through :mod:`tssl.trainer.adamw_kernels`; return the norm."""
    kernels.threads()
    moved = [
        (group, weight, weight.grad)
        for group in optimizer.param_groups
        for weight in group["params"]
        if weight.grad is not None
    ]
    norm = math.sqrt(sum(adamw_kernels.square_sum(_flat(each)) for _, _, each in moved))
    clip = min(1.0, training.clip_norm / (norm + _CLIP_EPSILON))
    for group, weight, gradient in moved:
        state = _state(optimizer, weight)
        state["step"] += 1
        step = _numbers(group, float(state["step"]), clip)
        if weight.dim() > 1:
            step = step._replace(limit=training.weight_limit)
        moments = _flat(state["exp_avg"]), _flat(state["exp_avg_sq"])
        adamw_kernels.update(_flat(weight), _flat(gradient), *moments, step)
    return norm


def _state(optimizer: torch.optim.Optimizer, weight: Tensor) -> dict[str, Tensor]:
    """Return what AdamW keeps of a weight, by PyTorch's names; zeros before its first step."""
    state: dict[str, Tensor] = optimizer.state[weight]
    if not state:
        state["step"] = torch.zeros(())
        state["exp_avg"], state["exp_avg_sq"] = (torch.zeros_like(weight) for _ in range(2))
    return state


def _numbers(group: dict[str, Any], steps: float, clip: float) -> adamw_kernels.Step:
    first, second = group["betas"]
    return adamw_kernels.Step(
        clip=clip,
        keep=1 - group["lr"] * group["weight_decay"],
        first=first,
        second=second,
        rate=group["lr"] / (1 - first**steps),
        bias=math.sqrt(1 - second**steps),
        epsilon=group["eps"],
        limit=math.inf,
    )


def _flat(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().numpy()
    return array.reshape(-1)
