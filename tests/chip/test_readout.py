"""Reading numbers from an output, beside scikit-learn's measures."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import mean_squared_error, r2_score

from tssl.chip import CLASS, ClassReadOut, ValueReadOut, read_out_of
from tssl.errors import DataError, RangeError


@pytest.mark.parametrize("outputs", [1, 3])
def test_figures_are_those_of_scikit_learn(rng: np.random.Generator, outputs: int):
    wanted = rng.normal(5, [2, 7, 0.1][:outputs], (40, outputs))
    said = wanted + rng.normal(0, 0.5, wanted.shape)
    figures = ValueReadOut.over(wanted).figures(said, wanted)
    assert figures["r2"] == pytest.approx(r2_score(wanted, said))
    assert figures["mse"] == pytest.approx(mean_squared_error(wanted, said))


def test_the_score_is_the_same_in_units_of_training(rng: np.random.Generator):
    """Training works on numbers of mean 0 and deviation 1; R² knows no units."""
    wanted, said = rng.normal(50, 9, (30, 2)), rng.normal(50, 9, (30, 2))
    read_out = ValueReadOut.over(wanted)
    asked, told = read_out.asked(wanted), read_out.asked(said)
    assert asked.mean(axis=0) == pytest.approx(0)
    assert asked.std(axis=0) == pytest.approx(1)
    credits = read_out.in_training.credits(told, asked, asked)
    assert credits.mean() == pytest.approx(r2_score(wanted, said))


def test_what_is_read_undoes_what_is_asked(rng: np.random.Generator):
    wanted = rng.normal(-3, 4, (20, 2))
    read_out = ValueReadOut.over(wanted)
    potential = read_out.asked(wanted) * 640  # a network that counts 640 for a one
    found = read_out.per_unit(640).answers(np.zeros((20, 1, 2), np.int32), potential)
    assert found == pytest.approx(wanted)


def test_equal_targets_have_no_variance():
    wanted = np.full((5, 1), 3.0)
    assert ValueReadOut.over(wanted).score(wanted, wanted) == 1
    assert ValueReadOut((2.0,), (0.0,)).score(wanted + 2, wanted) == 0


@pytest.mark.parametrize("votes", [1, 3])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5])
def test_votes_are_added_up(rng: np.random.Generator, votes: int, share: float):
    """As the averages over the neurons of a class, and with the rules of one neuron each."""
    spikes = (rng.random((30, 8, 4 * votes)) < share).astype(np.uint8)
    potential = rng.integers(-900, 900, (30, 4 * votes))
    found = ClassReadOut(votes).answers(spikes, potential)
    for sample in range(30):
        groups, sums = spikes[sample].reshape(8, 4, votes), potential[sample].reshape(4, votes)
        by = [
            (
                int(groups[:, one].sum()),
                sum((8 - step) * int(groups[step, one].sum()) for step in range(8)),
                0 if spikes[sample].any() else int(sums[one].sum()),
                -one,
            )
            for one in range(4)
        ]
        assert found[sample] == by.index(max(by))


def test_classes_of_several_neurons():
    read_out = ClassReadOut(3)
    assert read_out.takes(9)
    assert not read_out.takes(10)
    assert read_out_of(read_out.document) == read_out
    assert read_out.fitting(np.array([0, 2]), 2, 9).tolist() == [0, 2]
    with pytest.raises(DataError, match=r"holds 3; whole numbers from 0 to 2 .* 3 classes"):
        read_out.fitting(np.array([0, 3]), 2, 9)


@pytest.mark.parametrize("votes", [0, 1.5, True, "3", None])
def test_votes_that_are_none(votes: Any):
    with pytest.raises(RangeError, match="neurons_per_class"):
        ClassReadOut(votes)


def test_documents_go_there_and_back():
    read_out = ValueReadOut((0.5, 2.0), (1.0, -1.0))
    assert read_out_of(read_out.document) == read_out
    assert read_out_of(CLASS.document) is CLASS


@pytest.mark.parametrize(
    ("gain", "offset"), [((0.0,), (1.0,)), ((1.0,), ()), ((float("nan"),), (1.0,))]
)
def test_other_numbers_are_none(gain: tuple[float, ...], offset: tuple[float, ...]):
    with pytest.raises(RangeError, match="read-out of values"):
        ValueReadOut(gain, offset)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros((3, 1)), "shape (3, 1); 2 numbers for each sample, (3, 2)"),
        (np.array([[0, 1], [np.inf, 0], [0, 0]]), "holds [inf, 0.0] for sample 1"),
        (np.array(["a"] * 3), "is <U1"),
    ],
)
def test_targets_that_are_none(values: np.ndarray, said: str):
    with pytest.raises(DataError) as raised:
        ValueReadOut((1.0, 1.0), (0.0, 0.0)).fitting(values, 3, 2)
    assert said in str(raised.value)
