"""What a run needs to go on where it stopped, to the bit: its file ``state.safetensors``."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tssl.checkpoint import FORMAT_VERSION, ChipPlan, chip_plan, load_tensors, save_tensors
from tssl.errors import CheckpointError, ConfigError
from tssl.recipe import Recipe, recipe_from_tables
from tssl.trainer.optimization import AdamW
from tssl.trainer.progress import TrainingProgress, stored_progress

__all__ = ["RunState", "identity", "save_run_state"]

_MOMENTS = ("exp_avg", "exp_avg_sq")
_BESIDE_PROGRESS = ("format_version", "recipe", "steps", "plan", "data_folders")


def save_run_state(
    path: Path,
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
    save_tensors(path, tensors, document)


@dataclass(frozen=True, eq=False)
class RunState:
    """A state as it was read; what it holds is checked where it is asked for.

    Parameters
    ----------
    path
        Of its file, which messages name.
    tensors
        Parameters by name, and moments of AdamW by ``KEY:NAME``.
    document
        The rest, JSON data.
    """

    path: Path
    tensors: Mapping[str, Any]
    document: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> "RunState":
        """Return the state in a file.

        Raises
        ------
        CheckpointError
            When the file is damaged.
        """
        return cls(path, *load_tensors(path))

    @property
    def place(self) -> tuple[Any, Any]:
        """Epoch and batch at which the run stopped."""
        return self.document.get("epoch"), self.document.get("batch")

    @property
    def data_folders(self) -> Any:  # noqa: ANN401 - unvalidated JSON
        """Folders in which the run looked for its data first, or None."""
        return self.document.get("data_folders")

    def plan(self) -> ChipPlan | None:
        """Return the grid of integers that the run is trained on, if any.

        Raises
        ------
        CheckpointError
            When there is something else.
        """
        try:
            return chip_plan(self.document.get("plan"))
        except (TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"{self.path}: holds no valid plan: {error}") from error

    def restore(self, recipe: Recipe, network: nn.Module, optimizer: AdamW) -> TrainingProgress:
        """Give network and optimiser what they had; return how far the run is.

        Raises
        ------
        CheckpointError
            When the state belongs to another recipe.
        """
        if self._identity() != identity(recipe):
            raise CheckpointError(f"{self.path}: belongs to another recipe than that in its folder")
        steps = self.document.get("steps", 0)
        left = {key: each for key, each in self.document.items() if key not in _BESIDE_PROGRESS}
        try:
            with torch.no_grad():
                for name, parameter in network.named_parameters():
                    parameter.copy_(self._tensor(name, parameter))
                    if steps and parameter.requires_grad:
                        moments = {k: self._tensor(f"{k}:{name}", parameter) for k in _MOMENTS}
                        step = torch.tensor(float(steps), device=parameter.device)
                        optimizer.state[parameter] = {"step": step, **moments}
            return stored_progress(left)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"{self.path}: does not belong to this recipe: {error}"
            ) from error

    def _identity(self) -> dict[str, Any]:
        """Return the identity of the stored recipe, in which keys may be missing that are newer."""
        tables: Any = self.document.get("recipe")
        try:
            return identity(recipe_from_tables(tables, str(self.path)))
        except (ConfigError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{self.path}: holds no recipe: {error}") from error

    def _tensor(self, name: str, parameter: torch.Tensor) -> torch.Tensor:
        """Return a copy of a tensor that may stand for a parameter or one of its moments."""
        array = self.tensors[name]
        stored = torch.from_numpy(array).to(parameter.device, copy=True)
        if stored.dtype != parameter.dtype or stored.shape != parameter.shape:
            raise ValueError(f"{name} is {array.dtype} {array.shape}")
        if not stored.isfinite().all():
            raise ValueError(f"{name} holds values that are not finite")
        return stored


def identity(recipe: Recipe) -> dict[str, Any]:
    """Return all of a recipe that must not change within a run, as JSON data."""
    tables = recipe.model_dump(mode="json", exclude_none=True, by_alias=True)
    if recipe.training.lr_schedule != "cosine":  # it is stretched over all epochs
        del tables["training"]["epochs"]
    return tables
