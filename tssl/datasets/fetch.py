"""Download one file from the first mirror that has it right, whole or not at all."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tssl.datasets.dataset import Progress
from tssl.errors import DataError
from tssl.machine.files import written

_CHUNK_BYTES = 1 << 16
_DIGESTS = {"sha256": "SHA-256", "md5": "MD5"}
_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A file to download.

    Parameters
    ----------
    file
        Its name, which follows a folder's address, and which it has here.
    mirrors
        Addresses, tried in this order: of a folder, which ends in a slash, or of the file itself.
    largest
        Bytes beyond which a transfer is given up.
    check
        Raises :class:`DataError` when the file at a path is not the one wanted; the
        message says what is wrong, not with which path.
    otherwise
        What a user can do by hand when all mirrors fail.
    """

    file: str
    mirrors: Sequence[str]
    largest: int
    check: Callable[[Path], object]
    otherwise: str


def cache_folder() -> Path:
    """Return the platform's folder for files that can be downloaded again."""
    import pooch

    return Path(pooch.os_cache("tssl"))


def folders(name: str, data_dir: Path | None, cache: Path | None) -> list[Path]:
    """Return where files of a data set may lie, in the order of looking.

    That is the user's folder, one of the data set's name in it, and the cache.
    """
    own = (cache or cache_folder()) / name
    return [own] if data_dir is None else [data_dir, data_dir / name, own]


def download(wanted: Wanted, folder: Path, progress: Progress | None = None) -> Path:
    """Return the path of a downloaded file in ``folder``; it is there only when it is right.

    Raises
    ------
    DataError
        When every mirror fails; names them all and each one's reason.
    OutputError
        When the folder or the disk refuses.
    """
    path = folder / wanted.file
    reasons = []
    for mirror in wanted.mirrors:
        address = mirror + wanted.file if mirror.endswith("/") else mirror
        try:
            with written(path) as temporary:
                _transfer(address, temporary, wanted, progress)
                wanted.check(temporary)
        except DataError as error:
            reasons.append(f"{address} ({error})")
        else:
            return path
    tried = "; ".join(reasons) or "none"
    raise DataError(
        f"{wanted.file}: cannot be downloaded; mirrors tried: {tried}; {wanted.otherwise}"
    )


def check_digest(path: Path, algorithm: str, digest: str) -> None:
    """Raise DataError when a file is not the published one; the message does not name it.

    Parameters
    ----------
    algorithm
        ``sha256``, or ``md5``, which notices damage but no deliberate exchange of the file.
    digest
        In hexadecimal digits.
    """
    found = hashlib.new(algorithm, usedforsecurity=False)
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                found.update(chunk)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}") from error
    if found.hexdigest() != digest:
        raise DataError(
            f"is not the published file: it has {_DIGESTS[algorithm]} {found.hexdigest()}, "
            f"expected {digest}"
        )


def _transfer(address: str, path: Path, wanted: Wanted, progress: Progress | None) -> None:
    """Store what ``address`` answers at ``path``."""
    import pooch

    downloader = pooch.HTTPDownloader(
        progressbar=_Meter(path, wanted, progress),
        chunk_size=_CHUNK_BYTES,
        timeout=_SECONDS,
        # the file as it is stored; otherwise a server may pack the packed file once more
        headers={"Accept-Encoding": "identity"},
    )
    try:
        downloader(address, str(path), None)
    except OSError as error:
        # what goes wrong on the way has no errno in requests; a full disk here has one
        if error.errno is not None:
            raise
        raise DataError(_reason(error)) from error
    except ValueError as error:  # pooch takes the length to be a number
        raise DataError(f"answers nonsense: {error}") from error


class _Meter:
    """Reports the bytes that arrived, and stops a transfer that will not end.

    It looks like a progress bar to pooch, which tells chunks and not bytes: hence the
    size is read from the file, into which every chunk is flushed.
    """

    def __init__(self, path: Path, wanted: Wanted, progress: Progress | None) -> None:
        self.total = 0
        self._path = path
        self._wanted = wanted
        self._progress = progress

    def update(self, _amount: int) -> None:
        received = self._path.stat().st_size
        if received > self._wanted.largest:
            raise DataError(f"sends more than {self._wanted.largest} bytes")
        if self._progress is not None:
            self._progress(self._wanted.file, received, self.total)

    def reset(self) -> None:
        """Nothing to reset: the file's size is always right."""

    def close(self) -> None:
        """Nothing to close."""


def _reason(error: OSError) -> str:
    """Return what went wrong, without the layers that requests and urllib3 wrap around it."""
    cause = error.args[0] if error.args else error
    text = " ".join(str(getattr(cause, "reason", cause)).split())
    return text.rpartition("): ")[2]
