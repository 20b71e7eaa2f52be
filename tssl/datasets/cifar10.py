"""CIFAR-10, the version for Python: six pickles, packed, plain, in their archive or downloaded.

A pickle can run any code. These are opened only when their content is the published one, by
its SHA-256, and then by a reader that knows no code to run.
"""

import hashlib
import io
import math
import os
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.datasets import packed
from tssl.datasets.dataset import Dataset, Description, Progress
from tssl.datasets.fetch import Wanted, cache_folder, download
from tssl.errors import DataError
from tssl.wording import reason_of

_SHAPE = (3, 32, 32)
_FULL_SCALE = 255
_PACKINGS = ("", ".xz", ".gz")
_PUBLISHED_FOLDER = "cifar-10-batches-py"
_DOWNLOAD_SLACK = 1 << 16
_UNREADABLE = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One published file.

    Parameters
    ----------
    name
        Without ``.xz`` or ``.gz``.
    samples
        Pictures in it.
    size, sha256
        Of the content as unpacked.
    """

    name: str
    samples: int
    size: int
    sha256: str


class Pictures(NamedTuple):
    """What a batch holds."""

    pixels: NDArray[np.uint8]
    """``(samples, 3, 32, 32)``."""
    labels: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class CifarSource:
    """A data set of coloured pictures in pickled batches.

    Parameters
    ----------
    name, title, licence, classes
        See :class:`Description`.
    train, test
        Files of the two splits.
    archive, archive_bytes
        The published archive of all files, and its size.
    mirrors
        Addresses that end in a slash, under which the archive is.
    by_hand
        What to do without the mirrors.
    """

    name: str
    title: str
    licence: str
    classes: int
    train: tuple[Batch, ...]
    test: tuple[Batch, ...]
    archive: str
    archive_bytes: int
    mirrors: tuple[str, ...]
    by_hand: str

    def describe(self, *, data_dir: Path | None, cache: Path | None) -> Description:
        """Return what the data set is and where its files are, without opening them."""
        places = [self._find(batches, data_dir, cache) for batches in (self.train, self.test)]
        found = sorted({str(place) for place in places if place is not None})
        ready = None not in places
        if not ready:
            found.append(f"download from {self.mirrors[0]}" if self.mirrors else "nowhere")
        return Description(
            name=self.name,
            title=self.title,
            shape=_SHAPE,
            classes=self.classes,
            full_scale=_FULL_SCALE,
            train=sum(batch.samples for batch in self.train),
            test=sum(batch.samples for batch in self.test),
            licence=self.licence,
            found=", ".join(found),
            ready=ready,
        )

    def load(
        self, split: str, *, data_dir: Path | None, cache: Path | None, progress: Progress | None
    ) -> Dataset:
        """Return one split from the first place that has all of its files.

        Raises
        ------
        DataError
            When a file is damaged, or they are in no place and on no mirror.
        """
        batches = self.train if split == "train" else self.test
        place = self._find(batches, data_dir, cache) or self._download(cache, progress)
        try:
            pictures = [read_batch(content, batch) for batch, content in _contents(place, batches)]
        except DataError as fault:
            raise DataError(
                f"{place}: {fault}; replace it by the published file, or remove it to have it "
                "looked for elsewhere"
            ) from fault
        return Dataset(
            name=self.name,
            split=split,
            inputs=np.concatenate([part.pixels for part in pictures]),
            labels=np.concatenate([part.labels for part in pictures]),
            classes=self.classes,
            full_scale=_FULL_SCALE,
            source=str(place),
        )

    def _find(
        self, batches: tuple[Batch, ...], data_dir: Path | None, cache: Path | None
    ) -> Path | None:
        """Return the first folder that has all files, or archive; no file is opened."""
        for folder in self._folders(data_dir, cache):
            if all(_packed_path(folder, batch) for batch in batches):
                return folder
            if os.path.exists(folder / self.archive):
                return folder / self.archive
        return None

    def _folders(self, data_dir: Path | None, cache: Path | None) -> Iterator[Path]:
        if data_dir is not None:
            yield data_dir
            yield data_dir / self.name
            yield data_dir / _PUBLISHED_FOLDER
        yield (cache or cache_folder()) / self.name

    def _download(self, cache: Path | None, progress: Progress | None) -> Path:
        def check(path: Path) -> None:
            for _ in _contents(path, self.train + self.test):
                """Reading checks."""

        wanted = Wanted(
            file=self.archive,
            mirrors=self.mirrors,
            largest=self.archive_bytes + _DOWNLOAD_SLACK,
            check=check,
            otherwise=self.by_hand,
        )
        return download(wanted, (cache or cache_folder()) / self.name, progress)


def _packed_path(folder: Path, batch: Batch) -> Path | None:
    """Return a batch's file in a folder, packed or not; None when it is not there."""
    paths = (folder / f"{batch.name}{packing}" for packing in _PACKINGS)
    return next((path for path in paths if os.path.exists(path)), None)


def _contents(place: Path, batches: tuple[Batch, ...]) -> Iterator[tuple[Batch, bytes]]:
    """Yield the checked content of every batch in a folder or an archive."""
    archived = _archived(place, batches) if place.is_file() else {}
    for batch in batches:
        try:
            path = _packed_path(place, batch)
            if path is not None:
                content = packed.content(path, batch.size)
            elif batch.name in archived:
                content = archived[batch.name]
            else:
                raise DataError("is missing")
            checked = _checked(content, batch)
        except DataError as fault:
            raise DataError(f"{batch.name}: {fault}") from fault
        yield batch, checked


def _archived(archive: Path, batches: tuple[Batch, ...]) -> dict[str, bytes]:
    """Return the content of files in an archive, whatever folder they are in there."""
    names = {batch.name for batch in batches}
    largest = max(batch.size for batch in batches)
    contents = {}
    for member in packed.members(archive, largest):
        name = member.name.rpartition("/")[2]
        if name in names:
            contents[name] = member.read()
    return contents


def _checked(content: bytes, batch: Batch) -> bytes:
    digest = hashlib.sha256(content).hexdigest()
    if digest != batch.sha256:
        raise DataError(
            f"is not the published file: its content has SHA-256 {digest}, expected {batch.sha256}"
        )
    return content


def read_batch(content: bytes, batch: Batch) -> Pictures:
    """Return the pictures in a pickle whose SHA-256 was checked.

    Raises
    ------
    DataError
        When it is not such a batch, or asks for anything but an array of numpy.
    """
    try:
        fields = _Reader(io.BytesIO(content), encoding="bytes").load()
        _, shape, _, by_columns, pixels = fields[b"data"].state
        labels = np.asarray(fields[b"labels"], np.int64)
        if by_columns or shape != (batch.samples, math.prod(_SHAPE)):
            raise DataError(f"holds an array of {shape}")
        array = np.frombuffer(pixels, np.uint8).reshape(-1, *_SHAPE)
    except _UNREADABLE as error:
        raise DataError(f"cannot be read as a CIFAR-10 batch ({reason_of(error)})") from error
    if labels.shape != array.shape[:1]:
        raise DataError(f"holds {len(array)} pictures but labels of shape {labels.shape}")
    return Pictures(array, labels)


class _State:
    """Stands for numpy's arrays and types: it only keeps what a pickle says of them."""

    state: Any = None

    def __init__(self, *_: object) -> None:
        """Ignore the arguments; everything is in the state."""

    def __setstate__(self, state: object) -> None:
        self.state = state


class _Reader(pickle.Unpickler):
    """Reads numbers, texts, lists and arrays; knows nothing that does anything."""

    _KNOWN = (
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
        ("numpy.core.multiarray", "_reconstruct"),
    )

    def find_class(self, module: str, name: str) -> type[_State]:
        """Return a stand-in for what the published files need.

        Raises
        ------
        DataError
            For anything else.
        """
        if (module, name) not in self._KNOWN:
            raise DataError(f"asks for {module}.{name}, which no CIFAR-10 batch needs")
        return _State


CIFAR10 = CifarSource(
    name="cifar10",
    title="CIFAR-10, photographs of ten kinds of things, 32 x 32",
    licence="none stated; cite Krizhevsky 2009",
    classes=10,
    train=(
        Batch(
            name="data_batch_1",
            samples=10_000,
            size=31_035_704,
            sha256="54636561a3ce25bd3e19253c6b0d8538147b0ae398331ac4a2d86c6d987368cd",
        ),
        Batch(
            name="data_batch_2",
            samples=10_000,
            size=31_035_320,
            sha256="766b2cef9fbc745cf056b3152224f7cf77163b330ea9a15f9392beb8b89bc5a8",
        ),
        Batch(
            name="data_batch_3",
            samples=10_000,
            size=31_035_999,
            sha256="0f00d98ebfb30b3ec0ad19f9756dc2630b89003e10525f5e148445e82aa6a1f9",
        ),
        Batch(
            name="data_batch_4",
            samples=10_000,
            size=31_035_696,
            sha256="3f7bb240661948b8f4d53e36ec720d8306f5668bd0071dcb4e6c947f78e9682b",
        ),
        Batch(
            name="data_batch_5",
            samples=10_000,
            size=31_035_623,
            sha256="d91802434d8376bbaeeadf58a737e3a1b12ac839077e931237e0dcd43adcb154",
        ),
    ),
    test=(
        Batch(
            name="test_batch",
            samples=10_000,
            size=31_035_526,
            sha256="f53d8d457504f7cff4ea9e021afcf0e0ad8e24a91f3fc42091b8adef61157831",
        ),
    ),
    archive="cifar-10-python.tar.gz",
    archive_bytes=170_498_071,
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
    by_hand=(
        "copy the archive, or the six files data_batch_1 to 5 and test_batch out of it, into a "
        "folder and name it with --data-dir"
    ),
)
