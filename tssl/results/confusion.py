"""Which classes are taken for which, of no more classes than a picture can show."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tssl.chip import IntArray
from tssl.wording import count

__all__ = ["MOST_CLASSES", "Confusion", "confusion_of"]

MOST_CLASSES = 100
"""In a picture: the memory and the size of a matrix grow with their square."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Confusion:
    """How often samples of a class were taken for another.

    Parameters
    ----------
    counts
        Samples by class of the label (row) and class that was said (column), ``(shown, shown)``.
    samples
        Of each class shown, whatever they were taken for, ``(shown,)``.
    names
        Of the classes shown.
    classes
        Number of all classes.
    """

    counts: IntArray
    samples: IntArray
    names: tuple[str, ...]
    classes: int

    @property
    def shares(self) -> NDArray[np.float64]:
        """The counts as shares of all samples of their row, 0 where it has none."""
        return self.counts / np.maximum(self.samples, 1)[:, np.newaxis]

    @property
    def note(self) -> str:
        """Which classes are shown, as a sentence; nothing where all are."""
        shown = len(self.names)
        if shown == self.classes:
            return ""
        return f"Only the {shown} of {count(self.classes)} classes with most mistakes are shown."


def confusion_of(
    predictions: IntArray, labels: IntArray, *, names: Sequence[str] = (), classes: int = 0
) -> Confusion:
    """Return how often classes were taken for others, of at most ``MOST_CLASSES``.

    Those stay that were said wrongly, or not said, for most samples; of equals, those with more
    samples.

    Parameters
    ----------
    predictions, labels
        Classes, both ``(samples,)``.
    names
        Of the classes; their numbers where they have none.
    classes
        Number of classes at least.
    """
    classes = max(classes, len(names), 1 + int(max(predictions.max(), labels.max())))
    wrong = predictions != labels
    samples, missed, wrongly = (
        np.bincount(each, minlength=classes) for each in (labels, labels[wrong], predictions[wrong])
    )
    order = np.lexsort((-samples, -missed - wrongly))
    shown = np.sort(order[:MOST_CLASSES])
    places = np.full(classes, -1)
    places[shown] = np.arange(len(shown))
    rows, columns = places[labels], places[predictions]
    inside = (rows >= 0) & (columns >= 0)
    counts = np.zeros((len(shown), len(shown)), np.int64)
    np.add.at(counts, (rows[inside], columns[inside]), 1)
    return Confusion(
        counts=counts,
        samples=samples[shown],
        names=tuple(names[index] if index < len(names) else str(index) for index in shown),
        classes=classes,
    )
