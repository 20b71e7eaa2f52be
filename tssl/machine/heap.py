"""What becomes of memory that is not needed any more."""

import ctypes

__all__ = ["keep_freed_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of ``mallopt`` in GNU's C library."""
_FREE_AT_THE_END = (1 << 31) - 1
_LARGEST_KEPT = 64 << 20


def keep_freed_memory() -> None:
    """Let this process keep freed memory for itself, where the C library is GNU's.

    A training step frees as much memory as the next one takes. By default much of it goes back to
    the system, which clears it before it gives it again: 1,500 page faults in a step of a
    convolutional network. Tensors above 64 MiB still go back.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
    mallopt(_TRIM_THRESHOLD, _FREE_AT_THE_END)
