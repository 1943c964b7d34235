"""What stands before every request: who may ask, how much may be sent, and what browsers may do."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException

from segment2inpaint.web.limits import Limits

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = ("/static/", "/docs")  # and "/": no secrets there, the page asks for the token itself
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=()",
}


class RequestRefused(HTTPException):
    """A request that goes no further; raised here, or inside the application as it reads."""


def is_loopback(host: str) -> bool:
    """Whether a server bound to this host can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass
class UploadBudget:
    """What all requests together have sent that is not dealt with yet."""

    bytes: int = 0


@dataclass(frozen=True)
class SecurityMiddleware:
    """An ASGI application before another: checks Host, Origin, token and size, sets headers.

    ``token`` None asks for none. ``hosts`` are further names that the server may be called by;
    an address always may be, for a page elsewhere cannot rebind one.
    """

    app: App
    limits: Limits
    token: str | None = None
    hosts: tuple[str, ...] = ()
    coming: UploadBudget = field(default_factory=UploadBudget)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = _with_policy(message.get("headers", []))
            await send(message)

        try:
            self._check(scope)
            body = _BoundedBody(receive, self.coming, self.limits, *self._bounds(scope))
            try:
                await self.app(scope, body, guarded)
            finally:
                self.coming.bytes -= body.got
        except RequestRefused as refused:
            if not started:
                await _answer(guarded, refused)

    def _check(self, scope: Scope) -> None:
        headers = {
            key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]
        }
        self._check_host(headers.get("host", ""))
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if origin is not None and urlsplit(origin).netloc.lower() != headers["host"].lower():
            raise RequestRefused(
                403, "this call comes from another site; open the page of this server"
            )
        if site not in ("same-origin", "none") and scope["path"] != "/":
            raise RequestRefused(
                403, "this call comes from another site; open the page of this server"
            )
        if self.token and not scope["path"].startswith(OPEN) and scope["path"] != "/":
            given = headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), self.token.encode()):
                raise RequestRefused(
                    401, "the token is missing or wrong; send Authorization: Bearer TOKEN"
                )
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._bounds(scope)[0]:
            raise RequestRefused(
                413, f"too much: at most {self._bounds(scope)[0]} bytes can be sent here"
            )

    def _check_host(self, header: str) -> None:
        try:
            name = urlsplit(f"//{header}").hostname or ""
        except ValueError:
            name = ""
        if name in ("localhost", *self.hosts):
            return
        try:
            ipaddress.ip_address(name)
        except ValueError:
            raise RequestRefused(
                421, f"this server does not answer to the name {name[:80]!r}; see --allow-host"
            ) from None

    def _bounds(self, scope: Scope) -> tuple[int, float, float]:
        """Bytes, seconds for all and seconds for the next of a body."""
        uploads = scope["path"].endswith(("/photos", "/files"))
        most = self.limits.upload if uploads else self.limits.body
        return most, self.limits.upload_time, self.limits.stall


class _BoundedBody:
    """A request's body as it comes in, as long as it keeps within its bounds."""

    def __init__(
        self, receive: Receive, coming: UploadBudget, limits: Limits, most: int, total: float,
        stall: float,
    ) -> None:  # fmt: skip
        self._receive, self._coming, self._limits = receive, coming, limits
        self._most, self.got = most, 0
        self._end, self._stall = monotonic() + total, stall
        self._whole = False

    async def __call__(self) -> Message:
        if self._whole:
            return await self._receive()
        patience = min(self._stall, self._end - monotonic())
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, patience))
        except (TimeoutError, asyncio.TimeoutError):
            raise RequestRefused(408, "the upload came too slowly; try again") from None
        self.got += len(message.get("body", b""))
        self._coming.bytes += len(message.get("body", b""))
        if self._coming.bytes > self._limits.memory:
            raise RequestRefused(
                503, "the server is busy with other uploads; try again in a moment"
            )
        if self.got > self._most:
            raise RequestRefused(413, "too much was sent; see limits in /api/v1/about")
        self._whole = not message.get("more_body", False)
        return message


def _with_policy(headers: Any) -> list[tuple[bytes, bytes]]:
    own = {key.lower() for key, _ in headers}
    more = [(k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in own]
    if b"cache-control" not in own:
        more.append((b"cache-control", b"no-store"))
    return [*headers, *more]


async def _answer(send: Send, refused: RequestRefused) -> None:
    body = json.dumps({"error": {"kind": "Refused", "message": refused.detail}}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": refused.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": body})
