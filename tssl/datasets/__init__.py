"""Data sets as integers: one table, one file per kind, numpy alone at import."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard, cast

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
from tssl.datasets.reading import Reading
from tssl.errors import ConfigError, DataError, UnusedSettingError
from tssl.machine.plugins import extended, loaded
from tssl.wording import did_you_mean

__all__ = [
    "DATASETS",
    "Dataset",
    "Description",
    "EventSource",
    "Frames",
    "Given",
    "PackedFrames",
    "Progress",
    "Reading",
    "SPLITS",
    "Source",
    "Warn",
    "describe",
    "fitting",
    "framing",
    "given_source",
    "load",
    "named_source",
]

Given: TypeAlias = str | Path | Mapping[str, Any] | tuple[Any, ...] | Source | EventSource
"""What stands for data: the name of a set, a path (text that is no name is one), arrays, or a
source that is open already."""

_OWN = {
    "cifar10": "tssl.datasets.cifar10:CIFAR10",
    "digit-angles": "tssl.datasets.digit_angles:DIGIT_ANGLES",
    "digits": "tssl.datasets.digits:DIGITS",
    "dvs-gesture": "tssl.datasets.gestures:DVS_GESTURE",
    "fashion-mnist": "tssl.datasets.idx:FASHION_MNIST",
    "fsdd": "tssl.datasets.spoken:FSDD",
    "mnist": "tssl.datasets.idx:MNIST",
    "nmnist": "tssl.datasets.nmnist:NMNIST",
    "ntidigits": "tssl.datasets.spoken:NTIDIGITS",
    "shd": "tssl.datasets.heidelberg:SHD",
    "ssc": "tssl.datasets.heidelberg:SSC",
    "tactile-containers": "tssl.datasets.tactile:CONTAINERS",
    "tactile-objects": "tssl.datasets.tactile:OBJECTS",
}

DATASETS: dict[str, str] = extended(_OWN, "tssl.datasets")
"""Name -> "module:object", a :class:`Source` or :class:`EventSource`.

Strings, so that listing imports none.
"""


def load(
    data: Given,
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
    data
        See :data:`Given`.
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
    source = given_source(data)
    _check_folder(data_dir)
    if offline and not (there := source.describe(data_dir=data_dir, cache=cache)).ready:
        raise DataError(
            f"data set {there.name}: is not on this machine, and nothing is downloaded for this; "
            "name its folder with --data-dir"
        )
    if _has_events(source):
        frames = frames or source.default_frames
        return source.load(split, frames=frames, data_dir=data_dir, cache=cache, progress=progress)
    if frames is not None:
        name = source.describe(data_dir=data_dir, cache=cache).name
        raise ConfigError(f"data set {name} holds pictures; only events become frames")
    pictures = cast(Source, source)
    return pictures.load(split, data_dir=data_dir, cache=cache, progress=progress)


def framing(data: Given, *, time_steps: int, bin_us: int | None = None) -> Frames | None:
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
    source = given_source(data)
    if not _has_events(source):
        return None
    if bin_us is None:
        bin_us = source.bin_us(time_steps)
    return Frames(time_steps=time_steps, bin_us=bin_us)


def describe(
    data: Given, *, data_dir: Path | None = None, cache: Path | None = None
) -> Description:
    """Return what a data set is and where it would be found now; read and download nothing.

    Raises
    ------
    ConfigError
        When there is no such data set.
    DataError
        When ``data_dir`` is not a folder.
    """
    source = given_source(data)
    _check_folder(data_dir)
    return source.describe(data_dir=data_dir, cache=cache)


def given_source(data: Given, reading: Reading | None = None) -> Source | EventSource:
    """Return what can load the data that something stands for.

    Parameters
    ----------
    reading
        How data by path, and arrays, are read.

    Raises
    ------
    ConfigError
        When text is neither a name nor a path.
    DataError
        When nothing recognises what lies at a path, or arrays are not what they should be.
    """
    how = reading or Reading()
    match data:
        case str() if data in DATASETS or not _is_path(data):
            return named_source(data)
        case str() | Path():
            from tssl.datasets.formats import opened

            return opened(Path(data), how)
        case Mapping() | tuple():
            from tssl.datasets.formats.arrays import given

            return given(data, how)
    return data


def fitting(data: Given, reading: Reading, said: Collection[str] = ()) -> Reading:
    """Return how data are read by what was said of others, without what is of no use for these.

    Parameters
    ----------
    said
        Settings that somebody gave for these data: they stay.

    Raises
    ------
    ConfigError, DataError
        See :func:`given_source`; also when one of ``said`` is of no use.
    """
    if replace(reading, **dict.fromkeys(said)) == Reading():
        return reading
    try:
        given_source(data, reading)
    except UnusedSettingError as error:
        if error.key in said:
            raise
        return fitting(data, replace(reading, **{error.key: None}), said)
    return reading


def named_source(name: str) -> Source | EventSource:
    """Return the data set of this name, which is never taken for a path.

    Raises
    ------
    ConfigError
        When there is none, or the package that adds it is broken.
    """
    if name not in DATASETS:
        raise ConfigError(
            f"data set {name!r} is unknown{did_you_mean(name, DATASETS)}; there are "
            f"{', '.join(sorted(DATASETS))}, and paths of files and folders"
        )
    source: Source | EventSource = loaded(DATASETS[name], f"data set {name!r}")
    return source


def _has_events(source: Source | EventSource) -> TypeGuard[EventSource]:
    return hasattr(source, "bin_us")  # isinstance would compute properties in Python 3.10 and 3.11


def _is_path(text: str) -> bool:
    return "/" in text or Path(text).exists()


def _check_folder(data_dir: Path | None) -> None:
    if data_dir is not None and not data_dir.is_dir():
        raise DataError(f"{data_dir}: the data folder is not a folder")
