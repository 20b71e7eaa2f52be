"""Spoken digits under names of their own: the Free Spoken Digit Dataset and N-TIDIGITS.

Both are read as data by path are, see :mod:`tssl.datasets.formats.sound` and
:mod:`tssl.datasets.formats.tidigits`; here stand where they come from and what is fixed.

References
----------
.. [1] Z. Jackson, C. Souza, J. Flaks, Y. Pan, H. Nicolas and A. Thite, Free Spoken Digit Dataset,
   release 1.0.9, doi:10.5281/zenodo.1342401.
.. [2] J. Anumula, D. Neil, T. Delbruck and S.-C. Liu, Feature Representations for Neuromorphic
   Audio Spike Streams, Frontiers in Neuroscience 12:23, 2018.
"""

import io
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter
from pathlib import Path

from tssl.datasets import packed
from tssl.datasets.dataset import SPLITS, Dataset, Description, Progress
from tssl.datasets.events import Frames
from tssl.datasets.fetch import Wanted, cache_folder, check_digest, download, folders
from tssl.datasets.formats._labelled import Labelled, Sample
from tssl.datasets.formats.recordings import Recording, RecordingSource
from tssl.datasets.formats.tidigits import CHANNELS, CLASSES, opened_tidigits
from tssl.datasets.reading import Reading
from tssl.errors import DataError

__all__ = ["FSDD", "NTIDIGITS", "Fsdd", "Ntidigits"]

_BANDS, _THRESHOLD = 64, 0.2
_LARGEST, _LARGEST_SOUND = 4 << 30, 1 << 24
_DEFAULT_STEPS = 25
_FOLDER = "recordings"
_FILE = re.compile(r"(\d)_([A-Za-z]+)_(\d+)\.wav")
_DIGITS = tuple(map(str, range(10)))


@dataclass(frozen=True, kw_only=True)
class _Spoken(ABC):
    """Words that somebody else published.

    Parameters
    ----------
    name, title, train, test, licence
        See :class:`Description`; the samples are those of the published file.
    file, algorithm, digest
        The published file, and what a download is checked by; FSDD's archive also when it is read.
    mirrors
        See :class:`Wanted`.
    lasting_us
        What frames cover when nobody says otherwise.
    """

    name: str
    title: str
    file: str
    algorithm: str
    digest: str
    mirrors: tuple[str, ...]
    train: int
    test: int
    licence: str
    lasting_us: int
    channels: int
    class_names: tuple[str, ...]

    @property
    def default_frames(self) -> Frames:
        """25 frames."""
        return Frames(time_steps=_DEFAULT_STEPS, bin_us=self.bin_us(_DEFAULT_STEPS))

    def bin_us(self, time_steps: int) -> int:
        """Return how long a frame is when so many last as long as nearly all samples."""
        return -(-self.lasting_us // max(1, time_steps))

    def describe(self, *, data_dir: Path | None, cache: Path | None) -> Description:
        """Return what the data set is and where its file is, without opening it."""
        found = self.find(data_dir, cache)
        train, test = (self.train, self.test) if found is None else self.counted(found)
        return Description(
            name=self.name,
            title=self.title,
            shape=(1, 1, self.channels),
            classes=len(self.class_names),
            full_scale=1,
            train=train,
            test=test,
            licence=self.licence,
            found=f"download from {self.mirrors[0]}" if found is None else str(found),
            ready=found is not None,
            class_names=self.class_names,
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
        """Return one split, from the first place that has it.

        Raises
        ------
        DataError
            When the file is damaged or another, or in no place and on no mirror.
        """
        found = self.find(data_dir, cache)
        if found is None:
            found = self._downloaded(cache, progress)
        source = self.opened(found)
        source = replace(source, found=replace(source.found, name=self.name))
        return source.load(split, frames=frames, data_dir=None, cache=None, progress=None)

    def _downloaded(self, cache: Path | None, progress: Progress | None) -> Path:
        wanted = Wanted(
            file=self.file,
            mirrors=self.mirrors,
            largest=_LARGEST,
            check=lambda path: check_digest(path, self.algorithm, self.digest),
            otherwise=f"copy {self.by_hand} into a folder and name it with --data-dir",
        )
        return download(wanted, (cache or cache_folder()) / self.name, progress)

    @property
    def by_hand(self) -> str:
        """What a user may copy here instead."""
        return self.file

    @abstractmethod
    def find(self, data_dir: Path | None, cache: Path | None) -> Path | None:
        """Return the first place that has the data."""

    @abstractmethod
    def counted(self, found: Path) -> tuple[int, int]:
        """Return how many samples there are to train and to test on; no file is opened."""

    @abstractmethod
    def opened(self, found: Path) -> RecordingSource:
        """Return what reads the samples."""


class Fsdd(_Spoken):
    """Recordings ``digit_speaker_index.wav`` of spoken digits, of which 0 to 4 are the test split.

    The release 1.0.9 is downloaded: five speakers. Its SHA-256 is the one that TensorFlow Datasets
    publishes. A folder ``recordings`` of one's own may be of any release.

    Notes
    -----
    The cochlea has 64 bands and the threshold 0.2; data by path have settings for both.
    """

    @property
    def by_hand(self) -> str:
        """What a user may copy here instead."""
        return f"{self.file}, or the folder {_FOLDER} of the repository,"

    def find(self, data_dir: Path | None, cache: Path | None) -> Path | None:
        """Return the first folder with recordings, or the archive where it comes before."""
        for folder in folders(self.name, data_dir, cache):
            for each in (folder, folder / _FOLDER, folder / self.file):
                if each.is_file() if each.name == self.file else any(self._files(each)):
                    return each
        return None

    def counted(self, found: Path) -> tuple[int, int]:
        """Return how many recordings are to train and to test on, by their names."""
        if not found.is_dir():
            return self.train, self.test
        tested = Counter(_is_tested(match) for match in self._files(found))
        return tested[False], tested[True]

    def opened(self, found: Path) -> RecordingSource:
        """Return what hears the recordings of a folder, or of the published archive."""
        reading = Reading(bands=_BANDS, spike_threshold=_THRESHOLD)
        if not found.is_dir():
            return RecordingSource(self._packed(found, reading), reading)
        from tssl.datasets.formats.trees import opened

        source = opened(found, reading)
        if not isinstance(source, RecordingSource):
            raise DataError(f"{found}: holds no recordings")
        return source

    def _packed(self, archive: Path, reading: Reading) -> Labelled[Recording]:
        """Return the recordings of the archive, in the order in which a folder's are read."""
        samples: dict[str, list[tuple[tuple[str, int, int], Sample[Recording]]]]
        samples = {split: [] for split in SPLITS}
        try:
            check_digest(archive, self.algorithm, self.digest)
            for member in packed.members(archive, _LARGEST_SOUND):
                name = Path(member.name)
                match = _FILE.fullmatch(name.name)
                if match is not None and name.parent.name == _FOLDER:
                    heard = partial(_heard, member.read(), reading)
                    sample = Sample(f"{archive}, {name.name}", int(match[1]), heard)
                    place = (match[2], int(match[3]), int(match[1]))
                    samples[SPLITS[_is_tested(match)]].append((place, sample))
        except DataError as fault:
            raise DataError(f"{archive}: {fault}") from fault
        for found in samples.values():
            found.sort(key=itemgetter(0))
        return Labelled(
            name=self.name,
            source=str(archive),
            class_names=self.class_names,
            samples={split: [sample for _, sample in found] for split, found in samples.items()},
        )

    def _files(self, folder: Path) -> Iterator[re.Match[str]]:
        if not folder.is_dir():
            return
        for path in folder.iterdir():
            match = _FILE.fullmatch(path.name)
            if match is not None:
                yield match


class Ntidigits(_Spoken):
    """Digits of TIDIGITS that a silicon cochlea heard, in one HDF5 file; samples of one digit.

    Notes
    -----
    The MD5 sum is the one that tonic publishes. It notices damage, and no deliberate exchange of
    the file.
    """

    def find(self, data_dir: Path | None, cache: Path | None) -> Path | None:
        """Return the first file of this name."""
        paths = (folder / self.file for folder in folders(self.name, data_dir, cache))
        return next((path for path in paths if path.is_file()), None)

    def counted(self, found: Path) -> tuple[int, int]:
        """Return the numbers that the authors state."""
        return self.train, self.test

    def opened(self, found: Path) -> RecordingSource:
        """Return what reads the samples of one digit."""
        return opened_tidigits(found, Reading())


def _heard(content: bytes, reading: Reading) -> Recording:
    from tssl.datasets.formats.sound import read

    return read(io.BytesIO(content), reading)


def _is_tested(match: re.Match[str]) -> bool:
    return int(match[3]) < 5


FSDD = Fsdd(
    name="fsdd",
    title="Free Spoken Digit Dataset, through a cochlea of 64 bands",
    file="v1.0.9.tar.gz",
    algorithm="sha256",
    digest="8bc44cde129d505cbbb6b365c09f80c663f2aa77578afc634e6141a2f87100c0",
    mirrors=("https://github.com/Jakobovski/free-spoken-digit-dataset/archive/",),
    train=2250,
    test=250,
    licence="CC BY-SA 4.0",
    lasting_us=1_000_000,
    channels=_BANDS,
    class_names=_DIGITS,
)
NTIDIGITS = Ntidigits(
    name="ntidigits",
    title="N-TIDIGITS, spoken digits through a silicon cochlea of 64 channels",
    file="n-tidigits.hdf5",
    algorithm="md5",
    digest="360a2d11e5429555c9197381cf6b58e0",
    mirrors=(
        "https://www.neuromorphic-vision.com/public/downloads/",
        "https://www.dropbox.com/s/vfwwrhlyzkax4a2/n-tidigits.hdf5?dl=1",
    ),
    train=2464,
    test=2486,
    licence="not stated; TIDIGITS itself is sold by the LDC",
    lasting_us=2_000_000,
    channels=CHANNELS,
    class_names=CLASSES,
)
