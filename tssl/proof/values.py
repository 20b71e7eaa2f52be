"""Sigma-delta layers in PyTorch, stated a second time: no arithmetic is shared with ``tssl.chip``.

A value is told in messages of a 64th; sums and values are counted in 4096ths. All numbers are
whole ones in float64, which holds them exactly.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tssl.graph import Graph, Node

__all__ = ["Value", "first_messages", "values_of"]

_MESSAGE = 64.0
_STATE = 4096.0
_GRID = 2.0


class Value(NamedTuple):
    """A layer of sigma-delta neurons; without a threshold it shows what has arrived."""

    node: Node
    weight: Tensor
    bias: Tensor
    """In 4096ths, for each neuron or map."""
    threshold: float | None

    def run(self, sums: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is sent for weighted messages ``(time, batch, ...)``, and the last value."""
        arrived = sums.cumsum(dim=0)
        if self.threshold is None:
            return arrived, arrived[-1]
        values = (arrived + self.bias).clamp(min=0)
        told, sent = torch.zeros_like(values[0]), []
        for value in values:  # what was not told is the difference to what was
            change = value - told
            part = change * (change.abs() >= self.threshold * _STATE)
            told = told + part
            sent.append(torch.floor(part * _MESSAGE / _STATE))
        return torch.stack(sent), values[-1]


def values_of(
    graph: Graph,
    weights: Mapping[str, NDArray[Any]],
    quantum: float,
    scales: Mapping[str, float],
    largest_weights: Mapping[str, int],
) -> dict[str, Value]:
    """Quantize every layer of a network that sends values.

    Parameters
    ----------
    weights
        By the name of the parameter.
    quantum
        What a one of the input stands for.
    scales
        Whole numbers per unit of a trained weight, by layer name. A layer counts its values in
        units of its source's, times this, by 64.
    """
    layers: dict[str, Value] = {}
    units = {name: 1.0 for name in graph.nodes[0].sources}
    for node in graph:
        (source,) = node.sources
        units[node.name] = units[source] * scales[node.name] / _MESSAGE
        given = weights[node.parameters["weight"].name].astype(np.float64)
        if node is graph.nodes[0]:
            given = given * quantum
        largest = largest_weights[node.name]
        weight = torch.from_numpy(given * scales[node.name] / _GRID).round() * _GRID
        bias = torch.zeros(())
        if "bias" in node.parameters:
            own = weights[node.parameters["bias"].name].astype(np.float64)
            bias = torch.from_numpy(own * units[node.name]).round() * _STATE
            bias = bias.reshape(-1, *[1] * (len(node.output_shape) - 1))
        is_last = node is graph.output or node.neuron is None
        threshold = None if is_last or node.neuron is None else node.neuron.threshold
        layers[node.name] = Value(
            node=node,
            weight=weight.clamp(-largest, largest),
            bias=bias,
            threshold=None if threshold is None else float(round(threshold * units[node.name])),
        )
    return layers


def first_messages(signal: Tensor) -> Tensor:
    """Return what the input sends of values ``(time, ...)``: every change."""
    return torch.diff(signal, dim=0, prepend=torch.zeros_like(signal[:1])) * _MESSAGE
