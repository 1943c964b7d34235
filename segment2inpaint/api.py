"""``remove``, ``replace`` and ``mask``: functions for a few photos, without an ``Editor``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace as with_fields
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np

from segment2inpaint import images, regions
from segment2inpaint.editor import Editor
from segment2inpaint.errors import BadOption, BadPrompt
from segment2inpaint.images import Photo
from segment2inpaint.types import (
    BinaryMask,
    Box,
    Fill,
    Image,
    Length,
    Points,
    Prompt,
    Refine,
    ReplacementImage,
    Request,
    Result,
    Text,
    UserMask,
)

PhotoLike = Photo | Image | str | Path | bytes
"""A photo, its ``(H, W, 3)`` uint8 RGB pixels, a path, or the bytes of a file."""

PromptLike = Prompt | Sequence[int] | str | BinaryMask
"""A prompt, or a short form: (x, y), (x0, y0, x1, y1), words, or an ``(H, W)`` bool array."""


@cache
def default_editor() -> Editor:
    """Return the editor that the functions below share; it keeps the models that it has loaded."""
    return Editor()


def remove(
    photo: PhotoLike,
    *prompts: PromptLike,
    refine: Refine = Refine(),
    fill: Fill = Fill(),
    detector: str = "auto",
    inpainter: str = "auto",
    editor: Editor | None = None,
) -> Result:
    """Remove the objects at the prompts; each prompt selects one object.

    ``photo`` is a ``Photo``, a path, the bytes of a file, or upright ``(H, W, 3)`` uint8 RGB
    pixels. A prompt is a point (x, y) or a half-open box (x0, y0, x1, y1) in photo pixels, words,
    an ``(H, W)`` bool array, or one of the prompt classes. The result's ``image`` is ``(H, W, 3)``
    uint8 RGB; its ``alpha`` is ``(H, W)`` float32 in [0, 1], 0 where nothing changed.

    Raises ``NothingFound``, ``BadImage``, ``BadPrompt``, ``BadOption``, ``ModelMissing`` and
    ``BadModel``.

    >>> photo = read("street.jpg")
    >>> result = remove(photo, (412, 300))
    >>> write("clean.jpg", photo, result.image, result.alpha)
    """
    request = Request(tuple(as_prompt(p) for p in prompts), refine, fill, detector, inpainter)
    return (editor or default_editor()).run(as_photo(photo), request)


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
) -> Result:
    """Replace the objects at the prompts with what ``prompt`` describes, or with a ``picture``.

    The alpha channel of ``picture`` is its outline. Raises the same errors as ``remove``, and
    ``BadOption`` if neither ``prompt`` nor ``picture`` is given.

    >>> replace("table.jpg", (412, 300), prompt="a red rose")
    """
    if picture is not None and not isinstance(picture, ReplacementImage):
        picture = as_picture(as_photo(picture))
    fill = with_fields(fill, prompt=prompt or fill.prompt, picture=picture or fill.picture)
    if not (fill.prompt or fill.picture):
        raise BadOption("replace: expected prompt=... or picture=..., got neither")
    return remove(
        photo, *prompts, refine=refine, fill=fill, detector=detector, inpainter=inpainter,
        editor=editor,
    )  # fmt: skip


def mask(
    photo: PhotoLike,
    *prompts: PromptLike,
    refine: Refine = Refine(),
    detector: str = "auto",
    editor: Editor | None = None,
) -> BinaryMask:
    """Return the mask of the objects at the prompts, ``(H, W)`` bool.

    It is neither dilated nor feathered. Raises the same errors as ``remove``.
    """
    request = Request(tuple(as_prompt(p) for p in prompts), refine, detector=detector)
    detections = (editor or default_editor()).find_objects(as_photo(photo), request)
    exact = with_fields(refine, dilate=Length(0, "px"), feather=Length(0, "px"))
    alpha, _, _ = regions.refined_alpha(detections, request.prompts, exact)
    return alpha > 0.5


def as_photo(photo: PhotoLike) -> Photo:
    """Return the photo, read from its file or made of its pixels. Raises ``BadImage``."""
    if isinstance(photo, Photo):
        return photo
    return images.photo_from_array(photo) if isinstance(photo, np.ndarray) else images.read(photo)


def as_picture(photo: Photo) -> ReplacementImage:
    """Return the photo as a replacement picture; without an alpha channel it is opaque."""
    if photo.alpha is None:
        return ReplacementImage(photo.image, np.ones(photo.size, np.float32), photo.name)
    top = np.iinfo(photo.alpha.dtype).max
    return ReplacementImage(photo.image, (photo.alpha / top).astype(np.float32), photo.name)


def as_prompt(value: PromptLike) -> Prompt:
    """Return the prompt that a short form stands for. Raises ``BadPrompt``."""
    if isinstance(value, str):
        return Text(value)
    if isinstance(value, np.ndarray) and (value.ndim != 1 or value.dtype == np.bool_):
        is_soft = np.issubdtype(value.dtype, np.floating)
        if value.ndim != 2 or not (is_soft or value.dtype == np.bool_):
            raise BadPrompt(
                "a mask must be (H, W) bool, or float in [0, 1] if it is soft, "
                f"got {value.shape} {value.dtype}; use mask > 127"
            )
        return UserMask.from_values(value)
    if not isinstance(value, tuple | list | np.ndarray) or isinstance(value, Box):
        return cast(Prompt, value)  # the request is validated before it runs
    try:
        numbers = [int(number) for number in value]
    except (TypeError, ValueError, OverflowError):
        numbers = []
    if len(numbers) == 2:
        return Points(((numbers[0], numbers[1]),))
    if len(numbers) == 4:
        return Box(*numbers)
    raise BadPrompt(f"expected (x, y) or (x0, y0, x1, y1), got {value!r:.60}")
