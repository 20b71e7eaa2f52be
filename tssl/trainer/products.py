"""Weighted sums again and again, for signals of one shape on a CPU, in memory that stays."""

import torch
from torch import Tensor

from tssl.geometry import Geometry
from tssl.trainer import events
from tssl.trainer.linear import gradients, images_of, is_by_onednn, weighted

__all__ = ["Products"]


class Products:
    """:func:`tssl.trainer.linear.weighted` and its gradients.

    Results of dense weights are written into the same memory each time, which the caches then
    still hold. Images that do not lie as convolutions need them are copied once for both passes.

    Parameters
    ----------
    signal, weight
        As they come, in single precision.
    geometry
        See :func:`tssl.trainer.linear.weighted`.
    to_signal
        Whether errors at the signal are wanted.
    """

    def __init__(
        self, signal: Tensor, weight: Tensor, geometry: Geometry | None, *, to_signal: bool
    ) -> None:
        self._geometry, self._to_signal = geometry, to_signal
        self._dense = None
        self._images: Tensor | None = None
        """The signal of the pass under way, as convolutions need it."""
        if geometry is None and not is_by_onednn(_rows(signal), weight):
            self._dense = _DenseProducts(signal, weight, to_signal=to_signal)

    def forward(self, signal: Tensor, weight: Tensor) -> Tensor:
        """Return the weighted sums ``(time, batch, ...)``."""
        if self._dense is not None:
            return self._dense.forward(signal, weight)
        if type(self._geometry) is Geometry:
            signal = self._images = images_of(signal)
        return weighted(signal, weight, self._geometry)

    def backward(
        self, error: Tensor, signal: Tensor, weight: Tensor
    ) -> tuple[Tensor | None, Tensor]:
        """Return the errors at signal (if wanted) and weight."""
        if self._dense is not None:
            return self._dense.backward(error, signal, weight)
        images, self._images = self._images, None
        given = signal if images is None else images
        return gradients(error, given, weight, self._geometry, to_signal=self._to_signal)


class _DenseProducts:
    """Those of dense weights, by PyTorch's own kernels."""

    def __init__(self, signal: Tensor, weight: Tensor, *, to_signal: bool) -> None:
        self._sums: Tensor | None = None
        self._arriving = signal.new_empty(signal.shape) if to_signal else None
        self._flat_arriving = None if self._arriving is None else _rows(self._arriving)
        self._to_weight = signal.new_empty(weight.shape)
        self._signal: Tensor | None = None
        self._is_seen = False
        """Whether the forward pass has looked at the signal."""

    def forward(self, signal: Tensor, weight: Tensor) -> Tensor:
        if self._sums is None:
            self._sums = signal.new_empty(*signal.shape[:2], len(weight))
            self._flat_sums = self._sums.flatten(0, 1)
        self._look_at(signal)
        torch.mm(self._seen, weight.t(), out=self._flat_sums)
        return self._sums

    def backward(
        self, error: Tensor, signal: Tensor, weight: Tensor
    ) -> tuple[Tensor | None, Tensor]:
        if not self._is_seen:
            self._look_at(signal)
        self._is_seen = False
        folded = error.flatten(0, 1)
        if self._flat_arriving is not None:
            torch.mm(folded, weight, out=self._flat_arriving)
        by_events = events.gradient(folded, self._seen, weight, None)
        if by_events is None:
            torch.mm(folded.t(), self._seen, out=self._to_weight)
        return self._arriving, self._to_weight if by_events is None else by_events

    def _look_at(self, signal: Tensor) -> None:
        """Take a signal as rows."""
        if signal is not self._signal:
            self._seen = _rows(signal)
            is_copy = self._seen.data_ptr() != signal.data_ptr()
            self._signal = None if is_copy else signal  # a copy holds for this time alone
        self._is_seen = True


def _rows(signal: Tensor) -> Tensor:
    return signal.flatten(2).flatten(0, 1)
