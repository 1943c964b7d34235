"""Keyword shortcuts of ``remove``, ``replace`` and ``mask``: ``seed=3`` for ``Fill(seed=3)``."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypedDict

from numpy.typing import ArrayLike

from segment2inpaint.conversions import PhotoLike, PromptLike, as_prompt, box_of, points_of
from segment2inpaint.errors import BadOption
from segment2inpaint.images import Photo
from segment2inpaint.types import (
    Box,
    Fill,
    Length,
    PictureFit,
    PicturePlacement,
    Prompt,
    Refine,
    ReplacementImage,
    Request,
    UserMask,
)

if sys.version_info >= (3, 11):
    from typing import Unpack as Unpack
else:
    from typing_extensions import Unpack as Unpack

if TYPE_CHECKING:
    from segment2inpaint.editor import Editor

LENGTHS = "dilate", "feather"
POINTS = "point_coords", "point_labels", "box"  # in the manner of segment-anything

LengthLike = Length | float | str
"""A radius: a ``Length``, a number of photo px, or a text such as ``"3%"``."""


class MaskKeywords(TypedDict, total=False):
    """The keywords that say what to find and how its mask is refined."""

    point_coords: ArrayLike
    point_labels: ArrayLike
    box: ArrayLike
    dilate: LengthLike
    fill_holes: bool
    invert: bool
    edge_refine: bool


class ReplaceKeywords(MaskKeywords, total=False):
    """The keywords of ``replace``: the fields of ``Refine``, ``Fill`` and ``Request``."""

    feather: LengthLike
    shadow: bool | None
    protect: Box | UserMask | Sequence[Box | UserMask]
    negative_prompt: str | None
    num_inference_steps: int | None
    guidance_scale: float | None
    strength: float | None
    seed: int
    padding_mask_crop: int | None
    picture_fit: PictureFit | None
    picture_placement: PicturePlacement
    picture_cutout: bool
    background: str | None
    fill_color: tuple[int, int, int] | None
    candidates: int
    verify: bool
    attempts: int


class RemoveKeywords(ReplaceKeywords, total=False):
    """The keywords of ``remove``: those of ``replace``, and a prompt for the background."""

    prompt: str | None


class DetectArguments(TypedDict, total=False):
    """The arguments of all three functions that stand in their signatures."""

    refine: Refine
    detector: str
    editor: Editor | None


class EditArguments(DetectArguments, total=False):
    """Those of ``remove`` and ``replace``."""

    fill: Fill
    inpainter: str


class MaskArguments(MaskKeywords, DetectArguments, total=False):
    """All that ``mask`` takes by name."""


class RemoveArguments(RemoveKeywords, EditArguments, total=False):
    """All that ``remove`` takes by name."""


class ReplaceArguments(ReplaceKeywords, EditArguments, total=False):
    """All that ``replace`` takes by name."""

    prompt: str | None
    picture: PhotoLike | ReplacementImage | None


def check_keywords(function: str, keywords: Mapping[str, Any], known: type[Any]) -> None:
    """Raise ``BadOption`` for a keyword that is not in ``known``, one of the classes above."""
    names = sorted(known.__optional_keys__)
    for name in keywords:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f"; did you mean {near[0]}?" if near else ";"
            raise BadOption(f"{function}: unknown keyword {name!r}{hint} known: {', '.join(names)}")


def build_request(
    photo: Photo, prompts: Sequence[PromptLike], base: Request, keywords: Mapping[str, Any]
) -> Request:
    """Return ``base`` with the prompts for ``photo`` and with the keywords in their fields.

    A keyword comes before the same field of ``base``. Raises ``BadPrompt`` and ``BadOption``.
    """
    values = {name: _value(name, value, photo) for name, value in keywords.items()}
    return replace(
        base,
        prompts=(*(as_prompt(p, photo) for p in prompts), *_sam_prompts(keywords)),
        refine=replace(base.refine, **_of(Refine, values)),
        fill=replace(base.fill, **_of(Fill, values)),
        **_of(Request, values),
    )


def _of(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in values.items() if name in names}


def _sam_prompts(keywords: Mapping[str, Any]) -> list[Prompt]:
    """Return the prompts of ``point_coords``, ``point_labels`` and ``box``."""
    coords, labels, box = (keywords.get(name) for name in POINTS)
    if labels is not None and coords is None:
        raise BadOption("point_labels: expected point_coords too; give both")
    found: list[Prompt] = [] if box is None else [box_of(box)]
    return found if coords is None else [*found, points_of(coords, labels)]


def _value(name: str, value: Any, photo: Photo) -> Any:
    if name in LENGTHS:
        return _as_length(name, value)
    if name == "protect":
        single = not isinstance(value, list | tuple) or isinstance(value, Box)
        return tuple(as_prompt(area, photo) for area in ([value] if single else value))
    return value


def _as_length(name: str, value: LengthLike) -> Length:
    if isinstance(value, Length):
        return value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not isinstance(value, str) and not is_number:
        raise BadOption(f'{name} must be a number of px or a text such as "3%", got {value!r:.60}')
    try:
        return Length.parse(str(value))
    except BadOption as error:
        raise BadOption(f"{name}: {error}") from None
