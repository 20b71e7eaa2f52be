"""What lies between layers of neurons, each with its backward pass written out.

For :func:`tssl.trainer.tape.apply`: without a tape, ``apply`` is what autograd differentiates.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from tssl.geometry import Geometry
from tssl.trainer.concat import Places, concatenated, errors_of
from tssl.trainer.dropout import Mask, staying
from tssl.trainer.linear import weighted
from tssl.trainer.neuron import Pool, Trace, sum_pool
from tssl.trainer.products import Products
from tssl.trainer.tape import kept

__all__ = ["Added", "Concatenated", "Dropped", "Lost", "Pooled", "Weighted"]


class Weighted:
    """:func:`tssl.trainer.linear.weighted`."""

    apply = staticmethod(weighted)

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context has no public type
        signal: Tensor,
        weight: Tensor,
        geometry: Geometry | None,
        factors: torch.dtype | None = None,
    ) -> Tensor:
        """Return the weighted sums."""
        if factors is not None:
            raise TypeError(f"factors = {factors}: a tape does not round them")
        to_signal: bool = ctx.needs_input_grad[0]
        products = kept(ctx, partial(Products, signal, weight, geometry, to_signal=to_signal))
        ctx.save_for_backward(signal, weight)
        return products.forward(signal, weight)

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Return the errors at signal and weight."""
        products: Products = ctx.kept
        return *products.backward(error, *ctx.saved_tensors), None, None


class Pooled:
    """:func:`tssl.trainer.neuron.sum_pool`."""

    apply = staticmethod(sum_pool)

    @staticmethod
    def forward(ctx: Any, signal: Tensor, pool: Pool) -> Tensor:  # noqa: ANN401
        """Return the sums of windows."""
        ctx.save_for_backward(signal)
        ctx.pool = pool
        return sum_pool(signal, pool)

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        """Return the error at the signal: each value gets those of its windows."""
        (signal,), pool = ctx.saved_tensors, ctx.pool
        to_signal: Tensor = torch.ops.aten.avg_pool2d_backward(
            (error * pool.gain).flatten(0, 1), signal.flatten(0, 1), pool.kernel,
            pool.stride or pool.kernel, pool.padding,
            ceil_mode=False, count_include_pad=True, divisor_override=1,
        )  # fmt: skip
        return to_signal.unflatten(0, signal.shape[:2]), None


def _dropped(signal: Tensor, share: float, noise: torch.Generator) -> Tensor:
    return signal * _mask(signal, share, noise)


def _mask(signal: Tensor, share: float, noise: torch.Generator) -> Tensor:
    return (staying(signal.shape[1:], share, noise) / (1 - share)).to(signal)


class Dropped:
    """A signal without a share of its neurons, the same at all steps.

    With a tape it changes the signal and later the error in place: nothing else reads them.
    """

    apply = staticmethod(_dropped)

    @staticmethod
    def forward(ctx: Any, signal: Tensor, share: float, noise: torch.Generator) -> Tensor:  # noqa: ANN401
        """Return the rest, of which the mean stays."""
        mask = kept(ctx, partial(Mask, signal.shape[1:])).draw(share, noise)
        ctx.save_for_backward(mask)
        return signal.mul_(mask)

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Return the error at the signal."""
        return error.mul_(ctx.saved_tensors[0]), None, None


def _added(*signals: Tensor) -> Tensor:
    return sum(signals[1:], start=signals[0])


class Added:
    """A sum of signals."""

    apply = staticmethod(_added)

    @staticmethod
    def forward(ctx: Any, *signals: Tensor) -> Tensor:  # noqa: ANN401
        """Return the sum."""
        ctx.count = len(signals)
        return _added(*signals)

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401
        """Return the error for each."""
        return (error,) * ctx.count


class Concatenated:
    """:func:`tssl.trainer.concat.concatenated`."""

    apply = staticmethod(concatenated)

    @staticmethod
    def forward(ctx: Any, places: Places, *signals: Tensor) -> Tensor:  # noqa: ANN401
        """Return the signals one behind another."""
        ctx.places, ctx.shapes = places, [signal.shape[2:] for signal in signals]
        return concatenated(places, *signals)

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Return the error at each signal."""
        return None, *errors_of(error, ctx.places, ctx.shapes)


class Lost:
    """A loss, which autograd differentiates by itself."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        psp: Tensor,
        spikes: Tensor,
        voltage: Tensor,
        targets: Tensor,
        loss: Callable[[Trace, Tensor], Tensor],
    ) -> Tensor:
        """Return the loss of what the last layer did."""
        leaf = psp.detach().requires_grad_()
        with torch.enable_grad():
            ctx.value = loss(Trace(leaf, spikes, voltage), targets)
        ctx.leaf = leaf
        return ctx.value.detach()

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Return the error at the potentials."""
        (to_psp,) = torch.autograd.grad(ctx.value, ctx.leaf, error)
        ctx.value = ctx.leaf = None
        return to_psp.contiguous(), None, None, None, None
