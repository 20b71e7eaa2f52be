"""CIFAR-10: the real batches where they are, small ones for every place and every fault."""

import gzip
import hashlib
import lzma
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.datasets.test_packed import tarred
from tssl import datasets
from tssl.datasets.cifar10 import CIFAR10, Batch, CifarSource, read_batch
from tssl.errors import DataError

PIXELS = 3072


def number(value: int) -> bytes:
    return b"J" + value.to_bytes(4, "little", signed=True)


def text(value: bytes) -> bytes:
    return b"U" + bytes([len(value)]) + value


def pickled(pixels: np.ndarray, labels: list[int], reconstruct: str = "_reconstruct") -> bytes:
    """Return a batch as Python 2 pickled it; a newer Python would name other functions."""
    array = (
        f"cnumpy.core.multiarray\n{reconstruct}\ncnumpy\nndarray\n".encode()
        + number(0) + b"\x85" + text(b"b") + b"\x87R"
    )  # fmt: skip
    shape = number(pixels.shape[0]) + number(pixels.shape[1]) + b"\x86"
    kind = (
        b"cnumpy\ndtype\n" + text(b"u1") + number(0) + number(1) + b"\x87R("
        + number(3) + text(b"|") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
    )  # fmt: skip
    raw = pixels.astype(np.uint8).tobytes()
    state = b"(" + number(1) + shape + kind + b"\x89T" + len(raw).to_bytes(4, "little") + raw
    numbers = b"](" + b"".join(map(number, labels)) + b"e"
    fields = text(b"data") + array + state + b"tb" + text(b"labels") + numbers
    return b"\x80\x02}(" + text(b"batch_label") + text(b"batch 1 of 1") + fields + b"u."


def batch(name: str, content: bytes, samples: int = 2) -> Batch:
    digest = hashlib.sha256(content).hexdigest()
    return Batch(name=name, samples=samples, size=len(content), sha256=digest)


def pictures(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (2, PIXELS))


CONTENTS = {
    "data_1": pickled(pictures(1), [2, 0]),
    "data_2": pickled(pictures(2), [1, 1]),
    "test": pickled(pictures(3), [0, 2]),
}
ARCHIVE = gzip.compress(
    tarred({"x/test": CONTENTS["test"], "x/readme": b"", "x/data_2": CONTENTS["data_2"],
            "x/data_1": CONTENTS["data_1"]})
)  # fmt: skip


def small_source(contents: dict[str, bytes] = CONTENTS, **changes: object) -> CifarSource:
    batches = {name: batch(name, content) for name, content in contents.items()}
    fields = {
        "name": "small",
        "title": "Small",
        "licence": "none",
        "classes": 3,
        "train": (batches["data_1"], batches["data_2"]),
        "test": (batches["test"],),
        "archive": "small.tar.gz",
        "archive_bytes": len(ARCHIVE),
        "mirrors": (),
        "by_hand": "give --data-dir",
    }
    return CifarSource(**{**fields, **changes})


def put(folder: Path, contents: dict[str, bytes] = CONTENTS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


def load(
    source: CifarSource, data_dir: Path | None, cache: Path, split: str = "train"
) -> datasets.Dataset:
    return source.load(split, data_dir=data_dir, cache=cache, progress=None)


def check(data: datasets.Dataset) -> None:
    expected = np.concatenate([pictures(1), pictures(2)])
    assert np.array_equal(data.inputs[:].reshape(4, PIXELS), expected)
    assert data.labels.tolist() == [2, 0, 1, 1]


# ------------------------------------------------------------------- the published data


def test_the_published_pictures(shared_dir: Path):
    if not (shared_dir / "data" / "cifar10").is_dir():
        pytest.skip("needs CIFAR-10 in ../shared/data/cifar10")
    test = datasets.load("cifar10", "test", data_dir=shared_dir / "data")
    assert test.inputs.shape == (10_000, 3, 32, 32)
    assert test.full_scale == test.inputs[:].max() == 255
    assert np.bincount(test.labels).tolist() == [1000] * 10
    assert test.labels[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]
    assert test.inputs[0, :, 0, 0].tolist() == [158, 112, 49]
    assert test.source == str(shared_dir / "data" / "cifar10")
    ships = test.inputs[:][test.labels == 8].mean(axis=(0, 2, 3))
    assert ships.argmax() == 2, "ships are before blue; other planes would make them red"


@pytest.mark.slow
def test_all_published_training_pictures(shared_dir: Path):
    if not (shared_dir / "data" / "cifar10").is_dir():
        pytest.skip("needs CIFAR-10 in ../shared/data/cifar10")
    train = datasets.load("cifar10", "train", data_dir=shared_dir / "data")
    assert train.inputs.shape == (50_000, 3, 32, 32)
    assert np.bincount(train.labels).tolist() == [5000] * 10
    assert train.labels[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    mean = np.mean([part.mean() for part in np.split(train.inputs[:], 10)]) / 255
    assert mean == pytest.approx(0.473, abs=5e-4), "the recipes' mean"


def test_the_published_files_are_told_apart():
    files = [*CIFAR10.train, *CIFAR10.test]
    assert len({file.sha256 for file in files}) == len({file.name for file in files}) == 6
    assert all(len(file.sha256) == 64 and file.size > 10_000 * PIXELS for file in files)
    assert all(mirror.endswith("/") for mirror in CIFAR10.mirrors)


# ----------------------------------------------------------------------- where files are


@pytest.mark.parametrize(
    ("suffix", "packer"), [("", bytes), (".xz", lzma.compress), (".gz", gzip.compress)]
)
def test_files_may_be_packed(tmp_path: Path, suffix: str, packer: Callable[[bytes], bytes]):
    put(tmp_path, {f"{name}{suffix}": packer(content) for name, content in CONTENTS.items()})
    check(load(small_source(), tmp_path, tmp_path / "cache"))


def test_the_places_are_searched_in_order(tmp_path: Path):
    data_dir, cache = tmp_path / "data", tmp_path / "cache"
    places = [
        cache / "small", data_dir / "cifar-10-batches-py", data_dir / "small", data_dir,
    ]  # fmt: skip
    for folder in places:  # the later, the earlier it is looked into
        put(folder)
        data = load(small_source(), data_dir, cache)
        check(data)
        description = small_source().describe(data_dir=data_dir, cache=cache)
        assert data.source == description.found == str(folder)
        assert description.ready
        assert (description.train, description.test, description.shape) == (4, 2, (3, 32, 32))


def test_the_archive_serves_as_well_as_its_files(tmp_path: Path):
    (tmp_path / "small.tar.gz").write_bytes(ARCHIVE)
    data = load(small_source(), tmp_path, tmp_path / "cache")
    check(data)
    assert data.source == str(tmp_path / "small.tar.gz")
    assert load(small_source(), tmp_path, tmp_path / "cache", "test").labels.tolist() == [0, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["small.tar.gz"]


def test_a_folder_that_lacks_a_file_is_passed_over(tmp_path: Path):
    (put(tmp_path) / "data_2").unlink()
    put(tmp_path / "small")
    assert load(small_source(), tmp_path, tmp_path).source == str(tmp_path / "small")
    assert load(small_source(), tmp_path, tmp_path, "test").source == str(tmp_path)


def test_nothing_found_and_no_mirror_says_what_to_do(tmp_path: Path):
    description = small_source().describe(data_dir=None, cache=tmp_path)
    assert (description.found, description.ready) == ("nowhere", False)
    with pytest.raises(DataError, match=r"small\.tar\.gz: cannot be downloaded.*give --data-dir"):
        load(small_source(), None, tmp_path)


# ------------------------------------------------------------------------- the download


@pytest.fixture
def served() -> dict[str, bytes]:
    other = tarred({**CONTENTS, "data_2": pickled(pictures(2), [0, 1])})
    return {"small.tar.gz": ARCHIVE, "corrupt small.tar.gz": gzip.compress(other)}


def test_the_archive_is_downloaded_once_and_kept(tmp_path: Path, server: str, asked: list[str]):
    source = small_source(mirrors=(f"{server}/absent/", f"{server}/good/"))
    assert source.describe(data_dir=None, cache=tmp_path).found.startswith("download from http")
    for _ in range(2):
        check(load(source, None, tmp_path))
    assert len(load(source, None, tmp_path, "test")) == 2
    assert asked == ["/absent/small.tar.gz", "/good/small.tar.gz"]
    stored = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert stored == [tmp_path / "small" / "small.tar.gz"]
    assert stored[0].read_bytes() == ARCHIVE


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("corrupt", r"data_2: is not the published file: its content has SHA-256"),
        ("truncated", "IncompleteRead|in the middle of the gzip stream"),
        ("endless", "sends more than"),
        ("absent", "404"),
    ],
)
def test_a_bad_archive_is_refused_and_nothing_is_left(
    tmp_path: Path, server: str, behaviour: str, reason: str
):
    source = small_source(mirrors=(f"{server}/{behaviour}/",))
    with pytest.raises(DataError, match=reason) as raised:
        load(source, None, tmp_path, "test")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert "\n" not in str(raised.value)


# ---------------------------------------------------------------------------- the faults


def refused(source: CifarSource, folder: Path, reason: str) -> None:
    with pytest.raises(DataError, match=reason) as raised:
        load(source, folder, folder / "cache")
    assert str(raised.value).startswith(str(folder))
    assert "replace it by the published file" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_other_content_is_refused_before_it_is_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def parse(*_: object) -> None:
        pytest.fail("parsed")

    monkeypatch.setattr("tssl.datasets.cifar10.read_batch", parse)
    put(tmp_path, {**CONTENTS, "data_1": CONTENTS["data_2"]})
    refused(small_source(), tmp_path, "data_1: is not the published file: its content has SHA-256")


def test_damage_names_the_file(tmp_path: Path):
    put(tmp_path)
    (tmp_path / "data_2").rename(tmp_path / "cut")
    (tmp_path / "data_2.xz").write_bytes(lzma.compress(CONTENTS["data_2"])[:-40])
    refused(small_source(), tmp_path, "data_2: ends in the middle of the xz stream")
    (tmp_path / "data_2.xz").write_bytes(lzma.compress(bytes(1 << 24)))
    refused(small_source(), tmp_path, "data_2: holds more than the [0-9]+ bytes expected")


def test_an_archive_that_lacks_a_file(tmp_path: Path):
    (tmp_path / "small.tar.gz").write_bytes(gzip.compress(tarred({"x": b"1"})))
    refused(small_source(), tmp_path, r"small\.tar\.gz: data_1: is missing")


class Harm:
    """Unpickled by anyone else, leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, int, int]]:
        return os.open, (str(self.path), os.O_CREAT, 0o600)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_runs_no_code(tmp_path: Path, protocol: int):
    """Even one whose hash is right."""
    mark = tmp_path / "mark"
    content = pickle.dumps({b"data": Harm(mark), b"labels": [0, 0]}, protocol)
    with pytest.raises(DataError, match="which no CIFAR-10 batch needs"):
        read_batch(content, batch("x", content))
    assert not mark.exists()
    os.close(pickle.loads(content)[b"data"])
    assert mark.exists(), "the pickle would have done harm"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (pickled(pictures(1), [0, 1], "scalar"), "asks for numpy.core.multiarray.scalar"),
        (pickled(pictures(1)[:, :-1], [0, 1]), r"holds an array of \(2, 3071\)"),
        (pickled(pictures(1)[:1], [0]), r"holds an array of \(1, 3072\)"),
        (pickled(pictures(1), [0]), r"2 pictures but labels of shape \(1,\)"),
        (pickled(pictures(1), [0, 1]).replace(b"\x89T", b"\x88T"), "holds an array of"),
        (pickled(pictures(1), [0, 1]).replace(b"labels", b"labelz"), "is missing"),
        (pickled(pictures(1), [0, 1])[:-9], "cannot be read as a CIFAR-10 batch"),
        (b"\x80\x02K\x01.", "cannot be read as a CIFAR-10 batch"),
        (b"\x80\x02}U\x04dataK\x01s.", "cannot be read as a CIFAR-10 batch"),
        (b"", "Ran out of input"),
    ],
)
def test_pickles_of_anything_else_are_refused(content: bytes, reason: str):
    with pytest.raises(DataError, match=reason) as raised:
        read_batch(content, batch("x", content))
    assert "\n" not in str(raised.value)


def test_labels_out_of_range_are_refused(tmp_path: Path):
    contents = {**CONTENTS, "data_1": pickled(pictures(1), [0, 3])}
    put(tmp_path, contents)
    with pytest.raises(DataError, match=r"labels 0\.\.3 are outside 0\.\.2"):
        load(small_source(contents), tmp_path, tmp_path)
