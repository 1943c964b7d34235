"""Take an object out of a photo, or put another in its place, by pointing at it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segment2inpaint.api import cutout, mask, read, remove, replace, score, write
    from segment2inpaint.api.predictor import Predictor
    from segment2inpaint.compositing.cutout import Cutout
    from segment2inpaint.editor import Editor
    from segment2inpaint.errors import (
        BadDataset,
        BadImage,
        BadModel,
        BadOption,
        BadPrompt,
        ModelMissing,
        NothingFound,
        PackageMissing,
        Segment2InpaintError,
    )
    from segment2inpaint.images import Photo
    from segment2inpaint.judgement import Action, Check, Judgement
    from segment2inpaint.pipeline import Pipeline
    from segment2inpaint.protocols import RuntimeOptions
    from segment2inpaint.result import Candidate, Result
    from segment2inpaint.types import (
        Box,
        CleanPlate,
        Color,
        Detection,
        Everything,
        Fill,
        Find,
        Length,
        PicturePlacement,
        Points,
        Refine,
        ReplacementImage,
        Request,
        Text,
        UserMask,
    )
    from segment2inpaint.verify.scoring import Score

__version__ = "0.1.0"

__all__ = [
    "Action",
    "BadDataset",
    "BadImage",
    "BadModel",
    "BadOption",
    "BadPrompt",
    "Box",
    "Candidate",
    "Check",
    "CleanPlate",
    "Color",
    "Cutout",
    "Detection",
    "Editor",
    "Everything",
    "Fill",
    "Find",
    "Judgement",
    "Length",
    "ModelMissing",
    "NothingFound",
    "PackageMissing",
    "Photo",
    "PicturePlacement",
    "Pipeline",
    "Points",
    "Predictor",
    "Refine",
    "ReplacementImage",
    "Request",
    "Result",
    "RuntimeOptions",
    "Score",
    "Segment2InpaintError",
    "Text",
    "UserMask",
    "cutout",
    "mask",
    "read",
    "remove",
    "replace",
    "score",
    "write",
]

_MODULES = {
    **dict.fromkeys(["cutout", "mask", "read", "remove", "replace", "score", "write"], "api"),
    **dict.fromkeys([name for name in __all__ if name.startswith("Bad")], "errors"),
    **dict.fromkeys([name for name in __all__ if name.endswith(("Missing", "Found"))], "errors"),
    "Segment2InpaintError": "errors",
    **dict.fromkeys(["Action", "Check", "Judgement"], "judgement"),
    "Candidate": "result",
    "Cutout": "compositing.cutout",
    "Editor": "editor",
    "Photo": "images",
    "Pipeline": "pipeline",
    "Predictor": "api.predictor",
    "Result": "result",
    "RuntimeOptions": "protocols",
    "Score": "verify.scoring",
}


def __getattr__(name: str) -> Any:
    # on first use: the command line's --help must not pay for numpy and OpenCV
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES.get(name, 'types')}", __name__), name)


def __dir__() -> list[str]:
    # the public names too, though most are not imported yet
    return sorted({*globals(), *__all__})
