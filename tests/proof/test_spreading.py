"""Weights behind pools whose windows overlap, beside the pool itself and a product."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from tssl.geometry import Geometry
from tssl.graph import Node
from tssl.proof.spreading import spread

WINDOWS = {
    "overlapping": Geometry(kernel=(3, 2), stride=(2, 1), padding=(1, 1)),
    "with gaps": Geometry(kernel=(2, 2), stride=(3, 2)),
    "side by side, with a rest": Geometry(kernel=(2, 3), stride=(2, 3)),
}


def pool_of(windows: Geometry) -> Node:
    shape = (2, 7, 8)
    return Node(
        name="p", kind="pool", sources=("a",), input_shape=shape, geometry=windows,
        output_shape=(2, *windows.positions(shape[1:])),
    )  # fmt: skip


def pooled(image: Tensor, windows: Geometry) -> Tensor:
    return F.avg_pool2d(image, windows.kernel, windows.stride, windows.padding, divisor_override=1)


@pytest.mark.parametrize("name", WINDOWS)
def test_a_dense_layer(name: str) -> None:
    pool = pool_of(WINDOWS[name])
    image, weight = torch.randn(4, 2, 7, 8).double(), torch.randn(5, pool.outputs).double()
    merged, windows = spread(pool, weight, None)
    assert windows is None
    wanted = pooled(image, WINDOWS[name]).flatten(1) @ weight.T
    torch.testing.assert_close(image.flatten(1) @ merged.T, wanted)


@pytest.mark.parametrize("name", WINDOWS)
def test_a_convolution(name: str) -> None:
    image, weight = torch.randn(4, 2, 7, 8).double(), torch.randn(4, 1, 2, 1).double()
    of = Geometry(kernel=(2, 1), stride=(1, 2), dilation=(2, 1), groups=2)
    if pool_of(WINDOWS[name]).output_shape[1] < 3:
        of = Geometry(kernel=(2, 1), groups=2)
    merged, windows = spread(pool_of(WINDOWS[name]), weight, of)
    assert windows is not None
    arguments = [(each.stride, each.padding, each.dilation, each.groups) for each in (of, windows)]
    wanted = F.conv2d(pooled(image, WINDOWS[name]), weight, None, *arguments[0])
    torch.testing.assert_close(F.conv2d(image, merged, None, *arguments[1]), wanted)
