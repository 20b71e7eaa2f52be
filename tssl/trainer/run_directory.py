"""The folder of a training run: what is in it, and how a run goes on where it stopped."""

import csv
import io
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
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
from tssl.files import held, make_directory, remove, write_text, written
from tssl.spec import Recipe, load_recipe, recipe_from_tables

_MOMENTS = ("exp_avg", "exp_avg_sq")
_LOCK = ".lock"


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
    integers_from
        Epochs before the chip's integers began, in floating point; they do not count for the best.
    """

    epoch: int = 0
    batch: int = 0
    integers_from: int = 0
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
        self.loss_sum, self.correct, self.seconds, self.activity = 0.0, 0, 0.0, {}

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

    @property
    def has_state(self) -> bool:
        """Whether a run got to save; a state without a recipe is of one that never began."""
        return self.state.exists() and self.recipe.exists()

    def check_free(self) -> None:
        """Refuse to start a second run in this folder.

        Raises
        ------
        ConfigError
            When it already holds one, or a part of one.
        """
        files = any(path.exists() for path in (self.recipe, self.best, self.last))
        if files or (self.state.exists() and not self._never_began()):
            raise ConfigError(
                f"{self.path}: already holds a run; go on with `tssl train --resume {self.path}` "
                "or choose another folder with --out"
            )

    def _never_began(self) -> bool:
        """Whether the state is that of a start that was killed: weights to begin with, no batch."""
        try:
            _, document = load_tensors(self.state)
        except CheckpointError:
            return False
        return document.get("epoch") == document.get("batch") == 0

    def create(self, recipe: Recipe, save_start: Callable[[], None] | None = None) -> None:
        """Start a run here; see :meth:`check_free`.

        Parameters
        ----------
        save_start
            Saves the weights that it starts from. The recipe, which makes a run of the folder,
            comes after them.
        """
        self.check_free()
        make_directory(self.path)
        with self.alone():
            self.check_free()
            if save_start is not None:
                save_start()
            else:
                remove(self.state)  # of a start that was killed
            self._write_recipe(recipe)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every other process from training in this folder.

        Raises
        ------
        ConfigError
            When one does.
        OutputError
            When nothing can be written here.
        """
        with held(self.path / _LOCK) as is_ours:
            if not is_ours:
                raise ConfigError(
                    f"{self.path}: another tssl is training here; wait for it, or choose another "
                    "folder with --out"
                )
            yield

    def check_unchanged(self, progress: Progress) -> None:
        """Refuse to go on when another process trained here since the state was read.

        Raises
        ------
        ConfigError
            When one did.
        """
        if not self.state.exists():
            return
        _, document = load_tensors(self.state)
        if (document.get("epoch"), document.get("batch")) != (progress.epoch, progress.batch):
            raise ConfigError(
                f"{self.path}: another tssl trained here in the meantime; give the command again"
            )

    def free_if_empty(self) -> None:
        """Take the recipe away from a run that saved nothing, so that it can be started anew.

        The folder goes too when nothing else is in it.
        """
        if not self.state.exists():
            remove(self.recipe)
            with suppress(OSError):  # it is not empty
                self.path.rmdir()

    def save_recipe(self, recipe: Recipe) -> None:
        """Write the resolved recipe anew; see :meth:`alone`."""
        with self.alone():
            self._write_recipe(recipe)

    def _write_recipe(self, recipe: Recipe) -> None:
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
            steps = max(steps, int(moments.get("step", 0)))
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
        if not self.has_state:
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
        if not self.has_state:
            return Progress()
        tensors, document = load_tensors(self.state)
        del document["format_version"]
        document.pop("plan", None)
        if self._stored_identity(document.pop("recipe", None)) != identity(recipe):
            raise CheckpointError(f"{self.state}: belongs to another recipe than {self.recipe}")
        steps = document.pop("steps", 0)
        try:
            with torch.no_grad():
                for name, parameter in network.named_parameters():
                    parameter.copy_(_stored(tensors, name, parameter))
                    if steps and parameter.requires_grad:
                        moments = {k: _stored(tensors, f"{k}:{name}", parameter) for k in _MOMENTS}
                        step = torch.tensor(float(steps), device=parameter.device)
                        optimizer.state[parameter] = {"step": step, **moments}
            return _progress(document)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"{self.state}: does not belong to this recipe: {error}"
            ) from error

    def _stored_identity(self, tables: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Return the identity of a stored recipe, in which keys may be missing that are newer."""
        try:
            return identity(recipe_from_tables(tables, str(self.state)))
        except (ConfigError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{self.state}: holds no recipe: {error}") from error


def identity(recipe: Recipe) -> dict[str, Any]:
    """Return all of a recipe that must not change within a run, as JSON data."""
    tables = recipe.model_dump(mode="json", exclude_none=True, by_alias=True)
    if recipe.training.lr_schedule != "cosine":  # it is stretched over all epochs
        del tables["training"]["epochs"]
    return tables


def _held_out(metrics: list[EpochMetrics]) -> list[float]:
    """Return the held-out accuracy of every epoch; nothing when nothing is held out."""
    rows = [row.validation_accuracy for row in metrics]
    return [accuracy for accuracy in rows if accuracy is not None]


def _progress(document: dict[str, Any]) -> Progress:
    """Return the stored progress if it can be gone on from."""
    unknown = document.keys() - {each.name for each in fields(Progress)}
    if unknown:
        raise ValueError(f"unknown keys {', '.join(sorted(unknown))}")
    progress = TypeAdapter(Progress).validate_json(json.dumps(document), strict=True)
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


def _stored(tensors: dict[str, Any], name: str, parameter: torch.Tensor) -> torch.Tensor:
    """Return a copy of a stored tensor that may stand for a parameter or one of its moments."""
    array = tensors[name]
    stored = torch.from_numpy(array).to(parameter.device, copy=True)
    if stored.dtype != parameter.dtype or stored.shape != parameter.shape:
        raise ValueError(f"{name} is {array.dtype} {array.shape}")
    if not stored.isfinite().all():
        raise ValueError(f"{name} holds values that are not finite")
    return stored
