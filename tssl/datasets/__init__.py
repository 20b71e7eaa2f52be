"""Data sets as integers: one table, one file per kind, numpy alone at import."""

from importlib import import_module
from pathlib import Path

from tssl.datasets.dataset import SPLITS, Dataset, Description, Progress, Source
from tssl.errors import ConfigError, DataError

__all__ = [
    "DATASETS",
    "Dataset",
    "Description",
    "Progress",
    "SPLITS",
    "Source",
    "describe",
    "load",
]

DATASETS: dict[str, str] = {
    "digits": "tssl.datasets.digits:DIGITS",
    "fashion-mnist": "tssl.datasets.idx:FASHION_MNIST",
    "mnist": "tssl.datasets.idx:MNIST",
}
"""Name -> "module:object", a :class:`Source`. Strings, so that listing imports none."""


def load(
    name: str,
    split: str,
    *,
    data_dir: Path | None,
    progress: Progress | None = None,
    cache: Path | None = None,
) -> Dataset:
    """Return one split of a data set, downloading it when it is nowhere on this machine.

    Parameters
    ----------
    name
        A key of :data:`DATASETS`.
    split
        ``"train"`` or ``"test"``.
    data_dir
        Folder to look in first, itself and its subfolder ``name``.
    progress
        Called while a file is downloaded.
    cache
        Where downloads are kept; the platform's cache folder when None.

    Raises
    ------
    ConfigError
        When there is no such data set or split.
    DataError
        When the data are missing and cannot be downloaded, or are damaged.
    """
    if split not in SPLITS:
        raise ConfigError(f"split = {split!r}; expected one of {', '.join(SPLITS)}")
    source = _source(name)
    _check_folder(data_dir)
    return source.load(split, data_dir=data_dir, cache=cache, progress=progress)


def describe(name: str, *, data_dir: Path | None = None, cache: Path | None = None) -> Description:
    """Return what a data set is and where it would be found now; read and download nothing.

    Raises
    ------
    ConfigError
        When there is no such data set.
    DataError
        When ``data_dir`` is not a folder.
    """
    source = _source(name)
    _check_folder(data_dir)
    return source.describe(data_dir=data_dir, cache=cache)


def _source(name: str) -> Source:
    if name not in DATASETS:
        raise ConfigError(f"data set {name!r} is unknown; there are {', '.join(sorted(DATASETS))}")
    module, attribute = DATASETS[name].split(":")
    source: Source = getattr(import_module(module), attribute)
    return source


def _check_folder(data_dir: Path | None) -> None:
    if data_dir is not None and not data_dir.is_dir():
        raise DataError(f"{data_dir}: the data folder is not a folder")
