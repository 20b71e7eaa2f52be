"""From a loss to better weights: backward, clip, AdamW, clamp, and the learning rate."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from tssl.recipe import TrainingSpec


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
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), training.clip_norm)
    optimizer.step()
    with torch.no_grad():
        for weight in network.parameters():
            if weight.dim() > 1 and weight.requires_grad:
                weight.clamp_(-training.weight_limit, training.weight_limit)
    return float(norm)
