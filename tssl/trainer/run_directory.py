"""The folder of a training run: what is in it, and who may train there."""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from tssl.checkpoint import Checkpoint
from tssl.errors import CheckpointError, ConfigError
from tssl.machine.files import held, make_directory, remove, write_text, written
from tssl.recipe import Recipe, load_recipe
from tssl.trainer.progress import EpochMetrics, LayerMetrics, TrainingProgress
from tssl.trainer.run_state import RunState

__all__ = ["RunDirectory"]

_LOCK = ".lock"


@dataclass(frozen=True)
class RunDirectory:
    """Paths of a training run."""

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

    def read_state(self) -> RunState | None:
        """Return the state that the run goes on from; None where it never got to save.

        A state without a recipe is of a run that never began.

        Raises
        ------
        CheckpointError
            When it is damaged.
        """
        if not (self.state.exists() and self.recipe.exists()):
            return None
        return RunState.read(self.state)

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
            return RunState.read(self.state).place == (0, 0)
        except CheckpointError:
            return False

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
        if RunState.read(self.state).place != (progress.epoch, progress.batch):
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
