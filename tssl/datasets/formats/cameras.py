"""Files of event cameras that are simple enough to be read with numpy alone."""

import re
from pathlib import Path

import numpy as np

from tssl.datasets.events import Events
from tssl.datasets.formats.recordings import Recording
from tssl.datasets.reading import Reading
from tssl.errors import DataError

__all__ = ["content_of", "read_bin", "read_dat"]

_BIN_BYTES = 5
_DAT_BYTES = 8
_POLARITIES = 2
_LARGEST = 1 << 31
_SIZE = re.compile(rb"^% *(width|height) +([0-9]{1,5}) *\r?$", re.IGNORECASE | re.MULTILINE)


def content_of(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises
    ------
    DataError
        When it cannot be read, or is larger than memory should hold.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise DataError(f"holds more than {_LARGEST} bytes")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}") from error


def read_bin(path: Path, reading: Reading) -> Recording:
    """Return a recording of N-MNIST's kind: x, y, then polarity and 23 bits of microseconds.

    Such a file does not say how large its sensor is.
    """
    content = content_of(path)
    if len(content) % _BIN_BYTES:
        raise DataError(
            f"holds {len(content)} bytes, which is not a whole number of events of {_BIN_BYTES} "
            "bytes (an unfinished copy?)"
        )
    columns = np.frombuffer(content, np.uint8).reshape(-1, _BIN_BYTES).T
    x, y, high, middle, low = columns.astype(np.int64)
    time_us = (high & 0x7F) << 16 | middle << 8 | low
    events = Events(time_us=time_us, polarity=high >> 7, y=y, x=x)
    return Recording(events, (_POLARITIES, 0, 0))


def read_dat(path: Path, reading: Reading) -> Recording:
    """Return a recording of Prophesee's DAT format, version 1 or 2; time begins at its first event.

    A header of lines that begin with ``%``, two bytes (type and size of an event), and events of
    8 bytes, little-endian: 32 bits of microseconds, then x (14 bits), y (14) and polarity (1).
    """
    content = content_of(path)
    start = 0
    while content[start : start + 1] == b"%":
        end = content.find(b"\n", start)
        if end < 0:
            raise DataError("ends in its header (an unfinished copy?)")
        start = end + 1
    header, kind = content[:start], content[start : start + 2]
    if len(kind) < 2 or kind[1] != _DAT_BYTES or kind[0] not in (0, 12):
        raise DataError(
            f"is no recording of Prophesee's: behind its header stands {kind.hex(' ') or 'nothing'}"
            ", and not 00 08 or 0c 08"
        )
    values = content[start + 2 :]
    if len(values) % _DAT_BYTES:
        raise DataError(
            f"holds {len(values)} bytes of events, which is not a whole number of {_DAT_BYTES} "
            "(an unfinished copy?)"
        )
    times, places = np.frombuffer(values, "<u4").reshape(-1, 2).T.astype(np.int64)
    size = {name.lower(): int(number) for name, number in _SIZE.findall(header)}
    events = Events(
        time_us=times - times[:1].sum(),
        polarity=places >> 28 & 1,
        y=places >> 14 & 0x3FFF,
        x=places & 0x3FFF,
    )
    return Recording(events, (_POLARITIES, size.get(b"height", 0), size.get(b"width", 0)))
