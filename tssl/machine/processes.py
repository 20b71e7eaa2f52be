"""Other processes that tssl starts: how many at most, and which interpreter has Lava."""

import os

__all__ = ["LAVA_PYTHON", "MOST_PROCESSES", "lava_python"]

MOST_PROCESSES = 64
"""At the same time, on one machine."""
LAVA_PYTHON = "TSSL_LAVA_PYTHON"
"""Name in the environment of the interpreter that has Lava."""


def lava_python() -> str | None:
    """Return the interpreter that the environment names; None where it names none."""
    return os.environ.get(LAVA_PYTHON) or None
