"""Writing files so that nobody ever sees half of one, and reading TOML and JSON.

What is being written has a name that ends in ``.part`` and is locked as long as its writer lives;
the next writer of the same name removes what a killed one left.
"""

import fcntl
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tssl.errors import ConfigError, OutputError, TsslError
from tssl.wording import count

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_ENCODING = "utf-8-sig"
"""Of what is read: UTF-8, with or without the byte-order mark that some editors write first."""

_MOST_TOML, _LONGEST_LINE = 256 << 10, 5000
"""Characters; a dotted key takes time by the square of its length."""

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"

__all__ = [
    "held",
    "is_stream",
    "locked",
    "make_directory",
    "pointer_hint",
    "printable",
    "read_json",
    "read_toml",
    "remove",
    "scratch_folder",
    "unfinished",
    "write_json",
    "write_text",
    "written",
    "written_together",
]


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; move it there when the block succeeds.

    Raises
    ------
    OutputError
        When the folder or the disk refuses; an older ``path`` is then untouched. Likewise when
        ``path`` is a device or a pipe, which must not be replaced; a link is followed.
    """
    path = Path(os.path.realpath(path))
    _check_ordinary(path)
    make_directory(path.parent)
    with _temporary(path, _new_file) as temporary:
        try:
            yield temporary
            _make_readable(temporary)
            _flush_to_disk(temporary)
            temporary.replace(path)
        except OSError as error:
            raise _cannot_write(path, error) from error


@contextmanager
def written_together(directory: Path, last: str) -> Iterator[Path]:
    """Yield a temporary folder; move all that is in it to ``directory`` when the block succeeds.

    Parameters
    ----------
    last
        The file that vouches for the others. It is taken away first and comes back last: where
        it is, the others are whole and of the same writer.

    Raises
    ------
    OutputError
        When the folder or the disk refuses. Before the last byte is on the disk nothing older is
        touched.
    """
    make_directory(directory)
    with _temporary(directory / last, _new_folder) as temporary:
        try:
            yield temporary
            for file in (path for path in temporary.rglob("*") if path.is_file()):
                _flush_to_disk(file)
            with locked(directory):
                _move_all(temporary, directory, last)
        except OSError as error:
            raise _cannot_write(directory, error) from error
        except OutputError as error:  # the temporary folder is no business of the user
            raise OutputError(str(error).replace(str(temporary), str(directory))) from error


@contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """Yield a new folder in the system's folder for temporary files; it is gone in the end.

    What killed processes of the same user left under this prefix is removed; a folder in use is
    locked.

    Raises
    ------
    OSError
        When it cannot be created.
    """

    def new(_: Path) -> tuple[int, str]:
        name = tempfile.mkdtemp(prefix=prefix)
        return os.open(name, os.O_RDONLY), name

    place = Path(tempfile.gettempdir())
    handle, name = _locked_part(place / prefix, new)
    try:
        _remove_unlocked(_own_folders(place, prefix))
        yield Path(name)
    finally:
        shutil.rmtree(name, ignore_errors=True)
        os.close(handle)


def unfinished(directory: Path, last: str) -> bool:
    """Return whether a call of :func:`written_together` is under way here or was killed."""
    return any(_parts(directory / last))


@contextmanager
def locked(directory: Path, *, shared: bool = False) -> Iterator[None]:
    """Wait until nobody else moves files into a folder that belong together, then keep it so.

    A file system without locks is trusted, and so is a folder that cannot be opened.
    """
    try:
        handle = os.open(directory, os.O_RDONLY)
    except OSError:
        yield
        return
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold a lock file while the block runs; False when another process holds it.

    The system releases it when the process is killed; the empty file that then stays is harmless.
    A file system without locks is trusted.

    Raises
    ------
    OutputError
        When the lock file cannot be written.
    """
    try:
        handle, is_ours = _open_locked(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        yield is_ours
    finally:
        if is_ours:
            _discard(path)
        os.close(handle)


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


def printable(path: Path | str) -> str:
    """Return a path, or part of one, as text that can be written, whatever bytes it has."""
    return os.fsencode(path).decode("utf-8", "replace")


def is_stream(path: Path) -> bool:
    """Return whether a path is a pipe or a device, from which nothing can be read twice."""
    return path.exists() and not (path.is_file() or path.is_dir())


def pointer_hint(path: Path) -> str:
    """Return what to add to an error about a file that is a pointer of Git LFS, or nothing."""
    with suppress(OSError), path.open("rb") as file:
        if file.read(len(_LFS_POINTER)) == _LFS_POINTER:
            return "; it is a Git LFS pointer: fetch the file itself with `git lfs pull`"
    return ""


def write_text(path: Path, text: str) -> None:
    """Write text whole or not at all; bytes of file names that are no text become ``?``."""
    with written(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")


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
        text = path.read_text(encoding=_ENCODING)
        if max(map(len, text.splitlines()), default=0) > _LONGEST_LINE or len(text) > _MOST_TOML:
            raise ConfigError(
                f"{path}: is too large for a file of settings: at most {count(_MOST_TOML)} "
                f"characters, {count(_LONGEST_LINE)} in a line"
            )
        return tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # of thousands of digits, not a decode error
        raise ConfigError(f"{path}: is not valid TOML: {error}") from error


def toml_value(text: str) -> Any:  # noqa: ANN401 - any of TOML
    """Return what stands behind a ``=`` in TOML; a ``ValueError`` when it is not valid."""
    return tomllib.loads(f"value = {text}")["value"]


def read_json(path: Path, error_class: type[TsslError]) -> dict[str, Any]:
    """Return a JSON object; failures become ``error_class``."""
    try:
        document = json.loads(path.read_text(encoding=_ENCODING))
    except OSError as error:
        raise error_class(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # brackets nested thousands deep
        raise error_class(f"{path}: is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise error_class(f"{path}: holds a JSON {type(document).__name__}, not an object")
    return document


@contextmanager
def _temporary(path: Path, new: Callable[[Path], tuple[int, str]]) -> Iterator[Path]:
    """Yield a file or folder beside ``path`` that is locked, and gone in the end."""
    try:
        handle, name = _locked_part(path, new)
    except OSError as error:
        raise _cannot_write(path, error) from error
    temporary = Path(name)
    try:
        _remove_unlocked(_parts(path))
        yield temporary
    finally:
        _discard(temporary)
        os.close(handle)


def _new_file(path: Path) -> tuple[int, str]:
    return tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")


def _new_folder(path: Path) -> tuple[int, str]:
    name = tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    return os.open(name, os.O_RDONLY), name


def _locked_part(path: Path, new: Callable[[Path], tuple[int, str]]) -> tuple[int, str]:
    """Return a new part that nobody took for a dead writer's before it was locked."""
    while True:
        try:
            handle, name = new(path)
        except FileNotFoundError:  # another command took back the folder, made in vain
            make_directory(path.parent)
            handle, name = new(path)
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.path.exists(name):
            return handle, name
        os.close(handle)


def _parts(path: Path) -> list[Path]:
    """Return what writers of ``path``, alive or killed, have beside it."""
    try:
        names = os.listdir(path.parent)
    except OSError:
        return []
    start = f".{path.name}."
    return [path.parent / n for n in names if n.startswith(start) and n.endswith(".part")]


def _own_folders(place: Path, prefix: str) -> list[Path]:
    """Return this user's folders of that name, without links to folders."""
    found = []
    with suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if entry.name.startswith(prefix) and entry.is_dir(follow_symlinks=False):
                with suppress(OSError):  # it may be gone by now
                    if entry.stat(follow_symlinks=False).st_uid == os.getuid():
                        found.append(place / entry.name)
    return found


def _remove_unlocked(parts: list[Path]) -> None:
    """Remove what killed processes left; a living one holds a lock."""
    for part in parts:
        with suppress(OSError):
            handle = os.open(part, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _discard(part)
            finally:
                os.close(handle)


def _discard(part: Path) -> None:
    """Remove a file or folder that nobody needs; where that cannot be done it does no harm."""
    with suppress(OSError):
        part.unlink() if part.is_file() else shutil.rmtree(part)


def _check_ordinary(path: Path) -> None:
    """Refuse to replace a device or a pipe."""
    if is_stream(path):
        raise OutputError(f"{path}: cannot be written: it is no ordinary file")


def _move_all(source: Path, target: Path, last: str) -> None:
    for path in source.iterdir():
        _check_ordinary(target / path.name)
    (target / last).unlink(missing_ok=True)
    for path in sorted(source.iterdir(), key=lambda path: path.name == last):
        if path.is_dir() and (target / path.name).is_dir():
            shutil.rmtree(target / path.name)
        path.replace(target / path.name)


def _open_locked(path: Path) -> tuple[int, bool]:
    """Open and lock a file; False when another process has it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return handle, False
        except OSError:
            return handle, True
        if _is_at(path, handle):  # and was not just removed by the one who held it
            return handle, True
        os.close(handle)


def _is_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


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
