"""Weight gradients of convolutions by events, on whole numbers, whose sums are exact."""

import numpy as np
import pytest
import torch

from tests.trainer.test_event_kernels import whole
from tssl.machine.vector_kernels import LANES, UNIT
from tssl.trainer import event_window_kernels


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
@pytest.mark.parametrize(
    ("image", "channels", "outputs", "kernel", "padding"),
    [
        ((6, 5), 8, 32, (3, 3), (1, 1)),
        ((5, 7), LANES + 1, 33, (5, 3), (0, 2)),
        ((4, 4), 9, 7, (1, 1), (0, 0)),
        ((8, 8), 8, 64, (5, 5), (4, 4)),
        ((7, 9), 8, 12, (7, 2), (3, 0)),
    ],
)
def test_convolution(
    image: tuple[int, int], channels: int, outputs: int, kernel: tuple[int, int],
    padding: tuple[int, int], share: float, rng: np.random.Generator,
) -> None:  # fmt: skip
    images = whole(rng, (5, *image, channels), share)
    reached = [a + 2 * pad - k + 1 for a, k, pad in zip(image, kernel, padding, strict=True)]
    errors = whole(rng, (5, *reached, outputs))
    gradient = np.full((outputs, channels, *kernel), np.nan, np.float32)
    event_window_kernels.convolution_gradient(images, errors, padding, gradient)
    first = [torch.from_numpy(each).double().permute(0, 3, 1, 2) for each in (images, errors)]
    expected = torch.nn.grad.conv2d_weight(first[0], gradient.shape, first[1], padding=padding)
    assert np.array_equal(gradient, expected.numpy())


def test_the_share_of_lanes_that_are_used() -> None:
    assert event_window_kernels.lanes_used((64, 2 * LANES, 5, 5)) == 1
    assert event_window_kernels.lanes_used((64, LANES // 2, 5, 5)) == 0.5
    assert event_window_kernels.lanes_used((UNIT // 4, LANES, 3, 2)) == 0.5
