"""Data sets as integers: one table, one file per kind, numpy alone at import."""

from importlib import import_module
from pathlib import Path

from tssl.datasets.dataset import (
    SPLITS,
    Dataset,
    Description,
    EventSource,
    Progress,
    Source,
    Warn,
)
from tssl.datasets.events import Frames, PackedFrames
from tssl.errors import ConfigError, DataError

__all__ = [
    "DATASETS",
    "Dataset",
    "Description",
    "EventSource",
    "Frames",
    "PackedFrames",
    "Progress",
    "SPLITS",
    "Source",
    "Warn",
    "describe",
    "framing",
    "load",
]

DATASETS: dict[str, str] = {
    "cifar10": "tssl.datasets.cifar10:CIFAR10",
    "digits": "tssl.datasets.digits:DIGITS",
    "fashion-mnist": "tssl.datasets.idx:FASHION_MNIST",
    "mnist": "tssl.datasets.idx:MNIST",
    "nmnist": "tssl.datasets.nmnist:NMNIST",
    "tactile-containers": "tssl.datasets.tactile:CONTAINERS",
    "tactile-objects": "tssl.datasets.tactile:OBJECTS",
}
"""Name -> "module:object", a :class:`Source` or :class:`EventSource`.

Strings, so that listing imports none.
"""


def load(
    name: str,
    split: str,
    *,
    data_dir: Path | None,
    frames: Frames | None = None,
    progress: Progress | None = None,
    cache: Path | None = None,
    offline: bool = False,
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
    frames
        How events become frames, the data set's own way when None; see :func:`framing`.
    progress
        Called while a file is downloaded.
    cache
        Where downloads are kept; the platform's cache folder when None.
    offline
        Never download: what is not on this machine is missing.

    Raises
    ------
    ConfigError
        When there is no such data set or split, or pictures shall become frames.
    DataError
        When the data are missing and cannot be downloaded, or are damaged.
    """
    if split not in SPLITS:
        raise ConfigError(f"split = {split!r}; expected one of {', '.join(SPLITS)}")
    source = _source(name)
    _check_folder(data_dir)
    if offline and not source.describe(data_dir=data_dir, cache=cache).ready:
        raise DataError(
            f"data set {name}: is not on this machine, and nothing is downloaded for this; name "
            "its folder with --data-dir"
        )
    if isinstance(source, EventSource):
        frames = frames or source.default_frames
        return source.load(split, frames=frames, data_dir=data_dir, cache=cache, progress=progress)
    if frames is not None:
        raise ConfigError(f"data set {name} holds pictures; only events become frames")
    return source.load(split, data_dir=data_dir, cache=cache, progress=progress)


def framing(name: str, *, time_steps: int, bin_us: int | None = None) -> Frames | None:
    """Return how events become frames for a network of so many steps; None for pictures.

    Parameters
    ----------
    bin_us
        Microseconds of a frame; the data set's own when None.

    Raises
    ------
    ConfigError
        When there is no such data set, or a number is not positive.
    """
    source = _source(name)
    if not isinstance(source, EventSource):
        return None
    if bin_us is None:
        bin_us = source.bin_us(time_steps)
    return Frames(time_steps=time_steps, bin_us=bin_us)


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


def _source(name: str) -> Source | EventSource:
    if name not in DATASETS:
        raise ConfigError(f"data set {name!r} is unknown; there are {', '.join(sorted(DATASETS))}")
    module, attribute = DATASETS[name].split(":")
    source: Source | EventSource = getattr(import_module(module), attribute)
    return source


def _check_folder(data_dir: Path | None) -> None:
    if data_dir is not None and not data_dir.is_dir():
        raise DataError(f"{data_dir}: the data folder is not a folder")
