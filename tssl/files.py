"""Writing files so that nobody ever sees half of one, and reading TOML and JSON."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tssl.errors import ConfigError, OutputError, TsslError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "make_directory",
    "read_json",
    "read_toml",
    "remove",
    "write_json",
    "write_text",
    "written",
]


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; move it there when the block succeeds.

    Raises
    ------
    OutputError
        When the folder or the disk refuses; an older ``path`` is then untouched.
    """
    make_directory(path.parent)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
    except OSError as error:
        raise _cannot_write(path, error) from error
    temporary = Path(name)
    try:
        yield temporary
        _make_readable(temporary)
        _flush_to_disk(temporary)
        temporary.replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def make_directory(path: Path) -> None:
    """Create a folder and its parents.

    Raises
    ------
    OutputError
        When it cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(path, error) from error


def remove(path: Path) -> None:
    """Remove a file if it is there.

    Raises
    ------
    OutputError
        When it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_write(path, error) from error


def write_text(path: Path, text: str) -> None:
    """Write text whole or not at all."""
    with written(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, document: object) -> None:
    """Write a JSON document whole or not at all."""
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file.

    Raises
    ------
    ConfigError
        When the file is missing, unreadable or not TOML (with line and column).
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from error


def read_json(path: Path, error_class: type[TsslError]) -> dict[str, Any]:
    """Return a JSON object; failures become ``error_class``."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise error_class(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # brackets nested thousands deep
        raise error_class(f"{path}: is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise error_class(f"{path}: holds a JSON {type(document).__name__}, not an object")
    return document


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path}: cannot be written: {error.strerror or error}")


def _make_readable(path: Path) -> None:
    """Give the file the rights an ordinary new file gets; ``mkstemp`` makes it private."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(0o666 & ~umask)


def _flush_to_disk(path: Path) -> None:
    """Force the bytes out, so that a full disk is noticed before the file is moved."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
