"""Fixed-point arithmetic against Python's integers."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tssl.chip import STATE_LIMIT
from tssl.chip.numbers import (
    FLOAT32_EXACT,
    FLOAT64_EXACT,
    decayed,
    exact_product,
    saturated,
    wrapped,
    wrapped_convolution,
)


def python_product(rows: np.ndarray, weight: np.ndarray) -> list[list[int]]:
    return [
        [sum(x * w for x, w in zip(row, out, strict=True)) for out in weight.tolist()]
        for row in rows.tolist()
    ]


@pytest.mark.parametrize("bits", [4, 10, 22, 24, 26, 40, 51, 53, 55, 61])
def test_products_equal_python_integers_in_every_regime(bits: int, rng: np.random.Generator):
    for _ in range(20):
        inputs = int(rng.integers(1, 9))
        half = bits // 2
        rows = rng.integers(-(2**half), 2**half + 1, (5, inputs))
        limit = max(1, 2 ** (bits - half) // inputs)
        weight = rng.integers(-limit, limit + 1, (4, inputs))
        assert exact_product(rows, weight).tolist() == python_product(rows, weight)


@pytest.mark.parametrize("edge", [FLOAT32_EXACT, FLOAT64_EXACT])
@pytest.mark.parametrize("offset", [-2, -1, 0, 1, 2])
@pytest.mark.parametrize("sign", [1, -1])
def test_products_at_the_edges_of_exactness(edge: int, offset: int, sign: int):
    # one addend is the edge, where the next float lies two away, and the others are ones
    weight = np.array([[edge + offset - 1, 1], [edge + offset, 0], [1, edge + offset + 1]])
    rows = np.array([[1, 1], [1, -1], [0, 1]]) * sign
    assert exact_product(rows, weight).tolist() == python_product(rows, weight)


@given(st.integers(1, 2**12), st.integers(0, 3))
def test_odd_sums_survive_just_below_2_to_24(inputs: int, missing: int):
    weight = np.full((1, inputs), (2**24 - 1 - missing) // inputs)
    rows = np.ones((1, inputs), np.int64)
    assert exact_product(rows, weight)[0, 0] == int(weight[0, 0]) * inputs


def test_products_of_nothing_are_zero():
    assert exact_product(np.zeros((0, 3), np.int64), np.ones((2, 3), np.int64)).shape == (0, 2)
    assert exact_product(np.ones((2, 0), np.int64), np.ones((3, 0), np.int64)).tolist() == [
        [0, 0, 0],
        [0, 0, 0],
    ]


@given(st.integers(-STATE_LIMIT, STATE_LIMIT), st.integers(0, 4096))
@example(1, 1)
@example(-1, 1)
@example(-STATE_LIMIT, 0)
def test_decayed_rounds_toward_zero(value: int, decay: int):
    magnitude = abs(value) * (4096 - decay) // 4096
    assert decayed(np.array([value]), decay)[0] == (magnitude if value >= 0 else -magnitude)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (STATE_LIMIT - 1, STATE_LIMIT - 1),
        (STATE_LIMIT, STATE_LIMIT),
        (STATE_LIMIT + 1, 1 - STATE_LIMIT),
        (1 - STATE_LIMIT, 1 - STATE_LIMIT),
        (-STATE_LIMIT, STATE_LIMIT),
        (-STATE_LIMIT - 1, STATE_LIMIT - 1),
        (3 * STATE_LIMIT, STATE_LIMIT),
        (-3 * STATE_LIMIT, -STATE_LIMIT),
    ],
)
def test_wrapped_is_open_below_and_closed_above(value: int, expected: int):
    assert wrapped(np.array([value]))[0] == expected


@given(st.integers(1 - 3 * STATE_LIMIT, 3 * STATE_LIMIT))
def test_wrapped_stays_in_range_and_is_congruent(value: int):
    result = int(wrapped(np.array([value]))[0])
    assert -STATE_LIMIT < result <= STATE_LIMIT
    assert (result - value) % (2 * STATE_LIMIT) == 0


@given(st.integers(-(2**50), 2**50))
@example(STATE_LIMIT)
@example(-STATE_LIMIT)
def test_convolutions_wrap_as_twos_complement(value: int):
    result = int(wrapped_convolution(np.array([value]))[0])
    assert -STATE_LIMIT <= result < STATE_LIMIT
    assert (result - value) % (2 * STATE_LIMIT) == 0


def test_saturated_is_symmetric():
    values = np.array([-(2**40), -STATE_LIMIT, 1 - STATE_LIMIT, 5, STATE_LIMIT, 2**40])
    full = STATE_LIMIT - 1
    assert saturated(values).tolist() == [-full, -full, -full, 5, full, full]
