"""Train a network from a recipe, or go on with a run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tssl import datasets
from tssl.checkpoint import Checkpoint, ChipPlan
from tssl.chip import ValueReadOut
from tssl.datasets import Dataset, Given
from tssl.errors import BackendUnavailableError, CheckpointError, ConfigError, TrainingError
from tssl.machine.pictures import save_figure
from tssl.recipe import Recipe, load_recipe
from tssl.results import confusion_of
from tssl.tables import Shown, Table
from tssl.trainer.checks import choose_device
from tssl.trainer.evaluation import said_and_wanted
from tssl.trainer.fit import Fit
from tssl.trainer.memory import explained_lack
from tssl.trainer.parallel import is_first_process
from tssl.trainer.progress import EpochMetrics, LayerMetrics, Watcher
from tssl.trainer.run_directory import RunDirectory
from tssl.trainer.run_state import identity
from tssl.trainer.tensorboard import TensorBoard
from tssl.wording import several
from tssl.workflow.data import folders_of, known_folder, load_splits, recipe_with, seen_before
from tssl.workflow.recipes import recipe_path
from tssl.workflow.sources import checkpoint_file
from tssl.workflow.tables import epochs

DEFAULT_TARGET = "loihi2"


@dataclass(frozen=True, kw_only=True, repr=False)
class TrainOutcome(Shown):
    """Where a run is and how it went.

    Parameters
    ----------
    finished
        False when it was stopped before the last epoch.
    metrics
        One entry per finished epoch.
    best
        The entry whose weights are in ``best.safetensors``; None before the first epoch.
    """

    directory: Path
    recipe: Recipe
    finished: bool
    metrics: tuple[EpochMetrics, ...]
    best: EpochMetrics | None

    @property
    def choice(self) -> str | None:
        """How the best epoch was chosen, in words; None before the first."""
        if self.best is None:
            return None
        if self.best.validation_accuracy is None:
            return "nothing is held out, the last is kept"
        return "chosen on held-out samples"

    @property
    def headline(self) -> str:
        """Where the run is and how good it became."""
        text = f"{self.directory}: {several(len(self.metrics), 'epoch')}"
        if self.best is not None:
            text += f", epoch {self.best.epoch} kept: {self.best.told}"
        return text if self.finished else f"{text}, not finished"

    def tables(self) -> list[Table]:
        """Return how the epochs went."""
        return [epochs(self.metrics, self.headline)]

    def document(self) -> dict[str, Any]:
        """Return the outcome as JSON data."""
        return {
            "schema_version": 1,
            "directory": str(self.directory),
            "recipe": self.recipe.name,
            "finished": self.finished,
            "epochs": len(self.metrics),
            "choice": self.choice,
            "best": None if self.best is None else asdict(self.best),
            "last": asdict(self.metrics[-1]) if self.metrics else None,
        }


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What a run needs beside its recipe.

    Parameters
    ----------
    data
        In place of what the recipe names.
    data_dir
        Folder to look for data files in first.
    device
        ``auto``, ``cpu`` or ``cuda``.
    on_download
        Told about files being downloaded.
    on_warning
        Told what is unusual about the data.
    """

    data: Given | None = None
    data_dir: Path | None = None
    device: str = "auto"
    on_download: datasets.Progress | None = None
    on_warning: datasets.Warn | None = None


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A trained network to go on from.

    Parameters
    ----------
    run
        Folder of a run, or a checkpoint file.
    target
        Hardware profile whose integers ``training.forward = 'chip'`` computes with;
        ``DEFAULT_TARGET`` when None.
    """

    run: Path
    target: str | None = None

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The trained network.

        Raises
        ------
        CheckpointError
            When there is none.
        """
        return Checkpoint.load(checkpoint_file(self.run))


def start(
    recipe: str | None,
    settings: Mapping[str, Any],
    out: Path | None,
    environment: Environment,
    origin: Origin | None = None,
) -> Fit:
    """Prepare a new run; nothing is written when the recipe or the data are wrong.

    Parameters
    ----------
    recipe
        A shipped name or the path of a TOML file; the origin's own when None.
    settings
        Changes to the recipe by key, see :func:`tssl.recipe.load_recipe`.
    out
        Folder of the run; ``runs/NAME`` when None, or ``runs/NAME-chip`` for the chip's integers.
    origin
        Where the weights come from; random when None.

    Raises
    ------
    ConfigError, DataError
        See :func:`tssl.recipe.load_recipe` and :func:`tssl.datasets.load`.
    """
    loaded = recipe_with(_recipe_file(recipe, origin), settings, environment.data)
    suffix = "-chip" if loaded.training.forward == "chip" else ""
    run = RunDirectory(out or Path("runs") / f"{loaded.name}{suffix}")
    if is_first_process():
        run.check_free()
    fit = _fit(loaded, run, environment, origin)
    if is_first_process():
        run.create(loaded, None if origin is None else fit.save_start)
    return fit


def resume(
    directory: Path, recipe: str | None, settings: Mapping[str, Any], environment: Environment
) -> Fit:
    """Prepare to go on with a run; only ``training.epochs`` may be changed.

    Parameters
    ----------
    recipe
        When given, it must be the one that the run was started with.

    Raises
    ------
    CheckpointError
        When there is no run, or its state is damaged, or missing after more than one epoch.
    ConfigError
        When a setting would change anything else.
    """
    run = RunDirectory(directory)
    stored = run.load_recipe()
    changed = load_recipe(run.recipe if recipe is None else recipe_path(recipe), settings)
    if identity(changed) != identity(stored):
        raise ConfigError(
            f"--resume {directory}: only --epochs may change; start a new run for anything else"
        )
    known = Checkpoint.load(run.last).provenance if run.last.exists() else {}
    if known.get("epoch", 0) > 1 and not run.state.exists():  # the first one is soon done again
        raise CheckpointError(
            f"{run.state}: is missing, though {known['epoch']} epochs were trained; put it back, "
            f"or start another run from the weights: `tssl train --from {directory} --out FOLDER`"
        )
    with seen_before(known):
        fit = _fit(changed, run, environment)
    if changed != stored:
        _check_more(fit, changed)
        if is_first_process():
            run.save_recipe(changed)
    _check_data(fit, known.get("fingerprint"), environment.on_warning)
    return fit


def _check_more(fit: Fit, changed: Recipe) -> None:
    """Refuse a number of epochs that are done already: it may have been meant to come on top."""
    wanted, done = changed.training.epochs, fit.progress.epoch
    if wanted <= done:
        raise ConfigError(
            f"--epochs {wanted}: is the number of all epochs, and {done} are done in "
            f"{fit.run.path}; give at least {done + 1}"
        )


def _check_data(fit: Fit, stored: str | None, warn: datasets.Warn | None) -> None:
    """Warn when a run goes on with other data than those of its last epoch, by fingerprint."""
    if warn is not None and stored not in (None, fit.train.dataset.fingerprint):
        warn(
            f"data set {fit.train.dataset.name}: is not the one that {fit.run.path} was trained "
            f"on so far: SHA-256 {fit.train.dataset.fingerprint:.12}..., it was {stored:.12}..."
        )


def train(fit: Fit, watcher: Watcher, *, tensorboard: bool = False) -> TrainOutcome:
    """Train until the last epoch or until the watcher stops it, and draw how it went.

    Raises
    ------
    TrainingError
        When training cannot go on. A folder in which nothing was saved is free again.
    BackendUnavailableError
        When TensorBoard is wanted and not installed.
    """
    try:
        if tensorboard and is_first_process():
            board = TensorBoard(fit.run.path, finished_epochs=fit.progress.epoch)
            watcher = _Both(watcher, board)
        with explained_lack(fit.group.device):
            finished = fit.fit(watcher)
    except (TrainingError, BackendUnavailableError):
        fit.run.free_if_empty()
        raise
    rows = tuple(fit.progress.metrics)
    if rows and is_first_process():
        _draw(fit)
    return TrainOutcome(
        directory=fit.run.path,
        recipe=fit.recipe,
        finished=finished,
        metrics=rows,
        best=fit.progress.best if rows else None,
    )


class _Both:
    """A watcher that passes finished epochs on to TensorBoard."""

    def __init__(self, watcher: Watcher, board: TensorBoard) -> None:
        self.batch_done, self.stop_requested = watcher.batch_done, watcher.stop_requested
        self._watcher, self._board = watcher, board

    def epoch_done(self, metrics: EpochMetrics, layers: list[LayerMetrics]) -> None:
        self._watcher.epoch_done(metrics, layers)
        self._board.epoch_done(metrics, layers)


def _draw(fit: Fit) -> None:
    from tssl.trainer import figures  # loads matplotlib

    save_figure(figures.learning_curve(fit.progress.metrics), fit.run.learning_curve)
    best = fit.progress.best
    kept = Checkpoint.load(fit.run.best)
    said, wanted = said_and_wanted(kept, fit.test)
    if isinstance(kept.read_out, ValueReadOut):
        title = f"epoch {best.epoch}: {best.told}"
        save_figure(figures.said_and_wanted(said, wanted, title), fit.run.answers)
        return
    title = f"epoch {best.epoch}: {best.test_accuracy:.2%} of the test set"
    data = fit.test.dataset
    found = confusion_of(said, wanted, names=data.class_names, classes=data.classes)
    save_figure(figures.confusion_matrix(found, title), fit.run.confusion)


def _recipe_file(recipe: str | None, origin: Origin | None) -> Path:
    if recipe is not None:
        return recipe_path(recipe)
    if origin is None:
        raise ConfigError("give a recipe")
    path = RunDirectory(origin.run).recipe
    if not path.exists():
        raise ConfigError(f"--from {origin.run}: holds no recipe.toml; name the recipe too")
    return path


def _starting_point(recipe: Recipe, origin: Origin, train: Dataset) -> Checkpoint:
    """Return the origin's weights under the new recipe, with the grid of the chip if wanted."""
    found, folder = origin.checkpoint, checkpoint_file(origin.run).parent
    for part in ("network", "encoding"):
        if getattr(found.recipe, part) != getattr(recipe, part):
            raise ConfigError(
                f"--from {origin.run}: was trained with another [{part}] than recipe "
                f"{recipe.name}; use its own recipe: {folder / 'recipe.toml'}"
            )
    if found.input_shape != train.shape:
        raise ConfigError(
            f"--from {origin.run}: was trained on samples of shape {found.input_shape}; those of "
            f"data set {train.name} have {train.shape}"
        )
    return replace(found, recipe=recipe, plan=_plan(found, recipe, origin, train))


def _plan(found: Checkpoint, recipe: Recipe, origin: Origin, train: Dataset) -> ChipPlan | None:
    """Return the grid of integers to train on: that of before where the target holds it."""
    if recipe.training.forward == "float":
        if origin.target is not None:
            raise ConfigError(
                f"--target {origin.target}: says whose integers forward=chip computes with; "
                "add --set forward=chip or leave it out"
            )
        return None
    return _plan_on(origin.target or DEFAULT_TARGET, found, train)


def _plan_on(target: str, found: Checkpoint, train: Dataset) -> ChipPlan:
    """Return the network's own grid of integers where the target holds it, otherwise a new one."""
    # half a second of imports, which training in floating point has no use for
    from tssl.hw_profiles import load_profile
    from tssl.workflow.export import chip_plan

    profile = load_profile(target)
    if found.plan is not None and max(found.plan.largest_weights.values()) <= (
        profile.limits.largest_weight
    ):
        return found.plan
    return chip_plan(replace(found, plan=None), profile, train)


def _fit(
    recipe: Recipe, run: RunDirectory, environment: Environment, origin: Origin | None = None
) -> Fit:
    device = choose_device(environment.device)
    data = recipe.data.name if environment.data is None else environment.data
    if origin is not None:
        kept = origin.checkpoint.provenance.get("data_folders")
    else:
        state = run.read_state()
        kept = None if state is None else state.data_folders
    folder = known_folder(data, environment.data_dir, kept)
    train_split, test_split = load_splits(
        recipe,
        folder,
        environment.on_download,
        environment.on_warning,
        environment.data,
    )
    start = None if origin is None else _starting_point(recipe, origin, train_split)

    def planner(checkpoint: Checkpoint) -> ChipPlan:
        return _plan_on(DEFAULT_TARGET, checkpoint, train_split)

    with explained_lack(device):
        return Fit(
            recipe,
            run,
            train_split,
            test_split,
            device,
            start,
            planner,
            data_folders=folders_of(data, folder),
        )
