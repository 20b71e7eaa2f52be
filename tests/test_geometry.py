"""Where windows stand, against PyTorch's own convolution."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tssl.geometry import Geometry

PAIRS = st.tuples(st.integers(1, 4), st.integers(1, 4))


@given(kernel=PAIRS, stride=PAIRS, dilation=PAIRS, padding=PAIRS, image=PAIRS)
def test_positions_are_those_of_pytorch(kernel, stride, dilation, padding, image):
    geometry = Geometry(kernel=kernel, stride=stride, dilation=dilation, padding=padding)
    size = tuple(4 * side for side in image)
    if min(geometry.positions(size)) < 1:
        assert any(s + 2 * p < g for s, p, g in zip(size, padding, geometry.span, strict=True))
        return
    maps = torch.nn.functional.conv2d(
        torch.zeros(1, 1, *size), torch.zeros(1, 1, *kernel), None, stride, padding, dilation
    )
    assert geometry.positions(size) == maps.shape[2:]


@given(kernel=PAIRS, stride=PAIRS, window=PAIRS, step=PAIRS, image=PAIRS)
def test_windows_behind_a_pool_are_as_many(kernel, stride, window, step, image):
    size = tuple(4 * side for side in image)
    pool, of = Geometry(kernel=window, stride=step), Geometry(kernel=kernel, stride=stride)
    pooled = pool.positions(size)
    if min(of.positions(pooled)) < 1:
        return
    behind = of.behind(pool, size)
    assert behind is not None
    assert behind.positions(size) == of.positions(pooled)


@pytest.mark.parametrize(("height", "fits"), [(7, True), (8, False)])
def test_padding_behind_windows_that_overlap(height, fits):
    """Behind the last of four windows of 3 at a stride of 2 lies a pixel of 8, and none of 7."""
    windows = Geometry(kernel=(3, 3), stride=(2, 2), padding=(1, 1))
    behind = Geometry(kernel=(3, 3), padding=(1, 1)).behind(windows, (height, 7))
    joint = Geometry(kernel=(7, 7), stride=(2, 2), padding=(3, 3))
    assert behind == (joint if fits else None)


def test_windows_side_by_side():
    assert Geometry(kernel=(2, 3), stride=(2, 3), groups=4).is_tiling
    assert not Geometry(kernel=(2, 3), stride=(2, 2)).is_tiling
    assert not Geometry(kernel=(2, 2), stride=(2, 2), padding=(0, 1)).is_tiling
    assert not Geometry(kernel=(2, 2), stride=(2, 2), dilation=(2, 1)).is_tiling


def test_windows_overlap_where_steps_are_smaller_than_they() -> None:
    assert Geometry(kernel=(2, 3), stride=(2, 2)).overlaps
    assert not Geometry(kernel=(2, 3), stride=(2, 4), padding=(1, 1)).overlaps
