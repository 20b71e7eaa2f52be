"""The ways by which spikes reach a layer: through pools, and through concats as a part."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from tssl.chip import INPUT
from tssl.geometry import Shape
from tssl.graph import Graph, Node

__all__ = ["Way", "ways_from"]


class Way(NamedTuple):
    """From a layer of neurons, or the input, to a layer, through layers without neurons.

    Parameters
    ----------
    shape
        Of what arrives on it.
    first
        Where its maps, or neurons, begin among all that arrive.
    pools
        All pools between, that nearest to the source first, of the maps of this way.
    """

    source: str
    shape: Shape
    first: int = 0
    pools: tuple[Node, ...] = ()


def ways_from(graph: Graph, name: str) -> Iterator[Way]:
    """Yield the ways by which spikes arrive through a layer."""
    if name == INPUT:
        yield Way(name, graph.input_shape)
        return
    node = graph[name]
    if node.neuron is not None:
        yield Way(name, node.output_shape)
        return
    for source, offset in zip(node.sources, node.offsets or (0,) * len(node.sources), strict=True):
        for way in ways_from(graph, source):
            yield _pooled(way, node) if node.geometry else _placed(way, node, offset)


def _placed(way: Way, concat: Node, offset: int) -> Way:
    """Return a way behind a concat in which its source begins at an offset."""
    if len(concat.output_shape) == len(way.shape):
        return way._replace(first=way.first + offset)
    pixels = math.prod(way.shape[1:])
    flat = (way.shape[0] * pixels,)
    return way._replace(shape=flat, first=way.first * pixels + offset)


def _pooled(way: Way, pool: Node) -> Way:
    """Return a way behind a pool, of which it meets its own maps alone."""
    maps = way.shape[0]
    own = replace(
        pool,
        input_shape=(maps, *pool.input_shape[1:]),
        output_shape=(maps, *pool.output_shape[1:]),
    )
    return way._replace(shape=own.output_shape, pools=(*way.pools, own))
