"""The resolved network: nodes with sources, shapes, named parameters and their own neuron.

Trainer, checkpoints, exporter and witnesses read it; nobody computes a shape a second time.
"""

from tssl.graph.graph import Graph, resolve
from tssl.graph.kinds import KINDS
from tssl.graph.node import NORM, NORM_EPSILON, Gate, Node, Parameter

__all__ = [
    "Gate",
    "Graph",
    "KINDS",
    "NORM",
    "NORM_EPSILON",
    "Node",
    "Parameter",
    "resolve",
]
