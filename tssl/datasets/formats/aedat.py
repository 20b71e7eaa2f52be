"""AEDAT, the formats of jAER and iniVation: 2.0 and 3.1 with numpy, 4 with the package aedat."""

import re
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tssl.datasets.events import Events
from tssl.datasets.formats._extras import imported
from tssl.datasets.formats.cameras import content_of
from tssl.datasets.formats.recordings import Recording
from tssl.datasets.reading import Reading
from tssl.errors import DataError

__all__ = ["read", "read_as_stamped"]

_MAGIC = re.compile(rb"#!AER-DAT(\d\.\d)[^\n]*\n")
_END = b"#!END-HEADER\r\n"
_RECORD = 8
_LARGEST_HEADER = 1 << 20
_PACKET_HEADER = 28
_POLARITY_EVENTS = 1
_DVS128 = (2, 128, 128)
_DAVIS = {b"DAVIS240": (2, 180, 240), b"DAVIS346": (2, 260, 346), b"DAVIS640": (2, 480, 640)}
_PANIC = "PanicException"
"""What Rust's panics are in Python; their class, no Exception, cannot be imported."""
_UNREADABLE = (OSError, ValueError, TypeError, RuntimeError, AttributeError, KeyError,
               AssertionError, MemoryError, OverflowError, IndexError, StopIteration)  # fmt: skip


def read(path: Path, reading: Reading) -> Recording:
    """Return a recording, whichever version it is; time begins at its first event."""
    try:
        with path.open("rb") as file:
            match = _MAGIC.match(file.read(64))
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}") from error
    version = match[1].decode() if match else "none"
    if version.startswith("4."):
        return _version_4(path)
    if version == "2.0":
        return _from_first(*_version_2(content_of(path)))
    if version.startswith("3."):
        return _from_first(*_version_3(content_of(path)))
    raise DataError(f"is of AEDAT version {version}; 2.0, 3.1 and 4.0 can be read")


def read_as_stamped(path: Path) -> Events:
    """Return the events of a recording of version 3.1 with the camera's own time stamps.

    Raises
    ------
    DataError
        When it is of another version, or damaged.
    """
    content = content_of(path)
    match = _MAGIC.match(content[:64])
    if match is None or not match[1].startswith(b"3."):
        raise DataError("is no AEDAT 3.1")
    return _version_3(content)[0]


def _from_first(events: Events, shape: tuple[int, int, int]) -> Recording:
    times = events.time_us
    return Recording(events._replace(time_us=times - times[:1].sum()), shape)


def _version_2(content: bytes) -> tuple[Events, tuple[int, int, int]]:
    """Return events of 32 bits of address and 32 of microseconds, big-endian.

    Addresses are those of the DVS128 unless the header names a DAVIS: polarity bit 0, x bits 1 to
    7, y bits 8 to 14; of a DAVIS polarity bit 11, x bits 12 to 21, y bits 22 to 30, and only where
    bits 31 and 10 are 0 is it such an event. Coordinates are as the bits say, not mirrored as jAER
    shows them.
    """
    start = 0
    while content[start : start + 1] == b"#":
        end = content.find(b"\n", start)
        start = len(content) if end < 0 else end + 1
    header, values = content[:start].upper(), content[start:]
    if len(values) % _RECORD:
        raise DataError(
            f"holds {len(values)} bytes of events, which is not a whole number of {_RECORD} "
            "(an unfinished copy?)"
        )
    address, times = np.frombuffer(values, ">u4").reshape(-1, 2).T.astype(np.int64)
    if b"DAVIS" in header:
        is_event = (address >> 31 == 0) & (address >> 10 & 1 == 0)
        address, times = address[is_event], times[is_event]
        x, y, polarity = address >> 12 & 0x3FF, address >> 22 & 0x1FF, address >> 11 & 1
        shape = next((size for name, size in _DAVIS.items() if name in header), (2, 0, 0))
        return Events(time_us=times, polarity=polarity, y=y, x=x), shape
    is_event = address >> 15 & 1 == 0
    address, times = address[is_event], times[is_event]
    if len(address) and int(address.max()) > 0x7FFF:
        raise DataError("has addresses that no DVS128 has, and its header names no DAVIS")
    x, y = address >> 1 & 0x7F, address >> 8 & 0x7F
    return Events(time_us=times, polarity=address & 1, y=y, x=x), _DVS128


def _version_3(content: bytes) -> tuple[Events, tuple[int, int, int]]:
    """Return the polarity events of all packets, little-endian.

    A packet has a header of 28 bytes, of which these matter: type, size of an event, overflows of
    the time stamps' 31 bits, and how many events. A polarity event has 32 bits (validity bit 0,
    polarity bit 1, y bits 2 to 16, x bits 17 to 31) and 32 of microseconds.
    """
    header_end = content.find(_END)
    if header_end < 0:
        raise DataError("ends in its header (an unfinished copy?)")
    start, parts = header_end + len(_END), []
    while start < len(content):
        head = content[start : start + _PACKET_HEADER]
        start += _PACKET_HEADER
        if len(head) < _PACKET_HEADER:
            raise DataError("ends in the header of a packet (an unfinished copy?)")
        kind = int.from_bytes(head[:2], "little")
        size, _, overflow, _, number = np.frombuffer(head, "<i4", 5, offset=4).tolist()
        if size < 1 or number < 0 or overflow < 0:
            raise DataError(f"has a packet of {number} events of {size} bytes: it is damaged")
        values = content[start : start + size * number]
        start += size * number
        if len(values) != size * number:
            raise DataError("ends in the middle of a packet (an unfinished copy?)")
        if kind == _POLARITY_EVENTS and size == _RECORD:
            records = np.frombuffer(values, "<u4").reshape(-1, 2).T.astype(np.int64)
            parts.append(records[:, records[0] & 1 == 1] + np.array([[0], [overflow << 31]]))
    data, times = np.concatenate(parts, axis=1) if parts else np.zeros((2, 0), np.int64)
    events = Events(time_us=times, polarity=data >> 1 & 1, y=data >> 2 & 0x7FFF, x=data >> 17)
    return events, _DVS128 if b"DVS128" in content[:header_end] else (2, 0, 0)


def _check_header_4(path: Path) -> None:
    """Refuse a header whose description is no text: the package aedat would end the process.

    Behind the first line is the header's size and a flatbuffer, whose third field is the
    description.
    """
    try:
        with path.open("rb") as file:
            file.readline(64)
            size = int.from_bytes(file.read(4), "little")
            header = file.read(min(size, _LARGEST_HEADER))
        if len(header) < size:
            raise DataError("ends in its header, or the header is damaged")
        (table,) = struct.unpack_from("<I", header)
        (back,) = struct.unpack_from("<i", header, table)
        (field,) = struct.unpack_from("<H", header, table - back + 8)
        (offset,) = struct.unpack_from("<I", header, table + field)
        (length,) = struct.unpack_from("<I", header, table + field + offset)
        start = table + field + offset + 4
        if not field or len(header) < start + length:
            raise DataError("has a damaged header: its description is not in it")
        header[start : start + length].decode()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}") from error
    except (struct.error, UnicodeError) as error:
        raise DataError("has a damaged header") from error


def _version_4(path: Path) -> Recording:
    aedat = imported("aedat", "AEDAT 4 recordings")
    _check_header_4(path)
    try:
        decoder = aedat.Decoder(str(path))
        streams = {
            number: (2, stream["height"], stream["width"])
            for number, stream in decoder.id_to_stream().items()
            if stream["type"] == "events"
        }
        packets = [packet for packet in decoder if packet["stream_id"] in streams]
    except BaseException as error:
        if not isinstance(error, _UNREADABLE) and type(error).__name__ != _PANIC:
            raise
        reason = " ".join(str(error).split())
        raise DataError(f"cannot be read as AEDAT 4: {reason}") from error
    if len(streams) != 1:
        raise DataError(f"holds {len(streams)} streams of events; one is expected")
    (shape,) = streams.values()

    def column(name: str) -> NDArray[np.int64]:
        parts = [packet["events"][name].astype(np.int64) for packet in packets]
        return np.concatenate([*parts, np.zeros(0, np.int64)])

    events = Events(time_us=column("t"), polarity=column("on"), y=column("y"), x=column("x"))
    return _from_first(events, shape)
