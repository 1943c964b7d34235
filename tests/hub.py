"""A small model hub on the loopback device that can misbehave."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

COMMIT = "0123456789" * 4


@dataclass
class Hub:
    """The responses of the server, and the requests that it received.

    Attributes:
        url: the address of the server.
        files: contents of the files in every repository, by path.
        overrides: contents to send instead of those in ``files``.
        listing: a response to send instead of the description of the repository.
        status: the HTTP status of every response.
        error_code: the hub's own error code; empty for none.
        truncate: whether the connection ends in the middle of every file.
        hang_on: requests that contain this text are never answered.
        requests: method and path of each request.
        stop: ends the requests that are never answered.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    overrides: dict[str, bytes] = field(default_factory=dict)
    listing: bytes = b""
    status: int = 200
    error_code: str = ""
    truncate: bool = False
    hang_on: str = ""
    requests: list[str] = field(default_factory=list)
    stop: Event = field(default_factory=Event)


def model_info(hub: Hub) -> dict[str, Any]:
    """Return the hub's description of the repository, with its list of files."""
    siblings = []
    for name, content in hub.files.items():
        digest = hashlib.sha256(content).hexdigest()
        lfs = {"lfs": {"sha256": digest, "size": len(content), "pointerSize": 130}}
        git_sha1 = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        siblings.append(
            {"rfilename": name, "size": len(content), "blobId": git_sha1}
            | (lfs if name.endswith(".safetensors") else {})
        )
    return {"id": "org/toy", "sha": COMMIT, "private": False, "tags": [], "siblings": siblings}


def make_handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            path = urlsplit(self.path).path
            hub.requests.append(f"{self.command} {path}")
            if hub.hang_on and hub.hang_on in hub.requests[-1]:
                hub.stop.wait(60)
                self.close_connection = True
                return
            if path.startswith("/api/models/"):
                return self.send(hub.listing or json.dumps(model_info(hub)).encode(), body=True)
            name = path.split("/resolve/", 1)[1].partition("/")[2]
            content = hub.overrides.get(name, hub.files[name])
            return self.send(content, body=body, cut=hub.truncate)

        def send(self, content: bytes, *, body: bool, cut: bool = False) -> None:
            self.send_response(hub.status)
            if hub.error_code:
                self.send_header("X-Error-Code", hub.error_code)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content[: len(content) // 2] if cut else content)
            self.close_connection = cut

    return Handler


@contextmanager
def serve_hub(files: dict[str, bytes]) -> Iterator[Hub]:
    """Run a hub that has these files in every repository."""
    hub = Hub(files=dict(files))
    server = ThreadingHTTPServer(("127.0.0.1", 0), make_handler(hub))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield hub
    finally:
        hub.stop.set()
        server.shutdown()
        server.server_close()


def read_files(folder: Path) -> dict[str, bytes]:
    """Return the contents of all files in a folder, by their relative paths."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
