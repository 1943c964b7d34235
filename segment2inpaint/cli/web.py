"""``web``: the page where one clicks."""

from __future__ import annotations

import os
import secrets
import sys
from functools import partial
from importlib.util import find_spec
from typing import Any

import click

from segment2inpaint.cli.build_request import tuning
from segment2inpaint.cli.options import device_option, tuning_options

NEEDS = ("fastapi", "uvicorn")
SHORTEST = 16  # characters of a token


@click.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to serve at; other than this machine's own needs --token.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8808,
    show_default=True,
    help="0 takes a free one.",
)
@click.option(
    "--token",
    envvar="SEGMENT2INPAINT_TOKEN",
    metavar="auto|TEXT",
    help="Who has this token may use the server; auto makes one up. [env: SEGMENT2INPAINT_TOKEN]",
)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="A name that the server may be called by, besides addresses and localhost.",
)
@click.option(
    "--open/--no-open",
    "browse",
    default=True,
    show_default=True,
    help="Open the page in a browser.",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(1),
    default=120_000_000,
    show_default=True,
    help="Refuse larger photos.",
)
@click.option(
    "--max-upload",
    type=click.IntRange(1),
    default=200,
    show_default=True,
    metavar="MB",
    help="Refuse larger files.",
)
@click.option(
    "--memory",
    type=click.IntRange(1),
    default=4000,
    show_default=True,
    metavar="MB",
    help="Of all photos on the server together; the oldest go.",
)
@click.option(
    "--cache/--no-cache",
    default=True,
    show_default=True,
    help="Keep what a network makes of a photo for the next run.",
)
@click.option(
    "--dtype",
    default="auto",
    show_default=True,
    metavar="auto|float32|bfloat16",
    help="Numbers that a diffusion model computes with.",
)
@device_option
@tuning_options
def web(**given: Any) -> None:
    """Open a page: drop a photo, click the object, press Remove.

    Serves this machine alone, unless --host and --token say otherwise. Nothing is fetched from
    elsewhere, and photos are forgotten once it is stopped (Ctrl-C).

    \b
    Example:
      segment2inpaint web
      segment2inpaint web --host 0.0.0.0 --token auto --no-open
    """
    from segment2inpaint.errors import BadOption

    if not all(map(find_spec, NEEDS)):
        raise BadOption("the page needs two more packages: pip install 'segment2inpaint[web]'")
    _serve(given, _token(given["host"], given["token"]))


def _token(host: str, token: str | None) -> str | None:
    """Raises ``BadOption`` for none, or a short one, where others can reach the server."""
    from segment2inpaint.errors import BadOption
    from segment2inpaint.web.security import is_loopback

    if token == "auto":
        return secrets.token_urlsafe(24)
    if token is not None and len(token) < SHORTEST:
        raise BadOption(f"a token needs {SHORTEST} characters at least; --token auto makes one up")
    if token is None and not is_loopback(host):
        raise BadOption(f"--host {host} can be reached by others: give --token auto or your own")
    return token


def _serve(given: dict[str, Any], token: str | None) -> None:
    from segment2inpaint import __version__
    from segment2inpaint.editor import Editor
    from segment2inpaint.web.app import make
    from segment2inpaint.web.limits import Limits
    from segment2inpaint.web.server import bound, serve, warm

    how = tuning(given)
    editor = Editor(given["device"], given["dtype"], given["cache"], runtime=how)
    limits = Limits(
        upload=given["max_upload"] * 1_000_000,
        pixels=given["max_pixels"],
        memory=given["memory"] * 1_000_000,
    )
    app = make(editor, __version__, limits, token, given["hosts"], partial(warm, editor))
    at = bound(given["host"], given["port"])
    serve(app, at, partial(_say, given["host"], at.getsockname()[1], token, given["browse"]))


def _say(host: str, port: int, token: str | None, browse: bool) -> None:
    name = f"[{host}]" if ":" in host else host
    address = f"http://{name}:{port}/" + (f"#token={token}" if token else "")
    click.echo(f"the page is at {address}  (Ctrl-C stops it)")
    if browse and _has_screen():
        click.launch(address)


def _has_screen() -> bool:
    """Without one, Linux's opener complains at length."""
    return sys.platform != "linux" or bool({"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys())
