"""A server on this machine that behaves well or badly."""

import gzip
import http.server
import threading
from collections.abc import Iterator

import pytest


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers ``/behaviour/file``; the path decides how."""

    asked: list[str]
    served: dict[str, bytes]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        _, behaviour, file = self.path.split("/")
        content = self.served[file]
        if behaviour == "absent":
            self.send_error(404)
            return
        if behaviour == "corrupt":
            content = self.served[f"corrupt {file}"]
        if behaviour == "endless":
            content = bytes(1 << 20)
        self.send_response(200)
        if behaviour == "unpacking":  # some stores unpack what they hold packed
            content = gzip.decompress(content)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:-20] if behaviour == "truncated" else content)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def asked() -> list[str]:
    """Paths that were requested."""
    return []


@pytest.fixture
def served() -> dict[str, bytes]:
    """Content by file name, and under ``corrupt NAME`` what the bad mirror has instead."""
    return {}


@pytest.fixture
def server(
    asked: list[str], served: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Address of a server that runs while the test does."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    handler = type("Recorder", (Handler,), {"asked": asked, "served": served})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()
