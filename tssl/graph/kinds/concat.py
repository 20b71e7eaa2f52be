"""What several layers send, one behind another."""

import math
from itertools import accumulate
from typing import Annotated, Literal

from pydantic import Field

from tssl.errors import ConfigError
from tssl.geometry import Shape
from tssl.graph.kinds.kind import Kind, LayerEntry, Place
from tssl.graph.node import Node

__all__ = ["CONCAT", "ConcatEntry"]


class ConcatEntry(LayerEntry):
    """The outputs of several layers one behind another, without neurons.

    A layer that listens to it has weights of its own for each of them. Maps lie one behind another
    along C. Where an output has no maps, those of the others are flattened in (C, H, W) order.

    Parameters
    ----------
    flat
        Whether maps are flattened in any case, so that they may be of several sizes.
    """

    type: Literal["concat"]
    sources: Annotated[tuple[str, ...], Field(min_length=2, alias="from")]
    flat: Annotated[bool, Field(strict=True)] = False

    @property
    def flattens(self) -> bool:
        """See :class:`LayerEntry`."""
        return self.flat


def _node(entry: ConcatEntry, place: Place) -> Node:
    shapes = _shapes_alike(entry, place)
    *firsts, total = accumulate((shape[0] for shape in shapes), initial=0)
    shape = (total, *shapes[0][1:])
    return Node(
        name=place.name,
        kind=entry.type,
        sources=place.sources,
        input_shape=shape,
        output_shape=shape,
        dropout=entry.dropout,
        offsets=tuple(
            first for each, first in zip(place.named, firsts, strict=True) for _ in each.sends
        ),
    )


def _shapes_alike(entry: ConcatEntry, place: Place) -> list[Shape]:
    """Return the shape of each source as it lies among the others.

    Raises
    ------
    ConfigError
        When their maps are not equally large.
    """
    if entry.flat or any(len(each.shape) == 1 for each in place.named):
        return [(math.prod(each.shape),) for each in place.named]
    first, *others = place.named
    for each in others:
        if each.shape[1:] != first.shape[1:]:
            raise ConfigError(
                f"network.layers: {place.name} has the source {first.name} of shape {first.shape} "
                f"and {each.name} of shape {each.shape}; the maps of a concat must have one height "
                "and width, but for flat = true"
            )
    return [each.shape for each in place.named]


CONCAT = Kind(entry=ConcatEntry, node=_node, shape="same", may_end=False, adds_up=False)
