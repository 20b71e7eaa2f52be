"""Pools of spikes: neurons without memory that fire where any of their windows does."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

from tssl.exchange.nir.description import Nir, NirNode
from tssl.exchange.nir.linear import may_pool, windows_of
from tssl.exchange.nir.maps import Floats
from tssl.geometry import Geometry, Shape

__all__ = ["OrPool", "or_pool"]


class OrPool(NamedTuple):
    """The firing node whose spikes are pooled, and the windows."""

    source: str
    windows: Geometry


def or_pool(
    nir: Nir, node: NirNode, sizes: Mapping[str, Shape], flat: Collection[str]
) -> OrPool | None:
    """Return the pool with ``mode = "or"`` that a node is; None where it is none.

    That is a ``Threshold`` behind a ``Conv2d`` of equal weights that sees each map by itself, in
    windows without gaps, if the threshold is one that a single spike exceeds.

    Parameters
    ----------
    flat
        Names of the firing nodes that have no maps in tssl.
    """
    conv = _only_source(nir, node)
    if node.kind != "Threshold" or node.name in nir.at_threshold:
        return None
    if conv is None or conv.kind != "Conv2d":
        return None
    source, windows = _only_source(nir, conv), windows_of(conv)
    if source is None or not source.of.fires or source.name in flat or windows is None:
        return None
    weight = _of_one_map(conv["weight"], windows.groups, sizes[source.name][0])
    if weight is None or conv["bias"].any() or not may_pool(windows):
        return None
    if (node.threshold < 0).any() or (node.threshold >= weight).any():
        return None
    return OrPool(source.name, windows)


def _only_source(nir: Nir, node: NirNode) -> NirNode | None:
    heard = nir.sources[node.name]
    alone = len(heard) == 1 and not nir.late_sources[node.name]
    return nir.nodes[heard[0]] if alone else None


def _of_one_map(weight: Floats, groups: int, maps: int) -> float | None:
    """Return the weight of a convolution of one map each to the map of its number, or None."""
    value = float(weight.flat[0])
    is_one = groups == len(weight) == maps and np.ptp(weight) == 0
    return value if is_one else None
