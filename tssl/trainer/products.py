"""Weighted sums again and again, for signals of one shape on a CPU, in memory that stays."""

from collections.abc import Callable

import torch
from torch import Tensor

from tssl.geometry import Geometry
from tssl.trainer import events
from tssl.trainer.layout import Seen
from tssl.trainer.linear import (
    by_onednn,
    gradient_by_onednn,
    gradients,
    images_of,
    is_by_onednn,
    weighted,
)

__all__ = ["Products"]

Binary = Callable[[Tensor, Tensor], Tensor]


class Products:
    """:func:`tssl.trainer.linear.weighted` and its gradients.

    Images that do not lie as convolutions need them are copied once for both passes.

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
        if geometry is None:
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
    """Those of dense weights. What stays the same object is not asked twice for another view."""

    def __init__(self, signal: Tensor, weight: Tensor, *, to_signal: bool) -> None:
        steps, batch, *_ = self._shape = signal.shape
        self._sums = steps, batch, len(weight)
        self._to_signal = to_signal
        self._rows, self._errors, self._turned = Seen(_rows), Seen(_rows), Seen(torch.t)
        self._now: Tensor | None = None
        """The signal of the pass under way, as rows."""
        self._weigh: Binary = by_onednn
        self._back: Binary = by_onednn
        self._collect: Binary = gradient_by_onednn
        if not is_by_onednn(_rows(signal), weight):
            self._weigh, self._back, gradient = _Product(), _Product(), _Product()
            self._collect = lambda error, rows: gradient(error.t(), rows.t())

    def forward(self, signal: Tensor, weight: Tensor) -> Tensor:
        rows = self._now = self._rows.of(signal)
        return self._weigh(rows, weight).view(self._sums)

    def backward(
        self, error: Tensor, signal: Tensor, weight: Tensor
    ) -> tuple[Tensor | None, Tensor]:
        rows = self._rows.of(signal) if self._now is None else self._now
        self._now = None
        errors, arriving = self._errors.of(error), None
        if self._to_signal:
            arriving = self._back(errors, self._turned.of(weight)).view(self._shape)
        by_events = events.gradient(errors, rows, weight, None)
        return arriving, self._collect(errors, rows) if by_events is None else by_events


class _Product:
    """``rows @ weight.T`` into the same memory each time, which the caches then still hold."""

    def __init__(self) -> None:
        self._result: Tensor | None = None

    def __call__(self, rows: Tensor, weight: Tensor) -> Tensor:
        if self._result is None:
            self._result = rows.new_empty(len(rows), len(weight))
        return torch.mm(rows, weight.t(), out=self._result)


def _rows(signal: Tensor) -> Tensor:
    return signal.flatten(2).flatten(0, 1)
