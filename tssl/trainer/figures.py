"""Pictures of a run: how it learnt, and what it mistakes for what."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tssl.results import Confusion
from tssl.trainer.progress import EpochMetrics

_UPRIGHT = 2
"""Characters of a class name that fit below a column of the confusion matrix."""


def learning_curve(metrics: Sequence[EpochMetrics]) -> Figure:
    """Draw loss and accuracies over the epochs."""
    epochs = [row.epoch for row in metrics]
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(epochs, [row.loss for row in metrics], color="black", marker=".")
    left.set(xlabel="epoch", ylabel="loss per training sample", ylim=(0, None))
    for name, label in (
        ("train_accuracy", "training, while learning"),
        ("validation_accuracy", "held-out"),
        ("test_accuracy", "test"),
    ):
        shares = [getattr(row, name) for row in metrics]
        if None not in shares:  # nothing is held out
            right.plot(epochs, [100 * share for share in shares], marker=".", label=label)
    right.set(xlabel="epoch", ylabel=f"{metrics[-1].measure} in %")
    right.legend()
    return figure


def said_and_wanted(said: NDArray[Any], wanted: NDArray[Any], title: str) -> Figure:
    """Draw the numbers of samples against those wanted, ``(samples, outputs)`` each."""
    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    axes = figure.subplots()
    ends = [min(wanted.min(), said.min()), max(wanted.max(), said.max())]
    axes.plot(ends, ends, color="grey", linewidth=1)
    for output in range(wanted.shape[1]):
        axes.plot(wanted[:, output], said[:, output], ".", markersize=3, label=f"output {output}")
    axes.set(xlabel="wanted", ylabel="said by the network", title=title)
    if wanted.shape[1] > 1:
        axes.legend()
    return figure


def confusion_matrix(found: Confusion, title: str) -> Figure:
    """Draw how often each class (row) was taken for each class (column)."""
    counts, shares, classes = found.counts, found.shares, len(found.names)
    figure = Figure(figsize=(1.5 + 0.45 * classes,) * 2, layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Greys", vmin=0, vmax=1)
    for row, column in np.ndindex(classes, classes):
        if counts[row, column]:
            color = "white" if shares[row, column] > 0.5 else "black"
            text = str(counts[row, column])
            axes.text(column, row, text, ha="center", va="center", color=color, size=8)
    axes.set(
        xlabel="predicted", ylabel="true", title=title, xticks=range(classes), yticks=range(classes)
    )
    if found.note:
        axes.set_title(f"{title}\n{found.note}")
    is_short = max(map(len, found.names)) <= _UPRIGHT
    axes.set_xticklabels(found.names, rotation=0 if is_short else 90)
    axes.set_yticklabels(found.names)
    return figure
