"""The names of the backgrounds that can be laid behind an object, and where they are allowed."""

from __future__ import annotations

import re

from segment2inpaint.errors import BadOption
from segment2inpaint.types import Request

TRANSPARENT = "transparent"
BACKGROUNDS = {"white": (255, 255, 255), "blur": None, TRANSPARENT: None}


def background_color(background: str) -> tuple[int, int, int] | None:
    """Return the colour of a ``Fill.background``, None for ``blur`` and ``transparent``.

    Raises ``BadOption`` for another word.
    """
    if background in BACKGROUNDS:
        return BACKGROUNDS[background]
    if re.fullmatch("#[0-9a-fA-F]{6}", background):
        red, green, blue = bytes.fromhex(background[1:])
        return red, green, blue
    known = ", ".join(BACKGROUNDS)
    raise BadOption(f"background must be {known} or #rrggbb, got {background!r:.60}")


def check_background(request: Request) -> None:
    """Raise ``BadOption`` for options of a background that is not laid behind an object."""
    fill, behind = request.fill, request.refine.invert
    if fill.background is not None:
        background_color(fill.background)
    if fill.background and not behind:
        raise BadOption("background is laid behind the object and needs invert: add --invert")
    if fill.picture_fit and not (behind and fill.picture):
        raise BadOption("picture_fit needs a picture behind the object: add --invert and --with")
