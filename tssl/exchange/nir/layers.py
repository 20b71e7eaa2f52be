"""Layers on their way from NIR to a checkpoint."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tssl.exchange.assembly import MadeLayer
from tssl.exchange.nir.description import NirNode
from tssl.exchange.nir.maps import Floats
from tssl.geometry import Geometry, Shape

__all__ = ["Concat", "NirLayer", "Pool", "PoolMode"]

PoolMode = Literal["sum", "average", "or"]


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A pool.

    Parameters
    ----------
    windows
        Without gaps.
    mode
        As in :class:`tssl.graph.kinds.pool.PoolEntry`.
    """

    name: str
    source: str
    windows: Geometry
    mode: PoolMode

    @property
    def of_ones(self) -> float:
        """What it gives for a map of ones, where none of its windows has padding."""
        return float(math.prod(self.windows.kernel)) if self.mode == "sum" else 1.0

    def made(self) -> MadeLayer:
        """Return it as a layer of a recipe."""
        entry: dict[str, Any] = {
            "type": "pool",
            "name": self.name,
            "from": [self.source],
            "kernel": list(self.windows.kernel),
            "mode": self.mode,
            "gain": 1.0,
        }
        if not self.windows.is_tiling:
            entry |= {key: list(getattr(self.windows, key)) for key in ("stride", "padding")}
        return MadeLayer(entry=entry)


@dataclass(frozen=True, kw_only=True)
class Concat:
    """What several nodes send, one behind another."""

    name: str
    sources: tuple[str, ...]
    flat: bool

    def made(self) -> MadeLayer:
        """Return it as a layer of a recipe."""
        entry = {"type": "concat", "name": self.name, "from": list(self.sources), "flat": self.flat}
        return MadeLayer(entry=entry)


@dataclass(frozen=True, kw_only=True, eq=False)
class NirLayer:
    """The neurons of a node, and what leads to them.

    Parameters
    ----------
    sources
        Names of layers and pools, or ``"input"``.
    beside
        Name of the concat in which these lie one behind another; None where they add up.
    weight
        What a spike adds to the current, ``(neurons, inputs)`` or ``(O, C / groups, kh, kw)``.
    windows
        Of a convolution; None for an all-to-all layer.
    recurrent
        Likewise among the neurons themselves, one step later.
    bias, drive
        What is added to the potential, and to the current, at every step: ``(neurons,)`` or
        ``(channels,)``.
    neuron
        Its time constants and threshold, as a recipe says them.
    shape
        Of what it sends.
    """

    name: str
    node: NirNode
    sources: tuple[str, ...]
    weight: Floats
    windows: Geometry | None
    recurrent: Floats | None
    bias: Floats | None
    drive: Floats | None
    neuron: Mapping[str, Any]
    shape: Shape
    beside: str | None = None

    @property
    def concat(self) -> Concat | None:
        """The concat that it listens to, if any."""
        if self.beside is None:
            return None
        return Concat(name=self.beside, sources=self.sources, flat=self.windows is None)

    def made(self) -> MadeLayer:
        """Return it as a layer of a recipe; a synapse filter has the gain 1/tau_s there."""
        tau_s = self.neuron["tau_s"]
        arrays = {"weight": self.weight * tau_s}
        heard = list(self.sources) if self.beside is None else [self.beside]
        entry: dict[str, Any] = {"name": self.name, "from": heard, **self.neuron}
        if self.windows is None:
            entry |= {"type": "dense", "neurons": len(self.weight)}
        else:
            entry |= _conv_entry(self.weight, self.windows)
        if self.recurrent is not None:
            arrays["recurrent"] = self.recurrent * tau_s
            entry["recurrent"] = True if self.windows is None else self.recurrent.shape[2]
        if self.bias is not None:
            arrays["bias"], entry["bias"] = self.bias, True
        return MadeLayer(entry=entry, arrays=arrays)


def _conv_entry(weight: Floats, windows: Geometry) -> dict[str, Any]:
    pairs = ("kernel", "stride", "padding", "dilation")
    return {
        "type": "conv",
        "channels": len(weight),
        "groups": windows.groups,
        **{key: list(getattr(windows, key)) for key in pairs},
    }
