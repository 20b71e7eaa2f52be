"""Downloads, from a server on this machine that behaves well or badly."""

import errno
import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from tests.datasets.test_idx import IMAGES, LABELS, idx, small_source
from tssl.datasets.fetch import Wanted, cache_folder, download
from tssl.errors import DataError, OutputError

GOOD = {"images.gz": gzip.compress(idx(IMAGES)), "labels.gz": gzip.compress(idx(LABELS))}


@pytest.fixture
def served() -> dict[str, bytes]:
    return {**GOOD, "corrupt images.gz": gzip.compress(idx(IMAGES.max() - IMAGES))}


def mirrors(server: str, *behaviours: str) -> tuple[str, ...]:
    return tuple(f"{server}/{behaviour}/" for behaviour in behaviours)


def stored(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def fetch(tmp_path: Path, addresses: tuple[str, ...], progress: object = None) -> np.ndarray:
    source = small_source(mirrors=addresses)
    return source.load("train", data_dir=None, cache=tmp_path, progress=progress).inputs[:, 0]


def test_files_are_downloaded_once_and_kept(tmp_path: Path, server: str, asked: list[str]):
    reports: list[tuple[str, int, int]] = []

    def progress(file: str, received: int, total: int) -> None:
        reports.append((file, received, total))

    for _ in range(2):
        assert np.array_equal(fetch(tmp_path, mirrors(server, "good"), progress), IMAGES)
    assert asked == ["/good/images.gz", "/good/labels.gz"]
    assert stored(tmp_path) == ["small/images.gz", "small/labels.gz"]
    assert (tmp_path / "small" / "images.gz").read_bytes() == GOOD["images.gz"]
    for file, content in GOOD.items():
        assert (file, len(content), len(content)) in reports


@pytest.mark.parametrize("behaviour", ["absent", "corrupt", "truncated", "endless"])
def test_the_second_mirror_helps_when_the_first_fails(tmp_path: Path, server: str, behaviour: str):
    assert np.array_equal(fetch(tmp_path, mirrors(server, behaviour, "good")), IMAGES)
    assert stored(tmp_path) == ["small/images.gz", "small/labels.gz"]


def test_content_that_the_server_unpacked_is_as_good(tmp_path: Path, server: str):
    assert np.array_equal(fetch(tmp_path, mirrors(server, "unpacking")), IMAGES)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("absent", "404 Client Error"),
        ("corrupt", "is not the published file: its content has SHA-256"),
        ("truncated", "IncompleteRead|ends in the middle of the gzip stream"),
        ("endless", "sends more than 65576 bytes"),
    ],
)
def test_a_bad_file_is_refused_and_nothing_is_left(
    tmp_path: Path, server: str, behaviour: str, reason: str
):
    with pytest.raises(DataError, match=reason) as raised:
        fetch(tmp_path, mirrors(server, behaviour))
    assert stored(tmp_path) == []
    text = str(raised.value)
    assert f"{server}/{behaviour}/images.gz (" in text
    assert ".part" not in text, "the temporary file is no business of the user"
    assert "\n" not in text


def test_all_mirrors_and_the_way_by_hand_are_named(tmp_path: Path, server: str):
    unreachable = "http://127.0.0.1:9/"
    with pytest.raises(DataError) as raised:
        fetch(tmp_path, (*mirrors(server, "absent", "truncated"), unreachable))
    text = str(raised.value)
    assert text.startswith("images.gz: cannot be downloaded; mirrors tried: ")
    for address in (f"{server}/absent/images.gz", f"{server}/truncated/images.gz", unreachable):
        assert address in text
    assert "Connection refused" in text
    assert text.endswith("; give --data-dir")


def test_an_older_file_survives_a_failed_download(tmp_path: Path, server: str):
    (tmp_path / "images.gz").write_bytes(b"old")
    wanted = Wanted(
        file="images.gz",
        mirrors=mirrors(server, "truncated"),
        largest=1000,
        check=lambda path: path,
        otherwise="",
    )
    with pytest.raises(DataError):
        download(wanted, tmp_path)
    assert stored(tmp_path) == ["images.gz"]
    assert (tmp_path / "images.gz").read_bytes() == b"old"


def test_an_interrupted_download_leaves_nothing(tmp_path: Path, server: str):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(tmp_path, mirrors(server, "good"), interrupt)
    assert stored(tmp_path) == []


def test_a_full_disk_is_no_fault_of_the_mirror(tmp_path: Path, server: str, asked: list[str]):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OutputError, match=r"images\.gz: cannot be written: No space left"):
        fetch(tmp_path, mirrors(server, "good", "good"), full)
    assert len(asked) == 1
    assert stored(tmp_path) == []


def test_a_cache_that_cannot_be_written_is_an_output_error(tmp_path: Path, server: str):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        fetch(tmp_path / "file", mirrors(server, "good"))


def test_the_cache_is_the_platforms(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder().name == "tssl"
    assert cache_folder().is_absolute()
