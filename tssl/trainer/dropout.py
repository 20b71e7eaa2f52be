"""Which neurons fall silent."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["kept"]

_BITS = 16
"""Of random numbers for one neuron; shares are exact to 1 in 65,536."""


def kept(shape: Sequence[int], share: float, noise: torch.Generator) -> Tensor:
    """Return which neurons of a batch stay, all but a share of them, drawn from ``noise``.

    Four are drawn with one number of 64 bits, because numbers are what takes the time.
    """
    count = torch.Size(shape).numel()
    words = torch.empty(-(-count * _BITS // 64), dtype=torch.int64, device=noise.device)
    words.random_(-(1 << 63), None, generator=noise)
    drawn = words.view(torch.int16)[:count].view(tuple(shape))
    return drawn >= round(share * (1 << _BITS)) - (1 << (_BITS - 1))
