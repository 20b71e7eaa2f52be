"""A user's own arrays: which one of a file, and what it means as input of a network."""

from pathlib import Path

import numpy as np
import pytest

from tssl.errors import DataError
from tssl.workflow.arrays import DENSITY, INPUTS, array_of, opened, random_spikes, trains_of

SHAPE = (1, 3, 4)
VALUES = np.arange(24).reshape(2, 12)


def enter(inputs: np.ndarray) -> np.ndarray:
    return trains_of(inputs, SHAPE).values


# ------------------------------------------------------------------------- which array


@pytest.mark.parametrize("held", [["x"], ["mine"], ["x", "y", "z"]])
def test_the_array_of_an_archive(held: list[str], tmp_path: Path) -> None:
    others = dict.fromkeys(held[1:], np.zeros(3))
    np.savez(tmp_path / "a.npz", **{held[0]: VALUES}, **others)
    with (tmp_path / "named.npy").open("wb") as file:
        np.savez_compressed(file, **{held[0]: VALUES}, **others)
    for name in ("a.npz", "named.npy"):
        assert np.array_equal(array_of(tmp_path / name, INPUTS), VALUES)


def test_an_archive_of_several(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", b=VALUES, a=VALUES)
    with pytest.raises(DataError, match=r"a\.npz: holds a, b; one array, or one called x, is ex"):
        array_of(tmp_path / "a.npz", INPUTS)
    np.savez(tmp_path / "none.npz")
    with pytest.raises(DataError, match=r"none\.npz: holds nothing; one array"):
        array_of(tmp_path / "none.npz", INPUTS)


def test_a_file_or_an_array(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", VALUES)
    values, called = opened(tmp_path / "a.npy", INPUTS, "input")
    assert np.array_equal(values, VALUES)
    assert called == str(tmp_path / "a.npy")
    assert opened(VALUES, INPUTS, "input") == (VALUES, "input")


# ------------------------------------------------------------------------- what it means


def test_static_inputs_become_one_step():
    inputs = np.arange(24).reshape(2, 1, 3, 4)
    train = enter(inputs)
    assert train.shape == (1, 2, 12)
    assert np.array_equal(train[0], inputs.reshape(2, 12))
    assert np.array_equal(enter(inputs.reshape(2, 12)), train)


def test_inputs_with_time_are_turned_time_first():
    inputs = np.arange(120).reshape(2, 5, 1, 3, 4)
    train = enter(inputs)
    assert train.shape == (5, 2, 12)
    for time, sample in np.ndindex(5, 2):
        assert np.array_equal(train[time, sample], inputs[sample, time].ravel())
    assert np.array_equal(enter(inputs.reshape(2, 5, 12)), train)
    assert train.flags.c_contiguous


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32, np.bool_])
def test_whole_numbers_of_any_type_are_taken(kind: type):
    train = enter(np.ones((1, 12), kind))
    assert train.dtype == np.int64
    assert train.tolist() == [[[1] * 12]]


@pytest.mark.parametrize(
    "inputs",
    [
        np.full((1, 12), 0.5),
        np.full((1, 12), 1e300),
        np.full((1, 12), np.nan),
        np.full((1, 12), np.inf),
        np.full((1, 12), 2**63, np.uint64),
        np.full((1, 12), 2**31),
        np.full((1, 12), -(2**31) - 1),
        np.full((1, 12), 2**62),  # times a weight of 4 it would vanish in 64 bits
        np.full((1, 12), 1j),
        np.full((1, 12), "1"),
        np.full((1, 12), None),
    ],
    ids=lambda inputs: str(inputs.flat[0]),
)
def test_inputs_must_be_whole_numbers(inputs: np.ndarray):
    with pytest.raises(DataError, match="must be whole numbers"):
        enter(inputs)


@pytest.mark.parametrize(
    "shape", [(), (12,), (2, 11), (2, 5, 13), (2, 3, 4), (2, 5, 3, 4), (2, 1, 4, 3), (1,) * 6]
)
def test_inputs_must_fit_the_network(shape: tuple[int, ...]):
    with pytest.raises(DataError, match=r"do not fit the network: expected \(samples, time"):
        enter(np.zeros(shape, np.int64))


def test_the_shapes_that_fit_are_written_out():
    with pytest.raises(DataError) as caught:
        enter(np.zeros((2, 11), np.int64))
    assert str(caught.value) == (
        "inputs of shape (2, 11) do not fit the network: expected (samples, time, SHAPE) or "
        "(samples, SHAPE)"
    ).replace("SHAPE", "1, 3, 4")


def test_the_largest_inputs_are_taken():
    inputs = np.array([[2**31 - 1, -(2**31)] * 6])
    assert enter(inputs)[0].tolist() == inputs.tolist()


@pytest.mark.parametrize("shape", [(0, 12), (2, 0, 12), (0, 5, 12)])
def test_empty_inputs(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="holds no samples or no time steps"):
        enter(np.zeros(shape, np.int64))


def test_the_time_of_samples() -> None:
    assert trains_of(np.zeros((2, 12)), SHAPE).time_steps is None
    assert trains_of(np.zeros((2, 1, 12)), SHAPE).time_steps == 1
    assert trains_of(np.zeros((2, 5, 1, 3, 4)), SHAPE).time_steps == 5


def test_random_spikes() -> None:
    drawn = random_spikes(np.random.default_rng(7), (5, 2, 400))
    assert np.array_equal(drawn, np.random.default_rng(7).random((5, 2, 400)) < DENSITY)
    assert drawn.mean() == pytest.approx(DENSITY, abs=0.05)
