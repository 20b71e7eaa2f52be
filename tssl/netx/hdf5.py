"""HDF5 files of unknown origin: nothing beside the file is opened, nothing endless is read.

Errors of what is in a file say what is wrong, not where: that is the caller's to add.
"""

import io
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from tssl.errors import TsslError
from tssl.machine.files import is_stream, pointer_hint, printable

DAMAGE = (  # what h5py and numpy raise on damaged files, and what is raised here
    TypeError,
    ValueError,
    AttributeError,
    OSError,
    LookupError,
    RuntimeError,
    ArithmeticError,
    MemoryError,
    struct.error,
    zlib.error,
)
_CHECKSUM_BYTES = 4
_FREE_BYTES = 1 << 27
_BYTES_PER_FILE_BYTE = 32
_ENTRY_BYTES = 8  # every number becomes one of 64 bits
_LONGEST_TEXT = 1 << 10

_REFERENCE = struct.Struct("<IQI")  # to a text in a heap: its length, heap and number there
_HEAP = struct.Struct("<5s3xQ")
_HEAP_OBJECT = struct.Struct("<HH4xQ")
_HEAP_START = b"GCOL\x01"

_GZIP, _LZF = h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_LZF
_LZF_COPIES, _LZF_LONG = 32, 7  # from which first byte on old bytes are copied; longer copies
_PACKINGS = {  # in this order; other filters may unpack to anything
    (*first, *packing, *last)
    for first in ((), (h5py.h5z.FILTER_SHUFFLE,))
    for packing in ((), (_GZIP,), (_LZF,))
    for last in ((), (h5py.h5z.FILTER_FLETCHER32,))
}


class Content:
    """The content of one HDF5 file, and how many bytes of it may still be unpacked."""

    def __init__(self, content: bytes) -> None:
        self._bytes = content
        self._left = max(_FREE_BYTES, _BYTES_PER_FILE_BYTE * len(content))

    def opened(self) -> h5py.File:
        """Open the content, so that no lock stays on the file it came from."""
        return h5py.File(io.BytesIO(self._bytes), "r")

    def take(self, entries: int, entry_bytes: int = _ENTRY_BYTES) -> None:
        """Count what is about to be read, so that a small file cannot fill the memory.

        Raises
        ------
        ValueError
            When it is too much for such a file.
        """
        self._left -= entries * max(entry_bytes, _ENTRY_BYTES)
        if self._left < 0:
            raise ValueError(f"{entries} entries are more than a file of this size may hold")

    def numbers(self, dataset: h5py.Dataset) -> NDArray[Any] | None:
        """Return the numbers of a dataset, or None when it holds something else."""
        if dataset.dtype.kind not in "iufb":
            return None
        self._check(dataset)
        return np.asarray(dataset[()])

    def text(self, dataset: h5py.Dataset) -> str | None:
        """Return the short text of a dataset, or None when it holds something else."""
        if dataset.size != 1 or dataset.dtype.itemsize > _LONGEST_TEXT:
            return None
        if dataset.dtype.kind == "S":
            self._check(dataset)
            return _decoded(np.asarray(dataset[()]).item())
        if h5py.check_string_dtype(dataset.dtype) is not None:
            (text,) = self._texts_in_heap(dataset)
            return _decoded(text)
        return None

    def texts(self, dataset: h5py.Dataset) -> list[str] | None:
        """Return the short texts of a dataset in order, or None when it holds something else."""
        if dataset.dtype.kind == "S" and dataset.dtype.itemsize <= _LONGEST_TEXT:
            self._check(dataset)
            return [_decoded(text) for text in np.asarray(dataset[()]).reshape(-1).tolist()]
        if h5py.check_string_dtype(dataset.dtype) is not None:
            return [_decoded(text) for text in self._texts_in_heap(dataset)]
        return None

    def _check(self, dataset: h5py.Dataset) -> None:
        """Refuse what lies in other files, and what unpacks to more than it says."""
        if dataset.external or dataset.is_virtual:
            raise ValueError(f"{dataset.name} lies in another file")
        self.take(int(dataset.size), dataset.dtype.itemsize)
        properties = dataset.id.get_create_plist()
        filters = tuple(
            properties.get_filter(index)[0] for index in range(properties.get_nfilters())
        )
        if filters not in _PACKINGS:
            raise ValueError(f"{dataset.name} is packed in another way than gzip or lzf")
        if dataset.chunks is not None:
            chunk_bytes = math.prod(dataset.chunks) * dataset.dtype.itemsize
            self.take(1, chunk_bytes)
            if _GZIP in filters or _LZF in filters:
                _check_chunks(dataset, chunk_bytes, filters)

    def _texts_in_heap(self, dataset: h5py.Dataset) -> list[bytes]:
        """Return texts of variable length.

        HDF5 2.0 is not asked for them: from a damaged heap it never comes back, and it reserves
        the four gigabytes that a damaged length may demand.
        """
        self.take(int(dataset.size), _LONGEST_TEXT)
        place = dataset.id.get_offset()
        if place is None:
            raise ValueError(f"{dataset.name} is packed, or empty, where texts are expected")
        places = (place + number * _REFERENCE.size for number in range(int(dataset.size)))
        return [self._text_at(at, str(dataset.name)) for at in places]

    def _text_at(self, reference: int, name: str) -> bytes:
        """Return the text that a reference leads to."""
        length, heap, wanted = _REFERENCE.unpack_from(self._bytes, reference)
        start, size = _HEAP.unpack_from(self._bytes, heap)
        if start != _HEAP_START or length > _LONGEST_TEXT:
            raise ValueError(f"{name} is no short text")
        place, end = heap + _HEAP.size, heap + size
        while place < end:
            number, _, size = _HEAP_OBJECT.unpack_from(self._bytes, place)
            place += _HEAP_OBJECT.size
            if number == wanted and length <= size:
                return self._bytes[place : place + length]
            place += -(-size // 8) * 8
        raise ValueError(f"{name} is not where it should be")


@contextmanager
def opened(
    path: Path, suffix: str, refusal: type[TsslError]
) -> Iterator[tuple[Content, h5py.File]]:
    """Open a file, and close it behind the ``with``.

    Parameters
    ----------
    suffix
        Of such files, for the messages: ``".net"``.
    refusal
        Kind of the error when the file is a pipe or a device, cannot be read, or is not HDF5.
    """
    origin = printable(path)
    if is_stream(path):
        raise refusal(
            f"{origin}: is a pipe or a device, and a network is read more than once; save it to a "
            "file first"
        )
    unreadable = f"{origin}: cannot be read as a {suffix} file"
    try:
        content = Content(path.read_bytes())
    except OSError as error:
        raise refusal(f"{unreadable}: {error.strerror or error}") from error
    try:
        file = content.opened()
    except DAMAGE as error:
        raise refusal(f"{unreadable}: is not an HDF5 file{pointer_hint(path)}") from error
    with file:
        yield content, file


def member(group: h5py.Group, key: str) -> h5py.Group | h5py.Dataset | None:
    """Return what is under a key, or None; a link could lead to any file of this machine."""
    link = group.get(key, getlink=True)
    if link is None:
        return None
    if not isinstance(link, h5py.HardLink):
        raise ValueError(f"'{key}' is a link")
    return group[key]


def text_attribute(owner: h5py.Group, name: str) -> str | None:
    """Return an attribute that is a text of fixed length, or None when there is none.

    Raises
    ------
    ValueError
        When it is something else.
    """
    if name not in owner.attrs:
        return None
    attribute = owner.attrs.get_id(name)
    if attribute.shape != () or attribute.dtype.kind != "S":
        raise ValueError(f"'{name}' is not a text of fixed length; export again")
    return _decoded(owner.attrs[name])


def _decoded(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _check_chunks(dataset: h5py.Dataset, chunk_bytes: int, filters: tuple[int, ...]) -> None:
    """Refuse chunks that unpack to more than a chunk; HDF5 would unpack them to their end."""
    for index in range(dataset.id.get_num_chunks()):
        offset = dataset.id.get_chunk_info(index).chunk_offset
        without, packed = dataset.id.read_direct_chunk(offset)
        if without:
            continue
        if _LZF in filters:
            has_checksum = h5py.h5z.FILTER_FLETCHER32 in filters
            size = _unpacked_lzf(packed[: -_CHECKSUM_BYTES if has_checksum else None])
        else:
            size = len(zlib.decompressobj().decompress(packed, chunk_bytes + 1))
        if size > chunk_bytes:
            raise ValueError(f"{dataset.name} unpacks to more than it says")


def _unpacked_lzf(packed: bytes) -> int:
    """Return how many bytes LZF unpacks to, without unpacking them."""
    size = place = 0
    while place < len(packed):
        control = packed[place]
        if control < _LZF_COPIES:  # so many bytes follow, and one
            place, size = place + control + 2, size + control + 1
            continue
        length = control >> 5
        if length == _LZF_LONG:
            length, place = length + packed[place + 1], place + 1
        place, size = place + 2, size + length + 2
    return size
