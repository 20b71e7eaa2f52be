"""Arrays of numpy's files, never larger than the files are.

Errors say what is wrong, not with which file: that is the caller's to add.
"""

import io
import math
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from lzma import LZMAError
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from tssl.errors import DataError
from tssl.machine.files import is_stream, pointer_hint

__all__ = ["Array", "is_archive", "members", "names", "read_content", "read_npy", "read_stream"]

Array = NDArray[Any]

_HEADER_BYTES = 1 << 14
_ARCHIVE = b"PK"  # the first bytes of any .zip file
_SUFFIX = ".npy"
_DAMAGED = (
    AttributeError,
    EOFError,
    KeyError,
    LZMAError,
    MemoryError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    RuntimeError,
    SyntaxError,
    TokenError,
    TypeError,
    UserWarning,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


def is_archive(path: Path) -> bool:
    """Return whether a file is a ``.npz``, whatever it is called.

    Raises
    ------
    DataError
        When it cannot be read.
    """
    with _faults(path), path.open("rb") as file:
        return file.read(len(_ARCHIVE)) == _ARCHIVE


def names(path: Path) -> list[str]:
    """Return the names of the arrays in a ``.npz`` file.

    Raises
    ------
    DataError
        As of :func:`read_npy`.
    """
    with _faults(path), zipfile.ZipFile(path) as archive:
        held = archive.namelist()
    return [name.removesuffix(_SUFFIX) for name in held if name.endswith(_SUFFIX)]


def read_npy(path: Path) -> Array:
    """Return the array in a ``.npy`` file.

    Raises
    ------
    DataError
        When it cannot be read, is damaged, or holds Python objects.
    """
    with _faults(path), path.open("rb") as file:
        return read_stream(file, path.stat().st_size)


def read_content(content: bytes) -> Array:
    """Return the array in the bytes of a ``.npy`` file.

    Raises
    ------
    DataError
        As of :func:`read_npy`, without the name of a file.
    """
    try:
        return read_stream(io.BytesIO(content), len(content))
    except _DAMAGED as error:
        raise DataError("is no .npy file, or its header is damaged") from error


def members(path: Path, wanted: tuple[str, ...]) -> dict[str, Array]:
    """Return those of the named arrays that a ``.npz`` file has.

    Raises
    ------
    DataError
        As of :func:`read_npy`.
    """
    found = {}
    with _faults(path), zipfile.ZipFile(path) as archive:
        for name in wanted:
            if name + _SUFFIX in archive.namelist():
                info = archive.getinfo(name + _SUFFIX)
                with archive.open(info) as file:
                    found[name] = read_stream(file, info.file_size)
    return found


def read_stream(file: IO[bytes], size: int) -> Array:
    """Return the array in a stream of so many bytes."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # about headers that numpy has to mend
        version = npy.read_magic(file)
        readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        if version not in readers:
            raise DataError(f"is a .npy file of version {version}; expected (1, 0) or (2, 0)")
        shape, by_columns, dtype = readers[version](file, _HEADER_BYTES)
    if dtype.hasobject:
        raise DataError("holds Python objects, which are never loaded; save numbers")
    wanted = math.prod(shape) * dtype.itemsize
    if wanted > size:
        raise DataError(f"says that it holds {wanted} bytes of values and has {size} in all")
    values = file.read(wanted)
    if len(values) != wanted:
        raise DataError(f"holds {len(values)} of {wanted} bytes of values (an unfinished copy?)")
    return np.frombuffer(values, dtype).reshape(shape, order="F" if by_columns else "C")


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    try:
        if is_stream(path):
            raise DataError("is a pipe or a device; save it to a file first")
        yield
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise DataError(f"{path}: does not fit into memory: {error}") from error
    except _DAMAGED as error:
        hint = pointer_hint(path)
        raise DataError(f"{path}: is not a .npy or .npz file of numbers{hint}") from error
