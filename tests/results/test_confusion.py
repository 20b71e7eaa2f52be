"""What is taken for what, on samples that a reader can count, and of very many classes."""

import numpy as np
import pytest

from tssl.results import Confusion, confusion_of
from tssl.results.confusion import MOST_CLASSES


def test_by_hand() -> None:
    found = confusion_of(np.array([1, 1, 0, 2]), np.array([1, 0, 0, 2]))
    assert found.counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert found.samples.tolist() == [2, 1, 1]
    assert found.shares.tolist() == [[0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]]
    assert found.names == ("0", "1", "2")
    assert found.note == ""


def test_classes_without_samples() -> None:
    found = confusion_of(np.array([0]), np.array([0]), names=("a", "b"), classes=3)
    assert found.names == ("a", "b", "2")
    assert found.shares.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]


@pytest.fixture
def many() -> Confusion:
    """Of 100,000 classes, the last ones are mistaken for each other, most for the very last."""
    labels = np.arange(100_000)
    predictions = labels.copy()
    predictions[-300:] = 99_999
    predictions[7] = 8
    return confusion_of(predictions, labels)


def test_of_very_many_classes_those_with_most_mistakes_are_shown(many: Confusion) -> None:
    assert many.counts.shape == (MOST_CLASSES, MOST_CLASSES)
    assert {"7", "8", "99999"} <= set(many.names)
    assert list(many.names) == sorted(many.names, key=int)
    assert many.note == "Only the 100 of 100\u202f000 classes with most mistakes are shown."
    column = many.names.index("99999")
    shown = sum(int(name) >= 99_700 for name in many.names)
    assert many.counts[:, column].sum() == shown == 98


def test_shares_are_of_all_samples_also_of_those_that_are_not_shown() -> None:
    labels = np.repeat(np.arange(200), 4)
    predictions = labels.copy()
    predictions[: 4 * 101 : 4] = 150  # a quarter of the first 101 classes
    predictions[1] = 199
    found = confusion_of(predictions, labels)
    assert "0" in found.names
    assert "199" not in found.names
    assert found.counts[0].sum() == 3
    assert found.shares[0].sum() == 0.75


def test_without_mistakes_classes_that_have_samples_are_shown() -> None:
    labels = np.arange(200, 260)
    assert set(map(str, labels)) < set(confusion_of(labels, labels).names)
