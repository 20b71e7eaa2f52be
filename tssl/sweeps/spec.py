"""What a sweep is: kept in its folder, so that every process does the same one."""

import hashlib
import itertools
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError, model_validator

from tssl.errors import ConfigError
from tssl.machine.files import read_json, write_json, write_text
from tssl.recipe import Recipe, load_recipe
from tssl.settings import Entries, Positive, Seed
from tssl.sweeps.spaces import Choices, Space
from tssl.wording import count as counted

__all__ = ["Job", "SweepSpec", "changed", "is_sweep"]

TARGET = "target"
EXPORT = "export."
WEIGHT_BITS = "export.weight_bits"
_SPEC, _RECIPE = "sweep.json", "base.toml"
JOURNAL, LOCKS = "journal.log", "locks"
BESIDE = (JOURNAL, f"{JOURNAL}.lock", LOCKS)
_SCHEMA = 1
_LONGEST_NAME = 120
_MOST_TRIALS = 100_000
_SIMPLE = re.compile(r"[A-Za-z0-9._+-]+")

Objective = Literal["accuracy", "energy"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one trial does: for each seed a training, and of it every export.

    Parameters
    ----------
    recipe
        Changes to the recipe, by key.
    seeds
        A training each.
    exports
        Each with the keys of export and target.
    """

    recipe: Mapping[str, Any]
    seeds: tuple[int, ...]
    exports: tuple[Mapping[str, Any], ...]


class SweepSpec(Entries):
    """A sweep, apart from the recipe that it changes and from the machine.

    Parameters
    ----------
    source, settings
        The recipe as it was named, and changes to it that all trials share.
    over
        Values by key: keys of the recipe, ``target``, and ``export.weight_bits``, also of single
        layers, ``export.weight_bits.LAYER``.
    seeds
        Of which every combination is trained with each.
    optimize
        What a search looks for, the most accurate or least energy; nothing for all combinations.
    trials
        Of a search.
    samples
        Test samples for accuracy and energy.
    data
        Name, or absolute path, of data in place of the recipe's.
    """

    source: str
    settings: dict[str, Any]
    over: dict[str, Space]
    seeds: tuple[Seed, ...]
    optimize: tuple[Objective, ...] = ()
    trials: Positive | None = None
    samples: Positive = 1000
    data: str | None = None

    @model_validator(mode="after")
    def _check_search(self) -> "SweepSpec":
        if self.optimize not in ((), ("accuracy",), ("accuracy", "energy")):
            raise ValueError("--optimize: expected accuracy, or accuracy,energy")
        if bool(self.optimize) != (self.trials is not None):
            raise ValueError("--trials N: says how long --optimize searches; give both or none")
        if not self.over:
            raise ValueError("--over: give at least one KEY=V1,V2,... to try")
        ranges = [key for key, space in self.over.items() if not isinstance(space, Choices)]
        if ranges and not self.optimize:
            raise ValueError(
                f"--over {ranges[0]}: all values of a range are too many; name some, or search "
                "with --optimize accuracy"
            )
        return self

    @model_validator(mode="after")
    def _check_lists(self) -> "SweepSpec":
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError("--seeds: give at least one, and none of them twice")
        count = self.number_of_trials
        if count > _MOST_TRIALS:
            raise ValueError(
                f"--over: {counted(count)} trainings; at most {counted(_MOST_TRIALS)} are done; "
                "give fewer values, or search with --optimize accuracy"
            )
        return self

    @property
    def of_recipe(self) -> dict[str, Space]:
        """The keys that need a training of their own."""
        return {key: space for key, space in self.over.items() if not _is_export(key)}

    @property
    def of_export(self) -> dict[str, Space]:
        """The keys that share a training."""
        return {key: space for key, space in self.over.items() if _is_export(key)}

    @property
    def number_of_trials(self) -> int:
        """How many there are: of a search as many as asked for, else one for each training."""
        if self.trials is not None:
            return self.trials
        count = len(self.seeds)
        for space in self.of_recipe.values():
            count *= len(space.ends)
        return count

    @property
    def number_of_points(self) -> int:
        """How many results there will be."""
        if self.trials is not None:
            return self.trials * len(self.seeds)
        count = self.number_of_trials
        for space in self.of_export.values():
            count *= len(space.ends)
        return count

    def grid(self) -> Iterator[dict[str, Any]]:
        """Yield recipe's keys and seed of every training, seeds last."""
        values = [space.ends for space in self.of_recipe.values()]
        for chosen in itertools.product(*values):
            for seed in self.seeds:
                yield {**dict(zip(self.of_recipe, chosen, strict=True)), "seed": seed}

    def job(self, values: Mapping[str, Any]) -> Job:
        """Return what to do for a training of :meth:`grid`, or for values of all keys."""
        recipe = {key: values[key] for key in self.of_recipe}
        if self.optimize:
            exports: tuple[Mapping[str, Any], ...] = ({key: values[key] for key in self.of_export},)
            return Job(recipe=recipe, seeds=self.seeds, exports=exports)
        every = itertools.product(*(space.ends for space in self.of_export.values()))
        exports = tuple(dict(zip(self.of_export, chosen, strict=True)) for chosen in every)
        return Job(recipe=recipe, seeds=(values["seed"],), exports=exports)

    def run_name(self, recipe: Mapping[str, Any], seed: int) -> str:
        """Return the name of the folder of a training."""
        return name_of({**recipe, "seed": seed})

    def save(self, folder: Path, recipe: Recipe) -> None:
        """Write recipe and, last, the sweep."""
        write_text(folder / _RECIPE, recipe.to_toml())
        document = {"schema_version": _SCHEMA, **self.model_dump(mode="json")}
        write_json(folder / _SPEC, document)

    @staticmethod
    def load(folder: Path) -> tuple["SweepSpec", Recipe]:
        """Read what :meth:`save` wrote.

        Raises
        ------
        ConfigError
            When it is not there, or damaged.
        """
        document = read_json(folder / _SPEC, ConfigError)
        version = document.pop("schema_version", None)
        if version != _SCHEMA:
            raise ConfigError(
                f"{folder / _SPEC}: schema_version = {version!r:.40}; this tssl reads {_SCHEMA}"
            )
        try:
            spec = SweepSpec.model_validate(document)
        except ValidationError as error:
            text = str(error.errors()[0]["msg"])
            raise ConfigError(f"{folder / _SPEC}: is no sweep: {text}") from error
        return spec, load_recipe(folder / _RECIPE)


def is_sweep(folder: Path) -> bool:
    """Return whether a folder holds a sweep, also when another machine has just begun it.

    The folder is listed, because NFS may remember for a minute that a single file was not there.
    """
    try:
        return _SPEC in os.listdir(folder)
    except OSError:  # there is no such folder
        return False


def only_begun(folder: Path) -> bool:
    """Return whether a folder holds nothing but the beginnings of a sweep that was killed."""
    names = {each.name for each in folder.iterdir()} - {_RECIPE, *BESIDE}
    return not [name for name in names if not name.endswith(".part")]


def recipe_file(folder: Path) -> Path:
    """Return the recipe that a sweep changes."""
    return folder / _RECIPE


def name_of(values: Mapping[str, Any]) -> str:
    """Return a short name for values by key, ``tau_m=4,seed=0``; other values have another.

    Keys show their last part where no other key has the same.
    """
    last = [key.rpartition(".")[2] for key in values]
    parts = []
    for key, short, value in zip(values, last, values.values(), strict=True):
        shown = short if last.count(short) == 1 else key
        text = value if isinstance(value, str) else json.dumps(value)
        parts.append(f"{shown}={text if _SIMPLE.fullmatch(text) else _digest(value)}")
    name = ",".join(parts)
    return name if len(name) <= _LONGEST_NAME else f"{name[:60]}-{_digest(dict(values))}"


def bits_of(settings: Mapping[str, Any]) -> dict[str, int]:
    """Return bits by layer, all layers first: single ones override them."""
    found = {
        key.removeprefix(WEIGHT_BITS).removeprefix("."): value
        for key, value in settings.items()
        if key.startswith(WEIGHT_BITS)
    }
    return dict(sorted(found.items()))


def changed(kept: Recipe, now: Recipe) -> str | None:
    """Return the first key in which two recipes differ, with both values; None when none does."""
    before, after = (dict(_flat(each.model_dump(mode="json"))) for each in (kept, now))
    for key in [*before, *(key for key in after if key not in before)]:
        if before.get(key) != after.get(key):
            return f"{key} was {before.get(key)!r:.80} and is {after.get(key)!r:.80}"
    return None


def _flat(tables: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tables.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _is_export(key: str) -> bool:
    return key == TARGET or key.startswith(EXPORT)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:10]
