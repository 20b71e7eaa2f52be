"""Packed files and archives that are whole, damaged, or meant to do harm."""

import gzip
import io
import lzma
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tssl.datasets.packed import content, members
from tssl.errors import DataError

DATA = bytes(range(256)) * 40
FILES = {"a/one.bin": DATA, "../../two.bin": b"2", "/three.bin": b""}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "xz": lzma.compress,
}
MEBIBYTE = 1 << 20


def tarred(files: dict[str, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        folder = tarfile.TarInfo("a")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        link = tarfile.TarInfo("a/link.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def zipped(files: dict[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        archive.mkdir("a") if hasattr(archive, "mkdir") else archive.writestr("a/", b"")
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


ARCHIVERS = {
    "zip": zipped,
    "tar": tarred,
    "tar.gz": lambda files: gzip.compress(tarred(files)),
    "tar.xz": lambda files: lzma.compress(tarred(files)),
}


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def everything(path: Path, largest: int = MEBIBYTE) -> dict[str, bytes]:
    return {member.name: member.read() for member in members(path, largest)}


@pytest.mark.parametrize("kind", PACKERS)
def test_content_is_unpacked_whatever_the_name(tmp_path: Path, kind: str):
    path = written(tmp_path / "x.dat", PACKERS[kind](DATA))
    assert content(path, len(DATA)) == DATA
    with pytest.raises(DataError, match=f"holds more than the {len(DATA) - 1} bytes expected"):
        content(path, len(DATA) - 1)


@pytest.mark.parametrize("kind", ["gzip", "xz"])
def test_damaged_packing_is_named(tmp_path: Path, kind: str):
    whole = PACKERS[kind](DATA)
    with pytest.raises(DataError, match=f"ends in the middle of the {kind} stream"):
        content(written(tmp_path / "cut", whole[:-9]), MEBIBYTE)
    damaged = whole[:-12] + bytes([whole[-12] ^ 0x55]) + whole[-11:]
    with pytest.raises(DataError, match=f"is a damaged {kind} file"):
        content(written(tmp_path / "damaged", damaged), MEBIBYTE)


def test_what_cannot_be_read(tmp_path: Path):
    for read in (content, everything):
        with pytest.raises(DataError, match="cannot be read: No such file"):
            read(tmp_path / "none", 9)
        with pytest.raises(DataError, match="cannot be read: Is a directory"):
            read(tmp_path, 9)


@pytest.mark.parametrize("kind", ARCHIVERS)
def test_members_are_the_files_under_the_names_they_have(tmp_path: Path, kind: str):
    path = written(tmp_path / "x", ARCHIVERS[kind](FILES))
    found = {name.removeprefix("/"): data for name, data in everything(path).items()}
    assert found == {name.removeprefix("/"): data for name, data in FILES.items()}
    assert list(tmp_path.iterdir()) == [path], "nothing is unpacked to anywhere"


@pytest.mark.parametrize("kind", ARCHIVERS)
def test_members_need_not_be_read(tmp_path: Path, kind: str):
    path = written(tmp_path / "x", ARCHIVERS[kind](FILES))
    assert len([member.name for member in members(path, MEBIBYTE)]) == 3


@pytest.mark.parametrize("kind", ARCHIVERS)
def test_a_cut_archive_is_a_fault(tmp_path: Path, kind: str):
    whole = ARCHIVERS[kind]({"a.bin": DATA, "b.bin": DATA})
    for share in (0.3, 0.6):
        path = written(tmp_path / "x", whole[: int(len(whole) * share)])
        with pytest.raises(DataError, match=r"damaged|in the middle"):
            everything(path)


@pytest.mark.parametrize("data", [b"", b"<!DOCTYPE html>" * 99, b"PK\x03\x04", b"\x1f\x8b"])
def test_what_is_no_archive_is_a_fault(tmp_path: Path, data: bytes):
    with pytest.raises(DataError, match=r"damaged|in the middle"):
        everything(written(tmp_path / "x", data))


@pytest.mark.parametrize("kind", ARCHIVERS)
def test_a_member_that_is_too_large_is_not_unpacked(tmp_path: Path, kind: str):
    path = written(tmp_path / "x", ARCHIVERS[kind]({"a.bin": bytes(64 * MEBIBYTE)}))
    tracemalloc.start()
    with pytest.raises(DataError, match="holds a file of 67108864 bytes; at most 1048576"):
        everything(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * MEBIBYTE


def test_unread_members_of_a_tar_cannot_go_on_for_ever(tmp_path: Path):
    """They have to be unpacked to get past them."""
    files = {"a.bin": bytes(64 * MEBIBYTE), "b.bin": b"1"}
    path = written(tmp_path / "x", lzma.compress(tarred(files)))
    tracemalloc.start()
    with pytest.raises(DataError, match="holds a larger file than expected"):
        list(members(path, MEBIBYTE))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * MEBIBYTE


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_a_name_without_end_is_refused(tmp_path: Path, format: int):
    name = "a" * (4 * MEBIBYTE)
    path = written(tmp_path / "x", gzip.compress(tarred({name: b"1"}, format)))
    with pytest.raises(DataError, match="holds a larger file than expected"):
        everything(path)


def test_a_zip_that_lies_about_sizes_is_a_fault(tmp_path: Path):
    whole = zipped({"a.bin": bytes(MEBIBYTE)})
    lie = whole.replace(MEBIBYTE.to_bytes(4, "little"), (100).to_bytes(4, "little"))
    assert lie != whole
    with pytest.raises(DataError, match="damaged zip"):
        everything(written(tmp_path / "x", lie))


def test_zips_of_other_kinds_are_refused(tmp_path: Path):
    path = written(tmp_path / "x", zipped(FILES, zipfile.ZIP_LZMA))
    with pytest.raises(DataError, match="packed in a way other than"):
        everything(path)
    locked = bytearray(zipped(FILES, zipfile.ZIP_STORED))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := locked.find(signature, at + 1)) >= 0:
            locked[at + offset] |= 1
    with pytest.raises(DataError, match=r"cannot be unpacked .*password"):
        everything(written(tmp_path / "y", bytes(locked)))


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tssl.datasets.packed._MOST_MEMBERS", 3)
    with pytest.raises(DataError, match="holds more than 3 files"):
        everything(written(tmp_path / "x", tarred(FILES)))
