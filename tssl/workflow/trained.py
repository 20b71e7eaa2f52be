"""Look at the folder of a training run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tssl.checkpoint import Checkpoint
from tssl.recipe import Recipe
from tssl.tables import Shown, Table
from tssl.trainer.run_directory import RunDirectory
from tssl.wording import several

__all__ = ["RunInspection", "inspect_run"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class RunInspection(Shown):
    """How far a training run is, and how good it became.

    Parameters
    ----------
    best, last
        Of the epoch that is kept, and of the last finished one; None before the first.
    """

    directory: Path
    recipe: Recipe
    best: Checkpoint | None
    last: Checkpoint | None

    @property
    def epochs(self) -> int:
        """Epochs that are done; 0 of a network that comes from elsewhere."""
        return 0 if self.last is None else int(self.last.provenance.get("epoch", 0))

    @property
    def was_read(self) -> bool:
        """Whether the network was trained elsewhere and only read."""
        return self.best is not None and "nir" in self.best.provenance

    @property
    def finished(self) -> bool:
        """Whether no epoch is left, or the patience is over."""
        if self.was_read or self.best is None or self.last is None:
            return self.was_read
        training = self.recipe.training
        if training.forward == "chip" and self.last.plan is None:
            return False
        since = self.epochs - int(self.best.provenance.get("epoch", 0))
        return self.epochs >= training.epochs or 0 < training.patience <= since

    @property
    def commands(self) -> list[str]:
        """What to do next."""
        resume = [] if self.finished else [f"tssl train --resume {self.directory}"]
        export = [] if self.best is None else [f"tssl export {self.directory} --target loihi2"]
        return resume + export

    @property
    def accuracies(self) -> dict[str, float]:
        """Of the epoch that is kept, by the name of the samples, as shares; none before it."""
        known = {} if self.best is None else self.best.provenance
        keys = {"test": "test_accuracy", "held-out": "validation_accuracy"}
        return {name: float(known[key]) for name, key in keys.items() if key in known}

    @property
    def headline(self) -> str:
        """The run and how far it is."""
        return f"{self.directory}: {self._done}"

    @property
    def _done(self) -> str:
        if self.was_read:
            return "trained elsewhere"
        return f"{self.epochs} of {several(self.recipe.training.epochs, 'epoch')}"

    def tables(self) -> list[Table]:
        """Return a table of the run."""
        description = self.recipe.description
        name = f"{self.recipe.name}: {description}" if description else self.recipe.name
        rows = [["recipe", name], ["epochs", self._done]]
        if self.best is not None and self.accuracies:
            measure = self.best.read_out.measure
            shares = ", ".join(f"{part} {share:.2%}" for part, share in self.accuracies.items())
            kept = f"epoch {self.best.provenance['epoch']}, {measure}: {shares}"
            rows.append(["best", kept])
        rows.append(["next", " or ".join(f"`{each}`" for each in self.commands)])
        return [Table(f"Training run {self.directory}", ["", ""], rows)]

    def document(self) -> dict[str, Any]:
        """Return the run as JSON data."""
        kept = None if self.best is None else self.best.provenance.get("epoch")
        return {
            "schema_version": 1,
            "directory": str(self.directory),
            "recipe": self.recipe.name,
            "epochs": self.epochs,
            "epochs_wanted": self.recipe.training.epochs,
            "finished": self.finished,
            "best_epoch": kept,
            "accuracies": self.accuracies,
            "next": self.commands,
        }


def inspect_run(directory: Path) -> RunInspection:
    """Say how far a training run is.

    Raises
    ------
    CheckpointError, ConfigError
        When its weights or its recipe are damaged.
    """
    run = RunDirectory(directory)
    best, last = (Checkpoint.load(path) if path.exists() else None for path in (run.best, run.last))
    return RunInspection(directory=directory, recipe=run.load_recipe(), best=best, last=last)
