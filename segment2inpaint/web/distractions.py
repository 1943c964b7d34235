"""Find what could go at a photo's edge, in steps between which the clicks have the server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from segment2inpaint.detect.builtin.detector import BuiltinDetector
from segment2inpaint.detect.builtin.distractions import Distraction
from segment2inpaint.web.app_state import AppState
from segment2inpaint.web.contours import mask_contours
from segment2inpaint.web.jobs import POLL_INTERVAL
from segment2inpaint.web.responses import DistractionOut
from segment2inpaint.web.session import PhotoSession


async def find_distractions(
    state: AppState, session: PhotoSession, is_cancelled: Callable[[], Awaitable[bool]]
) -> list[DistractionOut]:
    """Return the things at the photo's edge that could go, none if cancelled.

    Raises ``ServerBusy``.
    """
    detector = state.editor.detector(BuiltinDetector.name)
    if not isinstance(detector, BuiltinDetector):
        return []
    steps = detector.search_distractions(session.photo.image)
    found = list[Distraction]()
    while (latest := await _next_step(state, steps)) is not None:
        if await is_cancelled():
            return []
        found = latest
    return [
        DistractionOut(click=list(d.click), paths=mask_contours(d.detection.mask)) for d in found
    ]


async def _next_step(
    state: AppState, steps: Iterator[list[Distraction]]
) -> list[Distraction] | None:
    while state.detect_executor.is_busy:
        await asyncio.sleep(POLL_INTERVAL)
    return await state.hover_executor.run(lambda: next(steps, None))
