"""What training pays for synaptic operations: an energy lever, beside the loss."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from tssl.graph import Graph, Node
from tssl.trainer.neuron import Pool, Trace

__all__ = ["OperationsPenalty"]


class OperationsPenalty:
    r"""The share of all synaptic operations that could be, differentiable as spikes are.

    .. math:: P = \frac{\sum_l f_l \sum_{t,i} a_{l,t,i}}{\sum_l f_l N_l T}

    with :math:`f_l` the synapses that a spike of layer l drives, on average, :math:`N_l` its
    neurons, and :math:`a` their post-synaptic potentials. Over a long time the potentials of a
    spike add up to one, so that this counts spikes; it is what carries the gradient of a rule.
    The input's spikes, which training cannot change, are left out.

    Parameters
    ----------
    graph
        Of the network.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._driven = {node.name: _driven(graph, node) for node in graph}
        values = sum(self._driven[node.name] * node.outputs for node in graph.spiking)
        self._possible = max(values * graph.time_steps, 1.0)

    def share(self, traces: Mapping[str, Trace]) -> Tensor:
        """Return the share, the mean over a batch.

        Parameters
        ----------
        traces
            Of every layer of neurons, by name; potentials ``(time, batch, ...)``, pooled where
            the pool is done together with the layer.
        """
        terms = [self._operations(name, trace.psp) for name, trace in traces.items()]
        return torch.stack(terms).sum() / self._possible

    def _operations(self, name: str, potentials: Tensor) -> Tensor:
        node, driven = self._graph[name], self._driven[name]
        total = potentials.sum() / potentials.shape[1]
        if math.prod(potentials.shape[2:]) == node.outputs:
            return total * driven
        (pool,) = self._graph.readers[name]
        return total * (self._driven[pool.name] / Pool.of(pool).gain)


def _driven(graph: Graph, node: Node) -> float:
    """Return how many synapses a spike of a layer drives, the mean over its neurons."""
    own = node.parameters.get("recurrent")
    inner = 0.0 if own is None else _synapses(node, own.shape) / node.outputs
    return inner + sum(_arriving(graph, reader) for reader in graph.readers[node.name])


def _arriving(graph: Graph, reader: Node) -> float:
    """Return how many synapses a spike drives by way of one reader."""
    inputs = math.prod(reader.input_shape)
    window = 1 if reader.geometry is None else math.prod(reader.window)
    if reader.neuron is None:  # its synapses are those of its own readers
        return reader.outputs * window / inputs * _driven(graph, reader)
    weight = reader.parameters.get("weight")
    if weight is not None:
        return _synapses(reader, weight.shape) / inputs
    return reader.outputs * window / inputs


def _synapses(node: Node, shape: tuple[int, ...]) -> int:
    """Return the number of synapses of weights; those beyond the border are counted too."""
    return math.prod(shape) if len(shape) == 2 else node.outputs * math.prod(shape[1:])
