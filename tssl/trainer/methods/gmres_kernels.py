"""Linear systems near a diagonal one, solved in a few products with their matrix."""

import numpy as np
from numpy.typing import NDArray

from tssl.machine.compiling import compiled, compiled_sums
from tssl.trainer.neuron_kernels import ZERO, Array

__all__ = ["gmres"]

Double = NDArray[np.float64]

_MOST = 24
"""Sweeps, before the rest is left to elimination."""
_RESIDUAL = 1e-6
"""Of a solution, over what is given."""


@compiled_sums
def _dot(one: Array, other: Array) -> np.float32:
    total = ZERO
    for j in range(one.size):
        total += one[j] * other[j]
    return total


@compiled_sums
def _times(matrix: Array, vector: Array, result: Array) -> None:
    """Fill in a product, four rows at a time."""
    whole = len(matrix) // 4 * 4
    for first in range(0, whole, 4):
        a, b, c, d = matrix[first], matrix[first + 1], matrix[first + 2], matrix[first + 3]
        of_a, of_b, of_c, of_d = ZERO, ZERO, ZERO, ZERO
        for j in range(vector.size):
            of_a += a[j] * vector[j]
            of_b += b[j] * vector[j]
            of_c += c[j] * vector[j]
            of_d += d[j] * vector[j]
        result[first], result[first + 1], result[first + 2], result[first + 3] = (
            of_a,
            of_b,
            of_c,
            of_d,
        )
    for row in range(whole, len(matrix)):
        result[row] = _dot(matrix[row], vector)


@compiled
def gmres(matrix: Array, inverse: Array, given: Array, result: Array) -> bool:
    r"""Solve :math:`(D - N) y = g`, D being diagonal.

    The residual of :math:`(I - N D^{-1}) x = g` is made smallest among the vectors that repeated
    products with the matrix give. The closer its
    eigenvalues are to 1, the fewer of them are needed.

    Parameters
    ----------
    matrix, inverse
        N, ``(n, n)``, and the diagonal of :math:`D^{-1}`, ``(n,)``.
    given, result
        g, and y, which is filled; likewise.

    Returns
    -------
    is_found
        Whether the residual got to a millionth of what was given, in 24 sweeps.

    References
    ----------
    .. [1] Y. Saad and M. H. Schultz, GMRES: A Generalized Minimal Residual Algorithm for Solving
       Nonsymmetric Linear Systems, SIAM J. Sci. Stat. Comput. 7(3), 1986.
    """
    neurons = given.size
    basis = np.empty((_MOST + 1, neurons), np.float32)
    upper = np.zeros((_MOST + 1, _MOST), np.float64)
    turns, right = np.zeros((_MOST, 2), np.float64), np.zeros(_MOST + 1, np.float64)
    scaled = np.empty(neurons, np.float32)
    size = np.sqrt(np.float64(_dot(given, given)))
    result[:] = ZERO
    if size == 0:
        return True
    right[0] = size
    _divided(given, size, basis[0])
    for step in range(_MOST):
        for j in range(neurons):
            scaled[j] = basis[step, j] * inverse[j]
        new = basis[step + 1]
        _times(matrix, scaled, new)
        for j in range(neurons):
            new[j] = basis[step, j] - new[j]
        column = upper[:, step]
        for k in range(step + 1):
            column[k] = _dot(new, basis[k])
            part, old = np.float32(column[k]), basis[k]
            for j in range(neurons):
                new[j] -= part * old[j]
        column[step + 1] = np.sqrt(np.float64(_dot(new, new)))
        length = column[step + 1]
        _turn(column, turns, right, step)
        if abs(right[step + 1]) <= _RESIDUAL * size or length == 0:
            _combine(upper, right, step + 1, basis, inverse, result)
            return True
        _divided(new, length, new)
    return False


@compiled
def _divided(vector: Array, size: float, result: Array) -> None:
    by = np.float32(1 / size)
    for j in range(vector.size):
        result[j] = vector[j] * by


@compiled
def _turn(column: Double, turns: Double, right: Double, step: int) -> None:
    """Make the column upper triangular by Givens rotations, the last one new."""
    for k in range(step):
        cosine, sine = turns[k]
        column[k], column[k + 1] = (
            cosine * column[k] + sine * column[k + 1], cosine * column[k + 1] - sine * column[k],
        )  # fmt: skip
    length = np.hypot(column[step], column[step + 1])
    cosine, sine = column[step] / length, column[step + 1] / length
    turns[step] = cosine, sine
    column[step], column[step + 1] = length, 0.0
    right[step + 1] = -sine * right[step]
    right[step] = cosine * right[step]


@compiled
def _combine(
    upper: Double, right: Double, size: int, basis: Array, inverse: Array, result: Array
) -> None:
    """Solve the triangle, and add up the directions."""
    for k in range(size - 1, -1, -1):
        for later in range(k + 1, size):
            right[k] -= upper[k, later] * right[later]
        right[k] /= upper[k, k]
        part = np.float32(right[k])
        for j in range(result.size):
            result[j] += part * basis[k, j]
    for j in range(result.size):
        result[j] *= inverse[j]
