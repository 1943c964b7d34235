"""``remove``, ``mask``, ``score`` and others: functions for a few photos, without an ``Editor``."""

from __future__ import annotations

from dataclasses import replace as with_fields
from functools import cache
from pathlib import Path
from typing import Any, overload

import numpy as np

from segment2inpaint import images, regions
from segment2inpaint.api.keywords import (
    MaskArguments,
    MaskKeywords,
    RemoveArguments,
    RemoveKeywords,
    ReplaceArguments,
    ReplaceKeywords,
    Unpack,
    build_request,
    check_keywords,
)
from segment2inpaint.compositing.cutout import Cutout, cut_out
from segment2inpaint.conversions import (
    MaskLike,
    PhotoLike,
    PictureLike,
    PromptLike,
    as_mask,
    as_photo,
    as_picture,
    as_prompt,
)
from segment2inpaint.editor import Editor
from segment2inpaint.errors import BadImage, BadOption, BadPrompt
from segment2inpaint.images import MAX_PIXELS, Photo
from segment2inpaint.result import Result
from segment2inpaint.types import (
    Alpha,
    BinaryMask,
    Fill,
    Image,
    Length,
    Refine,
    ReplacementImage,
    Request,
)
from segment2inpaint.verify.scoring import Score, score_removal

__all__ = [
    "PhotoLike",
    "PromptLike",
    "as_photo",
    "as_picture",
    "as_prompt",
    "cutout",
    "default_editor",
    "mask",
    "read",
    "remove",
    "replace",
    "score",
    "write",
]


@cache
def default_editor() -> Editor:
    """Return the editor that the functions below share; it keeps the models that it has loaded."""
    return Editor()


@overload
def remove(photo: bytes, *prompts: PromptLike, **keywords: Unpack[RemoveArguments]) -> bytes: ...


@overload
def remove(
    photo: PictureLike, *prompts: PromptLike, **keywords: Unpack[RemoveArguments]
) -> Result: ...


def remove(
    photo: PhotoLike,
    *prompts: PromptLike,
    refine: Refine = Refine(),
    fill: Fill = Fill(),
    detector: str = "auto",
    inpainter: str = "auto",
    editor: Editor | None = None,
    **keywords: Unpack[RemoveKeywords],
) -> Result | bytes:
    """Remove the objects at the prompts; each prompt selects one object.

    ``photo`` is a ``Photo``, a path, an open file, a PIL image, or an upright uint8 array: RGB,
    RGBA or grey. The bytes of a file give the bytes of a file in the same format; give
    ``read(data)`` for a ``Result``.

    A prompt is a point (x, y), several points of one object ``[(x, y), ...]``, a half-open box
    (x0, y0, x1, y1), all in photo pixels; words; a mask as an array, a PIL image, a ``Path`` or
    bytes; or one of the prompt classes. Arrays in the manner of segment-anything are given as
    ``point_coords``, ``point_labels`` and ``box``.

    Other keywords are the fields of ``Refine``, ``Fill`` and ``Request``: ``dilate``, ``feather``,
    ``fill_holes``, ``invert``, ``shadow``, ``edge_refine``, ``protect``; ``prompt``,
    ``negative_prompt``, ``num_inference_steps``, ``guidance_scale``, ``strength``, ``seed``,
    ``padding_mask_crop``, ``background``, ``picture_fit``, ``fill_color``, ``candidates``;
    ``verify`` and ``attempts``. They take precedence over ``refine`` and ``fill``. ``dilate`` and
    ``feather`` are a number of px or a text such as ``"3%"``.

    Raises ``NothingFound``, ``BadImage``, ``BadPrompt``, ``BadOption``, ``ModelMissing`` and
    ``BadModel``.

    >>> result = remove("street.jpg", (412, 300), seed=3)
    >>> result.save("clean.jpg")
    """
    check_keywords("remove", keywords, RemoveArguments)
    base = Request((), refine, fill, detector, inpainter)
    return _edit(photo, prompts, base, keywords, editor)


@overload
def replace(photo: bytes, *prompts: PromptLike, **keywords: Unpack[ReplaceArguments]) -> bytes: ...


@overload
def replace(
    photo: PictureLike, *prompts: PromptLike, **keywords: Unpack[ReplaceArguments]
) -> Result: ...


def replace(
    photo: PhotoLike,
    *prompts: PromptLike,
    prompt: str | None = None,
    picture: PhotoLike | ReplacementImage | None = None,
    refine: Refine = Refine(),
    fill: Fill = Fill(),
    detector: str = "auto",
    inpainter: str = "auto",
    editor: Editor | None = None,
    **keywords: Unpack[ReplaceKeywords],
) -> Result | bytes:
    """Replace the objects at the prompts with what ``prompt`` describes, or with a ``picture``.

    The alpha channel of ``picture`` is its outline. The other arguments and the errors are those
    of ``remove``; ``BadOption`` too if neither ``prompt`` nor ``picture`` is given.

    >>> replace("table.jpg", (412, 300), prompt="a red rose").save("rose.jpg")
    """
    check_keywords("replace", keywords, ReplaceArguments)
    if picture is not None and not isinstance(picture, ReplacementImage):
        picture = as_picture(as_photo(picture))
    fill = with_fields(fill, prompt=prompt or fill.prompt, picture=picture or fill.picture)
    if not (fill.prompt or fill.picture):
        raise BadOption("replace: expected prompt=... or picture=..., got neither")
    base = Request((), refine, fill, detector, inpainter)
    return _edit(photo, prompts, base, keywords, editor)


def _edit(
    photo: PhotoLike,
    prompts: tuple[PromptLike, ...],
    base: Request,
    keywords: Any,
    editor: Editor | None,
) -> Result | bytes:
    source = as_photo(photo)
    request = build_request(source, prompts, base, keywords)
    result = (editor or default_editor()).run(source, request)
    return result.encode() if isinstance(photo, bytes) else result


def mask(
    photo: PhotoLike,
    *prompts: PromptLike,
    refine: Refine = Refine(),
    detector: str = "auto",
    editor: Editor | None = None,
    **keywords: Unpack[MaskKeywords],
) -> BinaryMask:
    """Return the mask of the objects at the prompts, ``(H, W)`` bool.

    It is not feathered, and dilated only by the keyword ``dilate``. The other keywords are
    ``point_coords``, ``point_labels``, ``box``, ``fill_holes``, ``invert`` and ``edge_refine``. The
    other arguments and the errors are those of ``remove``.
    """
    check_keywords("mask", keywords, MaskArguments)
    exact = with_fields(refine, dilate=Length(0, "px"), feather=Length(0, "px"))
    source = as_photo(photo)
    base = Request((), exact, detector=detector)
    request = build_request(source, prompts, base, keywords)
    detections = (editor or default_editor()).find_objects(source, request)
    alpha, _, _ = regions.refined_alpha(detections, request.prompts, request.refine)
    return alpha > 0.5


def cutout(
    photo: PhotoLike,
    *prompts: PromptLike,
    crop: bool = True,
    refine: Refine = Refine(),
    detector: str = "auto",
    editor: Editor | None = None,
) -> Cutout:
    """Return the objects at the prompts alone: their own colours, and an alpha with soft edges.

    It is cropped to the objects, or with ``crop=False`` of the photo's size. Of ``refine``,
    ``fill_holes`` and ``edge_refine`` (soft edges) apply. Raises the same errors as ``remove``.

    >>> cutout("dog.jpg", (412, 300)).save("dog.png")
    """
    source = as_photo(photo)
    request = Request(tuple(as_prompt(p, source) for p in prompts), refine, detector=detector)
    detections = (editor or default_editor()).find_objects(source, request)
    cropped = cut_out(source, detections, refine, request.prompts)
    return cropped if crop else cropped.in_place()


def score(
    before: PhotoLike,
    after: PhotoLike,
    *,
    mask: MaskLike | None = None,
    clean: PhotoLike | None = None,
) -> Score:
    """Return the verdict and the measures of a removal by any tool; all photos have one size.

    ``mask`` is where the tool was to paint: wherever it is above 0. Without it the hole is what
    changed. ``clean`` is a photo of the scene without the object, for the measures that compare
    with it. Raises ``BadImage`` for photos that cannot be compared, ``BadPrompt`` for an array that
    is no mask, and ``NothingFound`` if nothing changed or the mask is empty.

    >>> score("street.jpg", "other_tool.png", mask=Path("mask.png")).verdict
    'doubtful'
    """
    old = as_photo(before)
    hole = None if mask is None else as_mask(mask, old, greys=True)
    if hole is not None and hole.shape != old.size:
        raise BadPrompt(f"the mask must have the photo's size {old.size}, got {hole.shape}")
    return score_removal(old, as_photo(after), hole, None if clean is None else as_photo(clean))


def read(source: PhotoLike, *, name: str = "", max_pixels: int = MAX_PIXELS) -> Photo:
    """Read a photo from a path, bytes, an open file, a PIL image or an array of pixels.

    ``name`` is what error messages call it; the default is the path. Raises ``BadImage`` if the
    file is missing, larger than ``max_pixels``, damaged, animated, CMYK, has several pages, or is
    not a plain photo in another way, and for arrays that are not uint8 RGB, RGBA or grey.
    """
    return as_photo(source, name=name, max_pixels=max_pixels)


def write(
    target: str | Path,
    photo: Photo | Result,
    image: Image | None = None,
    alpha: Alpha | None = None,
    *,
    quality: int | None = None,
    overwrite: bool = False,
) -> None:
    """Write ``image`` where ``alpha`` is above 0, and the photo elsewhere, to ``target``.

    ``write(target, result)`` is short for ``result.save(target)``. ``image`` is ``(H, W, 3)``
    uint8 RGB and ``alpha`` is ``(H, W)`` in [0, 1], both of the photo's size. The suffix of
    ``target`` selects the format. ``quality``, 1 to 100, makes the formats lossy that can be; None
    keeps the tables of a JPEG. Missing folders are created. The file is written completely or not
    at all. Raises ``BadImage`` if it cannot be written, for wrong arguments, and if ``target`` is
    the photo's own file and ``overwrite`` is False.
    """
    _check_write_arguments(target, photo, image, alpha)
    if isinstance(photo, Result):
        photo.save(target, quality=quality, overwrite=overwrite)
    elif image is not None and alpha is not None:
        images.write(target, photo, image, alpha, quality=quality, overwrite=overwrite)


def _check_write_arguments(target: object, photo: object, image: object, alpha: object) -> None:
    """Raise ``BadImage`` for arguments of ``write`` of a wrong type."""
    arrays = {"image": image, "alpha": alpha}
    problem = ""
    if not isinstance(target, str | Path):
        problem = f"target must be a path, got {type(target).__name__}"
    elif isinstance(photo, Result):
        given = [name for name, array in arrays.items() if array is not None]
        problem = f"a Result has its own {' and '.join(given)}; leave them out" if given else ""
    elif not isinstance(photo, Photo):
        problem = f"photo must be a Photo or a Result, got {type(photo).__name__}; use read()"
    else:
        wrong = [(n, array) for n, array in arrays.items() if not isinstance(array, np.ndarray)]
        for name, array in wrong[:1]:
            problem = f"{name} must be an array, got {type(array).__name__}"
    if problem:
        raise BadImage(
            f"write: {problem}; expected write(target, photo, image, alpha) or "
            "write(target, result)"
        )
