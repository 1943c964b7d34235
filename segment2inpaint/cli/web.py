"""``web``: serve the page on which one points at objects."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import click
import cloup
from cloup import option_group

from segment2inpaint.cli.build_request import runtime_options
from segment2inpaint.cli.machine_options import MachineOptions, device_section, runtime_section
from segment2inpaint.cli.options import examples, pass_options

MIN_TOKEN_LENGTH = 16  # characters; shorter tokens could be guessed
TOKEN_BYTES = 24  # random bytes of a generated token
MEGABYTE = 1_000_000

HOST_OPTION = click.option(
    "--host", default="127.0.0.1", show_default=True, metavar="ADDRESS",
    help="Address to serve at. An address that other machines can reach needs --token.",
)  # fmt: skip
TOKEN_OPTION = click.option(
    "--token", envvar="SEGMENT2INPAINT_TOKEN", metavar="auto|TEXT",
    help="Secret that a client must send; auto generates one.  [env: SEGMENT2INPAINT_TOKEN]",
)  # fmt: skip
ALLOW_HOST_OPTION = click.option(
    "--allow-host", "allowed_hosts", multiple=True, metavar="NAME",
    help="Host name that clients may use, besides addresses and localhost. Repeat it for several.",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class WebOptions(MachineOptions):
    """The options of ``web``. ``max_upload`` and ``memory`` are in megabytes."""

    host: str
    port: int
    token: str | None
    allowed_hosts: tuple[str, ...]
    open_browser: bool
    max_pixels: int
    max_upload: int
    memory: int
    openai: bool


@cloup.command(epilog=examples("web", "web --host 0.0.0.0 --token auto --no-open"))
@option_group(
    "Server",
    HOST_OPTION,
    click.option("--port", type=click.IntRange(0, 65535), default=8808, show_default=True,
                 metavar="PORT", help="Port to serve at; 0 picks a free one."),
    TOKEN_OPTION,
    ALLOW_HOST_OPTION,
    click.option("--open/--no-open", "open_browser", default=True, show_default=True,
                 help="Open the page in a browser."),
    click.option("--openai", is_flag=True,
                 help="Also answer POST /v1/images/edits in the form of OpenAI's API."),
)  # fmt: skip
@option_group(
    "Limits",
    click.option("--max-pixels", type=click.IntRange(1), default=120_000_000, show_default=True,
                 metavar="N", help="Reject photos with more pixels."),
    click.option("--max-upload", type=click.IntRange(1), default=200, show_default=True,
                 metavar="MB", help="Reject larger files."),
    click.option("--memory", type=click.IntRange(1), default=4000, show_default=True,
                 metavar="MB",
                 help="Memory for all photos on the server; the oldest are dropped first."),
)  # fmt: skip
@device_section
@runtime_section
@pass_options(WebOptions)
def web(options: WebOptions) -> None:
    """Serve a page: drop a photo, click the object, press Remove.

    The page serves this machine alone, unless --host and --token say otherwise. It loads nothing
    from other servers. Photos are kept in memory only, until you stop the server with Ctrl-C.
    """
    _serve(options, checked_token(options.host, options.token))


def checked_token(host: str, token: str | None) -> str | None:
    """Return the token, generated for ``auto``; None if this machine alone can reach the server.

    Raises ``BadOption`` for a short token, and for none if other machines can reach the server.
    """
    from segment2inpaint.errors import BadOption
    from segment2inpaint.web.security import is_loopback

    if token == "auto":
        return secrets.token_urlsafe(TOKEN_BYTES)
    if token is not None and len(token) < MIN_TOKEN_LENGTH:
        raise BadOption(
            f"--token needs at least {MIN_TOKEN_LENGTH} characters; --token auto generates one"
        )
    if token is None and not is_loopback(host):
        raise BadOption(f"other machines can reach --host {host}: add --token auto or --token TEXT")
    return token


def _serve(options: WebOptions, token: str | None) -> None:
    from segment2inpaint import __version__
    from segment2inpaint.editor import Editor
    from segment2inpaint.web.app import create_app
    from segment2inpaint.web.limits import Limits
    from segment2inpaint.web.server import bind_socket, serve, warm_up

    runtime = runtime_options(options)
    editor = Editor(options.device, options.dtype, options.cache, runtime=runtime)
    limits = Limits(
        upload=options.max_upload * MEGABYTE,
        pixels=options.max_pixels,
        memory=options.memory * MEGABYTE,
    )
    app = create_app(
        editor, __version__, limits, token, options.allowed_hosts, partial(warm_up, editor),
        openai=options.openai,
    )  # fmt: skip
    listening = bind_socket(options.host, options.port)
    address = page_address(options.host, listening.getsockname()[1], token)
    serve(app, listening, partial(announce, address, open_browser=options.open_browser))


def page_address(host: str, port: int, token: str | None) -> str:
    """Return the URL of the page. The token is in the fragment, which browsers do not send."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/" + (f"#token={token}" if token else "")


def announce(
    address: str, *, open_browser: bool, launch: Callable[[str], object] = click.launch
) -> None:
    """Print the address of the page and, on a machine with a screen, open it with ``launch``."""
    click.echo(f"the page is at {address}  (Ctrl-C stops it)")
    if open_browser and _has_screen():
        launch(address)


def _has_screen() -> bool:
    """Return whether a browser can open; on Linux without a screen, trying prints long errors."""
    return sys.platform != "linux" or bool({"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys())
