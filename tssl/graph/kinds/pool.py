"""Sums and averages of windows, or whether and when anything in them fired."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import PlainSerializer, ValidatorFunctionWrapHandler, WrapValidator, model_validator

from tssl.geometry import Geometry, Pair
from tssl.graph.kinds.gate import check_spikes, first_only, forgetful
from tssl.graph.kinds.kind import Kind, LayerEntry, Place, sliding
from tssl.graph.node import Gate, Node
from tssl.settings import Above0, NonNegativePair, PositivePair, with_pairs

__all__ = ["POOL", "PoolEntry"]

_GLOBAL = "global"
_PAIRS = ("kernel", "stride", "padding")


def _pair_or_global(value: object, pair: ValidatorFunctionWrapHandler) -> object:
    """Say what is wrong with a pair and nothing of the other form, as a union would."""
    return value if value == _GLOBAL else pair(value)


if TYPE_CHECKING:
    _Window = Pair | Literal["global"]
else:
    _Window = Annotated[
        PositivePair, WrapValidator(_pair_or_global), PlainSerializer(lambda value: value)
    ]


class PoolEntry(LayerEntry):
    """Pooling of post-synaptic potentials, without neurons, or of spikes by neurons.

    Rows and columns that fill no window are dropped.

    Parameters
    ----------
    kernel
        Of a window, (height, width); ``"global"`` for the whole of each map.
    stride
        Of the windows, (height, width), which overlap where it is smaller than the kernel; the
        kernel when None.
    padding
        Zeros around each map, (height, width), at most half of the kernel. An average divides by
        the size of a window, zeros included.
    mode
        Whether a window gives its ``sum`` or its ``average``, or fires where any of its neurons
        does: ``or``, the maximum of spikes, which costs the chip neurons. Among neurons that fire
        once, an ``or`` fires once, too, with the earliest of its window.
    gain
        Factor of sums and averages: 1.1 of sums, as in the official code, and 1 of averages, unless
        given.
    """

    type: Literal["pool"]
    kernel: _Window
    stride: PositivePair | None = None
    padding: NonNegativePair = (0, 0)
    mode: Literal["sum", "average", "or"] = "sum"
    gain: Above0 = 1.1

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: Any) -> Any:  # noqa: ANN401 - whatever the TOML holds
        if not isinstance(values, dict):
            return values
        if values.get("mode") == "or" and values.get("gain", 1.0) != 1.0:
            raise ValueError("a pool with mode = 'or' gives spikes, which no gain multiplies")
        if values.get("mode") in ("average", "or"):
            values = {"gain": 1.0, **values}
        pairs = ("stride", "padding") if values.get("kernel") == _GLOBAL else _PAIRS
        return with_pairs(values, pairs)

    @model_validator(mode="after")
    def _check_windows(self) -> "PoolEntry":
        if not isinstance(self.kernel, tuple):
            if self.stride is not None or any(self.padding):
                raise ValueError(
                    "kernel = 'global' is one window of each map; leave stride and padding out"
                )
            return self
        if any(2 * zeros > size for zeros, size in zip(self.padding, self.kernel, strict=True)):
            raise ValueError(
                f"padding = {self.padding} is more than half of kernel = {self.kernel}; use less"
            )
        return self


def _node(entry: PoolEntry, place: Place) -> Node:
    whole = place.shape[1], place.shape[2]
    kernel = entry.kernel if isinstance(entry.kernel, tuple) else whole
    geometry = Geometry(kernel=kernel, stride=entry.stride or kernel, padding=entry.padding)
    shared_by = math.prod(kernel) if entry.mode == "average" else 1
    node = Node(
        name=place.name,
        kind=entry.type,
        sources=place.sources,
        input_shape=place.shape,
        output_shape=sliding(geometry, place, place.shape[0]),
        geometry=geometry,
        gain=entry.gain / shared_by,
        dropout=entry.dropout,
    )
    return _firing(node, place) if entry.mode == "or" else node


def _firing(node: Node, place: Place) -> Node:
    """Return the pool as neurons that fire where any of their windows does."""
    check_spikes(place, "a pool with mode = 'or'")
    own_maps = replace(node.windows, groups=place.shape[0])
    gate = Gate("or", (1.0,) * len(place.sources))
    neuron = (first_only if place.once else forgetful)(0.5)
    return replace(node, neuron=neuron, geometry=own_maps, gate=gate)


POOL = Kind(entry=PoolEntry, node=_node, shape="image", may_end=False)
