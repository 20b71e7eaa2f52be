"""What TensorBoard shows of a run; an optional extra."""

from pathlib import Path

from tssl.errors import BackendUnavailableError
from tssl.trainer.progress import EpochMetrics, LayerMetrics

_FOLDER = "tensorboard"


class TensorBoard:
    """Writes one point per epoch and quantity into a run's folder.

    Raises
    ------
    BackendUnavailableError
        When TensorBoard is not installed.
    """

    def __init__(self, run: Path, *, finished_epochs: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise BackendUnavailableError(
                f"--tensorboard: {error}; install it with: pip install 'tssl[tensorboard]'"
            ) from error
        # points after an epoch that a stopped run had not finished are taken back
        self._writer = SummaryWriter(run / _FOLDER, purge_step=finished_epochs + 1)

    def epoch_done(self, metrics: EpochMetrics, layers: list[LayerMetrics]) -> None:
        """Write an epoch's numbers."""
        for name in ("train", "validation", "test"):
            value = getattr(metrics, f"{name}_accuracy")
            if value is not None:  # nothing is held out
                self._writer.add_scalar(f"{metrics.measure}/{name}", value, metrics.epoch)
        self._writer.add_scalar("loss", metrics.loss, metrics.epoch)
        for layer in layers:
            self._writer.add_scalar(f"firing_rate/{layer.layer}", layer.firing_rate, metrics.epoch)
            share = layer.fallback_share
            self._writer.add_scalar(f"fallback_share/{layer.layer}", share, metrics.epoch)
        self._writer.flush()
