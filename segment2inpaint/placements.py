"""Requests that place a picture: their JSON and their validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from math import isfinite
from numbers import Real
from typing import Any

from segment2inpaint.errors import BadOption
from segment2inpaint.types import PicturePlacement, Request

MAX_COORDINATE = 1_000_000  # px: longer than any photo
RANGES = {"scale": (0.01, 100.0), "angle": (-360.0, 360.0), "blend": (0.0, 1.0)}
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
    """Raise ``BadOption`` for a placement with a wrong value, or without a picture to place."""
    fill = request.fill
    placement = fill.picture_placement
    if not isinstance(placement, PicturePlacement):
        raise BadOption(f"picture_placement must be a PicturePlacement, got {placement!r:.60}")
    _check_values(placement)
    if placement != DEFAULT and (not fill.picture or request.refine.invert):
        raise BadOption(
            "picture_placement needs a picture in the object's place: add --with PICTURE, and "
            "leave out --invert"
        )
    if fill.picture_cutout and not fill.picture:
        raise BadOption("picture_cutout needs a picture: add --with PICTURE")


def _check_values(placement: PicturePlacement) -> None:
    at = placement.at
    if at is not None and not (
        isinstance(at, tuple) and len(at) == 2 and all(_is_within(v, MAX_COORDINATE) for v in at)
    ):
        raise BadOption(f"at must be a tuple (x, y) in photo px, got {at!r:.60}")
    for name, (low, high) in RANGES.items():
        value = getattr(placement, name)
        if not _is_within(value, high) or value < low:
            raise BadOption(f"{name} must be a number from {low:g} to {high:g}, got {value!r:.60}")
    for name in ("flip", "contact_shadow"):
        value = getattr(placement, name)
        if not isinstance(value, bool):
            raise BadOption(f"{name} must be true or false, got {value!r:.60}")


def _is_within(value: Any, limit: float) -> bool:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    return is_number and isfinite(value) and abs(value) <= limit
