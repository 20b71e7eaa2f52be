"""Reading a recipe from a file, with settings that change some of its keys."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from tssl.errors import ConfigError
from tssl.machine.files import read_toml
from tssl.recipe._problems import SECTIONS, first_problem, meant_key, short
from tssl.recipe.data import GIVEN, DataSpec
from tssl.recipe.recipe import Recipe
from tssl.settings import Entries

__all__ = ["data_from_table", "entries_of", "full_key", "load_recipe", "recipe_from_tables"]

Own = TypeVar("Own", bound=Entries)


def load_recipe(
    path: Path,
    settings: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
) -> Recipe:
    """Read a recipe file and change some of its keys.

    Parameters
    ----------
    settings
        New values by key; ``section.key``, or the bare key where only one section has it. Of
        several for one key the last counts. A path of data is relative to the working folder
        here, and to the recipe's file there.
    data
        ``name`` or ``path`` of other data than the recipe's. The recipe's keys that say how
        data are read stay, unless a data set is named; the settings come after.

    Raises
    ------
    ConfigError
        When the file cannot be read, a key is unknown or a value is not allowed.
    """
    tables = read_toml(path)
    _root(tables, path.parent)
    if data is not None:
        tables["data"] = {**_kept(tables.get("data"), data), **data}
    for key, value in (settings or {}).items():
        _set(tables, key, value)
    _root(tables, Path())
    shown = ", ".join(short(f"{key}={value}") for key, value in (settings or {}).items())
    return recipe_from_tables(tables, f"{path} with {shown}" if settings else str(path))


def recipe_from_tables(tables: dict[str, Any], origin: str) -> Recipe:
    """Validate a recipe given as nested dictionaries; ``origin`` names it in errors."""
    try:
        return Recipe.model_validate(tables)
    except ValidationError as error:
        raise ConfigError(f"{origin}: {first_problem(error)}") from error


def entries_of(kind: type[Own], values: Mapping[str, Any], origin: str) -> Own:
    """Validate a table of a kind that is no part of :class:`Recipe`.

    Raises
    ------
    ConfigError
        When a key is unknown or a value is not allowed.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{origin}: {first_problem(error, kind)}") from error


def data_from_table(table: dict[str, Any], origin: str) -> DataSpec:
    """Validate the section ``data`` of a recipe alone; ``origin`` names it in errors."""
    return entries_of(_Section, {"data": table}, origin).data


class _Section(Entries):
    """A recipe of which nothing but the data matters."""

    data: DataSpec


def _root(tables: dict[str, Any], folder: Path) -> None:
    """Make the path of data absolute in place: a run's folder must not depend on where one is."""
    data = tables.get("data")
    if isinstance(data, dict) and isinstance(data.get("path"), str) and data["path"]:
        data["path"] = os.path.abspath(folder / data["path"])


def _kept(own: object, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a recipe's data that say how others are read, too."""
    if not isinstance(own, dict) or data.get("name") not in (None, GIVEN):
        return {}
    return {key: value for key, value in own.items() if key not in ("name", "path")}


def _set(tables: dict[str, Any], key: str, value: object) -> None:
    """Set one ``section.key`` in place; a bare key is looked up in the sections.

    Tables of a list have their place as name, from 0: ``network.layers.0.neurons``.
    """
    path = full_key(key).split(".")
    table: Any = tables
    for above, name in zip(["", *path], path[:-1], strict=False):
        table = _below(table, name, f"setting {key!r}: {above}")
        if not isinstance(table, dict | list):
            raise ConfigError(f"setting {key!r}: {name} is not a table")
    if not isinstance(table, dict):
        raise ConfigError(f"setting {key!r}: {path[-2]} is not a table")
    table[path[-1]] = value


def _below(table: dict[str, Any] | list[Any], name: str, where: str) -> Any:  # noqa: ANN401 - TOML
    """Return what is called so in a table or, by its place, in a list."""
    if isinstance(table, dict):
        return table.setdefault(name, {})
    if not name.isdecimal() or int(name) >= len(table):
        raise ConfigError(f"{where} has no {name!r}; places are 0 to {len(table) - 1}")
    return table[int(name)]


def full_key(key: str) -> str:
    """Return ``section.key`` of a key that may be bare.

    Raises
    ------
    ConfigError
        When a bare one is of no section.
    """
    if "." in key or key in Recipe.model_fields:
        return key
    found = [f"{name}.{key}" for name, model in SECTIONS.items() if key in model.model_fields]
    if len(found) == 1:
        return found[0]
    known = sorted({field for model in SECTIONS.values() for field in model.model_fields})
    raise ConfigError(f"setting {key!r}: unknown key{meant_key(key, known)}")
