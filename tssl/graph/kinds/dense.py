"""All-to-all synapses, and neurons."""

import math
from typing import Annotated, Literal

from pydantic import Field

from tssl.graph.kinds.kind import Kind, NeuronEntry, Place, neuron_of, parameters_of
from tssl.graph.node import Node, Parameter
from tssl.settings import Positive

__all__ = ["DENSE", "DenseEntry"]


class DenseEntry(NeuronEntry):
    """All-to-all layer of spiking neurons; it flattens its input in (C, H, W) order.

    Parameters
    ----------
    recurrent
        Whether the neurons also see each other's spikes, one step later.
    """

    type: Literal["dense"]
    neurons: Positive
    recurrent: Annotated[bool, Field(strict=True)] = False


def _node(entry: DenseEntry, place: Place) -> Node:
    own = Parameter(f"{place.name}_recurrent", (entry.neurons, entry.neurons))
    weights = {
        "weight": Parameter(place.name, (entry.neurons, math.prod(place.shape))),
        **({"recurrent": own} if entry.recurrent else {}),
    }
    return Node(
        name=place.name,
        kind=entry.type,
        sources=place.sources,
        input_shape=place.shape,
        output_shape=(entry.neurons,),
        neuron=neuron_of(entry, place),
        parameters=parameters_of(entry, place.name, weights, entry.neurons),
        dropout=entry.dropout,
        weight_scale=entry.weight_scale,
        first=entry.first,
    )


DENSE = Kind(entry=DenseEntry, node=_node)
