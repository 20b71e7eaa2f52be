"""Exact products of integers of 8 bits, where the processor has an instruction for them."""

from functools import lru_cache

import llvmlite.binding
import torch
from torch import Tensor

__all__ = ["LARGEST", "product", "runs_here"]

LARGEST = 127
"""Of the integers, whatever their sign."""


def product(rows: Tensor, weight: Tensor) -> Tensor:
    """Return ``rows @ weight.T`` as integers of 32 bits.

    Parameters
    ----------
    rows, weight
        ``(n, features)`` and ``(outputs, features)`` of 8 bits.
    """
    result: Tensor = torch._int_mm(rows, weight.t())
    return result


@lru_cache(maxsize=1)
def runs_here() -> bool:
    """Return whether :func:`product` is fast on this processor, and exact.

    It is oneDNN's. Older instructions add two products in 16 bits, and are off where that is not
    enough; newer processors, too, use them where oneDNN is told to.
    """
    if torch.backends.cpu.get_cpu_capability() != "AVX512":  # elsewhere LLVM may not know features
        return False
    has_instruction = llvmlite.binding.get_host_cpu_features().get("avx512vnni", False)
    if not has_instruction or not torch.backends.mkldnn.is_available():
        return False
    if not hasattr(torch, "_int_mm"):  # PyTorch does not promise it
        return False
    rows = torch.full((64, 256), LARGEST, dtype=torch.int8)
    rows[1::2] *= -1
    expected = rows.double() @ rows.double().t()
    return torch.equal(product(rows, rows).double(), expected)
