"""Spiking Heidelberg Digits and Spiking Speech Commands: spoken words as spikes of 700 units."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tssl.datasets import packed
from tssl.datasets.dataset import Dataset, Description, Progress
from tssl.datasets.events import Events, Frames, packed_frames
from tssl.datasets.fetch import Wanted, cache_folder, check_digest, download, folders
from tssl.datasets.formats.spikes import read_sample, spike_file
from tssl.errors import DataError
from tssl.machine.files import written

SHAPE = (1, 1, 700)
"""One polarity, 1, unit of the cochlea."""
LONGEST_US = 1_400_000
"""What frames cover when nobody says otherwise; nearly all spikes come before."""

_LARGEST = 4 << 30
_DEFAULT_STEPS = 25


class Archive(NamedTuple):
    """A published zip with one HDF5 file."""

    file: str
    """Its name, that of the HDF5 file with ``.zip`` behind."""
    algorithm: str
    """``sha256`` or ``md5``."""
    digest: str

    @property
    def unpacked(self) -> str:
        """Name of the HDF5 file."""
        return self.file.removesuffix(".zip")


@dataclass(frozen=True, kw_only=True)
class HeidelbergSource:
    """Words that an artificial cochlea turned into spikes, in the authors' HDF5 files.

    Parameters
    ----------
    name, title, classes
        See :class:`Description`.
    archives
        By split.
    train, test
        Samples that the authors state.
    mirrors
        Addresses that end in a slash, under which the zips are.

    Notes
    -----
    The authors publish MD5 sums; SHA-256 sums are taken where somebody else computed them. An MD5
    sum notices damage, and no deliberate exchange of the file.

    References
    ----------
    .. [1] B. Cramer, Y. Stradmann, J. Schemmel and F. Zenke, The Heidelberg Spiking Data Sets for
       the Systematic Evaluation of Spiking Neural Networks, IEEE TNNLS 33(7), 2022.
    """

    name: str
    title: str
    classes: int
    archives: Mapping[str, Archive]
    train: int
    test: int
    mirrors: tuple[str, ...]

    @property
    def default_frames(self) -> Frames:
        """25 frames that together last 1.4 s."""
        return Frames(time_steps=_DEFAULT_STEPS, bin_us=self.bin_us(_DEFAULT_STEPS))

    def bin_us(self, time_steps: int) -> int:
        """Return how long a frame is when so many last 1.4 s."""
        return -(-LONGEST_US // max(1, time_steps))

    def describe(self, *, data_dir: Path | None, cache: Path | None) -> Description:
        """Return what the data set is and where its files are, without opening them."""
        paths = [self._find(archive, data_dir, cache) for archive in self.archives.values()]
        found = next((path for path in paths if path is not None), None)
        return Description(
            name=self.name,
            title=self.title,
            shape=SHAPE,
            classes=self.classes,
            full_scale=1,
            train=self.train,
            test=self.test,
            licence="CC BY 4.0, as the authors' page states it",
            found=f"download from {self.mirrors[0]}" if found is None else str(found.parent),
            ready=all(path is not None for path in paths),
        )

    def load(
        self,
        split: str,
        *,
        frames: Frames,
        data_dir: Path | None,
        cache: Path | None,
        progress: Progress | None,
    ) -> Dataset:
        """Return one split in the order of the file, from the first place that has it.

        Raises
        ------
        DataError
            When the file is damaged or another, or in no place and on no mirror.
        """
        archive = self.archives[split]
        path = self._find(archive, data_dir, cache) or self._download(archive, cache, progress)
        if path.suffix == ".zip":
            path = self._unpacked(archive, path, cache)
        file = spike_file(path)
        if int(file.labels.max()) >= self.classes:
            raise DataError(f"{path}: has labels up to {file.labels.max()}; {self.name} has none")
        samples = (_events(path, number) for number in range(len(file.labels)))
        inputs, tally = packed_frames(samples, frames, SHAPE)
        try:
            tally.check()
        except DataError as fault:
            raise DataError(f"{path}: {fault}") from fault
        return Dataset(
            name=self.name,
            split=split,
            inputs=inputs,
            labels=file.labels,
            classes=self.classes,
            full_scale=1,
            source=str(path),
            time_steps=frames.time_steps,
            class_names=file.names if len(file.names) == self.classes else (),
            warnings=tuple(
                f"data set {self.name}, {split} split: {text}" for text in tally.warnings()
            ),
        )

    def _find(self, archive: Archive, data_dir: Path | None, cache: Path | None) -> Path | None:
        """Return the HDF5 file, or the zip, in the first folder that has one of them."""
        names = (archive.unpacked, archive.file)
        paths = (folder / name for folder in folders(self.name, data_dir, cache) for name in names)
        return next((path for path in paths if os.path.exists(path)), None)

    def _download(self, archive: Archive, cache: Path | None, progress: Progress | None) -> Path:
        wanted = Wanted(
            file=archive.file,
            mirrors=self.mirrors,
            largest=_LARGEST,
            check=lambda path: check_digest(path, archive.algorithm, archive.digest),
            otherwise=f"copy {archive.file} into a folder and name it with --data-dir",
        )
        return download(wanted, (cache or cache_folder()) / self.name, progress)

    def _unpacked(self, archive: Archive, path: Path, cache: Path | None) -> Path:
        """Unpack a zip into the cache; HDF5 is not read out of an archive."""
        target = (cache or cache_folder()) / self.name / archive.unpacked
        try:
            check_digest(path, archive.algorithm, archive.digest)
            content = _content(archive, path)
        except DataError as fault:
            raise DataError(
                f"{path}: {fault}; replace it by the published {archive.file}, or remove it to "
                "have it looked for elsewhere"
            ) from fault
        with written(target) as temporary:
            temporary.write_bytes(content)
        return target


def _events(path: Path, number: int) -> Events:
    """Return a sample; errors name it."""
    try:
        events = read_sample(path, number).events
        if len(events.x) and int(events.x.max()) >= SHAPE[2]:
            raise DataError(f"has unit {events.x.max()}; units are 0..{SHAPE[2] - 1}")
    except DataError as fault:
        raise DataError(f"{path}, sample {number}: {fault}") from fault
    return events


def _content(archive: Archive, path: Path) -> bytes:
    """Return the HDF5 file in a zip."""
    for member in packed.members(path, _LARGEST):
        if Path(member.name).name == archive.unpacked:
            return member.read()
    raise DataError(f"does not hold {archive.unpacked}")


_MIRRORS = ("https://zenkelab.org/datasets/", "https://compneuro.net/datasets/")

SHD = HeidelbergSource(
    name="shd",
    title="Spiking Heidelberg Digits, spoken in English and German, 700 units",
    classes=20,
    archives={
        "train": Archive(
            "shd_train.h5.zip",
            "sha256",
            "d21bf17b71bededa52cc9134717b2bfee25dc4a99a94c1807be9a3c4f9697dc4",
        ),
        "test": Archive(
            "shd_test.h5.zip",
            "sha256",
            "f50b1d1f614ed84ff92f34aa771c33b237944722455b52ce1ccd2eac7903812c",
        ),
    },
    train=8156,
    test=2264,
    mirrors=_MIRRORS,
)
SSC = HeidelbergSource(
    name="ssc",
    title="Spiking Speech Commands, 35 words, 700 units",
    classes=35,
    archives={
        "train": Archive("ssc_train.h5.zip", "md5", "d102be95e7144fcc0553d1f45ba94170"),
        "test": Archive("ssc_test.h5.zip", "md5", "a35ff1e9cffdd02a20eb850c17c37748"),
    },
    train=75466,
    test=20382,
    mirrors=_MIRRORS,
)
