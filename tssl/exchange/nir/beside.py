"""Convolutions of several sources with weights of their own, as one of sources side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tssl.chip import ungrouped
from tssl.exchange.nir.maps import Floats
from tssl.geometry import Geometry, Pair, Shape

__all__ = ["Convolution", "Way", "side_by_side"]


class Way(NamedTuple):
    """A source, and the pools behind it that stay pools.

    Parameters
    ----------
    source
        Name of a firing node, or of the input.
    pools
        Names of nodes, that nearest to the source first.
    """

    source: str
    pools: tuple[str, ...] = ()

    @property
    def last(self) -> str:
        """Name of the node whose maps arrive."""
        return (self.source, *self.pools)[-1]


class Convolution(NamedTuple):
    """A convolution of maps that arrive on some ways.

    Parameters
    ----------
    weight
        ``(O, C / groups, kh, kw)``.
    is_beside
        Whether the maps of the ways lie one behind another; they add up otherwise.
    """

    weight: Floats
    windows: Geometry
    ways: Sequence[Way]
    is_beside: bool = False


def side_by_side(
    branches: Sequence[Convolution], sizes: Mapping[str, Shape], image: Pair
) -> Convolution | None:
    """Return the sum of convolutions as one of maps one behind another, or None where none is.

    Windows become one that reaches as far as each of them, zero where it has nothing. Where all
    weights are the same, maps add up.

    Parameters
    ----------
    sizes
        Shapes of what nodes send, by name.
    image
        Height and width of the sums.
    """
    ways = [way for branch in branches for way in branch.ways]
    windows = _common([branch.windows for branch in branches])
    if windows is None or len({sizes[way.last][1:] for way in ways}) > 1:
        return None
    _, height, width = sizes[ways[0].last]
    if windows.positions((height, width)) != image:
        return None
    kernels: dict[Way, Floats] = {}
    for branch in branches:
        weight = _spread(branch, windows)
        for way in branch.ways:
            kernels[way] = kernels[way] + weight if way in kernels else weight
    first, *others = kernels.values()
    if all(np.array_equal(other, first) for other in others):
        return Convolution(first, windows, list(kernels))
    weight = np.concatenate([first, *others], axis=1)
    return Convolution(weight, windows, list(kernels), is_beside=True)


def _common(windows: Sequence[Geometry]) -> Geometry | None:
    """Return windows that reach as far as all of these; None where taps would not meet."""
    gaps = {of.dilation for of in windows if of.kernel != (1, 1)} or {(1, 1)}
    if len(gaps) > 1 or len({of.stride for of in windows}) > 1:
        return None
    (dilation,) = gaps
    rows, columns = (max(of.padding[axis] for of in windows) for axis in (0, 1))
    common = replace(windows[0], padding=(rows, columns), dilation=dilation, groups=1)
    starts = [_start(of, common) for of in windows]
    if any(rest for start in starts for _, rest in start):
        return None
    height, width = (
        max(start[axis][0] + of.kernel[axis] for start, of in zip(starts, windows, strict=True))
        for axis in (0, 1)
    )
    return replace(common, kernel=(height, width))


def _start(of: Geometry, common: Geometry) -> tuple[Pair, Pair]:
    """Return the tap, by rows and by columns, at which a window begins, and the pixels left."""
    rows, columns = (
        divmod(common.padding[axis] - of.padding[axis], common.dilation[axis]) for axis in (0, 1)
    )
    return rows, columns


def _spread(branch: Convolution, windows: Geometry) -> Floats:
    """Return the weights of a branch in larger windows."""
    whole = ungrouped(branch.weight, branch.windows.groups)
    (row, _), (column, _) = _start(branch.windows, windows)
    rows, columns = branch.windows.kernel
    spread = np.zeros((*whole.shape[:2], *windows.kernel))
    spread[:, :, row : row + rows, column : column + columns] = whole
    return spread
