"""Sums over windows that do not overlap."""

from typing import Any, Literal

from pydantic import model_validator

from tssl.geometry import Geometry
from tssl.graph.kinds.kind import Kind, LayerEntry, Place, sliding
from tssl.graph.node import Node
from tssl.settings import Above0, PositivePair, with_pairs

__all__ = ["POOL", "PoolEntry"]


class PoolEntry(LayerEntry):
    """Sum pooling of post-synaptic potentials, times ``gain``; it has no neurons.

    The windows do not overlap; rows and columns that fill no window are dropped.
    """

    type: Literal["pool"]
    kernel: PositivePair
    gain: Above0 = 1.1

    @model_validator(mode="before")
    @classmethod
    def _square(cls, values: Any) -> Any:  # noqa: ANN401 - whatever the TOML holds
        return with_pairs(values, ("kernel",))


def _node(entry: PoolEntry, place: Place) -> Node:
    geometry = Geometry(kernel=entry.kernel, stride=entry.kernel)
    return Node(
        name=place.name,
        kind=entry.type,
        sources=place.sources,
        input_shape=place.shape,
        output_shape=sliding(geometry, place, place.shape[0]),
        geometry=geometry,
        gain=entry.gain,
        dropout=entry.dropout,
    )


POOL = Kind(entry=PoolEntry, node=_node, has_neurons=False, needs_image=True, gives_image=True)
