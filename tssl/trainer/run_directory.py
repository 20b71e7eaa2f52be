"""The folder of a training run: what is in it, and how a run goes on where it stopped."""

import csv
import io
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tssl.checkpoint import (
    FORMAT_VERSION,
    Checkpoint,
    ChipPlan,
    chip_plan,
    load_tensors,
    save_tensors,
)
from tssl.errors import CheckpointError, ConfigError
from tssl.files import make_directory, remove, write_text, written
from tssl.spec import Recipe, load_recipe

_MOMENTS = ("exp_avg", "exp_avg_sq")


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
        On the held-out part of the training set; it chooses ``best.safetensors``. NaN when
        nothing is held out.
    test_accuracy
        By the project's read-out (most spikes).
    test_accuracy_psp
        By the official code's read-out (largest summed post-synaptic potential).
    firing_rate
        Spikes per neuron and step, mean over layers.
    """

    epoch: int
    loss: float
    train_accuracy: float
    validation_accuracy: float
    test_accuracy: float
    test_accuracy_psp: float
    firing_rate: float
    seconds: float
    samples_per_second: float


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
class Progress:
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
    """

    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0
    correct: int = 0
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

    def finish_epoch(self, metrics: EpochMetrics) -> None:
        """Start the sums of the next epoch."""
        self.metrics.append(metrics)
        self.layers.extend(self.layer_metrics())
        self.epoch, self.batch = self.epoch + 1, 0
        self.loss_sum, self.correct, self.seconds, self.activity = 0.0, 0, 0.0, {}

    @property
    def best(self) -> EpochMetrics:
        """The epoch with the highest held-out accuracy, the latest of equals.

        The last epoch, when nothing is held out.
        """
        if math.isnan(self.metrics[-1].validation_accuracy):
            return self.metrics[-1]
        return max(self.metrics, key=lambda row: (row.validation_accuracy, row.epoch))


@dataclass(frozen=True)
class RunDirectory:
    """Paths of a training run and the exact-resume state."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.toml"

    @property
    def metrics(self) -> Path:
        """One line per epoch."""
        return self.path / "metrics.csv"

    @property
    def layers(self) -> Path:
        """One line per epoch and layer."""
        return self.path / "layers.csv"

    @property
    def best(self) -> Path:
        """Weights of the epoch that was best on held-out samples."""
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        """Weights of the last finished epoch."""
        return self.path / "last.safetensors"

    @property
    def learning_curve(self) -> Path:
        """Loss and accuracies over the epochs, a picture."""
        return self.path / "learning-curve.png"

    @property
    def confusion(self) -> Path:
        """What the best weights take for what on the test set, a picture."""
        return self.path / "confusion.png"

    @property
    def state(self) -> Path:
        """Weights, optimiser and progress, for ``--resume``."""
        return self.path / "state.safetensors"

    def check_free(self) -> None:
        """Refuse to start a second run in this folder.

        Raises
        ------
        ConfigError
            When it already holds one, or a part of one.
        """
        if any(path.exists() for path in (self.recipe, self.state, self.best, self.last)):
            raise ConfigError(
                f"{self.path}: already holds a run; go on with --resume {self.path} "
                "or choose another folder with --out"
            )

    def create(self, recipe: Recipe) -> None:
        """Start a run here; see :meth:`check_free`."""
        self.check_free()
        make_directory(self.path)
        self.save_recipe(recipe)

    def free_if_empty(self) -> None:
        """Take the recipe away from a run that saved nothing, so that it can be started anew."""
        if not self.state.exists():
            remove(self.recipe)

    def save_recipe(self, recipe: Recipe) -> None:
        """Write the resolved recipe."""
        write_text(self.recipe, recipe.to_toml())

    def load_recipe(self) -> Recipe:
        """Return the recipe of the run in this folder."""
        if not self.recipe.exists():
            raise CheckpointError(f"{self.path}: holds no run (recipe.toml is missing)")
        return load_recipe(self.recipe)

    def save_metrics(self, progress: Progress) -> None:
        """Write ``metrics.csv`` and ``layers.csv`` from all finished epochs."""
        for path, kind, rows in (
            (self.metrics, EpochMetrics, progress.metrics),
            (self.layers, LayerMetrics, progress.layers),
        ):
            buffer = io.StringIO()
            names = [column.name for column in fields(kind)]
            writer = csv.DictWriter(buffer, names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(asdict(row) for row in rows)
            write_text(path, buffer.getvalue())

    def save_checkpoint(self, checkpoint: Checkpoint, *, is_best: bool) -> None:
        """Write ``last.safetensors``, and ``best.safetensors`` when it is."""
        checkpoint.save(self.last)
        if is_best:
            with written(self.best) as temporary:
                temporary.write_bytes(self.last.read_bytes())

    def save_state(
        self,
        recipe: Recipe,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        progress: Progress,
        plan: ChipPlan | None,
    ) -> None:
        """Write everything needed to go on bit for bit."""
        tensors: dict[str, Any] = {}
        steps = 0
        for name, parameter in network.named_parameters():
            tensors[name] = parameter.detach().cpu().numpy()
            moments = optimizer.state.get(parameter, {})
            steps = int(moments.get("step", 0))
            for key in _MOMENTS:
                if key in moments:
                    tensors[f"{key}:{name}"] = moments[key].cpu().numpy()
        document = {
            "format_version": FORMAT_VERSION,
            "recipe": identity(recipe),
            "steps": steps,
            "plan": None if plan is None else asdict(plan),
            **asdict(progress),
        }
        save_tensors(self.state, tensors, document)

    def load_plan(self) -> ChipPlan | None:
        """Return the grid of integers that the run in this folder is trained on, if any.

        Raises
        ------
        CheckpointError
            When the state is damaged.
        """
        if not self.state.exists():
            return None
        _, document = load_tensors(self.state)
        try:
            return chip_plan(document.get("plan"))
        except (TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"{self.state}: holds no valid plan: {error}") from error

    def load_state(
        self, recipe: Recipe, network: nn.Module, optimizer: torch.optim.Optimizer
    ) -> Progress:
        """Restore weights and optimiser; a run that never got to save starts anew.

        Raises
        ------
        CheckpointError
            When the state is damaged or belongs to another recipe.
        """
        if not self.state.exists():
            return Progress()
        tensors, document = load_tensors(self.state)
        del document["format_version"]
        document.pop("plan", None)
        if document.pop("recipe", None) != identity(recipe):
            raise CheckpointError(f"{self.state}: belongs to another recipe than {self.recipe}")
        steps = document.pop("steps", 0)
        try:
            with torch.no_grad():
                for name, parameter in network.named_parameters():
                    parameter.copy_(torch.from_numpy(tensors[name]))
                    if steps:
                        optimizer.state[parameter] = {
                            "step": torch.tensor(float(steps)),
                            **{key: _like(parameter, tensors[f"{key}:{name}"]) for key in _MOMENTS},
                        }
            rows = [EpochMetrics(**row) for row in document.pop("metrics")]
            layers = [LayerMetrics(**row) for row in document.pop("layers")]
            return _checked(Progress(metrics=rows, layers=layers, **document))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"{self.state}: does not belong to this recipe: {error}"
            ) from error


def identity(recipe: Recipe) -> dict[str, Any]:
    """Return all of a recipe that must not change within a run, as JSON data."""
    tables = recipe.model_dump(mode="json", exclude_none=True)
    if recipe.training.lr_schedule != "cosine":  # it is stretched over all epochs
        del tables["training"]["epochs"]
    return tables


def _checked(progress: Progress) -> Progress:
    """Return the progress if it can be gone on from."""
    counts = {"epoch": progress.epoch, "batch": progress.batch, "correct": progress.correct}
    for name, value in counts.items():
        if not isinstance(value, int) or value < 0:
            raise ValueError(f"{name} = {value!r} is not a count")
    for name, sums in progress.activity.items():
        if len(sums) != 3 or not sums[0] > 0:
            raise ValueError(f"activity of {name} = {sums!r}")
    if progress.epoch != len(progress.metrics):
        raise ValueError(f"epoch = {progress.epoch}, but metrics of {len(progress.metrics)}")
    return progress


def _like(parameter: torch.Tensor, array: Any) -> torch.Tensor:  # noqa: ANN401 - numpy array
    return torch.from_numpy(array).to(parameter.device, copy=True)
