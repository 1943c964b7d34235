"""Take an object out of a photo, or put another in its place, by pointing at it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .editor import Editor, mask, remove, replace
    from .images import Photo, read, write
    from .pipeline import Pipeline
    from .types import (
        BadDataset,
        BadImage,
        BadModel,
        BadOption,
        BadPrompt,
        Box,
        Candidate,
        Color,
        Everything,
        Fill,
        Length,
        ModelMissing,
        NothingFound,
        OwnMask,
        Picture,
        Plate,
        Points,
        Refine,
        Request,
        Result,
        Segment2InpaintError,
        Text,
        Tuning,
    )

__version__ = "0.1.0"

__all__ = [
    "BadDataset",
    "BadImage",
    "BadModel",
    "BadOption",
    "BadPrompt",
    "Box",
    "Candidate",
    "Color",
    "Editor",
    "Everything",
    "Fill",
    "Length",
    "ModelMissing",
    "NothingFound",
    "OwnMask",
    "Photo",
    "Picture",
    "Pipeline",
    "Plate",
    "Points",
    "Refine",
    "Request",
    "Result",
    "Segment2InpaintError",
    "Text",
    "Tuning",
    "mask",
    "read",
    "remove",
    "replace",
    "write",
]

_ELSEWHERE = {
    **dict.fromkeys(["Editor", "mask", "remove", "replace"], "editor"),
    **dict.fromkeys(["Photo", "read", "write"], "images"),
    "Pipeline": "pipeline",
}


def __getattr__(name: str) -> Any:
    # on first use: the command line's --help must not pay for numpy and OpenCV
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_ELSEWHERE.get(name, 'types')}", __name__), name)
