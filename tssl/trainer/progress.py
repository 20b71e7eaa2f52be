"""How far a training run has come, and what its epochs brought."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

from pydantic import TypeAdapter

from tssl.chip import CLASS

__all__ = ["EpochMetrics", "LayerMetrics", "TrainingProgress", "Watcher", "stored_progress"]


@dataclass(frozen=True, kw_only=True)
class EpochMetrics:
    """One line of ``metrics.csv``; accuracies and rates are shares in 0...1.

    Parameters
    ----------
    loss
        Mean over the training samples, while the weights were changing.
    train_accuracy
        Likewise.
    validation_accuracy
        On the held-out part of the training set; it chooses ``best.safetensors``. None when
        nothing is held out, and the last epoch is chosen.
    test_accuracy
        By the project's read-out (most spikes).
    test_accuracy_psp
        By the official code's read-out (largest summed post-synaptic potential).
    measure
        What these four are: the accuracy, or, where numbers are read, R².
    firing_rate
        Spikes per neuron and step, mean over layers.
    """

    epoch: int
    loss: float
    train_accuracy: float
    validation_accuracy: float | None
    test_accuracy: float
    test_accuracy_psp: float
    firing_rate: float
    seconds: float
    samples_per_second: float
    measure: str = CLASS.measure

    @property
    def told(self) -> str:
        """How good the network was at the test samples, in words."""
        return f"test {self.measure} {self.test_accuracy:.2%}"

    def __post_init__(self) -> None:
        if self.validation_accuracy is not None and math.isnan(self.validation_accuracy):
            object.__setattr__(self, "validation_accuracy", None)  # as older runs stored it


@dataclass(frozen=True, kw_only=True)
class LayerMetrics:
    """One line of ``layers.csv``: a layer in an epoch, while the weights were changing.

    Parameters
    ----------
    firing_rate
        Spikes per neuron and step.
    fallback_share
        Share of neuron-steps whose error came from the surrogate of the rule tssl-bp.
    """

    epoch: int
    layer: str
    firing_rate: float
    fallback_share: float


@dataclass(kw_only=True)
class TrainingProgress:
    """How far a run has come; what is not in the weights.

    Parameters
    ----------
    epoch
        Epochs finished.
    batch
        Batches finished in the epoch under way.
    loss_sum, correct, seconds
        Sums over the batches of that epoch.
    activity
        Likewise, by layer: neuron-steps, spikes and fallbacks.
    metrics
        One entry per finished epoch.
    layers
        One entry per finished epoch and layer.
    measure
        What ``correct`` adds up to, see :class:`EpochMetrics`.
    integers_from
        Epochs before the chip's integers began, in floating point; they do not count for the best.
    """

    epoch: int = 0
    batch: int = 0
    integers_from: int = 0
    loss_sum: float = 0.0
    correct: float = 0.0
    measure: str = CLASS.measure
    seconds: float = 0.0
    activity: dict[str, list[float]] = field(default_factory=dict)
    metrics: list[EpochMetrics] = field(default_factory=list)
    layers: list[LayerMetrics] = field(default_factory=list)

    @property
    def firing_rates(self) -> dict[str, float]:
        """Spikes per neuron and step of every layer, in the epoch under way."""
        return {name: spikes / steps for name, (steps, spikes, _) in self.activity.items()}

    @property
    def firing_rate(self) -> float:
        """Mean of :attr:`firing_rates`."""
        return sum(self.firing_rates.values()) / max(len(self.activity), 1)

    def add(self, loss: float, correct: float, activity: Mapping[str, Sequence[float]]) -> None:
        """Add what a batch has brought: its loss summed over samples, and likewise the others."""
        self.loss_sum += loss
        self.correct += correct
        for name, new in activity.items():
            sums = self.activity.setdefault(name, [0.0, 0.0, 0.0])
            sums[:] = (old + more for old, more in zip(sums, new, strict=True))

    def layer_metrics(self) -> list[LayerMetrics]:
        """Return the lines of the epoch under way."""
        return [
            LayerMetrics(
                epoch=self.epoch + 1,
                layer=name,
                firing_rate=spikes / steps,
                fallback_share=fallbacks / steps,
            )
            for name, (steps, spikes, fallbacks) in self.activity.items()
        ]

    @property
    def epochs_without_better(self) -> int:
        """Epochs since the held-out accuracy first reached its highest; 0 without held-out ones."""
        reached = _held_out(self.metrics[self.integers_from :])
        return len(reached) - 1 - reached.index(max(reached)) if reached else 0

    def finish_epoch(self, metrics: EpochMetrics) -> None:
        """Start the sums of the next epoch."""
        self.metrics.append(metrics)
        self.layers.extend(self.layer_metrics())
        self.epoch, self.batch = self.epoch + 1, 0
        self.loss_sum, self.correct, self.seconds, self.activity = 0.0, 0.0, 0.0, {}

    @property
    def best(self) -> EpochMetrics:
        """The epoch with the highest held-out accuracy, the latest of equals.

        The last epoch, when nothing is held out. Where integers have begun, an epoch in integers.
        """
        counted = self.metrics[self.integers_from :] or self.metrics
        reached = _held_out(counted)
        if not reached:
            return counted[-1]
        return counted[max(range(len(reached)), key=lambda index: (reached[index], index))]


class Watcher(Protocol):
    """Sees training go on, and may end it."""

    def batch_done(self, progress: TrainingProgress, *, samples: int) -> None:
        """Take note of a batch; ``samples`` were seen in this epoch so far.

        On a GPU, of several batches at a time.
        """

    def epoch_done(self, metrics: EpochMetrics, layers: list[LayerMetrics]) -> None:
        """Take note of an epoch, already on disk."""

    def stop_requested(self) -> bool:
        """Return whether to save and stop now."""


def stored_progress(document: dict[str, Any]) -> TrainingProgress:
    """Return the stored progress if it can be gone on from.

    Raises
    ------
    TypeError, ValueError
        When it cannot.
    """
    unknown = document.keys() - {each.name for each in fields(TrainingProgress)}
    if unknown:
        raise ValueError(f"unknown keys {', '.join(sorted(unknown))}")
    progress = TypeAdapter(TrainingProgress).validate_json(json.dumps(document), strict=True)
    sums = ("epoch", "batch", "correct", "loss_sum", "seconds")
    for name in sums:
        if not 0 <= getattr(progress, name) < math.inf:
            raise ValueError(f"{name} = {getattr(progress, name)!r}")
    for name, counts in progress.activity.items():
        if len(counts) != 3 or not counts[0] > 0:
            raise ValueError(f"activity of {name} = {counts!r}")
    if progress.epoch != len(progress.metrics):
        raise ValueError(f"epoch = {progress.epoch}, but metrics of {len(progress.metrics)}")
    if not 0 <= progress.integers_from <= progress.epoch:
        raise ValueError(f"integers_from = {progress.integers_from}")
    return progress


def _held_out(metrics: list[EpochMetrics]) -> list[float]:
    """Return the held-out accuracy of every epoch; nothing when nothing is held out."""
    rows = [row.validation_accuracy for row in metrics]
    return [accuracy for accuracy in rows if accuracy is not None]
