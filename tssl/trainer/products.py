"""Weighted sums again and again, for signals of one shape on a CPU, in memory that stays."""

from collections.abc import Sequence

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
        steps, batch, *_ = signal.shape
        self._to_signal = to_signal
        self._rows, self._errors = Seen(_rows), Seen(_rows)
        self._now: Tensor | None = None
        """The signal of the pass under way, as rows."""
        by = _ByOneDnn if is_by_onednn(_rows(signal), weight) else _ByPyTorch
        self._by = by((steps, batch, len(weight)), signal.shape)

    def forward(self, signal: Tensor, weight: Tensor) -> Tensor:
        rows = self._now = self._rows.of(signal)
        return self._by.sums(rows, weight)

    def backward(
        self, error: Tensor, signal: Tensor, weight: Tensor
    ) -> tuple[Tensor | None, Tensor]:
        rows = self._rows.of(signal) if self._now is None else self._now
        self._now = None
        errors = self._errors.of(error)
        arriving = self._by.arriving(errors, weight) if self._to_signal else None
        by_events = events.gradient(errors, rows, weight, None)
        return arriving, self._by.gradient(errors, rows) if by_events is None else by_events


class _ByOneDnn:
    """The products of rows, by oneDNN.

    Parameters
    ----------
    sums, signal
        Shapes of what is returned with an axis of time.
    """

    def __init__(self, sums: Sequence[int], signal: Sequence[int]) -> None:
        self._sums, self._signal, self._turned = sums, signal, Seen(torch.t)

    def sums(self, rows: Tensor, weight: Tensor) -> Tensor:
        return by_onednn(rows, weight).view(self._sums)

    def arriving(self, errors: Tensor, weight: Tensor) -> Tensor:
        return by_onednn(errors, self._turned.of(weight)).view(self._signal)

    def gradient(self, errors: Tensor, rows: Tensor) -> Tensor:
        return gradient_by_onednn(errors, rows)


class _ByPyTorch:
    """Likewise by PyTorch's own product, into the same memory each time.

    The caches then still hold it.
    """

    def __init__(self, sums: Sequence[int], signal: Sequence[int]) -> None:
        self._turned = Seen(torch.t)
        self._sums, self._arriving = _Filled(sums), _Filled(signal)
        self._gradient: Tensor | None = None

    def sums(self, rows: Tensor, weight: Tensor) -> Tensor:
        return self._sums.by(rows, self._turned.of(weight))

    def arriving(self, errors: Tensor, weight: Tensor) -> Tensor:
        return self._arriving.by(errors, weight)

    def gradient(self, errors: Tensor, rows: Tensor) -> Tensor:
        if self._gradient is None:
            self._gradient = rows.new_empty(errors.shape[1], rows.shape[1])
        return torch.mm(errors.t(), rows, out=self._gradient)


class _Filled:
    """Memory of one shape that products fill."""

    def __init__(self, shape: Sequence[int]) -> None:
        self._shape = shape
        self._known: tuple[Tensor, Tensor] | None = None

    def by(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the product of two matrices."""
        if self._known is None:
            result = first.new_empty(self._shape)
            self._known = result, _rows(result)
        result, rows = self._known
        torch.mm(first, second, out=rows)
        return result


def _rows(signal: Tensor) -> Tensor:
    return signal.flatten(2).flatten(0, 1)
