"""Packed files and archives, read in memory and never further than they may go.

Errors say what is wrong, not with which file: that is the caller's to add.
"""

import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from tssl.errors import DataError

_GZIP_MAGIC = b"\x1f\x8b"
_XZ_MAGIC = b"\xfd7zXZ\0"
_ZIP_MAGIC = b"PK"
_LONGEST_MAGIC = 6

_DAMAGED = (
    gzip.BadGzipFile,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    OverflowError,
    ValueError,
    MemoryError,  # what a packed file says of its dictionary is reserved before it is read
)

_MOST_MEMBERS = 1 << 18
_HEADER_BYTES = 1 << 16
"""Allowed to the headers of a member of a tar, and to reading ahead."""


class Member(NamedTuple):
    """A file in an archive."""

    name: str
    """As the archive has it: any text, never to be used as a path."""
    read: Callable[[], bytes]
    """Returns its content; to be called before the next member is asked for."""


class _Stream(Protocol):
    def read(self, size: int = -1, /) -> bytes:
        """Return up to so many bytes."""


def content(path: Path, largest: int) -> bytes:
    """Return the bytes of a file, unpacked if it is gzip or xz.

    Parameters
    ----------
    largest
        Bytes that it may hold; unpacking stops there.

    Raises
    ------
    DataError
        When it cannot be read, is damaged or holds more.
    """
    with _opened(path) as file:
        stream, kind = _unpacking(file)
        with _faults(kind):
            data = stream.read(largest + 1)
    if len(data) > largest:
        raise DataError(f"holds more than the {largest} bytes expected")
    return data


def members(path: Path, largest: int) -> Iterator[Member]:
    """Yield the files in an archive, ``.zip`` or ``.tar``, the latter also in gzip or xz.

    Nothing is written anywhere, so a member's name cannot lead out of anything.

    Parameters
    ----------
    largest
        Bytes that a member may hold.

    Raises
    ------
    DataError
        When it cannot be read, is damaged, or a member holds more.
    """
    with _opened(path) as file:
        is_zip = file.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC
        file.seek(0)
        yield from (_zipped if is_zip else _tarred)(file, largest)


def _zipped(file: BinaryIO, largest: int) -> Iterator[Member]:
    with _faults("zip"):
        archive = zipfile.ZipFile(file)
    for info in archive.infolist():
        if not info.filename.endswith("/"):  # is_dir() fails on a name that is empty
            yield Member(info.filename, partial(_read_zipped, archive, info, largest))


def _read_zipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo, largest: int) -> bytes:
    _check_size(info.file_size, largest)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError("is packed in a way other than a zip's usual one")
    with _faults("zip"), archive.open(info) as member:
        return member.read(info.file_size)


def _tarred(file: BinaryIO, largest: int) -> Iterator[Member]:
    stream, _ = _unpacking(file)
    meter: Any = _Meter(stream, largest + _HEADER_BYTES)  # all that tarfile needs of a file
    with _faults("tar"):
        archive = tarfile.open(fileobj=meter, mode="r|")  # noqa: SIM115 - the file is closed
    for _ in range(_MOST_MEMBERS):
        with _faults("tar"):
            info = archive.next()
        if info is None:
            return
        meter.left = largest + _HEADER_BYTES
        if info.isreg():
            yield Member(info.name, partial(_read_tarred, archive, info, largest))
    raise DataError(f"holds more than {_MOST_MEMBERS} files")


def _read_tarred(archive: tarfile.TarFile, info: tarfile.TarInfo, largest: int) -> bytes:
    _check_size(info.size, largest)
    with _faults("tar"):
        member = archive.extractfile(info)
        data = b"" if member is None else member.read()
    if len(data) != info.size:
        raise DataError("ends in the middle of a file (an unfinished copy?)")
    return data


class _Meter:
    """Ends the unpacking of a tar between two members of which goes on and on."""

    def __init__(self, stream: _Stream, allowed: int) -> None:
        self.left = allowed
        self._stream = stream

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise DataError("holds a larger file than expected")
        return data


def _check_size(size: int, largest: int) -> None:
    if size > largest:
        raise DataError(f"holds a file of {size} bytes; at most {largest} are expected")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with _faults("plain"):
        file = path.open("rb")
    with file:
        yield file


def _unpacking(file: BinaryIO) -> tuple[_Stream, str]:
    """Return a stream of what is in the file, and what it is packed as."""
    with _faults("plain"):
        head = file.read(_LONGEST_MAGIC)
        file.seek(0)
        if head.startswith(_GZIP_MAGIC):
            return gzip.GzipFile(fileobj=file), "gzip"
        if head == _XZ_MAGIC:
            return lzma.LZMAFile(file), "xz"
        return file, "plain"


@contextmanager
def _faults(kind: str) -> Iterator[None]:
    """Translate what the standard library raises about a file of some kind."""
    try:
        yield
    except EOFError as error:
        raise DataError(f"ends in the middle of the {kind} stream (an unfinished copy?)") from error
    except _DAMAGED as error:
        raise DataError(f"is a damaged {kind} file ({error})") from error
    except (RuntimeError, NotImplementedError) as error:  # a zip with a password, or of a new kind
        raise DataError(f"cannot be unpacked ({error})") from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}") from error
