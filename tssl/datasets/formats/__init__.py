"""Data by path: one table of what can be read, tried in order by what each recognises."""

from importlib import import_module
from pathlib import Path
from typing import NamedTuple, Protocol

from tssl.datasets.dataset import EventSource, Source
from tssl.datasets.reading import Reading
from tssl.errors import DataError

__all__ = ["FORMATS", "Format", "opened"]


class Opener(Protocol):
    """What an entry of the table names."""

    def __call__(self, path: Path, reading: Reading) -> Source | EventSource | None:
        """Return the data at a path, or None when they are of another format."""


class Format(NamedTuple):
    """A way in which data lie in a file or a folder."""

    reads: str
    """In words, for those whose data nothing recognises."""
    opens: str
    """An :class:`Opener` as "module:function"."""


FORMATS: dict[str, Format] = {
    "arrays": Format(
        "arrays x_train, y_train, x_test, y_test in a .npz file or as .npy files in a folder",
        "tssl.datasets.formats.arrays:opened",
    ),
    "spikes": Format(
        "spikes/times, spikes/units and labels in an HDF5 file, or in two files *train*.h5 and "
        "*test*.h5 in a folder",
        "tssl.datasets.formats.spikes:opened",
    ),
    "files": Format(
        "one file a sample, in a folder for each class (or train/ and test/ with such folders), or "
        "beside a labels.csv with the columns file, label and perhaps split: pictures (.png, .jpg, "
        ".bmp, .gif, .tif, .webp, .pgm, .ppm), event recordings (N-MNIST .bin, AEDAT 2, 3.1 and 4, "
        "Prophesee .dat, lists of x, y, t, p as .npy or .csv, tactile .npy), sound (.wav)",
        "tssl.datasets.formats.trees:opened",
    ),
}
"""Name -> format; strings, so that listing imports none."""
_PACKED = (".zip", ".tar", ".tgz", ".gz", ".xz", ".bz2", ".7z", ".rar")


def opened(path: Path, reading: Reading) -> Source | EventSource:
    """Return the data that lie at a path, by the first format that recognises them.

    Raises
    ------
    DataError
        When there is nothing, or none does.
    """
    try:
        exists = path.exists()
    except (OSError, ValueError):  # a name that no file system has
        exists = False
    if not exists:
        raise DataError(f"{path}: does not exist; name the file or folder of your data")
    for entry in FORMATS.values():
        module, function = entry.opens.split(":")
        opener: Opener = getattr(import_module(module), function)
        source = opener(path, reading)
        if source is not None:
            return source
    raise DataError(f"{path}: {_advice(path)}")


def _advice(path: Path) -> str:
    """Return why nothing is recognised at a path, and what to do."""
    if path.is_file() and path.suffix.lower() in _PACKED:
        return "is packed; unpack it, and name the file or folder that was in it"
    names = _named_there(path) if path.is_dir() else []
    if names:
        return (
            f"holds the files of data set {' or '.join(names)}; name that set in place of the "
            "folder, and the folder with --data-dir"
        )
    can = "; ".join(entry.reads for entry in FORMATS.values())
    return f"holds nothing that is recognised; what can be read: {can}"


def _named_there(folder: Path) -> list[str]:
    """Return the named data sets of which the files, as they are published, lie in a folder."""
    from tssl.datasets import DATASETS, describe  # which imports this module where it needs it

    found = {name: describe(name, data_dir=folder, cache=folder) for name in DATASETS}
    return [name for name, each in found.items() if each.ready and str(folder) in each.found]
