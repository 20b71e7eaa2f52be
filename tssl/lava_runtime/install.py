"""Putting Lava, an archived dependency, into a Python environment."""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable

from tssl.errors import BackendUnavailableError

__all__ = ["LAVA", "NEEDED", "Say", "install", "installed"]

LAVA = {"lava-nc": "0.10.0", "lava-dl": "0.6.0"}
"""The last releases; everything here was measured with them."""

NEEDED = ("numpy", "scipy", "h5py", "networkx", "asteval")
"""What Lava needs at run time, once its own list of dependencies is ignored."""

_LIST_SECONDS = 60.0
_LIST = """
import importlib.metadata as metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""

Say = Callable[[str], None]


def install(python: str | None, say: Say) -> bool:
    """Install what Lava needs and is not there; return whether anything was missing.

    Parameters
    ----------
    python
        Path of the interpreter; None for the one that runs tssl.
    say
        Called with one line about each thing done.

    Raises
    ------
    BackendUnavailableError
        When the interpreter or its pip does not work; says which command to run.

    Notes
    -----
    Lava's metadata demand Python 3.10, numpy below 2 and much that its netx never
    imports. So both wheels are installed without dependencies and against their word.
    """
    interpreter = python or sys.executable
    found = installed(interpreter)
    needed = [name for name in NEEDED if name not in found]
    lava = [f"{name}=={version}" for name, version in LAVA.items() if found.get(name) != version]
    if not needed and not lava:
        versions = ", ".join(f"{name} {version}" for name, version in LAVA.items())
        say(f"{versions}: already there in {interpreter}")
        return False
    if needed:
        _pip(interpreter, needed, say)
    if lava:
        _pip(interpreter, ["--no-deps", "--ignore-requires-python", *lava], say)
    return True


def installed(python: str | None = None) -> dict[str, str]:
    """Return the versions of Lava and what it needs that an interpreter has.

    Raises
    ------
    BackendUnavailableError
        When the interpreter cannot be run.
    """
    interpreter = python or sys.executable
    command = [interpreter, "-c", _LIST, *LAVA, *NEEDED]
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=_LIST_SECONDS, check=True
        )
        return dict(json.loads(result.stdout))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise BackendUnavailableError(
            f"{interpreter}: is not a Python interpreter that works; give another one "
            "in TSSL_LAVA_PYTHON"
        ) from error


def _pip(interpreter: str, arguments: list[str], say: Say) -> None:
    command = [interpreter, "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    say(shlex.join(command))
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise BackendUnavailableError(f"{interpreter}: {error.strerror}") from error
    if result.returncode == 0:
        return
    if "No module named pip" in result.stderr:
        others = [word for word in arguments if word != "--ignore-requires-python"]
        with_uv = shlex.join(["uv", "pip", "install", "--python", interpreter, *others])
        raise BackendUnavailableError(
            f"{interpreter}: has no pip; run: {with_uv} (or: {interpreter} -m ensurepip)"
        )
    reason = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
    raise BackendUnavailableError(
        f"Lava could not be installed ({(reason or ['pip failed'])[-1]}); "
        f"with a network, run: {shlex.join(command)}"
    )
