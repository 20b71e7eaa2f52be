"""Pictures are PNG files that show what they say."""

from pathlib import Path

import numpy as np
import pytest

from tests.trainer.test_run_directory import metrics
from tssl.errors import OutputError
from tssl.machine.pictures import save_figure
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
    counts = np.array([[8, 2], [0, 5]])
    axes = confusion_matrix(counts, "best").axes[0]
    shown = {text.get_position(): text.get_text() for text in axes.texts}
    assert shown == {(0, 0): "8", (1, 0): "2", (1, 1): "5"}  # (column, row)
    assert axes.get_title() == "best"


def test_saved_figure_is_a_picture(tmp_path: Path) -> None:
    save_figure(confusion_matrix(np.zeros((3, 3), int), "none"), tmp_path / "confusion.png")
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(OutputError):
        save_figure(learning_curve([metrics(1, 0.5)]), tmp_path / "confusion.png" / "deeper.png")
