"""The folder of a training run: what is in it, and how a run goes on where it stopped."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
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
from tssl.machine.files import held, make_directory, remove, write_text, written
from tssl.recipe import Recipe, load_recipe, recipe_from_tables
from tssl.trainer.optimization import AdamW
from tssl.trainer.progress import EpochMetrics, LayerMetrics, TrainingProgress, stored_progress

__all__ = ["RunDirectory", "identity"]

_MOMENTS = ("exp_avg", "exp_avg_sq")
_LOCK = ".lock"


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
    def answers(self) -> Path:
        """The numbers that the best weights say of the test samples against those wanted, PNG."""
        return self.path / "answers.png"

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

    def check_unchanged(self, progress: TrainingProgress) -> None:
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

    def save_metrics(self, progress: TrainingProgress) -> None:
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
        optimizer: AdamW,
        progress: TrainingProgress,
        plan: ChipPlan | None,
        data_folders: Mapping[str, str],
    ) -> None:
        """Write everything needed to go on bit for bit, and where the data are."""
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
        if data_folders:
            document["data_folders"] = dict(data_folders)
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

    def data_folders(self) -> Any:  # noqa: ANN401 - unvalidated JSON
        """Return the folders in which the run in this folder looked for its data first, or None.

        Raises
        ------
        CheckpointError
            When the state is damaged.
        """
        return load_tensors(self.state)[1].get("data_folders") if self.has_state else None

    def load_state(self, recipe: Recipe, network: nn.Module, optimizer: AdamW) -> TrainingProgress:
        """Restore weights and optimiser; a run that never got to save starts anew.

        Raises
        ------
        CheckpointError
            When the state is damaged or belongs to another recipe.
        """
        if not self.has_state:
            return TrainingProgress()
        tensors, document = load_tensors(self.state)
        del document["format_version"]
        for key in ("plan", "data_folders"):
            document.pop(key, None)
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
            return stored_progress(document)
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


def _stored(tensors: dict[str, Any], name: str, parameter: torch.Tensor) -> torch.Tensor:
    """Return a copy of a stored tensor that may stand for a parameter or one of its moments."""
    array = tensors[name]
    stored = torch.from_numpy(array).to(parameter.device, copy=True)
    if stored.dtype != parameter.dtype or stored.shape != parameter.shape:
        raise ValueError(f"{name} is {array.dtype} {array.shape}")
    if not stored.isfinite().all():
        raise ValueError(f"{name} holds values that are not finite")
    return stored
