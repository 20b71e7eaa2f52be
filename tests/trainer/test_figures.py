"""Pictures are PNG files that show what they say."""

from pathlib import Path

import numpy as np
import pytest

from tests.trainer.test_run_directory import metrics
from tssl.errors import OutputError
from tssl.machine.pictures import save_figure
from tssl.results import confusion_of
from tssl.trainer.figures import confusion_matrix, learning_curve


def test_learning_curve_has_every_epoch() -> None:
    figure = learning_curve([metrics(1, 0.25), metrics(2, 0.75)])
    loss, accuracy = figure.axes
    assert loss.lines[0].get_xydata().tolist() == [[1, 0.5], [2, 0.5]]
    held_out = next(line for line in accuracy.lines if line.get_label() == "held-out")
    assert held_out.get_xydata().tolist() == [[1, 25], [2, 75]]


def test_learning_curve_without_held_out_samples() -> None:
    _, accuracy = learning_curve([metrics(1, None), metrics(2, None)]).axes
    assert [line.get_label() for line in accuracy.lines] == ["training, while learning", "test"]


def test_confusion_matrix_writes_the_counts() -> None:
    labels = np.repeat([0, 1], [10, 5])
    said = np.repeat([0, 1], [8, 7])
    axes = confusion_matrix(confusion_of(said, labels), "best").axes[0]
    shown = {text.get_position(): text.get_text() for text in axes.texts}
    assert shown == {(0, 0): "8", (1, 0): "2", (1, 1): "5"}  # (column, row)
    assert axes.get_title() == "best"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1"]


def test_a_confusion_matrix_of_very_many_classes_says_which_it_shows(tmp_path: Path) -> None:
    figure = confusion_matrix(confusion_of(np.arange(2000), np.arange(2000)), "best")
    title = figure.axes[0].get_title()
    assert title == "best\nOnly the 100 of 2\u202f000 classes with most mistakes are shown."
    assert figure.get_size_inches().max() < 50


def test_saved_figure_is_a_picture(tmp_path: Path) -> None:
    save_figure(
        confusion_matrix(confusion_of(np.arange(3), np.arange(3)), "none"),
        tmp_path / "confusion.png",
    )
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(OutputError):
        save_figure(learning_curve([metrics(1, 0.5)]), tmp_path / "confusion.png" / "deeper.png")
