"""scikit-learn's digits, as pixels of 0..16 in file order."""

import sys

import numpy as np
import pytest

from tssl import datasets
from tssl.errors import DataError


def test_the_splits_are_the_file_in_order():
    from sklearn.datasets import load_digits

    bunch = load_digits()
    train, test = (datasets.load("digits", split, data_dir=None) for split in datasets.SPLITS)
    assert (len(train), len(test)) == (1437, 360)
    assert train.shape == test.shape == (1, 8, 8)
    joined = np.concatenate([train.inputs, test.inputs])[:, 0]
    assert np.array_equal(joined, bunch.images), "whole numbers: nothing is lost in uint8"
    assert np.array_equal(np.concatenate([train.labels, test.labels]), bunch.target)
    assert train.inputs.max() == test.inputs.max() == train.full_scale == 16


def test_the_first_digit_is_a_zero():
    first = datasets.load("digits", "train", data_dir=None)
    assert first.labels[0] == 0
    assert first.inputs[0, 0, 0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]


def test_without_scikit_learn_the_user_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DataError, match="install scikit-learn"):
        datasets.load("digits", "train", data_dir=None)
