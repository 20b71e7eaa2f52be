"""Whether the gradient of weights is taken by events, and the gradient then.

A product multiplies zeros, too; :mod:`tssl.trainer.event_kernels` leaves them out, and takes more
time for each of the others. Which is faster depends on how many there are, so every pass looks at
its signal. The choice follows from numbers and not from a stop-watch, so that a resumed run
computes the same bits.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tssl.geometry import Geometry
from tssl.trainer import event_kernels, event_window_kernels, kernels

__all__ = ["gradient"]

_FEW = 1 << 20
"""Below so many multiplications of the product, nothing is gained."""
_DENSE, _CONVOLUTION = 0.2, 0.35
"""Shares of events up to which they take less time, where registers are full (decision 34)."""
_CACHE = 1 << 19
"""Bytes of errors with zeros around them that the second cache holds beside other things."""


def gradient(
    error: Tensor, signal: Tensor, weight: Tensor, geometry: Geometry | None
) -> Tensor | None:
    """Return the gradient of the weights, or None where a product takes less time.

    Parameters
    ----------
    error, signal
        ``(samples, ...)``.
    """
    if not (weight.is_cpu and signal.dtype == error.dtype == weight.dtype == torch.float32):
        return None
    if geometry is None:
        return _dense(error, signal.flatten(1), weight)
    return _convolution(error, signal, weight, geometry) if type(geometry) is Geometry else None


def _dense(error: Tensor, rows: Tensor, weight: Tensor) -> Tensor | None:
    if rows.numel() * len(weight) < _FEW:
        return None
    array = rows.detach().contiguous().numpy()
    if event_kernels.share_of_events(array) > _DENSE * event_kernels.lanes_used(len(weight)):
        return None
    kernels.threads()
    found = torch.empty_like(weight, memory_format=torch.contiguous_format)
    event_kernels.dense_gradient(array, error.detach().contiguous().numpy(), found.numpy())
    return found


def _convolution(error: Tensor, signal: Tensor, weight: Tensor, of: Geometry) -> Tensor | None:
    if signal.numel() * weight[:, 0].numel() < _FEW or not _is_within_reach(of, signal, weight):
        return None
    images = _channels_inside(signal)
    share = event_kernels.share_of_events(images.reshape(len(images), -1))
    if share > _CONVOLUTION * event_window_kernels.lanes_used(weight.shape):
        return None
    kernels.threads()
    found = torch.empty_like(weight, memory_format=torch.contiguous_format)
    event_window_kernels.convolution_gradient(
        images, _channels_inside(error), of.padding, found.numpy()
    )
    return found


def _is_within_reach(of: Geometry, signal: Tensor, weight: Tensor) -> bool:
    """Return whether the loops do windows like these, with errors that the cache holds."""
    around = event_window_kernels.numbers_around(len(weight), signal.shape[2:], of.kernel)
    return (
        of.stride == of.dilation == (1, 1)
        and of.groups == 1
        and all(pad < kernel for pad, kernel in zip(of.padding, of.kernel, strict=True))
        and 4 * around <= _CACHE
    )


def _channels_inside(images: Tensor) -> NDArray[np.float32]:
    """Return images ``(n, C, H, W)`` as ``(n, H, W, C)``; a view where they lie so."""
    found: NDArray[np.float32] = images.detach().permute(0, 2, 3, 1).contiguous().numpy()
    return found
