"""HDF5 files of unknown origin: how they are opened, and what they unpack to."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from tssl import netx
from tssl.errors import NetFileError, NirFileError, TsslError
from tssl.exchange.nir import reading
from tssl.netx import hdf5

READERS: list[tuple[Callable[[Path], object], type[TsslError], str]] = [
    (netx.read, NetFileError, ".net"),
    (netx.read_notes, NetFileError, ".net"),
    (netx.loadable_layers, NetFileError, ".net"),
    (reading.read, NirFileError, ".nir"),
]
each_reader = pytest.mark.parametrize(("read", "error", "suffix"), READERS)


@each_reader
def test_a_pipe_is_refused_before_it_is_opened(tmp_path, read, error, suffix):
    """Nobody writes into it: opening it would wait for ever."""
    path = tmp_path / f"pipe{suffix}"
    os.mkfifo(path)
    with pytest.raises(error) as raised:
        read(path)
    assert str(raised.value) == (
        f"{path}: is a pipe or a device, and a network is read more than once; save it to a file "
        "first"
    )


@each_reader
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        (b"PK", "is not an HDF5 file"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "is not an HDF5 file; it is a Git LFS pointer: fetch the file itself with "
            "`git lfs pull`",
        ),
    ],
)
def test_what_cannot_be_opened(tmp_path, read, error, suffix, content, reason):
    path = tmp_path / f"bad{suffix}"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error) as raised:
        read(path)
    assert str(raised.value) == f"{path}: cannot be read as a {suffix} file: {reason}"


def test_a_file_is_closed_behind_the_with(tmp_path):
    path = tmp_path / "file.net"
    h5py.File(path, "w").close()
    with pytest.raises(KeyError), hdf5.opened(path, ".net", NetFileError) as (_, file):
        raise KeyError
    assert not file


@pytest.mark.parametrize("shuffle", [True, False])
def test_the_size_of_packed_lzf_is_known_before_it_is_unpacked(rng, shuffle):
    """Beside what h5py itself packed: noise, long runs, short repeats."""
    repeats = np.repeat(rng.integers(0, 99, 300), 30)
    kinds = [rng.integers(0, 256, 9000), np.zeros(9000), np.arange(9000) % 7, repeats]
    with h5py.File(io.BytesIO(), "w") as file:
        for number, values in enumerate(kinds):
            data = file.create_dataset(
                str(number), data=values.astype("u1"), chunks=(3000,), compression="lzf",
                shuffle=shuffle,
            )  # fmt: skip
            packed_chunks = 0
            for index in range(data.id.get_num_chunks()):
                mask, packed = data.id.read_direct_chunk(data.id.get_chunk_info(index).chunk_offset)
                if not mask:
                    assert hdf5._unpacked_lzf(packed) == 3000
                    packed_chunks += 1
            assert packed_chunks == 3 * (number > 0)  # noise does not shrink and stays as it is
