"""Convolutions side by side are one of maps side by side, against PyTorch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from tssl.exchange.nir.beside import Convolution, Way, side_by_side
from tssl.geometry import Geometry

IMAGE = (7, 8)


def branch(rng: np.random.Generator, dilation: int, stride: int, way: Way) -> Convolution:
    """Return a convolution of two maps, whose sums have as many pixels as those of the others."""
    half = int(rng.integers(0, 3))
    groups = int(rng.integers(1, 3))
    windows = Geometry(
        kernel=(2 * half + 1, 1),
        stride=(stride, stride),
        padding=(half * dilation, 0),
        dilation=(dilation, dilation),
        groups=groups,
    )
    return Convolution(rng.normal(size=(4, 2 // groups, 2 * half + 1, 1)), windows, [way])


def sums(image: torch.Tensor, of: Convolution) -> torch.Tensor:
    windows = of.windows
    return functional.conv2d(
        image, torch.from_numpy(of.weight), None, windows.stride, windows.padding,
        windows.dilation, windows.groups,
    )  # fmt: skip


@given(seed=st.integers(0, 2**32), dilation=st.integers(1, 2), stride=st.integers(1, 2))
def test_their_sums_are_the_same(seed: int, dilation: int, stride: int) -> None:
    rng = np.random.default_rng(seed)
    names = [str(name) for name in rng.choice(list("abc"), 3)]
    branches = [branch(rng, dilation, stride, Way(name)) for name in names]
    images = {name: torch.from_numpy(rng.normal(size=(1, 2, *IMAGE))) for name in names}
    expected = sum(sums(images[name], each) for name, each in zip(names, branches, strict=True))
    assert isinstance(expected, torch.Tensor)
    sizes = dict.fromkeys(names, (2, *IMAGE))
    found = side_by_side(branches, sizes, (expected.shape[2], expected.shape[3]))
    assert found is not None
    arriving = [images[way.source] for way in found.ways]
    assert found.is_beside == (len(arriving) > 1)
    torch.testing.assert_close(sums(torch.cat(arriving, dim=1), found), expected)


def test_equal_weights_stay_a_sum() -> None:
    one = branch(np.random.default_rng(0), 1, 1, Way("a"))
    found = side_by_side(
        [one, one._replace(ways=[Way("b")])], dict.fromkeys("ab", (2, 7, 8)), IMAGE
    )
    assert found is not None
    assert not found.is_beside
    assert found.weight.shape[1] == 2


@pytest.mark.parametrize(
    ("windows", "size"),
    [
        (Geometry(kernel=(1, 1), stride=(2, 2)), (2, 7, 8)),
        (Geometry(kernel=(2, 2), dilation=(2, 2)), (2, 7, 8)),
        (Geometry(kernel=(1, 1)), (2, 6, 8)),
        (Geometry(kernel=(2, 2)), (2, 7, 8)),
    ],
    ids=["strides", "dilations", "maps", "sums"],
)
def test_where_there_is_none(windows: Geometry, size: tuple[int, ...]) -> None:
    """Other steps or gaps, maps of other sizes, and sums of another size."""
    first = Convolution(np.ones((1, 2, 3, 3)), Geometry(kernel=(3, 3), padding=(1, 1)), [Way("a")])
    other = Convolution(np.ones((1, 2, *windows.kernel)), windows, [Way("b", ("p",))])
    sizes = {"a": (2, *IMAGE), "b": (2, 9, 9), "p": size}
    image = (6, 7) if windows.kernel == (2, 2) and windows.dilation == (1, 1) else IMAGE
    assert side_by_side([first, other], sizes, image) is None
