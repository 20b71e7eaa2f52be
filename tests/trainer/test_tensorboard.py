"""Points that TensorBoard reads back."""

import sys
from pathlib import Path

import pytest

from tests.trainer.test_run_directory import metrics
from tssl.errors import BackendUnavailableError
from tssl.trainer.progress import LayerMetrics
from tssl.trainer.tensorboard import TensorBoard


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_points_come_back(tmp_path: Path) -> None:
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="tensorboard is not installed",
    )
    board = TensorBoard(tmp_path, finished_epochs=0)
    for epoch, accuracy in ((1, 0.25), (2, 0.75)):
        layer = LayerMetrics(epoch=epoch, layer="dense1", firing_rate=0.125, fallback_share=0.5)
        board.epoch_done(metrics(epoch, accuracy), [layer])
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    points = [(point.step, point.value) for point in events.Scalars("accuracy/validation")]
    assert points == [(1, 0.25), (2, 0.75)]
    assert events.Scalars("firing_rate/dense1")[1].value == 0.125
    assert events.Scalars("fallback_share/dense1")[1].value == 0.5


def test_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(BackendUnavailableError, match=r"--tensorboard.*pip install"):
        TensorBoard(tmp_path, finished_epochs=0)
    assert not list(tmp_path.iterdir())
