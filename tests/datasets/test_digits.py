"""scikit-learn's digits, as pixels of 0..16 in file order."""

import gzip
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest

from tssl import datasets
from tssl.datasets import digits
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
    monkeypatch.setattr(digits, "find_spec", lambda _: None)
    with pytest.raises(DataError, match=r"; install scikit-learn$"):
        datasets.load("digits", "train", data_dir=None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "cannot be read"),
        ("1,two", "cannot be read"),
        ("1,2\n3,4", r"rows of shape \(2, 2\)"),
    ],
)
def test_another_scikit_learn_is_refused(
    text: str | None, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    spec = ModuleSpec("sklearn", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(digits, "find_spec", lambda _: spec)
    (tmp_path / "datasets" / "data").mkdir(parents=True)
    if text is not None:
        (tmp_path / "datasets" / "data" / "digits.csv.gz").write_bytes(gzip.compress(text.encode()))
    with pytest.raises(DataError, match=f"{says}.*; install another version of scikit-learn$"):
        datasets.load("digits", "train", data_dir=None)
