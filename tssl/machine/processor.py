"""What this machine computes with, in words: results can depend on it in their last digits."""

import platform
from pathlib import Path

__all__ = ["processor"]

_LINUX = Path("/proc/cpuinfo")


def processor() -> str:
    """Return the name of the processor as its maker gives it, or its architecture."""
    try:
        lines = _LINUX.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    found = next(filter(None, names), platform.processor())
    return f"{found} ({platform.machine()})" if found else platform.machine()
