"""What becomes of memory that is not needed any more."""

import ctypes
from functools import lru_cache

__all__ = ["give_back_memory", "keep_freed_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of ``mallopt`` in GNU's C library."""
_FREE_AT_THE_END = (1 << 31) - 1
_LARGEST_KEPT, _USUALLY_FREE = 32 << 20, 64 << 20


def keep_freed_memory() -> None:
    """Let this process keep freed memory for itself, where the C library is GNU's.

    A training step frees as much memory as the next one takes. By default much of it goes back to
    the system, which clears it before it gives it again: 1,500 page faults in a step of a
    convolutional network. Tensors above 32 MiB still go back.
    """
    library = _gnu()
    if library is not None and library.mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT):
        library.mallopt(_TRIM_THRESHOLD, _FREE_AT_THE_END)


def give_back_memory() -> None:
    """Give free memory back to the system, now and later, where the process holds much of it."""
    library = _gnu()
    if library is not None:
        library.mallopt(_TRIM_THRESHOLD, _USUALLY_FREE)
        library.malloc_trim(0)


@lru_cache(maxsize=1)
def _gnu() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):  # not on Windows
        return None
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
