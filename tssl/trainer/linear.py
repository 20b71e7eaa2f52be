"""Weighted sums of all time steps in one call, by the fastest of PyTorch's kernels."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import llvmlite.binding
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from tssl.geometry import Geometry
from tssl.machine.vector_kernels import turn_all
from tssl.trainer import events, kernels

_FEW = 1 << 20
"""Below so many multiplications, PyTorch's own product takes the least time."""


def weighted(
    signal: Tensor,
    weight: Tensor,
    geometry: Geometry | None,
    factors: torch.dtype | None = None,
) -> Tensor:
    """Apply weights to ``(time, batch, ...)``.

    Images are kept channels last in memory, which is fastest for convolutions and lets pools
    work on whole runs of channels.

    Parameters
    ----------
    geometry
        Windows, of a type in ``MAPS``; None for dense weights.
    factors
        To what both factors, and those of the backward pass, are rounded before, and each sum
        after a product; None for not at all. The result has the signal's own type.
    """
    folded = signal.flatten(0, 1)
    if factors is not None:
        folded, weight = folded.to(factors), weight.to(factors)
    is_ours = weight.is_cpu and type(geometry) in _WITH_GRADIENTS
    apply = _Map.apply if is_ours else MAPS[type(geometry)]
    result: Tensor = apply(folded, weight, geometry)
    if factors is not None:
        result = result.to(signal.dtype)
    return result.view(*signal.shape[:2], *result.shape[1:])


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Allow or forbid the tensor cores of a GPU to round factors to 10 bits of mantissa.

    PyTorch's own default allows it in convolutions.
    """
    if not torch.cuda.is_available():
        yield
        return
    matmul, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, convolutions.allow_tf32
    matmul.allow_tf32 = convolutions.allow_tf32 = allowed
    try:
        yield
    finally:
        matmul.allow_tf32, convolutions.allow_tf32 = before


def _dense(signal: Tensor, weight: Tensor, _: None) -> Tensor:
    rows = signal.flatten(1)
    return by_onednn(rows, weight) if is_by_onednn(rows, weight) else F.linear(rows, weight)


def _convolution(images: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    return F.conv2d(
        _channels_last(images),
        weight,
        None,
        geometry.stride,
        geometry.padding,
        geometry.dilation,
        geometry.groups,
    )


def images_of(signal: Tensor) -> Tensor:
    """Return a signal ``(time, batch, C, H, W)`` with channels last in memory."""
    return _channels_last(signal.flatten(0, 1)).unflatten(0, signal.shape[:2])


def _channels_last(images: Tensor) -> Tensor:
    """Return images ``(n, C, H, W)`` with channels last in memory.

    Those of one channel are both ways in memory, and PyTorch then takes them, and the errors beside
    them, for channels first: copying the errors takes twice the time of the product.
    """
    images = images.contiguous(memory_format=torch.channels_last)
    _, channels, height, width = images.shape
    if channels == 1:
        images = images.as_strided(images.shape, (height * width, 1, width, 1))
    return images


MAPS: dict[type[Any], Callable[[Tensor, Tensor, Any], Tensor]] = {
    type(None): _dense,
    Geometry: _convolution,
}
"""By the type of the geometry: the map of ``(samples, ...)`` by weights."""
_WITH_GRADIENTS = (type(None), Geometry)
"""Those whose gradients :func:`gradients` writes out."""


def is_by_onednn(rows: Tensor, weight: Tensor) -> bool:
    """Return whether the product ``rows @ weight.T`` goes through oneDNN."""
    return rows.numel() * len(weight) >= _FEW and prefers_onednn(rows)


def prefers_onednn(rows: Tensor) -> bool:
    """Return whether products of these go through oneDNN instead of MKL.

    MKL leaves AVX-512 alone on AMD's processors, oneDNN does not. Decided by the processor's
    name and not by a stop-watch, so that a resumed run computes the same bits.
    """
    return (
        rows.device.type == "cpu"
        and rows.dtype == torch.float32
        and _is_amd_with_avx512()
        and _has_onednn()
    )


@lru_cache(maxsize=1)
def _is_amd_with_avx512() -> bool:
    return (
        torch.backends.cpu.get_cpu_capability() == "AVX512"
        and llvmlite.binding.get_host_cpu_name().startswith("znver")
    )


@lru_cache(maxsize=1)
def _has_onednn() -> bool:
    """Return whether PyTorch has oneDNN's product, which it does not promise, and it is right."""
    if not torch.backends.mkldnn.is_available() or not hasattr(
        torch.ops.mkldnn, "_linear_pointwise"
    ):
        return False
    rows, weight = torch.arange(12.0).view(4, 3).t(), torch.arange(20.0).view(4, 5).t()
    return torch.equal(by_onednn(rows, weight), rows @ weight.t())  # whole numbers, and turned


def gradients(
    error: Tensor, signal: Tensor, weight: Tensor, geometry: Geometry | None, *, to_signal: bool
) -> tuple[Tensor | None, Tensor]:
    """Return the errors at ``signal`` (if wanted) and ``weight`` of :func:`weighted`."""
    if type(geometry) not in _WITH_GRADIENTS:
        back = torch.func.vjp(lambda s, w: weighted(s, w, geometry), signal, weight)[1]
        arriving, to_weight = back(error)
        return arriving if to_signal else None, to_weight
    wanted = to_signal, True
    arriving, to_weight = _gradients(
        error.flatten(0, 1), signal.flatten(0, 1), weight, geometry, wanted
    )
    return None if arriving is None else arriving.view_as(signal), to_weight


def _gradients(
    error: Tensor, signal: Tensor, weight: Tensor, geometry: Geometry | None,
    wanted: tuple[bool, bool],
) -> tuple[Any, Any]:  # fmt: skip
    """Return those of ``(samples, ...)``, as far as they are wanted."""
    to_signal, to_weight = wanted
    by_events = events.gradient(error, signal, weight, geometry) if to_weight else None
    by_product = to_weight and by_events is None
    if geometry is None:
        rows = signal.flatten(1)
        product, collect = _plain_product, _plain_gradient
        if is_by_onednn(rows, weight):
            product, collect = by_onednn, gradient_by_onednn
        arriving = product(error, weight.t()).view_as(signal) if to_signal else None
        found = collect(error, rows) if by_product else by_events
        return arriving, found
    if not (to_signal or by_product):
        return None, by_events
    transposed, output_padding = False, [0, 0]
    arriving, found, _ = torch.ops.aten.convolution_backward(
        _channels_last(error),
        _channels_last(signal),
        weight, None, geometry.stride, geometry.padding, geometry.dilation, transposed,
        output_padding, geometry.groups, [to_signal, by_product, False],
    )  # fmt: skip
    return arriving, found if by_product else by_events


def _plain_product(rows: Tensor, weight: Tensor) -> Tensor:
    return rows @ weight.t()


def _plain_gradient(error: Tensor, rows: Tensor) -> Tensor:
    return error.t() @ rows


class _Map(torch.autograd.Function):
    """A map by weights whose gradients are :func:`gradients`, so that autograd gives their bits."""

    @staticmethod
    def forward(ctx: Any, signal: Tensor, weight: Tensor, geometry: Geometry | None) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(signal, weight)
        ctx.geometry = geometry
        return MAPS[type(geometry)](signal, weight, geometry)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, Tensor | None, None]:  # noqa: ANN401
        signal, weight = ctx.saved_tensors
        wanted = ctx.needs_input_grad[0], ctx.needs_input_grad[1]
        arriving, to_weight = _gradients(errors[0], signal, weight, ctx.geometry, wanted)
        return arriving, to_weight, None


def by_onednn(rows: Tensor, weight: Tensor) -> Tensor:
    """Return ``rows @ weight.T``, both in any order in memory, which needs no copy."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, None, "none", [], "")
    return result


def gradient_by_onednn(error: Tensor, rows: Tensor) -> Tensor:
    """Return ``error.T @ rows``.

    With the errors turned in memory the product takes up to 30 % less time, and gives the same
    bits.
    """
    error = error.contiguous()
    turned = error.new_empty(error.shape[1], len(error))
    turn_all(error.numpy(), turned.numpy(), kernels.threads())
    return by_onednn(turned, rows.t())
