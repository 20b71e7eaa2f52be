"""Biases that enter a synapse: exact by neurons that always fire, and inputs that are always 1.

In NIR the bias of an ``Affine`` before a ``CubaLIF`` passes the synapse's filter; the chip's bias
does not. A spike of weight b at every step does. So what leads to such a layer sends one value
more, the last, which is 1 at every step: of the input, one that the data must bring; of a layer,
a neuron without synapses whose bias is above its threshold.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tssl.chip import ungrouped
from tssl.errors import UnsupportedLayerError
from tssl.exchange.nir.description import Nir
from tssl.exchange.nir.layers import NirLayer, Pool
from tssl.exchange.nir.maps import Floats
from tssl.geometry import Shape

__all__ = ["with_always_on"]

_ABOVE = 1.5
"""Bias of a neuron that always fires, in thresholds; rounded to integers it stays above."""
_INPUT = "input"

Layers = list[NirLayer]
Image = tuple[int, int, int]


def with_always_on(
    nir: Nir, layers: Layers, pools: Mapping[str, Pool], input_shape: Shape
) -> tuple[Layers, Image]:
    """Return layers without ``drive`` that fire the same, and the shape of their input.

    Raises
    ------
    UnsupportedLayerError
        When a bias cannot be brought to a synapse so; it names the node.
    """
    grown = {_root(layer.sources[0], pools)[0] for layer in layers if layer.drive is not None}
    shapes = {_INPUT: input_shape, **{layer.name: layer.shape for layer in layers}}
    found = []
    for layer in layers:
        parts = [_part(source, pools, shapes, grown) for source in layer.sources]
        if any(part.grows for part in parts):
            if len(parts) > 1 and layer.beside is None:
                raise UnsupportedLayerError(
                    f"{nir.origin}: {layer.node.title}: has several sources, and a bias enters "
                    "its synapses, or those of another layer behind one of them; use LIF in "
                    "place of CubaLIF, or no bias"
                )
            layer = _hearing(nir, layer, parts)
        found.append(_growing(layer) if layer.name in grown else layer)
    channels, height, width = input_shape
    return found, (channels + (_INPUT in grown), height, width)


class _Part(NamedTuple):
    """What one source brings: whether it grows, what ones have become, and its shape."""

    grows: bool
    of_ones: float
    shape: Shape


def _part(
    source: str, pools: Mapping[str, Pool], shapes: Mapping[str, Shape], grown: Collection[str]
) -> _Part:
    root, of_ones = _root(source, pools)
    return _Part(root in grown, of_ones, _pooled(shapes[root], source, pools))


def _root(source: str, pools: Mapping[str, Pool]) -> tuple[str, float]:
    """Return the layer behind pools, and what ones have become after them."""
    of_ones = 1.0
    while source in pools:
        of_ones *= pools[source].of_ones
        source = pools[source].source
    return source, of_ones


def _pooled(shape: Shape, source: str, pools: Mapping[str, Pool]) -> Shape:
    line: list[Pool] = []
    while source in pools:
        line.insert(0, pools[source])
        source = line[0].source
    for pool in line:
        shape = (shape[0], *pool.windows.positions((shape[1], shape[2])))
    return shape


def _hearing(nir: Nir, layer: NirLayer, parts: Sequence[_Part]) -> NirLayer:
    """Return a layer whose weights know the new values of what leads to it.

    The first of these brings what is to enter the synapses.
    """
    whole, windows = layer.weight, layer.windows
    if windows is not None:
        whole, windows = ungrouped(whole, windows.groups), replace(windows, groups=1)
    found, first, drive = list[Floats](), 0, layer.drive
    for part in parts:
        size = int(np.prod(part.shape, dtype=int)) if windows is None else part.shape[0]
        found.append(whole[:, first : first + size])
        first += size
        if part.grows:
            found.append(_of_ones(nir, layer, part, drive))
            drive = None
    weight = np.concatenate(found, axis=1)
    return replace(layer, weight=weight, windows=windows, drive=None)


def _of_ones(nir: Nir, layer: NirLayer, part: _Part, drive: Floats | None) -> Floats:
    """Return the weights of a value that is 1 at every step, or of a map of such values."""
    size = len(layer.weight)
    values = np.zeros(size) if drive is None else drive / part.of_ones
    if layer.windows is None:
        more = np.zeros((size, int(np.prod(part.shape[1:], dtype=int))))
        more[:, 0] = values
        return more
    row, column = _centre(nir, layer, part.shape)
    more = np.zeros((size, 1, *layer.weight.shape[2:]))
    more[:, 0, row, column] = values
    return more


def _centre(nir: Nir, layer: NirLayer, shape: Shape) -> tuple[int, int]:
    """Return the tap that reads a pixel of the map, and no padding, at every position."""
    of = layer.windows
    if of is None:
        raise TypeError("an all-to-all layer has no taps")
    taps = []
    for axis in (0, 1):
        tap, rest = divmod(of.padding[axis], of.dilation[axis])
        last = (of.positions((shape[1], shape[2]))[axis] - 1) * of.stride[axis]
        if layer.drive is not None and (rest or tap >= of.kernel[axis] or last >= shape[1 + axis]):
            raise UnsupportedLayerError(
                f"{nir.origin}: {layer.node.title}: a bias enters its synapses, and at some "
                "positions no tap of the convolution is inside the maps; use less padding, LIF in "
                "place of CubaLIF, or no bias"
            )
        taps.append(min(tap, of.kernel[axis] - 1))
    return taps[0], taps[1]


def _growing(layer: NirLayer) -> NirLayer:
    """Return a layer with one more neuron, or map, that fires at every step."""
    size, groups = len(layer.weight), 1 if layer.windows is None else layer.windows.groups
    weight = ungrouped(layer.weight, groups) if layer.windows is not None else layer.weight
    bias = np.zeros(size) if layer.bias is None else layer.bias
    own = layer.recurrent
    if own is not None:
        own = np.pad(own, ((0, 1), (0, 1), *((0, 0),) * (own.ndim - 2)))
    return replace(
        layer,
        weight=_one_more(weight),
        windows=None if layer.windows is None else replace(layer.windows, groups=1),
        recurrent=own,
        bias=np.append(bias, _ABOVE * layer.neuron["threshold"]),
        shape=(layer.shape[0] + 1, *layer.shape[1:]),
    )


def _one_more(weight: Floats) -> Floats:
    return np.concatenate([weight, np.zeros((1, *weight.shape[1:]))])
