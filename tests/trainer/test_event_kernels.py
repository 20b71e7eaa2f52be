"""Weight gradients by events against sums of products, on whole numbers, whose sums are exact."""

import numpy as np
import pytest

from tssl.machine.vector_kernels import LANES
from tssl.trainer import event_kernels


def whole(rng: np.random.Generator, shape: tuple[int, ...], share: float = 1.0) -> np.ndarray:
    """Return whole numbers, a share of which are not zero."""
    numbers = rng.integers(1, 9, shape) * rng.choice([-1, 1], shape)
    return (numbers * (rng.random(shape) < share)).astype(np.float32)


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
@pytest.mark.parametrize(
    "shape",
    [(1, 1, 1), (7, LANES - 1, 3), (130, 2 * LANES, 160), (128, 300, 161), (300, 17, 500)],
    ids=str,
)
def test_dense(shape: tuple[int, int, int], share: float, rng: np.random.Generator) -> None:
    rows, inputs, outputs = shape
    signal, error = whole(rng, (rows, inputs), share), whole(rng, (rows, outputs))
    gradient = np.full((outputs, inputs), np.nan, np.float32)
    event_kernels.dense_gradient(signal, error, gradient)
    assert np.array_equal(gradient, error.T @ signal)


def test_what_is_not_finite_is_an_event(rng: np.random.Generator) -> None:
    signal, error = whole(rng, (40, 20), 0.1), whole(rng, (40, 30))
    signal[3, 5] = np.nan
    gradient = np.zeros((30, 20), np.float32)
    event_kernels.dense_gradient(signal, error, gradient)
    assert np.isnan(gradient[:, 5]).all()
    assert np.isfinite(np.delete(gradient, 5, axis=1)).all()


def test_the_share_is_that_of_every_seventh_row(rng: np.random.Generator) -> None:
    rows = whole(rng, (20, 50), 0.3)
    assert event_kernels.share_of_events(rows) == (rows[3::7] != 0).mean()
    assert event_kernels.share_of_events(rows[:2]) == (rows[1] != 0).mean()
