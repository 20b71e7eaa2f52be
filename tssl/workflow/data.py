"""The data that a recipe names, or that a user names instead, as a network sees them."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from tssl import datasets
from tssl.datasets import DATASETS, Dataset, EventSource, Frames, Given, Source, given_source
from tssl.errors import ConfigError, DataError
from tssl.machine.files import printable
from tssl.recipe import GIVEN, DataSpec, Recipe, data_from_table, full_key, load_recipe

Opened: TypeAlias = Source | EventSource


def with_data(recipe: Recipe, data: Given | None) -> Recipe:
    """Return a recipe that names these data, if any, in place of its own.

    What the recipe says of its own data holds for these, too, as far as they have a use for it.

    Raises
    ------
    ConfigError
        When its other settings of data do not fit them.
    """
    if data is None:
        return recipe
    where = _named(data)
    is_known = where.get("name") not in (None, GIVEN)
    tables = {} if is_known else recipe.data.model_dump(exclude={"name", "path"}, exclude_none=True)
    changed = recipe.model_copy(update={"data": data_from_table({**tables, **where}, recipe.name)})
    return _fitting(changed, data, set())


def recipe_with(path: Path, settings: Mapping[str, Any], data: Given | None) -> Recipe:
    """Read a recipe with these data, if any, in place of its own, and change some of its keys.

    The settings may say how the data are read. What the recipe's file says about that holds as far
    as the data have a use for it.

    Raises
    ------
    ConfigError, DataError
        See :func:`tssl.recipe.load_recipe` and :func:`tssl.datasets.fitting`.
    """
    if data is None:
        return load_recipe(path, settings)
    recipe = load_recipe(path, settings, _named(data))
    if recipe.data.name not in (None, GIVEN):
        return recipe
    keys = {full_key(key) for key in settings}
    return _fitting(recipe, data, {key for key in DataSpec.model_fields if f"data.{key}" in keys})


def _fitting(recipe: Recipe, data: Given, said: set[str]) -> Recipe:
    """Return a recipe without settings of other data that these have no use for."""
    spec = recipe.data
    own = datasets.fitting(data, spec.reading, said - {"bin_us", "name", "path"})
    dropped = {key: None for key, value in vars(spec.reading).items() if value != vars(own)[key]}
    if spec.bin_us is not None and "bin_us" not in said:
        steps = recipe.network.time_steps
        if datasets.framing(given_source(data, own), time_steps=steps, bin_us=spec.bin_us) is None:
            dropped["bin_us"] = None
    return recipe.model_copy(update={"data": spec.model_copy(update=dropped)})


def _named(data: Given) -> dict[str, str]:
    """Return what names data in a recipe."""
    match data:
        case str() if data in DATASETS:
            return {"name": data}
        case str() | Path():
            return {"path": os.path.abspath(data)}
    return {"name": GIVEN}


def source_of(spec: DataSpec, data: Given | None = None) -> Opened:
    """Return what loads the data of a recipe, or others that are read in its way.

    Raises
    ------
    ConfigError, DataError
        See :func:`tssl.datasets.given_source`.
    """
    if data is None and spec.name == GIVEN:
        raise ConfigError(
            "the network was trained on arrays that a program gave: give them again, data=..., or "
            "save them as x_train, y_train, x_test, y_test in a .npz file and name it with --data"
        )
    own = Path(spec.path) if spec.path is not None else spec.name
    chosen = own if data is None else data
    if chosen is None:
        raise ConfigError("no data are named")
    return given_source(chosen, spec.reading)


def description(
    data: str, settings: Mapping[str, Any], data_dir: Path | None
) -> datasets.Description:
    """Return what a data set, a file or a folder holds.

    Parameters
    ----------
    settings
        Keys of a recipe's section ``data`` that say how files are read.

    Raises
    ------
    ConfigError, DataError
        When a key is unknown, or the data are not what they should be.
    """
    where = {"name": data} if data in DATASETS else {"path": data}
    bare = {key.removeprefix("data."): value for key, value in settings.items()}
    spec = data_from_table({**bare, **where}, data)
    return datasets.describe(source_of(spec, data), data_dir=data_dir)


def load_splits(
    recipe: Recipe,
    data_dir: Path | None,
    progress: datasets.Progress | None = None,
    warn: datasets.Warn | None = None,
    data: Given | None = None,
) -> tuple[Dataset, Dataset]:
    """Return the training and the test split.

    Parameters
    ----------
    data
        In place of the recipe's.

    Raises
    ------
    ConfigError, DataError
        See :func:`tssl.datasets.load` and :func:`frames_of`.
    """
    source = source_of(recipe.data, data)
    frames = frames_of(recipe, source)
    train, test = (
        datasets.load(source, split, data_dir=data_dir, frames=frames, progress=progress)
        for split in datasets.SPLITS
    )
    train.pass_on_warnings(warn)
    test.pass_on_warnings(warn)
    return train, test


def known_folder(data: Given | None, given: Path | None, kept: object) -> Path | None:
    """Return the folder in which files of a data set are looked for first; None for the usual ones.

    Parameters
    ----------
    data
        Only named data sets have such a folder.
    given
        The folder that a user names; it counts before the other.
    kept
        What :func:`folders_of` returned when the data were read before, after its way through a
        file.

    Raises
    ------
    DataError
        When the folder of before is gone, and the data set is not in the usual ones either.
    """
    name = _data_set(data)
    folder = kept.get(name) if isinstance(kept, dict) else None
    if given is not None or name is None or not isinstance(folder, str):
        return given
    if os.path.isdir(folder):
        return Path(folder)
    there = datasets.describe(name)
    if there.ready:
        return None
    or_fetch = f", or run `tssl data fetch {name}`" if there.downloadable else ""
    raise DataError(
        f"data set {name}: was read from {folder}, which is no folder any more; name the folder "
        f"that holds its files with --data-dir{or_fetch}"
    )


def folders_of(data: Given | None, folder: Path | None) -> dict[str, str]:
    """Return the folder to look in first by the data set's name, to be kept; nothing if none is."""
    name, where = _data_set(data), absolute(folder)
    return {} if name is None or where is None else {name: where}


def _data_set(data: Given | None) -> str | None:
    """Return the name of a data set; None for data of other kinds."""
    return data if isinstance(data, str) and data in DATASETS else None


def absolute(path: Path | None) -> str | None:
    """Return where a path leads from anywhere; None when its name is no text."""
    text = None if path is None else os.path.abspath(path)
    return text if text is not None and text == printable(Path(text)) else None


@contextmanager
def seen_before(provenance: Mapping[str, Any]) -> Iterator[None]:
    """Add to an error of the data where those were that a network has seen in training.

    Parameters
    ----------
    provenance
        Of its checkpoint.
    """
    try:
        yield
    except DataError as error:
        where = str(provenance.get("data", ""))
        if not where or where in str(error):
            raise
        raise DataError(f"{error}; in training, the data came from {where}") from error


def frames_of(recipe: Recipe, source: Opened | None = None) -> Frames | None:
    """Return how events become the steps of the network; None for pictures.

    Parameters
    ----------
    source
        Of the data; what the recipe names when None.

    Raises
    ------
    ConfigError
        When there is no such data set, or its pictures shall be cut into frames.
    """
    data, steps = recipe.data, recipe.network.time_steps
    frames = datasets.framing(source or source_of(data), time_steps=steps, bin_us=data.bin_us)
    if frames is None and data.bin_us is not None:
        raise ConfigError(
            f"data.bin_us: data set {data.shown} holds pictures and no events; leave it out"
        )
    return frames
