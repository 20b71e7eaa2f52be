"""Where windows stand, against PyTorch's own convolution."""

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


def test_windows_overlap_where_steps_are_smaller_than_they() -> None:
    assert Geometry(kernel=(2, 3), stride=(2, 2)).overlaps
    assert not Geometry(kernel=(2, 3), stride=(2, 4), padding=(1, 1)).overlaps
