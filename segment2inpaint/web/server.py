"""Run the server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from segment2inpaint.editor import Editor
from segment2inpaint.errors import BadOption
from segment2inpaint.images import photo_of
from segment2inpaint.types import Points, Request

CONNECTIONS = 400
HEAD = 20.0  # s that the head of a request may take


class HeaderTimeoutProtocol(H11Protocol):
    """Closes a connection whose request's head does not come in time."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._late:
            self._late.cancel()

    def _watch(self) -> None:
        """Start the clock where a head has begun, or is due; stop it where one is complete."""
        due = self.cycle is None or self.cycle.response_complete
        if due and self._late is None:
            self._late = self.loop.call_later(HEAD, self.transport.close)
        elif not due and self._late is not None:
            self._late.cancel()
            self._late = None


def bound(host: str, port: int) -> socket.socket:
    """A socket at this address. Raises ``BadOption`` in one line."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made = socket.socket(family)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise BadOption(f"cannot serve at {host}:{port}: {why}; choose another --port") from error
    return made


def serve(app: Any, at: socket.socket, started: Callable[[], None]) -> None:
    """Serve until stopped; ``started`` is called once connections are taken."""

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            started()

    Server(config(app)).run(sockets=[at])


def config(app: Any) -> uvicorn.Config:
    """How the server is run: quiet, patient to a degree, and telling nobody what it is."""
    return uvicorn.Config(
        app, http=HeaderTimeoutProtocol, log_level="warning", access_log=False, server_header=False,
        proxy_headers=False, limit_concurrency=CONNECTIONS, timeout_keep_alive=30,
        timeout_graceful_shutdown=2, ws="none",
    )  # fmt: skip


def warm(editor: Editor) -> None:
    """Load what the first click and the first removal need, on a picture of nothing."""
    import numpy as np

    y, x = np.mgrid[:96, :96]
    disc = ((x - 48) ** 2 + (y - 48) ** 2 < 200)[..., None]
    picture = np.where(disc, (200, 60, 60), (90 + x + 0 * y)[..., None]).astype(np.uint8)
    editor.run(photo_of(picture), Request((Points(((48, 48),)),), attempts=1))
