"""Functions for a few photos: remove, replace and mask, without an ``Editor`` of your own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace as changed
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np

from segment2inpaint import images, pipeline
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
"""A photo, its ``(H, W, 3)`` uint8 pixels, a path, or the bytes of a file."""


PromptLike = Prompt | Sequence[int] | str | BinaryMask
"""A prompt, or short for one: (x, y), (x0, y0, x1, y1), words, an ``(H, W)`` bool array."""


@cache
def default_editor() -> Editor:
    """The editor of the three functions below; it keeps what they have loaded."""
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
    """Take away what the prompts point at; several are several objects.

    ``photo`` is a ``Photo``, a path, the bytes of a file, or ``(H, W, 3)`` uint8 RGB pixels,
    upright. A prompt is (x, y) or (x0, y0, x1, y1) in its pixels, the box half-open, words, an
    ``(H, W)`` bool array, or one of the classes of prompts. The result's ``image`` is ``(H, W,
    3)`` uint8 RGB, its ``alpha`` ``(H, W)`` float32 in [0, 1]: 0 where nothing was changed.
    Raises ``NothingFound``, ``BadImage``, ``BadPrompt``, ``BadOption`` and ``ModelMissing``.

    >>> photo = read("street.jpg")
    >>> result = remove(photo, (412, 300))
    >>> write("clean.jpg", photo, result.image, result.alpha)
    """
    given = tuple(as_prompt(prompt) for prompt in prompts)
    request = Request(given, refine, fill, detector, inpainter)
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
    """Put something else there: what ``prompt`` says, or a ``picture``, cut out by its alpha.

    Raises as ``remove``, and ``BadOption`` for neither of the two.

    >>> replace("table.jpg", (412, 300), prompt="a red rose")
    """
    if picture is not None and not isinstance(picture, ReplacementImage):
        picture = as_picture(as_photo(picture))
    fill = changed(fill, prompt=prompt or fill.prompt, picture=picture or fill.picture)
    if not (fill.prompt or fill.picture):
        raise BadOption("replace: say what should stand there, prompt=... or picture=...")
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
    """What the prompts point at, ``(H, W)`` bool, neither dilated nor feathered.

    Raises as ``remove``.
    """
    none = Length(0, "px")
    request = Request(tuple(as_prompt(p) for p in prompts), refine, detector=detector)
    found = (editor or default_editor()).find(as_photo(photo), request)
    exact = changed(refine, dilate=none, feather=none)
    alpha, _, _ = pipeline.refined_alpha(found, request.prompts, exact)
    return alpha > 0


def as_photo(photo: PhotoLike) -> Photo:
    """Read it, if it is not a photo yet. Raises ``BadImage``."""
    if isinstance(photo, Photo):
        return photo
    return images.photo_of(photo) if isinstance(photo, np.ndarray) else images.read(photo)


def as_picture(photo: Photo) -> ReplacementImage:
    """The photo as a picture to put somewhere, its alpha as the outline; opaque without one."""
    if photo.alpha is None:
        return ReplacementImage(photo.image, np.ones(photo.size, np.float32), photo.name)
    top = np.iinfo(photo.alpha.dtype).max
    return ReplacementImage(photo.image, (photo.alpha / top).astype(np.float32), photo.name)


def as_prompt(given: PromptLike) -> Prompt:
    """The prompt that is meant. Raises ``BadPrompt``."""
    if isinstance(given, str):
        return Text(given)
    if isinstance(given, np.ndarray) and (given.ndim != 1 or given.dtype == np.bool_):
        if given.ndim != 2 or given.dtype != np.bool_:
            raise BadPrompt(
                f"a mask must be (H, W) bool, got {given.shape} {given.dtype}; such as mask > 127"
            )
        return UserMask(given)
    if not isinstance(given, tuple | list | np.ndarray) or isinstance(given, Box):
        return cast(Prompt, given)  # a request is checked before it is run
    try:
        numbers = [int(value) for value in given]
    except (TypeError, ValueError, OverflowError):
        numbers = []
    if len(numbers) == 2:
        return Points(((numbers[0], numbers[1]),))
    if len(numbers) == 4:
        return Box(*numbers)
    raise BadPrompt(f"expected (x, y) or (x0, y0, x1, y1), got {given!r:.60}")
