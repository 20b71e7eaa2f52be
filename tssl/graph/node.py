"""A layer of a network of which all is known: shapes, parameters, neuron."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from tssl.geometry import Geometry, Pair, Shape
from tssl.neurons import Lif

__all__ = ["Gate", "NORM", "NORM_EPSILON", "Node", "Parameter"]


NORM = ("norm_scale", "norm_shift", "norm_mean", "norm_variance")
"""Roles of the parameters of a norm; the last two are running averages and no optimiser's."""
NORM_EPSILON = 1e-5
"""What a norm adds to a variance."""


class Parameter(NamedTuple):
    """An array that training finds.

    Parameters
    ----------
    name
        In checkpoints; unique in a network.
    shape
        Dense ``(neurons, inputs)``, convolution ``(O, C / groups, kh, kw)``; among the neurons
        themselves ``(neurons, neurons)`` or ``(O, O, k, k)``; biases ``(neurons,)`` or ``(O,)``.
    """

    name: str
    shape: Shape


class Gate(NamedTuple):
    """A function of spikes that neurons without memory compute, through fixed synapses.

    Parameters
    ----------
    function
        ``and`` fires where all sources do; ``iand`` where the last one does and the first does
        not; ``or`` where anything in a window does.
    weights
        Of the synapses from each source: one to each neuron, or all those of its window. The
        threshold is the neuron's.
    """

    function: Literal["and", "iand", "or"]
    weights: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Node:
    """A layer.

    Parameters
    ----------
    kind
        Its key in :data:`tssl.graph.kinds.KINDS`.
    sources
        Names of the layers it listens to, or ``"input"``.
    input_shape, output_shape
        Of one step of one sample, (C, H, W) or (neurons,).
    neuron
        Of every neuron of the layer, before training; None for a layer without neurons, a linear
        map.
    parameters
        By role: ``weight``, ``recurrent`` for synapses among the layer's own neurons, ``bias``,
        ``leak`` where training finds that of the membrane, see ``Lif.with_leak``, ``threshold``
        where it finds one for each neuron or map, ``(neurons,)`` or ``(O,)``, and those of
        :data:`NORM`. A ``threshold`` is the logarithm of what weights and biases of arriving
        synapses are divided by; the potential, and synapses among the layer's own neurons, then are
        in units of the threshold.
    geometry
        Of its windows, if it has some.
    gain
        Factor of the result of a linear map without weights.
    dropout
        Share of the outputs taken away in training, for all time steps of a sample.
    weight_scale
        Factor of the initial weights.
    first
        Where parameters begin that do not begin as all of their role do, by role.
    gate
        What it computes if it has neurons and nothing to train.
    offsets
        Where the maps, or neurons, of each source begin among all that reach the layer, if the
        sources lie one behind another; those of one offset add up. Empty where all do.
    """

    name: str
    kind: str
    sources: tuple[str, ...]
    input_shape: Shape
    output_shape: Shape
    neuron: Lif | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    geometry: Geometry | None = None
    gain: float = 1.0
    dropout: float = 0.0
    weight_scale: float = 1.0
    first: Mapping[str, float] = field(default_factory=dict)
    gate: Gate | None = None
    offsets: tuple[int, ...] = ()

    @property
    def outputs(self) -> int:
        """Number of values that leave it at a step."""
        return math.prod(self.output_shape)

    @property
    def own_geometry(self) -> Geometry | None:
        """Windows of the synapses among its own neurons; None where all see each other."""
        own = self.parameters.get("recurrent")
        if own is None or len(own.shape) == 2:
            return None
        return Geometry.centred((own.shape[2], own.shape[3]))

    @property
    def windows(self) -> Geometry:
        """Its windows; TypeError for a layer that has none."""
        if self.geometry is None:
            raise TypeError(f"layer {self.name}: a {self.kind} has no windows")
        return self.geometry

    @property
    def window(self) -> Pair:
        """Height and width of its windows; TypeError for a layer that has none."""
        return self.windows.kernel
