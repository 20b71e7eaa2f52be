"""The read-out by hand."""

import numpy as np
import pytest

from tssl.chip import CLASS


@pytest.mark.parametrize(
    ("spikes", "potential", "winner"),
    [
        # one row a step, one column a class
        ([[0, 1], [1, 0], [1, 0]], [0, 0], 0),  # more spikes win, though later
        ([[1, 0], [0, 1], [0, 0]], [0, 9], 0),  # as many: the earlier
        ([[0, 1], [1, 0], [0, 0]], [9, 0], 1),
        ([[1, 1], [0, 0], [0, 0]], [0, 9], 0),  # as many, as early: the lower index
        ([[1, 0], [0, 1], [0, 1], [1, 0]], [0, 9], 0),  # steps 0 and 3 against 1 and 2: a tie
        ([[1, 0], [0, 1], [1, 0], [0, 1]], [0, 9], 0),  # steps 0 and 2 against 1 and 3
        ([[0, 1], [1, 0], [1, 0], [1, 1]], [0, 9], 0),  # three against two
        ([[0, 0], [0, 0], [0, 0]], [-7, -5], 1),  # silence: the potential decides
        ([[0, 0], [0, 0], [0, 0]], [-5, -5], 0),  # equal potentials: the lower index
        ([[0, 0], [0, 0], [0, 1]], [99, -5], 1),  # one spike beats any potential
    ],
)
def test_the_read_out_by_hand(spikes: list[list[int]], potential: list[int], winner: int):
    prediction = CLASS.answers(np.array([spikes], np.uint8), np.array([potential]))
    assert prediction.tolist() == [winner]


def test_one_more_spike_beats_all_earliness():
    spikes = np.zeros((1, 200, 2), np.uint8)
    spikes[0, :100, 0] = 1
    spikes[0, 99:, 1] = 1
    assert CLASS.answers(spikes, np.zeros((1, 2), np.int64)).tolist() == [1]


def test_millions_of_steps_do_not_overflow():
    spikes = np.zeros((1, 2_200_000, 2), np.uint8)
    spikes[0, 0, 0] = 1
    spikes[0, :, 1] = 1
    assert CLASS.answers(spikes, np.zeros((1, 2), np.int64)).tolist() == [1]


def test_more_than_255_spikes_are_counted():
    spikes = np.zeros((1, 600, 2), np.uint8)
    spikes[0, :255, 0] = 1
    spikes[0, 300:556, 1] = 1  # 256 in eight bits would be none
    assert CLASS.answers(spikes, np.zeros((1, 2), np.int64)).tolist() == [1]


def test_every_sample_is_judged_alone():
    spikes = np.zeros((3, 4, 3), np.uint8)
    spikes[0, 3, 2] = spikes[2, 1, 1] = 1
    potential = np.array([[5, 0, 0], [0, 5, 0], [5, 0, 0]])
    assert CLASS.answers(spikes, potential).tolist() == [2, 1, 1]
