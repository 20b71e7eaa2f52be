"""What can go wrong, and telling tssl so."""

import errno
import json
import multiprocessing
import os
import threading
import traceback
from pathlib import Path

REPORTING = threading.Lock()
"""Taken for good by the thread that reports a failure."""
NO_SPACE = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
FULL = 74
"""Exit code when there is no space even for ``error.json``."""


class LavaProcessError(RuntimeError):
    """A process of Lava raised or died; carries the traceback of that process."""

    def __init__(self, message: str, details: str) -> None:
        super().__init__(message)
        self.details = details


class HardwareError(RuntimeError):
    """Loihi 2, or Intel's extension for it, is not there."""


def describe(error: BaseException) -> str:
    """Return one line for an exception."""
    text = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def out_of_space(error: BaseException) -> bool:
    """Return whether a file could not grow."""
    return isinstance(error, OSError) and error.errno in NO_SPACE


def kind_of(error: BaseException) -> str:
    """Classify a failure: ``missing``, no ``hardware``, no ``space``, or Lava ``failed``."""
    if isinstance(error, HardwareError):
        return "hardware"
    if isinstance(error, NameError) and "CLoihiProcessModel" in str(error):
        return "hardware"  # Loihi2HwCfg without Intel's extension
    if out_of_space(error):
        return "space"
    return "missing" if isinstance(error, ImportError) else "failed"


def end_children() -> None:
    """Kill what Lava started; its shared memory is then removed by the resource tracker."""
    for child in multiprocessing.active_children():
        child.kill()


def report_and_exit(folder: Path, error: BaseException) -> None:
    """Write ``error.json`` and leave without Python's clean-up, in which Lava hangs."""
    REPORTING.acquire()
    details = getattr(error, "details", "") or "".join(
        traceback.format_exception(type(error), error, error.__traceback__)
    )
    message = str(error) if hasattr(error, "details") else describe(error)
    if isinstance(error, HardwareError):
        message = str(error)
    if isinstance(error, OSError) and out_of_space(error):
        message = error.strerror or message
    document = {"kind": kind_of(error), "message": message, "traceback": details}
    temporary = folder / "error.json.part"
    code = 1
    try:
        temporary.write_text(json.dumps(document), encoding="utf-8")
        temporary.replace(folder / "error.json")
    except OSError as failure:
        code = FULL if out_of_space(failure) else 1
    end_children()
    os._exit(code)
