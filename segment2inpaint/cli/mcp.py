"""``mcp``: serve the tools to an assistant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import cloup
from cloup import option_group

from segment2inpaint import extras
from segment2inpaint.cli.build_request import runtime_options
from segment2inpaint.cli.machine_options import MachineOptions, device_section, runtime_section
from segment2inpaint.cli.options import examples, pass_options
from segment2inpaint.cli.web import (
    ALLOW_HOST_OPTION,
    HOST_OPTION,
    TOKEN_OPTION,
    checked_token,
)

MAX_BODY = 100_000_000  # bytes of a call, which may hold a photo


@dataclass(frozen=True, kw_only=True)
class McpOptions(MachineOptions):
    """The options of ``mcp``. ``roots`` are folders, the first is for results."""

    roots: tuple[Path, ...]
    http: bool
    host: str
    port: int
    token: str | None
    allowed_hosts: tuple[str, ...]


@cloup.command(epilog=examples("mcp --root photos", "mcp --http --token auto --root photos"))
@option_group(
    "Files",
    click.option("--root", "roots", multiple=True, metavar="FOLDER", default=(".",),
                 type=click.Path(path_type=Path),
                 help="Folder in which photos may be read and results written. Repeat it for "
                      "several.  [default: the current folder]"),
)  # fmt: skip
@option_group(
    "Server",
    click.option("--http", is_flag=True,
                 help="Serve streamable HTTP at /mcp instead of standard input and output."),
    HOST_OPTION,
    click.option("--port", type=click.IntRange(0, 65535), default=8809, show_default=True,
                 metavar="PORT", help="Port to serve at; 0 picks a free one."),
    TOKEN_OPTION,
    ALLOW_HOST_OPTION,
)  # fmt: skip
@device_section
@runtime_section
@pass_options(McpOptions)
def mcp(options: McpOptions) -> None:
    """Let an assistant find, remove and replace objects, by the Model Context Protocol.

    The assistant starts this command and speaks through its standard input and output. It reads
    and writes only below the folders of --root, and never over the photo itself.
    """
    extras.require("mcp", "segment2inpaint mcp")
    from segment2inpaint import __version__
    from segment2inpaint.editor import Editor
    from segment2inpaint.mcp.files import Files
    from segment2inpaint.mcp.server import build_server
    from segment2inpaint.mcp.tools import Tools

    runtime = runtime_options(options)
    editor = Editor(options.device, options.dtype, options.cache, runtime=runtime)
    files = Files(tuple(_existing_folder(root) for root in options.roots))
    server = build_server(Tools(files, editor), __version__)
    if not options.http:
        server.run("stdio")
        return
    _serve_http(options, server)


def _existing_folder(root: Path) -> Path:
    """Return the absolute path of a folder. Raises ``BadOption`` if there is none."""
    from segment2inpaint.errors import BadOption

    folder = root.expanduser().resolve()
    if not folder.is_dir():
        raise BadOption(f"--root {root}: no such folder; create it, or give another")
    return folder


def _serve_http(options: McpOptions, server: Any) -> None:
    """Serve streamable HTTP behind the guard of the page."""
    from mcp.server.transport_security import TransportSecuritySettings

    from segment2inpaint.web.limits import Limits
    from segment2inpaint.web.security import SecurityMiddleware
    from segment2inpaint.web.server import bind_socket, serve

    token = checked_token(options.host, options.token)
    guarded = TransportSecuritySettings(enable_dns_rebinding_protection=False)  # the guard does it
    limits = Limits(body=MAX_BODY)
    app = server.streamable_http_app(
        transport_security=guarded, host=options.host, max_request_body_size=MAX_BODY
    )
    listening = bind_socket(options.host, options.port)
    port = listening.getsockname()[1]
    lines = [f"http://{options.host}:{port}/mcp"]
    if token:
        lines.append(f"header: Authorization: Bearer {token}")
    serve(
        SecurityMiddleware(app, limits, token, options.allowed_hosts),
        listening,
        lambda: click.echo("\n".join(lines), err=True),
    )
