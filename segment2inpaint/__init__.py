"""Take an object out of a photo, or put another in its place, by pointing at it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .images import Photo, read, write
    from .pipeline import Pipeline
    from .types import Box, Color, Fill, OwnMask, Plate, Points, Refine, Request, Result

__version__ = "0.1.0"

__all__ = [
    "Box",
    "Color",
    "Fill",
    "OwnMask",
    "Photo",
    "Pipeline",
    "Plate",
    "Points",
    "Refine",
    "Request",
    "Result",
    "read",
    "write",
]

_ELSEWHERE = {"Photo": "images", "read": "images", "write": "images", "Pipeline": "pipeline"}


def __getattr__(name: str) -> Any:
    # on first use: the command line's --help must not pay for numpy and OpenCV
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_ELSEWHERE.get(name, 'types')}", __name__), name)
