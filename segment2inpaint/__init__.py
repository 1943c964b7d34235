"""Take an object out of a photo, or put another in its place, by pointing at it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segment2inpaint.api import mask, remove, replace
    from segment2inpaint.editor import Editor
    from segment2inpaint.errors import (
        BadDataset,
        BadImage,
        BadModel,
        BadOption,
        BadPrompt,
        ModelMissing,
        NothingFound,
        Segment2InpaintError,
    )
    from segment2inpaint.images import Photo, read, write
    from segment2inpaint.pipeline import Pipeline
    from segment2inpaint.protocols import RuntimeOptions
    from segment2inpaint.types import (
        Box,
        Candidate,
        CleanPlate,
        Color,
        Detection,
        Everything,
        Fill,
        Length,
        Points,
        Refine,
        ReplacementImage,
        Request,
        Result,
        Text,
        UserMask,
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
    "CleanPlate",
    "Color",
    "Detection",
    "Editor",
    "Everything",
    "Fill",
    "Length",
    "ModelMissing",
    "NothingFound",
    "Photo",
    "Pipeline",
    "Points",
    "Refine",
    "ReplacementImage",
    "Request",
    "Result",
    "RuntimeOptions",
    "Segment2InpaintError",
    "Text",
    "UserMask",
    "mask",
    "read",
    "remove",
    "replace",
    "write",
]

_MODULES = {
    **dict.fromkeys(["mask", "remove", "replace"], "api"),
    **dict.fromkeys([name for name in __all__ if name.startswith("Bad")], "errors"),
    **dict.fromkeys(["ModelMissing", "NothingFound", "Segment2InpaintError"], "errors"),
    **dict.fromkeys(["Photo", "read", "write"], "images"),
    "Editor": "editor",
    "Pipeline": "pipeline",
    "RuntimeOptions": "protocols",
}


def __getattr__(name: str) -> Any:
    # on first use: the command line's --help must not pay for numpy and OpenCV
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES.get(name, 'types')}", __name__), name)
