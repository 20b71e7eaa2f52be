"""Train, export, run and price every combination of a sweep, together with other processes."""

import itertools
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from tssl.datasets import Given
from tssl.errors import ConfigError, TargetError, TrainingError
from tssl.hw_profiles import load_profile
from tssl.machine.files import make_directory
from tssl.recipe import Recipe, full_key
from tssl.sweeps import (
    Choices,
    Claim,
    Count,
    Point,
    Range,
    Space,
    Study,
    SweepSpec,
    changed,
    check_installed,
    is_sweep,
    name_of,
    only_begun,
)
from tssl.trainer.progress import EpochMetrics
from tssl.workflow.data import recipe_with
from tssl.workflow.recipes import recipe_path
from tssl.workflow.sweep_outcome import SweepOutcome, outcome_of
from tssl.workflow.train import Environment
from tssl.workflow.trial import End, Place, TrainingWatcher

_WAIT = 1.0
"""Seconds between looks at what other processes do, when nothing is left to begin."""
_BITS = "weight_bits"
_OWN = {"training.seed": "--seeds", "name": "no option: all trials are of one recipe"}


class SweepWatcher(TrainingWatcher, Protocol):
    """Sees a sweep go on, and may end it."""

    def trial_begun(self, name: str, epochs: int) -> None:
        """Take note of a training, by what is special in it."""

    def counted(self, count: Count) -> None:
        """Take note of how far all processes are."""

    def trial_ended(self, name: str, how: str) -> None:
        """Take note of what came out."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A sweep that is checked and not begun."""

    folder: Path
    spec: SweepSpec
    recipe: Recipe


def prepare(
    recipe: str,
    over: Mapping[str, Space],
    settings: Mapping[str, Any],
    out: Path | None,
    environment: Environment,
    *,
    seeds: Sequence[int] | None = None,
    optimize: Sequence[str] = (),
    trials: int | None = None,
    samples: int = 1000,
) -> Prepared:
    """Check a sweep; nothing is written.

    Parameters
    ----------
    over
        Values to try by key of the recipe, ``target``, and ``export.weight_bits``.
    settings
        Changes to the recipe that all trials share.
    out
        Folder of the sweep; ``sweeps/NAME`` when None.
    seeds
        That of the recipe when None.

    Raises
    ------
    ConfigError
        When a key or value is wrong, or the folder holds another sweep or something else.
    BackendUnavailableError
        When Optuna is not installed.
    """
    base = recipe_with(recipe_path(recipe), settings, environment.data)
    data = environment.data
    try:
        spec = SweepSpec.model_validate(
            {
                "source": recipe if not Path(recipe).is_file() else os.path.abspath(recipe),
                "settings": dict(settings),
                "over": _with_full_keys(over),
                "seeds": (base.training.seed,) if seeds is None else tuple(seeds),
                "optimize": tuple(optimize),
                "trials": trials,
                "samples": samples,
                "data": None if data is None else str(base.data.path or base.data.name),
            }
        )
    except ValidationError as error:
        raise ConfigError(_explained(error)) from error
    prepared = Prepared(folder=out or Path("sweeps") / base.name, spec=spec, recipe=base)
    _check_values(prepared, recipe, data)
    check_folder(prepared)
    check_installed()  # last: importing it takes longer than all the rest
    return prepared


def check_folder(prepared: Prepared) -> None:
    """Refuse a folder that holds another sweep, or something else.

    Raises
    ------
    ConfigError
        With what is different.
    """
    folder = prepared.folder
    if not is_sweep(folder) and (not folder.is_dir() or only_begun(folder)):
        return
    if not is_sweep(folder):  # not even by now: others may be beginning it
        raise ConfigError(f"{folder}: is not empty and holds no sweep; choose another --out")
    kept, recipe = SweepSpec.load(folder)
    other = changed(recipe, prepared.recipe)
    if other is not None:
        raise ConfigError(
            f"{folder}: was begun with another recipe: {other}; change it back, or begin a new "
            "sweep with another --out"
        )
    for name in SweepSpec.model_fields:
        before, now = getattr(kept, name), getattr(prepared.spec, name)
        if before != now and name not in ("source", "settings"):  # the recipe says what they do
            raise ConfigError(
                f"{folder}: holds another sweep: its --{name} is not this; give that of before, or "
                "another --out"
            )


def sweep(prepared: Prepared, environment: Environment, watcher: SweepWatcher) -> SweepOutcome:
    """Do what is left of a sweep until all trials are finished or the watcher stops it.

    Raises
    ------
    TsslError
        When something else than a single combination is wrong. What is finished stays; the next
        call goes on.
    """
    folder = prepared.folder
    make_directory(folder)
    study = Study(folder, prepared.spec)
    with study.alone():
        check_folder(prepared)
        if not is_sweep(folder):
            prepared.spec.save(folder, prepared.recipe)
        spec, recipe = SweepSpec.load(folder)  # the first process says in which order
    prepared = replace(prepared, spec=spec, recipe=recipe)
    study = Study(folder, spec)
    study.fill()
    worker = _Worker(prepared, study, replace(environment, data=None), watcher)
    worker.work()
    outcome = outcome_of(folder, prepared.spec, study)
    if outcome.finished and not any(each.points for each in outcome.combinations):
        reasons = [*outcome.problems.values(), *(str(each.refused) for each in outcome.points)]
        if reasons:
            raise ConfigError(f"{folder}: no combination works; the first: {reasons[0]}")
    return outcome


class _Worker:
    """One process of a sweep."""

    def __init__(
        self, prepared: Prepared, study: Study, environment: Environment, watcher: SweepWatcher
    ) -> None:
        self._spec, self._study, self._watcher = prepared.spec, study, watcher
        self._training = prepared.recipe.training
        self._place = Place(
            folder=prepared.folder, spec=prepared.spec, environment=_once(environment)
        )

    def work(self) -> None:
        """Do trials until none is left, or somebody stops it."""
        while not self._watcher.stop_requested():
            count = self._study.count()
            self._watcher.counted(count)
            if count.is_finished:
                return
            with self._study.claim() as claim:
                if claim is not None:
                    self._do(claim)
            if claim is None:  # others do what is left; should one die, its trial is free
                time.sleep(_WAIT)
        self._watcher.counted(self._study.count())

    def _do(self, claim: Claim) -> None:
        job, points = self._spec.job(claim.values), []
        try:
            for index, seed in enumerate(job.seeds):
                name = self._spec.run_name(job.recipe, seed)
                with self._study.run_lock(name):
                    end = self._train(claim, name, job.recipe, seed, index)
                    if end is End.PRUNED:
                        claim.pruned()
                        self._watcher.trial_ended(name_of(claim.values), "pruned")
                    if end is not End.FINISHED:
                        return
                    for export in job.exports:
                        if self._watcher.stop_requested():
                            return
                        points.append(self._place.point(name, {**job.recipe, **export}, seed))
        except (ConfigError, TrainingError, TargetError) as error:
            claim.failed(points, str(error))
            self._watcher.trial_ended(name_of(claim.values), f"failed: {error}")
            return
        self._tell(claim, points)

    def _train(
        self, claim: Claim, name: str, settings: Mapping[str, Any], seed: int, index: int
    ) -> End:
        epochs = settings.get("training.epochs", self._training.epochs)
        self._watcher.trial_begun(name, epochs)

        def judge(metrics: EpochMetrics) -> bool:
            if len(self._spec.optimize) != 1:
                return False
            held_out = metrics.validation_accuracy
            accuracy = metrics.test_accuracy if held_out is None else held_out
            return claim.report(accuracy, index * epochs + metrics.epoch)

        return self._place.train(name, settings, seed, self._watcher, judge)

    def _tell(self, claim: Claim, points: Sequence[Point]) -> None:
        """Keep the points; a trial is as good as the mean over its points."""
        name = name_of(claim.values)
        goals = list(_goals(self._spec, points))
        if goals:
            claim.done(points, goals)
            where = "held-out samples" if self._spec.optimize else "the test set"
            self._watcher.trial_ended(name, f"chip accuracy {goals[0]:.2%} on {where}")
            return
        reasons = [point.refused for point in points if point.refused is not None]
        problem = reasons[0] if reasons else "the target has no energy to search for"
        claim.failed(points, problem)
        self._watcher.trial_ended(name, f"failed: {problem}")


def _goals(spec: SweepSpec, points: Sequence[Point]) -> Iterator[float]:
    """Yield accuracy and, where it is looked for, energy; nothing when a search lacks one."""
    counted = [point for point in points if point.refused is None]
    if not counted or (spec.optimize and len(counted) < len(points)):
        return
    energies = [point.energy for point in counted if point.energy is not None]
    if "energy" in spec.optimize and len(energies) < len(counted):
        return
    yield _mean([_accuracy(point) for point in counted])
    if "energy" in spec.optimize:
        yield _mean(energies)


def _accuracy(point: Point) -> float:
    held_out = point.held_out_accuracy
    return (point.chip_accuracy or 0.0) if held_out is None else held_out


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _once(environment: Environment) -> Environment:
    """Return an environment that says each warning about the data a single time."""
    warn, said = environment.on_warning, set[str]()

    def first(text: str) -> None:
        if warn is not None and text not in said:
            said.add(text)
            warn(text)

    return replace(environment, on_warning=first)


def _with_full_keys(over: Mapping[str, Space]) -> dict[str, Space]:
    found: dict[str, Space] = {}
    for key, space in over.items():
        full = _full(key)
        if full in _OWN:
            raise ConfigError(f"--over {key}: is for {_OWN[full]}")
        if full in found:
            raise ConfigError(f"--over {key}: is given twice")
        found[full] = space
    return found


def _full(key: str) -> str:
    if key in ("target", "export.weight_bits") or key.startswith("export.weight_bits."):
        return key
    if key == _BITS:
        return f"export.{key}"
    if key.startswith("export."):
        raise ConfigError(
            f"--over {key}: of an export only export.weight_bits, or "
            "export.weight_bits.LAYER, can be tried"
        )
    return full_key(key)


def _check_values(prepared: Prepared, recipe: str, data: Given | None) -> None:
    """Refuse values that no recipe, chip or export takes, before anything is begun."""
    spec = prepared.spec
    for key, space in spec.of_export.items():
        for value in space.ends:
            if key == "target":
                load_profile(value if isinstance(value, str) else repr(value))
            elif type(value) is not int or value < 1:
                raise ConfigError(f"--over {key}: {value!r} is no number of bits")
    if isinstance(spec.over.get("target"), Range):
        raise ConfigError("--over target: name some; there is nothing between chips")
    path, tried = recipe_path(recipe), spec.of_recipe
    for values in _tried(spec, tried):
        recipe_with(path, {**spec.settings, **dict(zip(tried, values, strict=True))}, data)


def _tried(spec: SweepSpec, tried: Mapping[str, Space]) -> Iterator[tuple[Any, ...]]:
    """Yield values of the recipe's keys to check: all of a grid; of a search, ends and choices."""
    ends = [space.ends for space in tried.values()]
    if not spec.optimize:
        yield from itertools.product(*ends)
        return
    first = tuple(each[0] for each in ends)
    yield first
    yield tuple(each[-1] for each in ends)
    for place, space in enumerate(tried.values()):
        for value in space.ends if isinstance(space, Choices) else ():
            yield (*first[:place], value, *first[place + 1 :])


def _explained(error: ValidationError) -> str:
    """Return the first complaint, with the option that it is about."""
    problem = error.errors()[0]
    message = problem["msg"].removeprefix("Value error, ")
    match problem["loc"]:
        case ():
            return message
        case ("over", key, *_):
            return f"--over {key}: {message}"
        case (option, *_):
            return f"--{option}: {message} (given: {problem['input']!r:.60})"
    return message
