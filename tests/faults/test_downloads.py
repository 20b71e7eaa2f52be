"""Downloads that break in every way: no wrong file stays, and the next attempt is right.

Mirrors that are absent, wrong or endless are in ``tests/datasets/test_fetch.py``.
"""

import gzip
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.datasets.test_idx import IMAGES, LABELS, idx, small_source
from tests.faults.scenes import Child, Forker, is_unfinished
from tssl.datasets import fetch
from tssl.errors import DataError

pytestmark = pytest.mark.slow

FILES = {"images.gz": gzip.compress(idx(IMAGES)), "labels.gz": gzip.compress(idx(LABELS))}


def whole(
    content: bytes, *headers: bytes, length: object = None, status: bytes = b"200 OK"
) -> bytes:
    """Return an answer as a good server gives it, or one of another length."""
    lines = [b"HTTP/1.1 " + status, *headers, b"Connection: close"]
    if length is not False:
        lines.append(f"Content-Length: {len(content) if length is None else length}".encode())
    return b"\r\n".join(lines) + b"\r\n\r\n" + content


def chunked(content: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    return head + f"{len(content):x}\r\n".encode() + content


def redirected(_: bytes) -> bytes:
    return whole(b"", b"Location: /redirected for ever/images.gz", status=b"302 Found")


ANSWERS: dict[str, Callable[[bytes], bytes]] = {
    "good": whole,
    "good, length unknown": lambda content: whole(content, length=False),
    "good, in chunks": lambda content: chunked(content) + b"\r\n0\r\n\r\n",
    "nothing": lambda _: b"",
    "no HTTP": lambda content: content,
    "half a header": lambda content: whole(content)[:30],
    "only the header": lambda content: whole(content)[: -len(content)],
    "cut in the middle": lambda content: whole(content)[: -len(content) // 2],
    "cut before the last byte": lambda content: whole(content)[:-1],
    "cut, length unknown": lambda content: whole(content, length=False)[:-9],
    "chunks cut": lambda content: chunked(content)[:-9],
    "chunks cut between two": lambda content: chunked(content) + b"\r\n",
    "shorter length": lambda content: whole(content, length=len(content) - 3),
    "longer length": lambda content: whole(content, length=len(content) + 3),
    "length zero": lambda content: whole(content, length=0),
    "good, negative length": lambda content: whole(content, length=-5),
    "length no number": lambda content: whole(content, length="many"),
    "two lengths": lambda content: whole(content, b"Content-Length: 7"),
    "one bit wrong": lambda content: whole(content[:-1] + bytes([content[-1] ^ 4])),
    "wrong file": lambda _: whole(gzip.compress(idx(IMAGES.max() - IMAGES))),
    "login page": lambda _: whole(b"<html>Welcome to our hotel</html>"),
    "nothing with a length": lambda _: whole(b""),
    "more than the file": lambda content: whole(content + b"and more"),
    "server error": lambda _: whole(b"sorry", status=b"503 Service Unavailable"),
    "redirected for ever": redirected,
    "redirected nowhere": lambda _: whole(b"", b"Location: http://", status=b"301 Moved"),
    "says gzip, half": lambda content: whole(content[:20], b"Content-Encoding: gzip"),
    "says zipped, is not": lambda _: whole(bytes(99), b"Content-Encoding: deflate"),
    "part of it": lambda content: whole(content[9:], status=b"206 Partial Content"),
    "reset in the middle": lambda content: whole(content)[: -len(content) // 2],
    "stalls before the answer": lambda _: b"",
    "stalls in the header": lambda content: whole(content)[:25],
    "stalls in the middle": lambda content: whole(content)[: -len(content) // 2],
}  # fmt: skip
GOOD = [name for name in ANSWERS if name.startswith("good")]
BAD = [name for name in ANSWERS if name not in GOOD]


class Server:
    """Answers ``GET /how/file`` with bytes of its choice."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.asked = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            if self.over.is_set():
                connection.close()
                return
            thread = threading.Thread(target=self._answer, args=[connection])
            self._threads.append(thread)
            thread.start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            path = connection.recv(4096).split(b" ")[1].decode().replace("%20", " ")
            _, how, file = path.split("/")
            connection.sendall(ANSWERS[how](FILES[file]))
            self.asked.set()
            if how.startswith("stalls"):
                self.over.wait(60)
            if how.startswith("reset"):  # no farewell, but RST
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def close(self) -> None:
        self.over.set()
        socket.create_connection(self._socket.getsockname()).close()
        for thread in self._threads:
            thread.join()
        self._socket.close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.setattr(fetch, "_SECONDS", 0.3)
    running = Server()
    yield running
    running.close()


def mirrors(server: Server, *names: str) -> tuple[str, ...]:
    return tuple(f"{server.address}/{name}/" for name in names)


def load(cache: Path, server: Server, *names: str) -> np.ndarray:
    source = small_source(mirrors=mirrors(server, *names))
    return source.load("train", data_dir=None, cache=cache, progress=None).inputs[:, 0]


def stored(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", GOOD)
def test_good_answers(name: str, server: Server, tmp_path: Path) -> None:
    assert np.array_equal(load(tmp_path, server, name), IMAGES)
    assert stored(tmp_path) == FILES


@pytest.mark.parametrize("name", BAD)
def test_a_broken_download_is_refused_and_repeated(
    name: str, server: Server, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"^images.gz: cannot be downloaded; mirrors tried") as no:
        load(tmp_path, server, name)
    text = str(no.value)
    assert "\n" not in text
    assert ".part" not in text
    assert "images.gz ()" not in text, "there is a reason"
    assert stored(tmp_path) == {}
    assert np.array_equal(load(tmp_path, server, name, "good"), IMAGES), "by the second mirror"
    assert stored(tmp_path) == FILES


def fetching(forker: Forker, server: Server, cache: Path, how: str, **fault: float) -> Child:
    environment = {"XDG_CACHE_HOME": str(cache)}
    words = ("data", "fetch", "small", "--quiet")
    options = {"environment": environment, "mirrors": mirrors(server, how)}
    return forker.start(*words, folder=cache, **options, **fault)


def test_killed_while_the_server_stalls(forker: Forker, server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        server.asked.clear()
        child = fetching(forker, server, tmp_path, "stalls in the middle")
        assert server.asked.wait(60)
        assert child.state(0.1) == "running"
        os.kill(child.pid, 9)
        assert child.wait() == -9
        left = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert len(left) <= 1, "what was left before is gone"
        assert all(is_unfinished(path) for path in left)
    assert fetching(forker, server, tmp_path, "good").wait() == 0
    assert stored(tmp_path) == FILES


def test_killed_between_two_changes(forker: Forker, server: Server, tmp_path: Path) -> None:
    whole = fetching(forker, server, tmp_path / "whole", "good")
    assert whole.wait() == 0, whole.err
    for moment in range(1, len(whole.operations) + 1, 4):
        cache = tmp_path / str(moment)
        assert fetching(forker, server, cache, "good", kill=moment).wait() == -9
        for path in (path for path in cache.rglob("*") if path.is_file()):
            assert is_unfinished(path) or path.read_bytes() == FILES[path.name]
        again = fetching(forker, server, cache, "good")
        assert again.wait() == 0, again.err
        assert stored(cache) == FILES


def test_two_downloads_at_once(forker: Forker, server: Server, tmp_path: Path) -> None:
    """Each on its own; the first one, stopped half-way, finishes after the second."""
    for moment in (4, 7):
        cache = tmp_path / str(moment)
        first = fetching(forker, server, cache, "good", stop=moment)
        assert first.state() == "stopped"
        second = fetching(forker, server, cache, "good")
        assert second.wait() == 0, second.err
        first.go_on()
        assert first.wait() == 0, first.err
        assert stored(cache) == FILES


def test_a_disk_that_fills_during_a_download(
    forker: Forker, server: Server, tmp_path: Path
) -> None:
    child = fetching(forker, server, tmp_path, "good", largest_file=20)
    child.assert_one_line("images.gz: cannot be written: File too large")
    assert stored(tmp_path) == {}
    assert fetching(forker, server, tmp_path, "good").wait() == 0
    assert stored(tmp_path) == FILES
