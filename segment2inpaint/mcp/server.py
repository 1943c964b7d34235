"""The tools in the Model Context Protocol, by its official SDK (extra ``[mcp]``)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from threading import Event
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from segment2inpaint.errors import Segment2InpaintError
from segment2inpaint.mcp.arguments import (
    Options,
    Output,
    Overwrite,
    PhotoSource,
    Placement,
    Selection,
)
from segment2inpaint.mcp.tools import Answer, Tools
from segment2inpaint.protocols import ProgressCallback

INSTRUCTIONS = """Remove or replace objects in photos; nothing else in the photo changes.
Call find to see a photo's objects with numbers and outlines, choose one, then call remove or
replace with a selection: its number, a click in the object, or a box round it. Look at the
picture in the answer, and at "sentence" and "try": what is doubtful, and what may mend it."""


ANYTHING, DEFAULTS = Selection(), Options()
MAX_AT_ONCE = 2  # tools that work
PROGRESS_STEP = 0.1  # of a stage, from one report to the next


class Stopped(Exception):
    """The client has cancelled the call."""


def build_server(tools: Tools, version: str) -> MCPServer:
    """Return the server with all tools; ``version`` is that of the package."""
    server = MCPServer(
        "segment2inpaint", version=version, instructions=INSTRUCTIONS, log_level="WARNING"
    )
    _add_finders(server, tools)
    _add_editors(server, tools)
    _add_batch(server, tools)
    return server


def _add_finders(server: MCPServer, tools: Tools) -> None:
    async def find(photo: PhotoSource, selection: Selection = ANYTHING) -> list[Any]:
        """Find objects: returns the photo with numbered outlines, and the box of each number.

        Without a selection, all objects that stand out are found.
        """
        return await _answer(partial(tools.find, photo, selection))

    async def mask(
        photo: PhotoSource, selection: Selection, options: Options = DEFAULTS,
        output: Output = None, overwrite: Overwrite = False,
    ) -> list[Any]:  # fmt: skip
        """Write a mask of the selected objects, white on black, as a PNG."""
        return await _answer(partial(tools.mask, photo, selection, options, output, overwrite))

    async def cutout(
        photo: PhotoSource, selection: Selection, output: Output = None,
        overwrite: Overwrite = False,
    ) -> list[Any]:  # fmt: skip
        """Write the selected objects alone, with soft transparent edges, as a PNG."""
        return await _answer(partial(tools.cutout, photo, selection, output, overwrite))

    async def score(
        before: PhotoSource, after: PhotoSource, mask: str | None = None, clean: str | None = None
    ) -> list[Any]:
        """Judge a removal that any tool made, from the photos before and after it."""
        return await _answer(partial(tools.score, before, after, mask, clean))

    for tool in (find, mask, cutout, score):
        server.add_tool(tool, structured_output=False)


def _add_editors(server: MCPServer, tools: Tools) -> None:
    async def remove(
        context: Context, photo: PhotoSource, selection: Selection, options: Options = DEFAULTS,
        output: Output = None, overwrite: Overwrite = False,
    ) -> list[Any]:  # fmt: skip
        """Remove the selected objects and write the photo; no pixel outside the mask changes."""
        work = partial(tools.remove, photo, selection, options, output, overwrite)
        return await _answer(work, context)

    async def replace(
        context: Context, photo: PhotoSource, selection: Selection, picture: str | None = None,
        prompt: str | None = None, placement: Placement | None = None,
        options: Options = DEFAULTS, output: Output = None, overwrite: Overwrite = False,
    ) -> list[Any]:  # fmt: skip
        """Put a picture in the place of the selected objects, or what a prompt describes.

        A prompt needs a diffusion model on this machine; placement is for a picture.
        """
        work = partial(
            tools.replace, photo, selection, options, picture, prompt, placement, output, overwrite
        )
        return await _answer(work, context)

    for tool in (remove, replace):
        server.add_tool(tool, structured_output=False)


def _add_batch(server: MCPServer, tools: Tools) -> None:
    async def batch(
        context: Context, source: str, outdir: str, selection: Selection,
        options: Options = DEFAULTS, retry_doubtful: bool = False,
    ) -> list[Any]:  # fmt: skip
        """Remove the same selection from every photo of a folder; call it again to resume."""
        work = partial(tools.batch, source, outdir, selection, options, retry_doubtful)
        return await _answer(work, context)

    server.add_tool(batch, structured_output=False)


@cache
def limiter() -> anyio.CapacityLimiter:
    """Return the limit of work that runs at once: photos and models are large."""
    return anyio.CapacityLimiter(MAX_AT_ONCE)


async def _answer(work: Callable[..., Answer], context: Context | None = None) -> list[Any]:
    """Return the answer of work that runs in a thread, and report its progress if it has any.

    If the client cancels an edit, it stops at its next step. Errors of the package become
    a line for the assistant.
    """
    stop = Event()
    job = partial(work, progress=_reporter(context, stop)) if context else work
    try:
        answer = await anyio.to_thread.run_sync(job, abandon_on_cancel=True, limiter=limiter())
    except Segment2InpaintError as error:
        raise ToolError(str(error)) from error
    finally:
        stop.set()
    picture = [Image(data=answer.picture, format="jpeg")] if answer.picture else []
    return [answer.data, *picture]


def _reporter(context: Context, stop: Event) -> ProgressCallback:
    """Return a callback that reports each stage and every tenth of it, as a number that grows."""
    stages: list[str] = []
    reported = -1.0

    def progress(stage: str, share: float) -> None:
        nonlocal reported
        if stop.is_set():
            raise Stopped
        if not stages or stages[-1] != stage:
            stages.append(stage)
        value = len(stages) - 1 + min(share, 1.0)
        if value >= reported + PROGRESS_STEP:
            reported = value
            anyio.from_thread.run(context.report_progress, value, None, stage)

    return progress
