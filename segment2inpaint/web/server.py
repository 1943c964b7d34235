"""Run the ASGI application with uvicorn."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from segment2inpaint.editor import Editor
from segment2inpaint.errors import BadOption
from segment2inpaint.images import photo_from_array
from segment2inpaint.types import Points, Request
from segment2inpaint.web.security import (
    App,
    Message,
    Receive,
    RequestRefused,
    Scope,
    Send,
    send_refusal,
)

MAX_CONNECTIONS = 400
KEEP_ALIVE = 30  # seconds that an idle connection stays open
SHUTDOWN_TIMEOUT = 2  # seconds that running calls may take after Ctrl-C
STOPPED = "the server was stopped before it could answer; start it and try again"


class HeaderTimeoutProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection whose request headers arrive too slowly."""

    header_timeout = 20.0  # seconds
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._update_timer()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._update_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._timer:
            self._timer.cancel()

    def _update_timer(self) -> None:
        """Run the timer while headers are expected, and stop it when they are complete."""
        expected = self.cycle is None or self.cycle.response_complete
        if expected and self._timer is None:
            self._timer = self.loop.call_later(self.header_timeout, self.transport.close)
        elif not expected and self._timer is not None:
            self._timer.cancel()
            self._timer = None


def bind_socket(host: str, port: int) -> socket.socket:
    """Return a socket bound to this address. Raises ``BadOption`` if that fails."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.socket(family)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadOption(
            f"cannot serve at {host}:{port}: {reason}; choose another --port"
        ) from error
    return bound


def serve(app: App, listening: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve the application until it is stopped. Call ``on_ready`` when it accepts connections."""

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            on_ready()

    server = Server(server_config(answer_stopped_calls(app)))
    logging.getLogger("uvicorn.error").addFilter(_is_no_cancelled_call)
    server.run(sockets=[listening])


def answer_stopped_calls(app: App) -> App:
    """Return the application that answers 503 to the calls which a stop of the server cancels."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await app(scope, receive, watch)
        except asyncio.CancelledError:
            if scope["type"] != "http":
                raise
            if not started:
                await send_refusal(send, RequestRefused(503, STOPPED))

    return call


def _is_no_cancelled_call(record: logging.LogRecord) -> bool:
    """Return whether a line of uvicorn's log is not about calls that it cancels at its stop."""
    return "graceful shutdown" not in record.getMessage()


def server_config(app: App) -> uvicorn.Config:
    """Return the uvicorn settings: no access log, no server header, bounded connections."""
    return uvicorn.Config(
        app, http=HeaderTimeoutProtocol, log_level="warning", access_log=False, server_header=False,
        proxy_headers=False, limit_concurrency=MAX_CONNECTIONS, timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT, ws="none",
    )  # fmt: skip


def warm_up(editor: Editor) -> None:
    """Load the models of the first click and removal by editing a small synthetic picture."""
    import numpy as np

    y, x = np.mgrid[:96, :96]
    disc = ((x - 48) ** 2 + (y - 48) ** 2 < 200)[..., None]
    picture = np.where(disc, (200, 60, 60), (90 + x + 0 * y)[..., None]).astype(np.uint8)
    editor.run(photo_from_array(picture), Request((Points(((48, 48),)),), attempts=1))
