"""Thresholds that training finds, one for each neuron or map."""

import math

import torch
from torch import Tensor

from tssl.graph import Node

__all__ = ["first_threshold"]


def first_threshold(node: Node) -> Tensor:
    """Return the parameter from which the training of thresholds begins, ``(1,)``."""
    if node.neuron is None:
        raise TypeError(f"layer {node.name}: a {node.kind} has no neurons")
    return torch.tensor([math.log(node.neuron.threshold)], dtype=torch.float32)
