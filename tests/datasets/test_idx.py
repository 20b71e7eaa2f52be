"""IDX files: the real ones where they are, small ones for every fault."""

import gzip
import hashlib
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tssl import datasets
from tssl.datasets.idx import (
    FASHION_MNIST,
    MNIST,
    SYSTEM_FOLDER,
    IdxFile,
    IdxPair,
    IdxSource,
    read_idx,
)
from tssl.errors import DataError

IMAGES = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
LABELS = np.array([0, 1, 2, 1], np.uint8)


def idx(array: np.ndarray) -> bytes:
    """Return an array as the content of an IDX file."""
    header = bytes([0, 0, 8, array.ndim])
    return header + struct.pack(f">{array.ndim}I", *array.shape) + array.astype(np.uint8).tobytes()


def published(name: str, array: np.ndarray, content: bytes | None = None) -> IdxFile:
    digest = hashlib.sha256(idx(array) if content is None else content).hexdigest()
    return IdxFile(name=name, shape=array.shape, sha256=digest)


def small_source(**changes: object) -> IdxSource:
    pair = IdxPair(published("images", IMAGES), published("labels", LABELS))
    fields = {
        "name": "small",
        "title": "Small",
        "licence": "none",
        "classes": 3,
        "train": pair,
        "test": pair,
        "mirrors": (),
        "by_hand": "give --data-dir",
        "system": Path("nowhere"),
    }
    return IdxSource(**{**fields, **changes})


def put(folder: Path, *, images: bytes = idx(IMAGES), labels: bytes = idx(LABELS)) -> Path:
    """Write both files, gzipped, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "images.gz").write_bytes(gzip.compress(images))
    (folder / "labels.gz").write_bytes(gzip.compress(labels))
    return folder


# ------------------------------------------------------------------ the published data


def check_published(train: datasets.Dataset, test: datasets.Dataset, *, per_class: bool) -> None:
    assert train.inputs.shape == (60_000, 1, 28, 28)
    assert test.inputs.shape == (10_000, 1, 28, 28)
    if per_class:
        assert np.bincount(train.labels).tolist() == [6000] * 10
        assert np.bincount(test.labels).tolist() == [1000] * 10
    for data in (train, test):
        assert data.full_scale == data.inputs.max() == 255
        centre, corner = data.inputs[:, 0, 14, 14].mean(), data.inputs[:, 0, 0, 0].mean()
        assert centre > 50 > corner, "a transposed or shifted picture would not be so"


def test_fashion_mnist_of_the_system():
    if not (SYSTEM_FOLDER / "fashion-mnist").is_dir():
        pytest.skip("needs Debian's package dataset-fashion-mnist")
    train, test = (
        datasets.load("fashion-mnist", split, data_dir=None) for split in ("train", "test")
    )
    check_published(train, test, per_class=True)
    assert train.labels[:5].tolist() == [9, 0, 0, 3, 0]
    assert train.source == str(SYSTEM_FOLDER / "fashion-mnist")


def test_mnist_of_a_data_folder(shared_dir: Path):
    if not (shared_dir / "data" / "mnist").is_dir():
        pytest.skip("needs MNIST in ../shared/data/mnist")
    train, test = (
        datasets.load("mnist", split, data_dir=shared_dir / "data") for split in ("train", "test")
    )
    check_published(train, test, per_class=False)
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(test.labels).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]


@pytest.mark.parametrize("source", [MNIST, FASHION_MNIST], ids=lambda source: source.name)
def test_published_files_are_told_apart(source: IdxSource):
    files = [*source.train, *source.test]
    assert len({file.sha256 for file in files}) == 4
    assert all(len(file.sha256) == 64 for file in files)
    assert source.train.images.content_bytes == 47_040_016
    assert source.test.labels.content_bytes == 10_008
    assert all(mirror.endswith("/") for mirror in source.mirrors)
    assert len(source.mirrors) >= 2


# ---------------------------------------------------------------------- where files are


def load(source: IdxSource, data_dir: Path | None, cache: Path) -> datasets.Dataset:
    return source.load("train", data_dir=data_dir, cache=cache, progress=None)


def test_the_places_are_searched_in_order(tmp_path: Path):
    source = small_source(system=tmp_path / "system")
    data_dir, cache = tmp_path / "data", tmp_path / "cache"
    places = [cache / "small", tmp_path / "system" / "small", data_dir / "small", data_dir]
    for folder in places:  # the later, the earlier it is looked into
        put(folder)
        description = source.describe(data_dir=data_dir, cache=cache)
        data = load(source, data_dir, cache)
        assert data.source == description.found == str(folder)
        assert description.ready


def test_files_may_be_gzipped_or_plain_whatever_they_are_called(tmp_path: Path):
    (tmp_path / "images").write_bytes(idx(IMAGES))
    (tmp_path / "labels").write_bytes(gzip.compress(idx(LABELS)))
    data = load(small_source(), tmp_path, tmp_path)
    assert np.array_equal(data.inputs[:, 0], IMAGES)
    assert np.array_equal(data.labels, LABELS)


def test_nothing_found_and_no_mirror_says_what_to_do(tmp_path: Path):
    source = small_source()
    assert source.describe(data_dir=None, cache=tmp_path).found == "nowhere"
    with pytest.raises(DataError, match=r"images\.gz: cannot be downloaded.*give --data-dir"):
        load(source, None, tmp_path)


def test_what_is_missing_would_be_downloaded(tmp_path: Path):
    source = small_source(mirrors=("http://one/", "http://two/"))
    (put(tmp_path) / "labels.gz").unlink()
    description = source.describe(data_dir=tmp_path, cache=tmp_path)
    assert description.found == f"{tmp_path}, download from http://one/"
    assert not description.ready
    assert (description.shape, description.train) == ((1, 2, 3), 4)


# --------------------------------------------------------------------------- the faults


def flipped(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 0x55]) + content[position + 1 :]


PACKED = gzip.compress(idx(IMAGES))
FAULTS = {
    "empty": (b"", "is 0 bytes long, too short for an IDX header"),
    "two bytes": (b"\0\0", "is 2 bytes long, too short"),
    "cut header": (idx(IMAGES)[:11], "ends in its header, after 11 of 16 bytes"),
    "web page": (b"<!DOCTYPE html>", "starts with 3c 21 44 4f; an IDX file starts with 00 00"),
    "wrong type": (b"\0\0\x0d" + idx(IMAGES)[3:], "has IDX type 0x0d; expected 0x08"),
    "labels as images": (idx(LABELS), r"has 1 dimension, expected 3 .*exchanged"),
    "other count": (idx(IMAGES[:3]), r"declares an array of \(3, 2, 3\), expected \(4, 2, 3\)"),
    "transposed": (idx(IMAGES.transpose(0, 2, 1)), r"declares an array of \(4, 3, 2\)"),
    "huge sizes": (b"\0\0\x08\x03" + b"\xff" * 12, r"declares an array of \(4294967295,"),
    "cut body": (idx(IMAGES)[:-5], "ends early: 19 of 24 bytes after the header"),
    "too long": (idx(IMAGES) + b"x", "holds more than the 40 bytes expected"),
    "changed pixel": (flipped(idx(IMAGES), 20), "is not the published file: .*SHA-256"),
    "gzip bomb": (gzip.compress(bytes(1 << 24)), "holds more than the 40 bytes expected"),
    "gzip cut": (PACKED[:-12], "ends in the middle of the gzip stream"),
    "gzip without its end": (PACKED[:-3], "ends in the middle of the gzip stream"),
    "gzip magic alone": (PACKED[:2], "ends in the middle of the gzip stream"),
    "gzip header": (PACKED[:2] + b"\0" + PACKED[3:], "is a damaged gzip file .*Unknown"),
    "gzip checksum": (flipped(PACKED, len(PACKED) - 6), "is a damaged gzip file .*CRC"),
    "gzip stream": (PACKED[:10] + b"\xff" + PACKED[11:], "is a damaged gzip file .*invalid"),
    "garbage after gzip": (PACKED + b"garbage", "is a damaged gzip file .*Not a gzipped"),
}


@pytest.mark.parametrize(("content", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_faults_are_one_line_with_file_and_advice(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"images: {message}") as raised:
        read_idx(path, published("images", IMAGES))
    text = str(raised.value)
    assert text.startswith(str(path))
    assert "replace the file by the published images.gz" in text
    assert "\n" not in text


def test_a_missing_file_and_a_folder_are_faults(tmp_path: Path):
    for path, message in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(DataError, match=f"cannot be read: {message}"):
            read_idx(path, published("images", IMAGES))


def test_a_label_out_of_range_is_a_fault_of_its_file(tmp_path: Path):
    labels = np.array([0, 1, 3, 1], np.uint8)
    pair = IdxPair(published("images", IMAGES), published("labels", labels))
    put(tmp_path, labels=idx(labels))
    with pytest.raises(DataError, match=r"labels\.gz: holds a label of 3; labels are 0\.\.2"):
        load(small_source(train=pair), tmp_path, tmp_path)


def test_images_and_labels_must_be_as_many(tmp_path: Path):
    pair = IdxPair(published("images", IMAGES), published("labels", LABELS[:3]))
    put(tmp_path, labels=idx(LABELS[:3]))
    with pytest.raises(DataError, match="4 inputs but 3 labels"):
        load(small_source(train=pair), tmp_path, tmp_path)


def test_a_bomb_is_never_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    largest = 0
    real: Callable[..., bytes] = gzip.GzipFile.read

    def read(self: gzip.GzipFile, size: int = -1) -> bytes:
        nonlocal largest
        content = real(self, size)
        largest = max(largest, len(content))
        return content

    monkeypatch.setattr(gzip.GzipFile, "read", read)
    path = tmp_path / "bomb"
    path.write_bytes(gzip.compress(bytes(1 << 24)))
    with pytest.raises(DataError, match="holds more than"):
        read_idx(path, published("images", IMAGES))
    assert largest == 41


def test_a_damaged_file_in_the_first_place_is_not_passed_over(tmp_path: Path):
    source = replace(small_source(), system=tmp_path / "system")
    put(tmp_path / "system" / "small")
    data_dir = put(tmp_path / "data", images=b"\0\0\x08")
    with pytest.raises(DataError, match=r"data/images\.gz: is 3 bytes long"):
        load(source, data_dir, tmp_path)
