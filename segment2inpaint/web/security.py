"""Middleware that checks who calls the server and how much they send, and sets security headers."""

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

# These paths, and "/", need no token: they hold no secrets, and the page itself asks for it.
PUBLIC_PREFIXES = ("/static/", "/docs")
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'"
)
SECURITY_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=()",
}
CROSS_SITE = "this call comes from another site; open the page of this server"


class RequestRefused(HTTPException):
    """The request is refused, by the middleware or while the application reads its body."""


def is_loopback(host: str) -> bool:
    """Return whether a server at this host can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass
class UploadBudget:
    """The bytes that all requests in progress have sent so far."""

    pending_bytes: int = 0


@dataclass(frozen=True)
class SecurityMiddleware:
    """ASGI middleware that checks Host, Origin, token and body size, and adds security headers.

    ``token`` is required from clients unless it is None. ``hosts`` are names that the server
    answers to besides ``localhost``; it answers to any IP address, because DNS rebinding needs
    a name.
    """

    app: App
    limits: Limits
    token: str | None = None
    hosts: tuple[str, ...] = ()
    upload_budget: UploadBudget = field(default_factory=UploadBudget)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = _add_security_headers(message.get("headers", []))
            await send(message)

        try:
            self._check(scope)
            max_bytes = self._max_body(scope)
            body = _BoundedBody(receive, self.upload_budget, self.limits, max_bytes)
            try:
                await self.app(scope, body, send_with_headers)
            finally:
                self.upload_budget.pending_bytes -= body.received
        except RequestRefused as refusal:
            if not started:
                await send_refusal(send_with_headers, refusal)

    def _check(self, scope: Scope) -> None:
        """Raise ``RequestRefused`` for a request that must not reach the application."""
        headers = {
            key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]
        }
        self._check_host(headers.get("host", ""))
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if origin is not None and urlsplit(origin).netloc.lower() != headers["host"].lower():
            raise RequestRefused(403, CROSS_SITE)
        if site not in ("same-origin", "none") and scope["path"] != "/":
            raise RequestRefused(403, CROSS_SITE)
        if self.token and not scope["path"].startswith(PUBLIC_PREFIXES) and scope["path"] != "/":
            _check_token(headers.get("authorization", ""), self.token)
        length, max_bytes = headers.get("content-length", "0"), self._max_body(scope)
        if not length.isdecimal() or int(length) > max_bytes:
            raise RequestRefused(413, f"too large: at most {max_bytes / 1e6:g} MB can be sent")

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

    def _max_body(self, scope: Scope) -> int:
        """Return the bytes that the body of this request may have."""
        is_upload = scope["path"].endswith(("/photos", "/files", "/images/edits"))
        return self.limits.upload if is_upload else self.limits.body


def _check_token(authorization: str, token: str) -> None:
    client_token = authorization.removeprefix("Bearer ")
    if not hmac.compare_digest(client_token.encode(), token.encode()):
        raise RequestRefused(401, "the token is missing or wrong; send Authorization: Bearer TOKEN")


class _BoundedBody:
    """Receive a request's body, and raise ``RequestRefused`` if it is too large or too slow."""

    def __init__(
        self, receive: Receive, budget: UploadBudget, limits: Limits, max_bytes: int
    ) -> None:
        self._receive, self._budget, self._limits = receive, budget, limits
        self._max_bytes, self.received = max_bytes, 0
        self._deadline = monotonic() + limits.upload_time
        self._complete = False

    async def __call__(self) -> Message:
        if self._complete:
            return await self._receive()
        timeout = min(self._limits.stall, self._deadline - monotonic())
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, timeout))
        except (TimeoutError, asyncio.TimeoutError):
            raise RequestRefused(408, "the upload is too slow; try again") from None
        size = len(message.get("body", b""))
        self.received += size
        self._budget.pending_bytes += size
        if self._budget.pending_bytes > self._limits.memory:
            raise RequestRefused(
                503, "the server is busy with other uploads; try again in a moment"
            )
        if self.received > self._max_bytes:
            raise RequestRefused(413, "too large; see limits in /api/v1/about")
        self._complete = not message.get("more_body", False)
        return message


def _add_security_headers(headers: Any) -> list[tuple[bytes, bytes]]:
    """Return the headers with the security headers that the application has not set itself."""
    present = {key.lower() for key, _ in headers}
    added = [
        (name.encode(), value.encode())
        for name, value in {**SECURITY_HEADERS, "cache-control": "no-store"}.items()
        if name.encode() not in present
    ]
    return [*headers, *added]


async def send_refusal(send: Send, refusal: RequestRefused) -> None:
    """Answer a request that is refused."""
    body = json.dumps({"error": {"kind": "Refused", "message": refusal.detail}}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": refusal.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": body})
