"""MNIST and Fashion-MNIST: IDX files, gzipped or plain, local or downloaded."""

import hashlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.datasets import packed
from tssl.datasets.dataset import Dataset, Description, Progress
from tssl.datasets.fetch import Wanted, cache_folder, download
from tssl.errors import DataError
from tssl.wording import several

SYSTEM_FOLDER = Path("/usr/share/datasets")
"""Where Debian's ``dataset-*`` packages put their files."""

_UNSIGNED_BYTE = 0x08
_FULL_SCALE = 255
_DOWNLOAD_SLACK = 1 << 16  # gzip adds a little to what it cannot compress


@dataclass(frozen=True, kw_only=True)
class IdxFile:
    """One published IDX file.

    Parameters
    ----------
    name
        Without ``.gz``.
    shape
        Of the array in it.
    sha256
        Of the content as unpacked. One rule for all sources: Debian and the mirrors pack
        the same content differently.
    """

    name: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def content_bytes(self) -> int:
        """Bytes of the header and the array."""
        return 4 + 4 * len(self.shape) + math.prod(self.shape)


class IdxPair(NamedTuple):
    """The two files of a split."""

    images: IdxFile
    labels: IdxFile


@dataclass(frozen=True, kw_only=True)
class IdxSource:
    """A data set of grey pictures in four IDX files.

    Parameters
    ----------
    name, title, licence, classes
        See :class:`Description`.
    train, test
        Files of the two splits.
    mirrors
        Addresses that end in a slash, under which the ``.gz`` files are.
    by_hand
        What to do without the mirrors.
    system
        Folder in which operating systems keep data sets.
    """

    name: str
    title: str
    licence: str
    classes: int
    train: IdxPair
    test: IdxPair
    mirrors: tuple[str, ...]
    by_hand: str
    system: Path = SYSTEM_FOLDER

    def describe(self, *, data_dir: Path | None, cache: Path | None) -> Description:
        """Return what the data set is and where its files are, without opening them."""
        paths = [self._find(file, data_dir, cache) for file in (*self.train, *self.test)]
        folders = sorted({str(path.parent) for path in paths if path is not None})
        ready = None not in paths
        if not ready:
            folders.append(f"download from {self.mirrors[0]}" if self.mirrors else "nowhere")
        height, width = self.train.images.shape[1:]
        return Description(
            name=self.name,
            title=self.title,
            shape=(1, height, width),
            classes=self.classes,
            full_scale=_FULL_SCALE,
            train=self.train.images.shape[0],
            test=self.test.images.shape[0],
            licence=self.licence,
            found=", ".join(folders),
            ready=ready,
        )

    def load(
        self, split: str, *, data_dir: Path | None, cache: Path | None, progress: Progress | None
    ) -> Dataset:
        """Return one split from the first place that has its files.

        Raises
        ------
        DataError
            When a file is damaged or in no place and on no mirror.
        """
        pair = self.train if split == "train" else self.test
        # a damaged file is found out before its partner is downloaded
        images_path = self._path(pair.images, data_dir, cache, progress)
        images = read_idx(images_path, pair.images)
        labels_path = self._path(pair.labels, data_dir, cache, progress)
        labels = read_idx(labels_path, pair.labels, largest=self.classes - 1)
        return Dataset(
            name=self.name,
            split=split,
            inputs=images[:, None],
            labels=labels.astype(np.int64),
            classes=self.classes,
            full_scale=_FULL_SCALE,
            source=str(images_path.parent),
        )

    def _path(
        self, file: IdxFile, data_dir: Path | None, cache: Path | None, progress: Progress | None
    ) -> Path:
        """Return where a file is, or where it lies after its download."""
        return self._find(file, data_dir, cache) or self._download(file, cache, progress)

    def _find(self, file: IdxFile, data_dir: Path | None, cache: Path | None) -> Path | None:
        for folder in self._folders(data_dir, cache):
            for path in (folder / file.name, folder / f"{file.name}.gz"):
                if os.path.exists(path):  # False, not an error, in a forbidden folder
                    return path
        return None

    def _folders(self, data_dir: Path | None, cache: Path | None) -> Iterator[Path]:
        if data_dir is not None:
            yield data_dir
            yield data_dir / self.name
        yield self.system / self.name
        yield (cache or cache_folder()) / self.name

    def _download(self, file: IdxFile, cache: Path | None, progress: Progress | None) -> Path:
        wanted = Wanted(
            file=f"{file.name}.gz",
            mirrors=self.mirrors,
            largest=file.content_bytes + _DOWNLOAD_SLACK,
            check=lambda path: _checked(path, file),
            otherwise=self.by_hand,
        )
        return download(wanted, (cache or cache_folder()) / self.name, progress)


def read_idx(path: Path, expected: IdxFile, *, largest: int = _FULL_SCALE) -> NDArray[np.uint8]:
    """Return the array of an IDX file, plain or gzipped, after checking all of it.

    Parameters
    ----------
    expected
        What is published under the file's name.
    largest
        Largest value allowed in the array.

    Raises
    ------
    DataError
        When the file cannot be read or is not the published one.
    """
    try:
        return _checked(path, expected, largest)
    except DataError as fault:
        raise DataError(
            f"{path}: {fault}; replace the file by the published {expected.name}.gz, "
            "or remove it to have it looked for elsewhere"
        ) from fault


def _checked(path: Path, expected: IdxFile, largest: int = _FULL_SCALE) -> NDArray[np.uint8]:
    """Return the array; errors here and below say what is wrong, not with which file."""
    content = packed.content(path, expected.content_bytes)
    array = _array(content, expected.shape)
    if int(array.max(initial=0)) > largest:
        raise DataError(f"holds a label of {array.max()}; labels are 0..{largest}")
    digest = hashlib.sha256(content).hexdigest()
    if digest != expected.sha256:
        raise DataError(
            f"is not the published file: its content has SHA-256 {digest}, "
            f"expected {expected.sha256}"
        )
    return array


def _array(content: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the array after its header: two zeros, type, dimensions, then each size."""
    header = 4 + 4 * len(shape)
    if len(content) < 4:
        raise DataError(f"is {len(content)} bytes long, too short for an IDX header")
    if content[:2] != b"\0\0":
        raise DataError(f"starts with {content[:4].hex(' ')}; an IDX file starts with 00 00")
    if content[2] != _UNSIGNED_BYTE:
        raise DataError(f"has IDX type 0x{content[2]:02x}; expected 0x08, unsigned bytes")
    if content[3] != len(shape):
        raise DataError(
            f"has {several(content[3], 'dimension')}, expected {len(shape)} "
            "(are the files of images and labels exchanged?)"
        )
    if len(content) < header:
        raise DataError(f"ends in its header, after {len(content)} of {header} bytes")
    sizes = tuple(int(size) for size in np.frombuffer(content, ">u4", len(shape), offset=4))
    if sizes != shape:
        raise DataError(f"declares an array of {sizes}, expected {shape}")
    if len(content) != header + math.prod(shape):
        raise DataError(
            f"ends early: {len(content) - header} of {math.prod(shape)} bytes after the header"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _pair(prefix: str, samples: int, images: str, labels: str) -> IdxPair:
    """Return the files of a split under the names that both data sets use."""
    return IdxPair(
        IdxFile(name=f"{prefix}-images-idx3-ubyte", shape=(samples, 28, 28), sha256=images),
        IdxFile(name=f"{prefix}-labels-idx1-ubyte", shape=(samples,), sha256=labels),
    )


MNIST = IdxSource(
    name="mnist",
    title="MNIST, handwritten digits, 28 x 28",
    licence="CC BY-SA 3.0",
    classes=10,
    train=_pair(
        "train",
        60_000,
        images="ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        labels="65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    test=_pair(
        "t10k",
        10_000,
        images="0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        labels="ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    by_hand="copy the four .gz files into a folder and name it with --data-dir",
)

FASHION_MNIST = IdxSource(
    name="fashion-mnist",
    title="Fashion-MNIST, articles of clothing, 28 x 28",
    licence="MIT",
    classes=10,
    train=_pair(
        "train",
        60_000,
        images="c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        labels="bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    test=_pair(
        "t10k",
        10_000,
        images="5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        labels="0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    by_hand=(
        "copy the four .gz files into a folder and name it with --data-dir, "
        "or install Debian's package dataset-fashion-mnist"
    ),
)
