"""Spiking Heidelberg Digits and Speech Commands, from files written as the authors' are."""

import hashlib
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.datasets.formats.test_spikes import SAMPLES, write
from tssl.datasets import Dataset, Frames
from tssl.datasets.heidelberg import SHD, SSC, Archive, HeidelbergSource
from tssl.errors import DataError

FRAMES = Frames(time_steps=4, bin_us=250_000)


@pytest.fixture
def packed(tmp_path: Path) -> dict[str, bytes]:
    """The zips of both splits; the one for testing has the last two samples."""
    folder = tmp_path / "made"
    folder.mkdir()
    write(folder / "s_train.h5", SAMPLES, (0, 1, 0, 1))
    write(folder / "s_test.h5", SAMPLES[2:], (1, 0))
    found = {}
    for split in ("train", "test"):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(folder / f"s_{split}.h5", f"s_{split}.h5")
        found[f"s_{split}.h5.zip"] = stream.getvalue()
    return found


@pytest.fixture
def served(packed: dict[str, bytes]) -> dict[str, bytes]:
    name = "s_train.h5.zip"
    return {**packed, f"corrupt {name}": packed[name][:-1] + b"\1"}


def small(packed: dict[str, bytes], *mirrors: str, algorithm: str = "sha256") -> HeidelbergSource:
    archives = {
        split: Archive(
            f"s_{split}.h5.zip",
            algorithm,
            hashlib.new(algorithm, packed[f"s_{split}.h5.zip"]).hexdigest(),
        )
        for split in ("train", "test")
    }
    return replace(SHD, name="small", classes=2, archives=archives, mirrors=mirrors)


def load(source: HeidelbergSource, cache: Path, split: str = "train", data=None) -> Dataset:
    return source.load(split, frames=FRAMES, data_dir=data, cache=cache, progress=None)


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_files_are_downloaded_once_unpacked_and_kept(
    tmp_path: Path, packed: dict[str, bytes], server: str, asked: list[str], algorithm: str
):
    source = small(packed, f"{server}/absent/", f"{server}/good/", algorithm=algorithm)
    cache = tmp_path / "cache"
    assert not source.describe(data_dir=None, cache=cache).ready
    for _ in range(2):
        train = load(source, cache)
        assert train.shape == (1, 1, 700)
        assert train.class_names == ("null", "eins")
        assert train.labels.tolist() == [0, 1, 0, 1]
        expected = np.zeros((4, 700), np.uint8)
        expected[0, 4] = expected[1, 0] = expected[3, 6] = 1
        assert np.array_equal(train.inputs[0][:, 0, 0], expected)
    assert load(source, cache, "test").labels.tolist() == [1, 0]
    names = ("s_train.h5.zip", "s_test.h5.zip")
    assert asked == [f"/{way}/{name}" for name in names for way in ("absent", "good")]
    assert source.describe(data_dir=None, cache=cache).ready


def test_files_of_ones_own_come_first(tmp_path: Path, packed: dict[str, bytes]):
    source, own = small(packed), tmp_path / "own"
    own.mkdir()
    (own / "s_train.h5.zip").write_bytes(packed["s_train.h5.zip"])
    write(own / "s_test.h5", SAMPLES[:2], (1, 1))
    assert len(load(source, tmp_path / "cache", data=own)) == 4
    assert load(source, tmp_path / "cache", "test", own).labels.tolist() == [1, 1]
    assert source.describe(data_dir=own, cache=tmp_path / "none").ready
    with pytest.raises(DataError, match="mirrors tried: none; copy s_train"):
        load(source, tmp_path / "none")


def test_a_bad_download_is_refused_and_nothing_is_left(
    tmp_path: Path, packed: dict[str, bytes], server: str
):
    cache = tmp_path / "cache"
    with pytest.raises(DataError, match=r"is not the published file: it has SHA-256 .*, expected"):
        load(small(packed, f"{server}/corrupt/"), cache)
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_what_is_not_of_the_set(tmp_path: Path, packed: dict[str, bytes]):
    source = small(packed)
    (tmp_path / "s_train.h5.zip").write_bytes(packed["s_test.h5.zip"])
    with pytest.raises(DataError, match=r"s_train.h5.zip: is not the published file.*; replace"):
        load(source, tmp_path / "cache", data=tmp_path)
    (tmp_path / "s_train.h5.zip").unlink()
    write(tmp_path / "s_train.h5", SAMPLES, (0, 1, 2, 1))
    with pytest.raises(DataError, match="labels up to 2"):
        load(source, tmp_path / "cache", data=tmp_path)
    write(tmp_path / "s_train.h5", [([0.1], [700]), ([0.1], [3])], (0, 1))
    with pytest.raises(DataError, match=r"sample 0: has unit 700; units are 0\.\.699"):
        load(source, tmp_path / "cache", data=tmp_path)


def test_published_sums_have_the_length_of_their_kind():
    lengths = {"sha256": 64, "md5": 32}
    for source in (SHD, SSC):
        for archive in source.archives.values():
            assert len(bytes.fromhex(archive.digest)) * 2 == lengths[archive.algorithm]
        assert source.bin_us(25) * 25 == 1_400_000
