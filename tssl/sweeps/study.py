"""Which process does which trial: Optuna's study in a journal, and a lock for each trial.

Optuna keeps the trials, samples and prunes. A file lock is what it has not: it says whether the
process that does a trial is alive, on any machine that shares the folder.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tssl.errors import BackendUnavailableError, DataError, OutputError
from tssl.machine.files import make_directory
from tssl.sweeps.outcome import Count, Point
from tssl.sweeps.spaces import Choices, Range, Space
from tssl.sweeps.spec import JOURNAL, LOCKS, SweepSpec
from tssl.wording import reason_of

if TYPE_CHECKING:
    import optuna
    from filelock import BaseFileLock

__all__ = ["Claim", "Study", "check_installed"]

_DAMAGE = (ValueError, LookupError, TypeError, AttributeError, AssertionError)
"""What Optuna raises where a line of the journal is not what it wrote; some without a text."""
_NAME = "sweep"
_STARTUP_TRIALS = 5
_POINTS, _PROBLEM = "points", "problem"


def check_installed() -> None:
    """Refuse to go on without Optuna.

    Raises
    ------
    BackendUnavailableError
        When it, or filelock, is not installed.
    """
    try:
        import filelock  # noqa: F401
        import optuna  # noqa: F401
    except ImportError as error:
        raise BackendUnavailableError(
            f"sweeps: {error}; install what keeps their trials with: pip install 'tssl[sweep]'"
        ) from error


class Claim:
    """A trial that this process alone does, as long as it lives.

    Parameters
    ----------
    number
        Of the trial, from 0.
    values
        By key of the sweep, or of :meth:`SweepSpec.grid`.
    """

    def __init__(self, trial: "optuna.Trial", values: Mapping[str, Any], folder: Path) -> None:
        self._trial, self._folder = trial, folder
        self.number, self.values = trial.number, values
        frozen = trial.study.get_trials(deepcopy=False)[trial.number]
        self._reported = set(frozen.intermediate_values)

    def report(self, accuracy: float, step: int) -> bool:
        """Note how good a training is so far; return whether it is not worth going on with."""
        with _as_output_errors(self._folder):
            if step not in self._reported:  # by the process that died
                self._trial.report(accuracy, step)
            return self._trial.should_prune()

    def done(self, points: Sequence[Point], goals: Sequence[float]) -> None:
        """Keep what came out; ``goals`` in the order of the study's directions."""
        with _as_output_errors(self._folder):
            self._trial.set_user_attr(_POINTS, [point.document() for point in points])
            self._trial.study.tell(self._trial, list(goals))

    def failed(self, points: Sequence[Point], problem: str) -> None:
        """Keep what came out, and why that was not enough."""
        from optuna.trial import TrialState

        with _as_output_errors(self._folder):
            self._trial.set_user_attr(_POINTS, [point.document() for point in points])
            self._trial.set_user_attr(_PROBLEM, problem)
            self._trial.study.tell(self._trial, state=TrialState.FAIL)

    def pruned(self) -> None:
        """Give the trial up."""
        from optuna.trial import TrialState

        with _as_output_errors(self._folder):
            self._trial.study.tell(self._trial, state=TrialState.PRUNED)


class Study:
    """The trials of a sweep in its folder.

    Parameters
    ----------
    folder
        Of the sweep.
    """

    def __init__(self, folder: Path, spec: SweepSpec) -> None:
        check_installed()
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._folder, self._spec = folder, spec
        try:
            with _as_output_errors(folder):
                self._storage = _storage(folder / JOURNAL)
        except _DAMAGE as error:
            reason = reason_of(error) if str(error) else "its lines contradict each other"
            raise DataError(
                f"{folder / JOURNAL}: is damaged: {reason:.80}; delete it and give the command of "
                "the sweep again: finished trainings are kept"
            ) from error
        self._study: optuna.Study | None = None

    def fill(self) -> None:
        """Make the trials that are not there yet; what was made stays.

        Trials get their numbers in the order of the grid, whoever makes them.
        """
        import optuna

        wanted = optuna.study.StudyDirection
        directions = [wanted.MAXIMIZE, wanted.MINIMIZE][: len(self._spec.optimize) or 1]
        with _as_output_errors(self._folder), self.alone():
            study = self._loaded() or optuna.create_study(
                study_name=_NAME, storage=self._storage, directions=directions
            )
            there = len(study.get_trials(deepcopy=False))
            for values in self._queue()[there:]:
                study.enqueue_trial({key: _coded(value) for key, value in values.items()})
        self._study = study

    def alone(self) -> "BaseFileLock":
        """Return a lock that one process of all has."""
        return _lock(self._folder, "sweep")

    @contextmanager
    def run_lock(self, name: str) -> Iterator[None]:
        """Wait until no other process trains or exports in the folder of a run, then keep it so."""
        lock = _lock(self._folder, f"run-{name}")
        with _as_output_errors(self._folder):
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def claim(self) -> Iterator[Claim | None]:
        """Yield a trial to do, or None when all are finished or being done by others.

        One whose process died comes first. When the block ends before the trial is done, failed or
        pruned, it is free again.
        """
        with ExitStack() as stack:
            with _as_output_errors(self._folder), self.alone():
                trial = self._next(stack)
                claim = None if trial is None else self._claimed(trial)
            yield claim

    def count(self) -> Count:
        """Return how far the trials are, of all processes."""
        from optuna.trial import TrialState

        states = [trial.state for trial in self._trials()]
        return Count(
            total=self._spec.number_of_trials,
            done=states.count(TrialState.COMPLETE),
            pruned=states.count(TrialState.PRUNED),
            failed=states.count(TrialState.FAIL),
            running=states.count(TrialState.RUNNING),
        )

    def points(self) -> list[Point]:
        """Return what came out so far, in the order of the trials.

        Raises
        ------
        DataError
            When something in the journal is none.
        """
        known = {each.name for each in fields(Point)}
        found = []
        for trial in self._trials():
            for stored in trial.user_attrs.get(_POINTS, []):
                if not isinstance(stored, dict) or not stored.keys() <= known:
                    raise DataError(f"{self._folder / JOURNAL}: trial {trial.number} is damaged")
                found.append(Point(**stored))
        return found

    def problems(self) -> dict[int, str]:
        """Return why trials failed, by number."""
        trials = [trial for trial in self._trials() if _PROBLEM in trial.user_attrs]
        return {trial.number: str(trial.user_attrs[_PROBLEM]) for trial in trials}

    def _trials(self) -> "list[optuna.trial.FrozenTrial]":
        if self._study is None:
            self._study = self._loaded()
        return [] if self._study is None else self._study.get_trials(deepcopy=False)

    def _loaded(self) -> "optuna.Study | None":
        """Return the study; None before one is made, or where the start was killed."""
        import optuna

        try:
            return optuna.load_study(study_name=_NAME, storage=self._storage)
        except KeyError:
            return None

    def _queue(self) -> list[dict[str, Any]]:
        if self._spec.trials is not None:
            return [{} for _ in range(self._spec.trials)]
        return list(self._spec.grid())

    def _next(self, stack: ExitStack) -> "optuna.Trial | None":
        """Return a trial, its lock in the stack."""
        import optuna
        from filelock import Timeout
        from optuna.trial import TrialState

        study = self._study
        if study is None:
            raise TypeError("fill the study first")
        trials = study.get_trials(deepcopy=False)
        for frozen in trials:
            if frozen.state is TrialState.RUNNING:
                lock = _lock(self._folder, f"trial-{frozen.number}")
                try:
                    stack.enter_context(lock.acquire(blocking=False))
                except Timeout:
                    continue
                study.sampler, study.pruner = _sampler(self._spec, frozen.number), _pruner()
                # Optuna has no other way to go on with a trial than to make its object again
                return optuna.Trial(study, frozen._trial_id)
        waiting = [frozen for frozen in trials if frozen.state is TrialState.WAITING]
        if not waiting:
            return None
        study.sampler, study.pruner = _sampler(self._spec, waiting[0].number), _pruner()
        trial = study.ask()
        stack.enter_context(_lock(self._folder, f"trial-{trial.number}"))
        return trial

    def _claimed(self, trial: "optuna.Trial") -> Claim:
        spaces: dict[str, Space] = dict(self._spec.over)
        if not self._spec.optimize:
            spaces = {**self._spec.of_recipe, "seed": Choices(values=self._spec.seeds)}
        values = {key: _suggested(trial, key, space) for key, space in spaces.items()}
        return Claim(trial, values, self._folder)


def _suggested(trial: "optuna.Trial", key: str, space: Space) -> Any:  # noqa: ANN401 - TOML
    if isinstance(space, Range):
        if space.is_whole:
            return trial.suggest_int(key, int(space.low), int(space.high), log=space.log)
        return trial.suggest_float(key, space.low, space.high, log=space.log)
    known = {_coded(value): value for value in space.values}
    return known[trial.suggest_categorical(key, list(known))]


def _coded(value: object) -> Any:  # noqa: ANN401 - Optuna's choices
    """Return a value as Optuna keeps choices: tables and lists as text."""
    if isinstance(value, bool | int | float | str):
        return value
    return json.dumps(value, sort_keys=True)


def _sampler(spec: SweepSpec, number: int) -> "optuna.samplers.BaseSampler":
    """Return what chooses the values of a trial; other trials get other random numbers."""
    import optuna

    seed = (spec.seeds[0] + number) % (1 << 32)
    if not spec.optimize:
        return optuna.samplers.RandomSampler(seed=seed)  # all values are given
    if len(spec.optimize) == 1:
        return optuna.samplers.TPESampler(seed=seed)
    population = min(50, max(4, spec.number_of_trials // 4))
    return optuna.samplers.NSGAIISampler(seed=seed, population_size=population)


def _pruner() -> "optuna.pruners.BasePruner":
    import optuna

    return optuna.pruners.MedianPruner(n_startup_trials=_STARTUP_TRIALS)


def _lock(folder: Path, name: str) -> "BaseFileLock":
    """Return a lock that the system releases when its process ends, whatever ends it."""
    from filelock import FileLock

    make_directory(folder / LOCKS)
    return FileLock(folder / LOCKS / f"{name}.lock")


def _storage(journal: Path) -> "optuna.storages.BaseStorage":
    from filelock import FileLock
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    class WholeLines(JournalFileOpenLock):
        """The lock of who writes; what a killed writer or a full disk left of a line is cut off."""

        def __init__(self) -> None:
            self._lock = FileLock(f"{journal}.lock")

        def acquire(self) -> bool:
            self._lock.acquire()
            cut_to_lines(journal)
            return True

        def release(self) -> None:
            self._lock.release()

    return JournalStorage(JournalFileBackend(str(journal), lock_obj=WholeLines()))


def cut_to_lines(path: Path) -> None:
    """Cut off what follows the last end of a line."""
    with path.open("rb+") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end:
            file.seek(end - 1)
            if file.read(1) == b"\n":
                break
            end -= 1
        if end < size:
            file.truncate(end)


@contextmanager
def _as_output_errors(folder: Path) -> Iterator[None]:
    """Say which folder cannot be written; Optuna and filelock raise what the system says."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error
