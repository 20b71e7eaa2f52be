"""Weights behind pools whose windows overlap, stated a second time: as transposed convolutions."""

import torch
import torch.nn.functional as F
from torch import Tensor

from tssl.geometry import Geometry
from tssl.graph import Node

__all__ = ["spread"]


def spread(pool: Node, weight: Tensor, geometry: Geometry | None) -> tuple[Tensor, Geometry | None]:
    """Return the weights that see what a pool sees, each the sum over the windows it is in."""
    of, ones = pool.windows, torch.ones(1, 1, *pool.window).double()
    if geometry is not None:
        (down, right), (up, left) = of.stride, of.padding
        gaps = (geometry.dilation[0] * down, geometry.dilation[1] * right)
        kernel = F.conv_transpose2d(weight.flatten(0, 1)[:, None], ones, None, gaps)
        return kernel.unflatten(0, weight.shape[:2])[:, :, 0], Geometry(
            kernel=(kernel.shape[2], kernel.shape[3]),
            stride=(geometry.stride[0] * down, geometry.stride[1] * right),
            padding=(geometry.padding[0] * down + up, geometry.padding[1] * right + left),
            groups=geometry.groups,
        )
    maps = weight.reshape(-1, 1, *pool.output_shape[1:])
    seen = F.conv_transpose2d(maps, ones, None, of.stride)
    borders = [
        (-zeros, size + zeros - reached)
        for zeros, size, reached in zip(
            of.padding, pool.input_shape[1:], seen.shape[2:], strict=True
        )
    ]
    return F.pad(seen, (*borders[1], *borders[0])).reshape(len(weight), -1), None
