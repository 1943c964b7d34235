"""Requests that place a picture: their JSON and their validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from segment2inpaint.errors import BadOption
from segment2inpaint.types import PicturePlacement, Request

MAX_COORDINATE = 1_000_000  # px: longer than any photo
DEFAULT = PicturePlacement()


def placement_to_json(placement: PicturePlacement) -> dict[str, Any]:
    """Return the values that are not the defaults, as JSON."""
    values = {k: v for k, v in asdict(placement).items() if v != getattr(DEFAULT, k)}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def placement_from_json(data: Mapping[str, Any] | None) -> PicturePlacement:
    """Return the placement that ``placement_to_json`` wrote. Raises ``BadOption``."""
    if data is None:
        return DEFAULT
    known = [f.name for f in fields(PicturePlacement)]
    if not isinstance(data, Mapping) or not set(data) <= set(known):
        raise BadOption(
            f"picture_placement must be an object with {', '.join(known)}, got {data!r:.80}"
        )
    values = dict(data)
    if isinstance(values.get("at"), list):
        values["at"] = tuple(values["at"])
    return PicturePlacement(**values)


def check_placement(request: Request) -> None:
    """Raise ``BadOption`` for a placement of a wrong type or place, or without a picture."""
    fill, placement = request.fill, request.fill.picture_placement
    if not isinstance(placement, PicturePlacement):
        raise BadOption(f"picture_placement must be a PicturePlacement, got {placement!r:.60}")
    if placement.at is not None and not _is_place(placement.at):
        raise BadOption(f"at must be a tuple (x, y) in photo px, got {placement.at!r:.60}")
    if placement != DEFAULT and (not fill.picture or request.refine.invert):
        raise BadOption(
            "picture_placement needs a picture in the object's place: add --with PICTURE, and "
            "leave out --invert"
        )
    if fill.picture_cutout and not fill.picture:
        raise BadOption("picture_cutout needs a picture: add --with PICTURE")


def _is_place(at: Any) -> bool:
    """Return whether this is a tuple of two numbers that may be a place in or near a photo."""
    numbers = isinstance(at, tuple) and all(type(v) in (int, float) for v in at)
    return numbers and len(at) == 2 and all(abs(v) <= MAX_COORDINATE for v in at)
