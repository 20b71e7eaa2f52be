"""Spoken digits under names: downloaded from a server of this machine, from folders and files."""

import hashlib
import io
import tarfile
import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.contract.mutations import regrown, spoiled
from tssl import datasets
from tssl.datasets import Dataset, Frames, Reading
from tssl.datasets.formats import opened
from tssl.datasets.formats.tidigits import opened_tidigits
from tssl.datasets.spoken import FSDD, NTIDIGITS, Fsdd, Ntidigits
from tssl.errors import ConfigError, DataError, TsslError

FRAMES = Frames(time_steps=5, bin_us=20_000)
SPOKEN = [(digit, speaker, index) for speaker in ("ann", "bo") for index in (3, 7, 12)
          for digit in range(10)]  # fmt: skip


def sound(digit: int, index: int) -> bytes:
    """Return a tenth of a second of a tone, as a file."""
    stream = io.BytesIO()
    wave_form = 9000 * np.sin(np.arange(800) * (0.1 + 0.05 * digit + 0.001 * index))
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(wave_form.astype("<i2").tobytes())
    return stream.getvalue()


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A folder as in the repository."""
    folder = tmp_path / "own" / "recordings"
    folder.mkdir(parents=True)
    for digit, speaker, index in SPOKEN:
        (folder / f"{digit}_{speaker}_{index}.wav").write_bytes(sound(digit, index))
    return folder


@pytest.fixture
def archive(recordings: Path) -> bytes:
    """What a release is: a folder that holds the recordings, and other files."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        tar.add(recordings, "spoken-1.0/recordings")
        tar.add(recordings / "0_ann_3.wav", "spoken-1.0/other/0_ann_4.wav")
    return stream.getvalue()


@pytest.fixture
def served(archive: bytes) -> dict[str, bytes]:
    return {FSDD.file: archive, f"corrupt {FSDD.file}": archive[:-1] + b"!"}


def small(archive: bytes, *mirrors: str) -> Fsdd:
    return replace(FSDD, digest=hashlib.sha256(archive).hexdigest(), mirrors=mirrors)


def load(source: Fsdd | Ntidigits, cache: Path, split: str = "train", data: Any = None) -> Dataset:
    return source.load(split, frames=FRAMES, data_dir=data, cache=cache, progress=None)


def test_an_archive_is_what_its_folder_is(
    tmp_path: Path, recordings: Path, archive: bytes, server: str, asked: list[str]
) -> None:
    source, cache = small(archive, f"{server}/absent/", f"{server}/good/"), tmp_path / "cache"
    assert source.describe(data_dir=None, cache=cache).ready is False
    for split, indices in (("train", (7, 12)), ("test", (3,))):
        got = load(source, cache, split)
        own = load(source, tmp_path / "none", split, recordings.parent)
        assert got.name == own.name == "fsdd"
        assert got.class_names == tuple("0123456789")
        assert got.labels.tolist() == [*range(10)] * 2 * len(indices) == own.labels.tolist()
        assert np.array_equal(got.inputs[:], own.inputs[:])
        assert got.shape == (1, 1, 64)
        assert got.inputs[:].any(axis=(1, 2, 3, 4)).all()
    assert asked == [f"/{way}/{FSDD.file}" for way in ("absent", "good")]
    assert source.describe(data_dir=None, cache=cache).ready
    whole = source.describe(data_dir=recordings, cache=cache)
    assert (whole.train, whole.test, whole.found) == (40, 20, str(recordings))


def test_the_spikes_are_those_of_the_cochlea_by_path(tmp_path: Path, recordings: Path) -> None:
    by_path = opened(recordings, Reading(bands=64, spike_threshold=0.2))
    wanted = datasets.load(by_path, "test", data_dir=None, frames=FRAMES)
    found = load(FSDD, tmp_path, "test", recordings)
    assert np.array_equal(found.inputs[:], wanted.inputs[:])


def test_a_bad_archive_is_refused(tmp_path: Path, archive: bytes, server: str) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(DataError, match=r"is not the published file: it has SHA-256 .*; copy v1"):
        load(small(archive, f"{server}/corrupt/"), cache)
    assert not [path for path in cache.rglob("*") if path.is_file()]
    (tmp_path / FSDD.file).write_bytes(archive[:-1] + b"!")
    with pytest.raises(DataError, match=r"v1.0.9.tar.gz: is not the published file"):
        load(small(archive), cache, data=tmp_path)


SAID = {"train": ["man-ah-a-1", "man-ah-b-z", "woman-jx-a-o", "man-bd-a-12o", "man-bd-a-z"],
        "test": ["woman-ac-a-9", "man-ar-a-31", "man-ar-b-1"]}  # fmt: skip


def spikes(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return seconds, not in order, and channels."""
    rng = np.random.default_rng(number)
    return rng.random(30) * 0.1, rng.integers(0, 64, 30)


def write_tidigits(path: Path, said: dict[str, list[str]] = SAID, **changed: Any) -> Path:
    """Write a file as the published one is."""
    with h5py.File(path, "w") as file:
        for split, names in said.items():
            file[f"{split}_labels"] = np.array([name.encode() for name in names], dtype="S20")
            for number, name in enumerate(names):
                seconds, channels = changed.get(split, spikes)(number)
                file[f"{split}_timestamps/{name}"] = seconds
                file[f"{split}_addresses/{name}"] = channels
    return path


@pytest.mark.parametrize("kind", [np.int64, np.float64, np.uint8])
def test_single_digits_of_the_published_layout(kind: type, tmp_path: Path) -> None:
    def as_kind(number: int) -> Any:
        return spikes(number)[0], spikes(number)[1].astype(kind)

    path = write_tidigits(tmp_path / "n-tidigits.hdf5", train=as_kind)
    train = load(NTIDIGITS, tmp_path / "cache", data=tmp_path)
    assert train.labels.tolist() == [1, 0, 10, 0]
    assert train.class_names == ("z", "1", "2", "3", "4", "5", "6", "7", "8", "9", "o")
    assert any("2 samples of several digits are left out" in text for text in train.warnings)
    wanted = np.zeros((4, 5, 64), np.uint8)
    for row, number in enumerate((0, 1, 2, 4)):
        for second, channel in zip(*spikes(number), strict=True):
            if second < 0.1:
                wanted[row, round(second * 1e6) // 20_000, channel] = 1
    assert np.array_equal(train.inputs[:][:, :, 0, 0], wanted)
    assert load(NTIDIGITS, tmp_path, "test", tmp_path).labels.tolist() == [9, 1]
    by_path = datasets.load(path, "train", data_dir=None, frames=FRAMES)
    assert np.array_equal(by_path.inputs[:], train.inputs[:])
    assert by_path.name == "n-tidigits"


def test_the_file_is_downloaded_from_a_whole_address(
    tmp_path: Path, server: str, served: dict[str, bytes]
) -> None:
    content = write_tidigits(tmp_path / "made.hdf5").read_bytes()
    served["get?dl=1"] = content
    source = replace(
        NTIDIGITS,
        digest=hashlib.md5(content, usedforsecurity=False).hexdigest(),
        mirrors=(f"{server}/good/get?dl=1",),
    )
    assert len(load(source, tmp_path / "cache")) == 4
    assert source.describe(data_dir=None, cache=tmp_path / "cache").ready
    with pytest.raises(DataError, match="is not the published file: it has MD5"):
        load(replace(source, digest="0" * 32), tmp_path / "other")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a name": ({"said": {**SAID, "train": ["nobody"]}}, "train_labels has 'nobody'; expected gend"),
    "digits": ({"said": {**SAID, "test": ["man-a-b-x"]}}, "test_labels has 'man-a-b-x'"),
    "no single digit": ({"said": {**SAID, "test": ["man-a-b-12"]}}, "no sample of one digit"),
    "a channel": ({"train": lambda _: ([0.1], [64])}, "channel 64; channels are 0..63"),
    "part of a channel": ({"train": lambda _: ([0.1], [0.5])}, "no whole numbers"),
    "NaN": ({"train": lambda _: ([float("nan")], [1])}, "are no seconds"),
    "lengths": ({"train": lambda _: ([0.1, 0.2], [1])}, "2 times and 1 units"),
    "texts": ({"train": lambda _: (np.array([b"a"]), [1])}, "times of type"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(name: str, tmp_path: Path) -> None:
    changes, says = WRONG[name]
    write_tidigits(tmp_path / "n-tidigits.hdf5", **changes)
    with pytest.raises(DataError) as caught:
        load(NTIDIGITS, tmp_path / "cache", data=tmp_path)
    assert says in str(caught.value)
    assert "n-tidigits.hdf5" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    path = write_tidigits(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        del file["test_addresses"]
    with pytest.raises(DataError, match="holds test_labels without test_addresses"):
        opened(path, Reading())
    path = write_tidigits(tmp_path / "b.hdf5")
    with h5py.File(path, "a") as file:
        del file["test_addresses/man-ar-b-1"]
    with pytest.raises(DataError, match=r"b.hdf5, .*: cannot be read: .*man-ar-b-1"):
        datasets.load(path, "test", data_dir=None, frames=FRAMES)
    with pytest.raises(ConfigError, match=r"data\.test_share: .* has a test split"):
        opened(path, Reading(test_share=0.2))
    with pytest.raises(ConfigError, match=r"data\.size: spikes of N-TIDIGITS have no use"):
        opened(path, Reading(size=(1, 64)))


def refusal(path: Path, split: str) -> str:
    """Return why a file is not read; nothing where it is."""
    try:
        opened_tidigits(path, Reading()).load(
            split, frames=FRAMES, data_dir=None, cache=None, progress=None
        )
    except TsslError as error:
        return str(error)
    return ""


def test_spoilt_files(tmp_path: Path) -> None:
    """Bytes and numbers, names and groups changed at random: read, or refused in one line."""
    content = write_tidigits(tmp_path / "good.hdf5").read_bytes()
    groups = "train_timestamps", "test_addresses", "train_labels"
    refused = 0
    for case in range(120):
        rng, path = np.random.default_rng(case), tmp_path / f"{case}.hdf5"
        path.write_bytes(content if case % 2 else spoiled(content, rng))
        if case % 2:
            with h5py.File(path, "a") as file:
                regrown(file, rng, groups[case // 2 % len(groups)])
        said = [refusal(path, split) for split in ("train", "test")]
        assert not any("\n" in text for text in said), case
        refused += sum(map(bool, said))
        path.unlink()
    assert 40 < refused < 240


def test_published_sums_have_the_length_of_their_kind() -> None:
    assert (len(bytes.fromhex(FSDD.digest)), FSDD.algorithm) == (32, "sha256")
    assert (len(bytes.fromhex(NTIDIGITS.digest)), NTIDIGITS.algorithm) == (16, "md5")
    assert FSDD.bin_us(100) == 10_000
