"""AdamW in one pass over the weights, gradient clipping and the weights' bound included.

Single precision on a CPU; see :mod:`tssl.trainer.optimization`.
"""

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from tssl.machine.compiling import compiled, compiled_parallel

__all__ = ["Step", "square_sum", "update"]

Array = NDArray[np.float32]

_BLOCK = 8192
"""Weights that one thread takes at a time."""
_LANES = 64
"""Sums side by side: so wide that any processor's vectors divide it, and all give equal bits."""
ZERO = np.float32(0)
_NO_MEAN, _NO_SQUARE = np.float32(1e-30), np.float32(1e-35)
"""Smaller ones change no weight above 1e-18 and no root. Where gradients stay away they would get
so small that a processor takes 20 to 100 times as long for each."""


class Step(NamedTuple):
    """Numbers of one step, the same for all weights of a group."""

    clip: float
    """Factor of the gradients."""
    keep: float
    """Factor of the weights: what decay leaves."""
    first: float
    """Share of the old mean in the mean of gradients, beta 1."""
    second: float
    """Likewise in the mean of their squares, beta 2."""
    rate: float
    """The learning rate over the first mean's bias."""
    bias: float
    """Square root of the second mean's bias."""
    epsilon: float
    """Added to the root of the second mean."""
    limit: float
    """Bound of the weights."""


@compiled
def _block_sum(gradient: Array) -> Any:  # noqa: ANN401 - numba's own number
    lanes = np.zeros(_LANES, np.float32)
    whole = gradient.size // _LANES * _LANES
    for first in range(0, whole, _LANES):
        part = gradient[first : first + _LANES]
        for lane in range(_LANES):
            lanes[lane] += part[lane] * part[lane]
    total = 0.0
    for lane in range(_LANES):
        total += lanes[lane]
    for index in range(whole, gradient.size):
        total += gradient[index] * gradient[index]
    return total


@compiled_parallel
def square_sum(gradient: Array) -> Any:  # noqa: ANN401
    """Return the sum of squares of ``(n,)``, the same bits for any number of threads."""
    blocks = (gradient.size + _BLOCK - 1) // _BLOCK
    if blocks == 1:
        return _block_sum(gradient)
    sums = np.empty(blocks, np.float64)
    for block in numba.prange(blocks):
        sums[block] = _block_sum(gradient[block * _BLOCK : (block + 1) * _BLOCK])
    total = 0.0
    for each in sums:
        total += each
    return total


@compiled
def _update_block(weight: Array, gradient: Array, mean: Array, square: Array, step: Step) -> None:
    clip, keep, limit = np.float32(step.clip), np.float32(step.keep), np.float32(step.limit)
    new, old_square = np.float32(1 - step.first), np.float32(step.second)
    new_square = np.float32(1 - step.second)
    rate, bias, epsilon = np.float32(step.rate), np.float32(step.bias), np.float32(step.epsilon)
    for j in range(weight.size):
        g = clip * gradient[j]
        m = mean[j] + new * (g - mean[j])
        v = old_square * square[j] + new_square * g * g
        m = ZERO if abs(m) <= _NO_MEAN else m
        v = ZERO if v <= _NO_SQUARE else v
        mean[j], square[j] = m, v
        w = keep * weight[j] - rate * m / (np.sqrt(v) / bias + epsilon)
        weight[j] = min(max(w, -limit), limit)


@compiled_parallel
def update(weight: Array, gradient: Array, mean: Array, square: Array, step: Step) -> None:
    r"""Take a step in place; all ``(n,)``.

    .. math::
        m &\leftarrow m + (1 - \beta_1)(c g - m), \quad
        v \leftarrow \beta_2 v + (1 - \beta_2) (c g)^2 \\
        w &\leftarrow \mathrm{clamp}\left(k w - \frac{r\, m}{\sqrt v / b + \epsilon}\right)

    References
    ----------
    .. [1] I. Loshchilov and F. Hutter, Decoupled Weight Decay Regularization, ICLR 2019.
    """
    blocks = (weight.size + _BLOCK - 1) // _BLOCK
    if blocks == 1:
        _update_block(weight, gradient, mean, square, step)
        return
    for block in numba.prange(blocks):
        part = slice(block * _BLOCK, (block + 1) * _BLOCK)
        _update_block(weight[part], gradient[part], mean[part], square[part], step)
