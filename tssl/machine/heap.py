"""What becomes of memory that is not needed any more."""

import ctypes
from functools import lru_cache

__all__ = ["give_back_memory", "keep_freed_memory"]

_TRIM_THRESHOLD, _MOST_MAPPED = -1, -4
"""Parameters of ``mallopt`` in GNU's C library."""
_FREE_AT_THE_END, _USUALLY_FREE = (1 << 31) - 1, 64 << 20
_USUALLY_MAPPED = 1 << 16
"""Blocks that are asked of the system one by one, and so go back to it one by one."""


def keep_freed_memory() -> None:
    """Let this process keep freed memory for itself, where the C library is GNU's.

    A training step frees as much memory as the next one takes. By default much of it goes back to
    the system, which clears it before it gives it again: 1,500 page faults in a step of a
    convolutional network, and 18,000 for each tensor of 70 MB.
    """
    library = _gnu()
    if library is not None and library.mallopt(_MOST_MAPPED, 0):
        library.mallopt(_TRIM_THRESHOLD, _FREE_AT_THE_END)


def give_back_memory() -> None:
    """Give free memory back to the system, now and later, where the process holds much of it."""
    library = _gnu()
    if library is not None:
        library.mallopt(_TRIM_THRESHOLD, _USUALLY_FREE)
        library.mallopt(_MOST_MAPPED, _USUALLY_MAPPED)
        library.malloc_trim(0)


@lru_cache(maxsize=1)
def _gnu() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):  # not on Windows
        return None
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
