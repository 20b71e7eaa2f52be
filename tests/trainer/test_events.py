"""When gradients are taken by events, and that they are those of the products."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tssl.geometry import Geometry
from tssl.trainer import events, linear

AROUND = Geometry(kernel=(3, 3), padding=(1, 1))


def drawn(share: float, *shape: int) -> Tensor:
    """Return random numbers, a share of which are not zero."""
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randn(shape, generator=generator)
    return numbers * (torch.rand(shape, generator=generator) < share)


def dense(share: float, outputs: int = 64) -> tuple[Tensor, Tensor, Tensor]:
    return drawn(1, 256, outputs), drawn(share, 256, 100), drawn(1, outputs, 100)


def convolution(
    share: float, channels: int = 16, outputs: int = 32, side: int = 10
) -> tuple[Tensor, Tensor, Tensor]:
    """Channels last in memory, as images come."""
    error, signal = drawn(1, 4, side, side, outputs), drawn(share, 4, side, side, channels)
    return error.permute(0, 3, 1, 2), signal.permute(0, 3, 1, 2), drawn(1, outputs, channels, 3, 3)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2])
def test_dense(share: float) -> None:
    error, signal, weight = dense(share)
    found = events.gradient(error, signal, weight, None)
    expected = error.double().t() @ signal.double()
    torch.testing.assert_close(found, expected.float(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("is_channels_last", [True, False])
def test_convolution(share: float, is_channels_last: bool) -> None:
    error, signal, weight = convolution(share)
    if not is_channels_last:
        error, signal = error.contiguous(), signal.contiguous()
    found = events.gradient(error, signal, weight, AROUND)
    expected = torch.nn.grad.conv2d_weight(
        signal.double(), weight.shape, error.double(), padding=1
    ).float()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_many_events_are_multiplied(share: float) -> None:
    assert events.gradient(*dense(share), None) is None
    assert events.gradient(*convolution(share), AROUND) is None


def test_layers_that_are_small_or_narrow_are_multiplied() -> None:
    error, signal, weight = dense(0.1)
    assert events.gradient(error[:100], signal[:100], weight, None) is None
    assert events.gradient(*dense(0.1, outputs=6), None) is None  # most lanes would be empty
    assert events.gradient(*convolution(0.25, channels=4, outputs=256), AROUND) is None
    assert events.gradient(*convolution(0.02, channels=4, outputs=256), AROUND) is not None


def test_images_that_no_cache_holds_are_multiplied() -> None:
    assert events.gradient(*convolution(0.1, side=70), AROUND) is None


@pytest.mark.parametrize("what", ["stride", "dilation", "groups", "padding"])
def test_other_windows_are_multiplied(what: str) -> None:
    error, signal, weight = convolution(0.1)
    value = 2 if what == "groups" else (3, 3) if what == "padding" else (2, 2)
    assert events.gradient(error, signal, weight, replace(AROUND, **{what: value})) is None


def test_double_precision_is_multiplied() -> None:
    assert events.gradient(*(each.double() for each in dense(0.1)), None) is None


@pytest.mark.parametrize("share", [0.1, 1.0])
@pytest.mark.parametrize("geometry", [None, AROUND], ids=["dense", "convolution"])
def test_autograd_gives_the_same_bits(geometry: Geometry | None, share: float) -> None:
    error, signal, weight = (dense if geometry is None else convolution)(share)
    leaves = signal[None].clone().requires_grad_(), weight.clone().requires_grad_()
    linear.weighted(*leaves, geometry).backward(error[None])
    written = linear.gradients(error[None], signal[None], weight, geometry, to_signal=True)
    for leaf, gradient in zip(leaves, written, strict=True):
        assert leaf.grad is not None
        assert gradient is not None
        assert torch.equal(leaf.grad, gradient)


def test_a_second_derivative_is_refused() -> None:
    error, signal, weight = dense(0.1)
    leaf = weight.clone().requires_grad_()
    result = linear.weighted(signal[None], leaf, None)
    (first,) = torch.autograd.grad(result, leaf, error[None].requires_grad_(), create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()
