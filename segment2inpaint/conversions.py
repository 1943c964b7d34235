"""Turn what people have, such as PIL images, paths and arrays, into photos, masks and prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image as Pillow

from segment2inpaint import images
from segment2inpaint.errors import BadImage, BadPrompt
from segment2inpaint.images import Photo
from segment2inpaint.types import (
    Alpha,
    BinaryMask,
    Box,
    FloatArray,
    Image,
    Point,
    Points,
    Prompt,
    ReplacementImage,
    Text,
    UserMask,
)

PictureLike = Photo | Image | Pillow.Image | str | Path | BinaryIO
"""A photo, its pixels, a PIL image, a path or an open file. See ``as_photo``."""

PhotoLike = PictureLike | bytes
"""A picture, or the bytes of a file."""

MaskLike = BinaryMask | Image | FloatArray | NDArray[np.float64] | Pillow.Image | Path | bytes
"""A mask of the photo's size. See ``as_mask``."""

PromptLike = (
    Prompt
    | Sequence[float]
    | Sequence[Sequence[float]]
    | NDArray[np.integer[Any] | np.floating[Any]]
    | str
    | MaskLike
    | Photo
)
"""A prompt or a short form of one. See ``as_prompt``."""

EXPECTED_PROMPT = (
    "expected (x, y), [(x, y), ...], (x0, y0, x1, y1), words, a mask or one of the prompt classes"
)
_PIL_MODES = {"1": "L", "YCbCr": "RGB", "HSV": "RGB", "RGBX": "RGB", "RGBa": "RGBA", "La": "LA"}
_MAX_COORDINATE = 2**31


# --- photos -----------------------------------------------------------------------------------


def as_photo(photo: PhotoLike, *, name: str = "", max_pixels: int = images.MAX_PIXELS) -> Photo:
    """Return the photo, read from its file or made of its pixels. Raises ``BadImage``.

    Arrays are upright uint8: ``(H, W, 3)`` RGB, ``(H, W, 4)`` RGBA, ``(H, W)`` or ``(H, W, 1)``
    grey. A PIL image is taken as its pixels are; its EXIF orientation is not applied. ``name`` and
    ``max_pixels`` are as for ``images.read``.
    """
    if isinstance(photo, Photo):
        return photo
    if isinstance(photo, Pillow.Image):
        return photo_from_pil(photo, name=name)
    if isinstance(photo, np.ndarray):
        return photo_from_pixels(photo, name=name or "array")
    return images.read(photo, name=name, max_pixels=max_pixels)


def photo_from_pixels(pixels: Image, *, name: str = "array") -> Photo:
    """Return a photo of an array of pixels, see ``as_photo``. Raises ``BadImage``."""
    if pixels.dtype != np.uint8 or not pixels.size or pixels.ndim not in (2, 3):
        return images.photo_from_array(pixels, name=name)  # which says what is wrong
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if channels == 1:
        grey = np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
        return replace(images.photo_from_array(grey, name=name), grey=True)
    if channels == 4:
        photo = images.photo_from_array(pixels[..., :3], name=name)
        return replace(photo, alpha=_frozen(pixels[..., 3]))
    if channels != 3:
        raise BadImage(
            f"{name}: expected shape (H, W, 3), (H, W, 4) or (H, W), got {pixels.shape}; "
            "give RGB, RGBA or grey pixels"
        )
    return images.photo_from_array(pixels, name=name)


def photo_from_pil(image: Pillow.Image, *, name: str = "") -> Photo:
    """Return a photo of a PIL image, with its alpha, greyscale, 16 bits and colour profile.

    Raises ``BadImage`` for CMYK, Lab and float pixels.
    """
    file = getattr(image, "filename", "")
    file = file if isinstance(file, str) else ""
    name = name or file or "PIL image"
    if image.mode.startswith("I;16"):
        photo = _photo_from_16bit(np.asarray(image).astype(np.uint16), name)
    else:
        pixels = np.asarray(_plain_mode(image, name))
        if pixels.ndim == 3 and pixels.shape[2] == 2:  # LA
            photo = photo_from_pixels(np.ascontiguousarray(pixels[..., 0]), name=name)
            photo = replace(photo, alpha=_frozen(pixels[..., 1]))
        else:
            photo = photo_from_pixels(pixels, name=name)
    return replace(
        photo, path=Path(file) if file else None, icc_profile=image.info.get("icc_profile")
    )


def _plain_mode(image: Pillow.Image, name: str) -> Pillow.Image:
    """Return the image as RGB, RGBA, L or LA."""
    if not image.width or not image.height:
        raise BadImage(f"{name}: the image is empty, expected at least one pixel")
    is_grey = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data and image.mode not in ("RGBA", "LA"):
        return image.convert("LA" if is_grey else "RGBA")
    mode = "RGB" if image.mode == "P" else _PIL_MODES.get(image.mode, image.mode)
    if mode not in ("RGB", "RGBA", "L", "LA"):
        raise BadImage(
            f"{name}: expected a PIL image of mode RGB, RGBA, L, LA or P, got {image.mode}; "
            'use image.convert("RGB")'
        )
    return image if mode == image.mode else image.convert(mode)


def _photo_from_16bit(values: NDArray[np.uint16], name: str) -> Photo:
    rounded = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    photo = photo_from_pixels(rounded, name=name)
    deep = values[..., None].copy()
    deep.setflags(write=False)
    return replace(photo, pixels_16bit=deep)


def _frozen(pixels: Image) -> Image:
    copied = pixels.copy()
    copied.setflags(write=False)
    return copied


def as_picture(photo: Photo) -> ReplacementImage:
    """Return the photo as a replacement picture; without an alpha channel it is opaque."""
    if photo.alpha is None:
        return ReplacementImage(photo.image, np.ones(photo.size, np.float32), photo.name)
    top = np.iinfo(photo.alpha.dtype).max
    return ReplacementImage(photo.image, (photo.alpha / top).astype(np.float32), photo.name)


# --- masks ------------------------------------------------------------------------------------


def as_mask(value: MaskLike | Photo, photo: Photo, *, greys: bool = False) -> BinaryMask | Alpha:
    """Return a mask for ``photo``: ``(H, W)`` bool, or float32 in [0, 1] if it is soft.

    It may be a bool array, a float array in [0, 1], a uint8 array (0 and 1, 0 and 255, greys, or
    a label map), each also with one leading or trailing axis of length 1, a PIL image, a path or
    the bytes of a file. ``greys`` is as for ``images.read_mask``. Raises ``BadPrompt``, and
    ``BadImage`` for a file that is not a mask.
    """
    if isinstance(value, Path | bytes):
        name = str(value) if isinstance(value, Path) else "mask"
        return images.read_mask(
            value, photo.size, name=name, orientation=photo.orientation, greys=greys
        )
    if isinstance(value, np.ndarray) and value.dtype != np.uint8:
        return _mask_of_values(value)
    if isinstance(value, np.ndarray):
        value = _without_single_axes(value)
        if value.ndim == 2 and value.size and value.max() <= 1:
            return value.astype(np.bool_)
    picture = as_photo(cast(PictureLike, value), name="mask")
    return images.mask_of_picture(picture, greys=greys)


def _mask_of_values(value: NDArray[Any]) -> BinaryMask | Alpha:
    value = _without_single_axes(value)
    if value.ndim == 2 and value.dtype == np.bool_:
        return value
    if value.ndim == 2 and np.issubdtype(value.dtype, np.floating):
        return value.astype(np.float32)
    if value.ndim == 2 and value.size and 0 <= value.min() <= value.max() <= 1:
        return value.astype(np.bool_)
    raise BadPrompt(
        "a mask must be (H, W) bool, uint8, or float in [0, 1] if it is soft, "
        f"got {value.shape} {value.dtype}; use mask > 127, or one mask of several"
    )


def _without_single_axes(value: NDArray[Any]) -> NDArray[Any]:
    """Return (1, H, W) and (H, W, 1) as (H, W)."""
    if value.ndim == 3 and 1 in (value.shape[0], value.shape[2]):
        return value[0] if value.shape[0] == 1 else value[..., 0]
    return value


# --- prompts ----------------------------------------------------------------------------------


def as_prompt(value: PromptLike, photo: Photo) -> Prompt:
    """Return the prompt that a short form stands for. Raises ``BadPrompt``.

    A point is (x, y); several points, ``[(x, y), ...]`` or an ``(N, 2)`` array, are all on one
    object. A box is (x0, y0, x1, y1). A string is words. What ``as_mask`` takes is a mask.
    """
    if isinstance(value, str):
        return Text(value)
    if isinstance(value, Path | bytes | Pillow.Image | Photo) or _is_mask(value, photo):
        source = str(value) if isinstance(value, Path) else ""
        return UserMask.from_values(as_mask(cast(MaskLike, value), photo), source)
    if not isinstance(value, tuple | list | np.ndarray) or isinstance(value, Box):
        return cast(Prompt, value)  # the request is validated before it runs
    numbers = _numbers(value, 2)
    if numbers is not None and numbers.shape == (4,):
        return Box(*numbers.astype(int).tolist())
    if numbers is not None and numbers.ndim and numbers.shape in ((2,), (len(numbers), 2)):
        return Points(_pairs(numbers.reshape(-1, 2)))
    several = numbers is not None and numbers.ndim == 2 and numbers.shape[1] == 4
    hint = "; give each box as a prompt of its own" if several else ""
    raise BadPrompt(f"{EXPECTED_PROMPT}, got {value!r:.60}{hint}".replace("\n", " "))


def points_of(point_coords: ArrayLike, point_labels: ArrayLike | None = None) -> Points:
    """Return the clicks of one object from arrays, see ``sam_points``. Raises ``BadPrompt``."""
    points, labels = sam_points(point_coords, point_labels)
    return Points(_pairs(points[labels == 1]), _pairs(points[labels == 0]))


def sam_points(
    point_coords: ArrayLike, point_labels: ArrayLike | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return points ``(N, 2)``, (x, y) each, and labels ``(N,)``, as segment-anything takes them.

    A label is 1 on the object and 0 off it; None means 1 for all. Leading axes of length 1 are
    dropped. Raises ``BadPrompt``.
    """
    points = _numbers(point_coords, 2)
    if points is None or points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise BadPrompt(f"point_coords must be (N, 2), (x, y) each, got {_shown(point_coords)}")
    if point_labels is None:
        return points, np.ones(len(points), np.int64)
    labels = _numbers(point_labels, 1)
    if labels is None or labels.shape != points.shape[:1] or not np.isin(labels, (0, 1)).all():
        raise BadPrompt(
            f"point_labels must be {len(points)} values of 1 (on the object) or 0 (off it), "
            f"one for each of point_coords, got {_shown(point_labels)}"
        )
    return points, labels.astype(np.int64)


def box_of(box: ArrayLike) -> Box:
    """Return a box from (x0, y0, x1, y1), also ``(1, 4)``. Raises ``BadPrompt``."""
    corners = _numbers(box, 1)
    if corners is None or corners.shape != (4,):
        raise BadPrompt(f"box must be x0, y0, x1, y1, got {_shown(box)}")
    return Box(*corners.astype(int).tolist())


def _is_mask(value: object, photo: Photo) -> bool:
    """Return whether an array is a mask; arrays of points and boxes are narrow."""
    if not isinstance(value, np.ndarray):
        return False
    if value.shape == photo.size or value.dtype == np.bool_ or value.ndim >= 3:
        return True
    return value.ndim == 2 and value.shape[1] not in (2, 4)


def _numbers(values: object, axes: int) -> NDArray[np.float64] | None:
    """Return numbers as an array, without leading axes of length 1 beyond ``axes``.

    Return None if they are no numbers, or not finite.
    """
    try:
        numbers = np.asarray(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    if not (np.abs(numbers) < _MAX_COORDINATE).all():  # false for NaN too
        return None
    while numbers.ndim > axes and numbers.shape[0] == 1:
        numbers = numbers[0]
    return numbers


def _pairs(points: NDArray[np.float64]) -> tuple[Point, ...]:
    return tuple((int(x), int(y)) for x, y in points)


def _shown(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} {value.dtype}"
    return f"{value!r:.60}"
