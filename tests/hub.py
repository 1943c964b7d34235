"""A small hub of models on the loopback device, that can misbehave."""

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
    """What the server answers with, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    served: dict[str, bytes] = field(default_factory=dict)  # instead of ``files``
    listing: bytes = b""  # instead of the true one
    status: int = 200
    error: str = ""
    cut: bool = False  # every file is broken off in the middle
    hang: str = ""  # requests whose path holds this are never answered
    asked: list[str] = field(default_factory=list)
    end: Event = field(default_factory=Event)


def listing(hub: Hub) -> dict[str, Any]:
    siblings = []
    for name, content in hub.files.items():
        digest = hashlib.sha256(content).hexdigest()
        big = {"lfs": {"sha256": digest, "size": len(content), "pointerSize": 130}}
        git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        siblings.append(
            {"rfilename": name, "size": len(content), "blobId": git}
            | (big if name.endswith(".safetensors") else {})
        )
    return {"id": "org/toy", "sha": COMMIT, "private": False, "tags": [], "siblings": siblings}


def handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
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
            hub.asked.append(f"{self.command} {path}")
            if hub.hang and hub.hang in hub.asked[-1]:
                hub.end.wait(60)
                self.close_connection = True
                return
            if path.startswith("/api/models/"):
                return self.send(hub.listing or json.dumps(listing(hub)).encode(), body=True)
            name = path.split("/resolve/", 1)[1].partition("/")[2]
            content = hub.served.get(name, hub.files[name])
            return self.send(content, body=body, cut=hub.cut)

        def send(self, content: bytes, *, body: bool, cut: bool = False) -> None:
            self.send_response(hub.status)
            if hub.error:
                self.send_header("X-Error-Code", hub.error)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content[: len(content) // 2] if cut else content)
            self.close_connection = cut

    return Handler


@contextmanager
def served(files: dict[str, bytes]) -> Iterator[Hub]:
    """A hub that has these files in any repository."""
    made = Hub(files=dict(files))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(made))
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield made
    finally:
        made.end.set()
        server.shutdown()
        server.server_close()


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file in a folder, as a hub has it."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
