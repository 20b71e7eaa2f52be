"""Files of arrays: which names an archive has, and files that are damaged or promise too much."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tssl.errors import DataError
from tssl.machine.npy import is_archive, members, names, read_content, read_npy

VALUES = np.arange(12, dtype=np.int16).reshape(3, 4)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    np.savez(tmp_path / "a.npz", one=VALUES, other=VALUES.T)
    return tmp_path / "a.npz"


@pytest.mark.parametrize("values", [VALUES, np.asfortranarray(VALUES), VALUES > 3, np.float32(2)])
def test_what_numpy_wrote_is_read(values: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", values)
    for found in (read_npy(tmp_path / "a.npy"), read_content((tmp_path / "a.npy").read_bytes())):
        assert found.dtype == values.dtype
        assert np.array_equal(found, values)
    assert not is_archive(tmp_path / "a.npy")


def test_archives(archive: Path) -> None:
    assert is_archive(archive)
    assert names(archive) == ["one", "other"]
    found = members(archive, ("other", "none"))
    assert list(found) == ["other"]
    assert np.array_equal(found["other"], VALUES.T)


def test_what_cannot_be_read(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.npz").write_bytes(archive.read_bytes()[:-30])
    for read in (is_archive, names, read_npy):
        with pytest.raises(DataError, match=r"none: cannot be read: No such file"):
            read(tmp_path / "none")
    with pytest.raises(DataError, match=r"cut\.npz: is not a \.npy or \.npz file of numbers"):
        names(tmp_path / "cut.npz")


def test_a_pipe_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    """Nobody writes into it: opening it would wait for ever."""
    path = tmp_path / "pipe.npy"
    os.mkfifo(path)
    for read in (is_archive, names, read_npy, lambda path: members(path, ("x",))):
        with pytest.raises(DataError, match=r"pipe\.npy: is a pipe or a device; save it to a file"):
            read(path)


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packed_bytes_that_are_damaged(tmp_path: Path, packing: int) -> None:
    path, content = tmp_path / "a.npz", io.BytesIO()
    np.save(content, VALUES)
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("one.npy", content.getvalue())
    assert np.array_equal(members(path, ("one",))["one"], VALUES)
    damaged = bytearray(path.read_bytes())
    damaged[60:90] = bytes(30)  # behind the header of the member
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"a\.npz: "):
        members(path, ("one",))


def test_nothing_is_larger_than_its_file(tmp_path: Path) -> None:
    header = io.BytesIO()
    promised = {"descr": "<i8", "fortran_order": False, "shape": (1 << 40,)}
    np.lib.format.write_array_header_1_0(header, promised)
    (tmp_path / "a.npy").write_bytes(header.getvalue() + bytes(64))
    with pytest.raises(DataError, match=r"a\.npy: says that it holds 8796093022208 bytes"):
        read_npy(tmp_path / "a.npy")
