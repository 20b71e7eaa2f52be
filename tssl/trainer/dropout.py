"""Which neurons fall silent."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tssl.machine.compiling import compiled

__all__ = ["Mask", "staying"]

_BITS = 16
"""Of random numbers for one neuron; shares are exact to 1 in 65,536."""


def staying(shape: Sequence[int], share: float, noise: torch.Generator) -> Tensor:
    """Return which neurons of a batch stay, all but a share of them, drawn from ``noise``."""
    return _Draws(shape, noise.device).draw(noise) >= _bound(share)


def _bound(share: float) -> int:
    return round(share * (1 << _BITS)) - (1 << (_BITS - 1))


class _Draws:
    """Random numbers of 16 bits for the neurons of a batch.

    Four are drawn with one number of 64 bits, because numbers are what takes the time.
    """

    def __init__(self, shape: Sequence[int], device: torch.device) -> None:
        count = torch.Size(shape).numel()
        self._words = torch.empty(-(-count * _BITS // 64), dtype=torch.int64, device=device)
        self._numbers = self._words.view(torch.int16)[:count].view(tuple(shape))

    def draw(self, noise: torch.Generator) -> Tensor:
        """Return new numbers, in the same memory."""
        self._words.random_(-(1 << 63), None, generator=noise)
        return self._numbers


class Mask:
    """What a batch is multiplied by again and again, each time with new draws.

    On a CPU in single precision.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self._draws = _Draws(shape, torch.device("cpu"))
        self._mask = torch.empty(tuple(shape), dtype=torch.float32)
        self._filled: NDArray[np.float32] = self._mask.view(-1).numpy()

    def draw(self, share: float, noise: torch.Generator) -> Tensor:
        """Return 0 where :func:`staying` is false, else what keeps the mean."""
        drawn: NDArray[np.int16] = self._draws.draw(noise).view(-1).numpy()
        factor = np.float32(1) / np.float32(1 - share)
        _fill(drawn, np.int32(_bound(share)), factor, self._filled)
        return self._mask


@compiled
def _fill(
    drawn: NDArray[np.int16], bound: np.int32, factor: np.float32, mask: NDArray[np.float32]
) -> None:
    for j in range(drawn.size):
        mask[j] = factor if np.int32(drawn[j]) >= bound else np.float32(0)
