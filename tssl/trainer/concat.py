"""Signals one behind another along maps, or neurons."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tssl.geometry import Shape
from tssl.graph import Node
from tssl.trainer.layout import empty

__all__ = ["Places", "concatenated", "errors_of"]


class Places(NamedTuple):
    """Where signals lie among the maps, or neurons, of one.

    Parameters
    ----------
    shape
        Of the whole at one step.
    offsets
        Where each signal begins; those of one offset add up.
    """

    shape: Shape
    offsets: tuple[int, ...]

    @staticmethod
    def of(node: Node) -> "Places":
        """Return those of a concat's sources."""
        return Places(node.output_shape, node.offsets)


def concatenated(places: Places, *signals: Tensor) -> Tensor:
    """Return signals one behind another; zeros where none lies.

    Parameters
    ----------
    signals
        ``(time, batch, ...)``. Maps among neurons are flattened.
    """
    parts: dict[int, Tensor] = {}
    for offset, signal in zip(places.offsets, signals, strict=True):
        part = signal.flatten(2) if len(places.shape) == 1 else signal
        parts[offset] = parts[offset] + part if offset in parts else part
    # along the last axis of memory, where channels stay
    inside = [part.movedim(2, -1) for part in _without_gaps(parts, places.shape[0])]
    return torch.cat(inside, dim=-1).movedim(-1, 2)


def _without_gaps(parts: dict[int, Tensor], size: int) -> Iterator[Tensor]:
    """Yield parts in order, zeros between them, until so many maps are full."""
    like, end = next(iter(parts.values())), 0
    for offset in sorted(parts):
        if offset > end:
            yield _zeros(like, offset - end)
        yield parts[offset]
        end = offset + parts[offset].shape[2]
    if size > end:
        yield _zeros(like, size - end)


def _zeros(like: Tensor, maps: int) -> Tensor:
    return empty(like, len(like), (like.shape[1], maps, *like.shape[3:])).zero_()


def errors_of(error: Tensor, places: Places, shapes: Sequence[Shape]) -> tuple[Tensor, ...]:
    """Return the error at each signal from that at the whole; one tensor for all of one offset.

    Parameters
    ----------
    shapes
        Of the signals at one step.
    """
    found: dict[int, Tensor] = {}
    for offset, shape in zip(places.offsets, shapes, strict=True):
        if len(places.shape) == len(shape):
            found[offset] = error.narrow(2, offset, shape[0])
        else:
            size = torch.Size(shape).numel()
            found[offset] = error.narrow(2, offset, size).unflatten(2, shape)
    return tuple(found[offset] for offset in places.offsets)
