r"""Neurons that fire at their threshold, by neurons that fire above one.

A neuron without leak and without a synapse filter adds up weights. Where these and its threshold
are multiples of a number g, so is its potential v, and

.. math:: v \\ge \\theta \\iff v > \\theta - g / 2,

with as much room on both sides for what rounding does. On the chip that is exact where its integer
weights are the same multiples. A neuron that leaks has potentials between them, 64ths of the chip's
unit apart, and a threshold is a whole one: none does the same.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import chain

import numpy as np

from tssl.exchange.nir.description import AT_THRESHOLD, Nir, NirNode
from tssl.exchange.nir.layers import NirLayer, Pool
from tssl.exchange.nir.maps import Floats

__all__ = ["firing_at", "lowered_to", "sums_up"]

_MOST = 127
"""Multiples that a weight of the chip can be."""
_ON_GRID = 1e-5


def firing_at(nir: Nir, names: Iterable[str]) -> Nir:
    """Return a graph of which these nodes fire at their threshold."""
    return replace(nir, metadata={**nir.metadata, AT_THRESHOLD: "\n".join(sorted(names))})


def sums_up(node: NirNode) -> bool:
    """Return whether a node's potentials are sums of weights."""
    return node.of.fires and node.is_integrator


def lowered_to(layer: NirLayer, pools: Mapping[str, Pool]) -> tuple[NirLayer, str]:
    """Return a layer that fires above its threshold as often as at its own, and a sentence.

    Parameters
    ----------
    pools
        Of all layers, by name.
    """
    step = _step(layer)
    if step is None:
        return layer, (
            f"{layer.node.title}: fires at its threshold (>=); its weights are no multiples of one "
            f"number, up to {_MOST} times; a potential hardly ever equals it, and > is taken"
        )
    step /= math.lcm(*(_shares(source, pools) for source in layer.sources))
    threshold = layer.neuron["threshold"] - step / 2
    return replace(layer, neuron={**layer.neuron, "threshold": threshold}), (
        f"{layer.node.title}: fires at its threshold (>=); its potentials are multiples of "
        f"{step:.6g}, so > half of that below is the same before weights are rounded"
    )


def _step(layer: NirLayer) -> float | None:
    """Return the largest number of which weights, biases and threshold are multiples."""
    weights: list[Floats] = [layer.weight]
    weights += [] if layer.recurrent is None else [layer.recurrent]
    numbers = [each.reshape(-1) for each in (*weights, layer.bias) if each is not None]
    values = np.abs(np.concatenate([*numbers, [layer.neuron["threshold"]]]))
    largest = max(float(np.abs(each).max()) for each in weights)
    if not largest:
        return None
    for multiple in range(1, _MOST + 1):
        counts = values * (multiple / largest)
        if (np.abs(counts - np.rint(counts)) <= _ON_GRID * np.maximum(counts, 1)).all():
            return largest / multiple
    return None


def _shares(source: str, pools: Mapping[str, Pool]) -> int:
    """Return into how many parts averages divide a spike on its way."""
    line = []
    while source in pools:
        line.append(pools[source])
        source = pools[source].source
    sizes = chain.from_iterable(pool.windows.kernel for pool in line if pool.mode == "average")
    return math.prod(sizes)
