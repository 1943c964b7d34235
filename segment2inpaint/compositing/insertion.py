"""Put a picture in an object's place: scaled, turned and lit, with a shadow if wanted."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, cos, floor, radians, sin

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from segment2inpaint import window
from segment2inpaint.compositing.color_transfer import match_colors
from segment2inpaint.compositing.contact_shadow import contact_shadow
from segment2inpaint.errors import BadOption
from segment2inpaint.types import (
    Alpha,
    Box,
    Image,
    PicturePlacement,
    ReplacementImage,
    bounding_box,
)

RGBA = NDArray[np.uint8]
LANCZOS = Pillow.Resampling.LANCZOS


@dataclass(frozen=True, eq=False)
class PlacedPicture:
    """The part of a picture that lies in the photo: its box there, its pixels and its alpha."""

    box: Box
    image: Image
    alpha: Alpha


def insert_picture(
    image: Image,
    alpha: Alpha,
    picture: ReplacementImage,
    box: Box,
    placement: PicturePlacement,
) -> Alpha:
    """Blend a picture into ``image``, in place, and return ``alpha`` with what it changes.

    ``box`` is that of the old object. Raises ``BadOption`` if no part of the picture lies in the
    photo.
    """
    placed = place_picture(picture, box, (image.shape[0], image.shape[1]), placement)
    pixels = placed.image
    if placement.blend:
        pixels = match_colors(image, placed.image, placed.alpha, placed.box, placement.blend)
    changed = alpha.copy()
    if placement.contact_shadow:
        place, dark = contact_shadow(placed.alpha, placed.box, alpha.shape)
        _blend(image, changed, place, np.zeros((*dark.shape, 3), np.uint8), dark)
    _blend(image, changed, placed.box, pixels, placed.alpha)
    return changed


def _blend(image: Image, changed: Alpha, place: Box, pixels: Image, alpha: Alpha) -> None:
    """Blend pixels into a part of the photo and note it in ``changed``, both in place."""
    window.blend(image[place.slices], pixels, alpha)
    np.maximum(changed[place.slices], alpha, out=changed[place.slices])


def place_picture(
    picture: ReplacementImage,
    box: Box,
    photo_size: tuple[int, int],
    placement: PicturePlacement,
) -> PlacedPicture:
    """Scale, mirror and turn a picture, and cut off what lies outside a photo of size (h, w).

    A picture that is not turned lies on whole pixels, so that it stays sharp. Raises ``BadOption``
    if no part of it lies in the photo, or if it is transparent all over.
    """
    pixels = visible_part(picture, flip=placement.flip)
    high, wide = pixels.shape[:2]
    scale = placement.scale * min(box.width / wide, box.height / high)
    size = max(1, int(high * scale)), max(1, int(wide * scale))
    standing = box.x0 + (box.width - size[1]) // 2 + size[1] / 2, box.y1 - size[0] / 2
    center = placement.at or standing
    angle = placement.angle % 360
    corners = _corners(center, size, angle)
    covered = _inside(_enclosing_box(corners), photo_size)
    if covered.width > 0 and covered.height > 0:
        layer = (
            _turned(pixels, size, corners, covered)
            if angle
            else _scaled(pixels, size, corners[0], covered)
        )
        placed = _placed(layer, covered)
        if placed.alpha.any():
            return placed
    raise BadOption(
        f"the picture lies outside the photo: its centre is at {center[0]:g},{center[1]:g}, and "
        f"the photo is {photo_size[1]}x{photo_size[0]}; move it with --with-at"
    )


def visible_part(picture: ReplacementImage, *, flip: bool = False) -> RGBA:
    """Return the picture without its transparent margin, (h, w, 4) uint8, mirrored if wanted.

    Raises ``BadOption`` if it is transparent all over.
    """
    visible = bounding_box(picture.alpha > 0)
    if not visible.width:
        raise BadOption(f"{picture.source or 'the picture'} is transparent all over")
    rgba: RGBA = np.dstack([picture.image, np.rint(picture.alpha * 255).astype(np.uint8)])
    part = rgba[visible.slices]
    return np.ascontiguousarray(part[:, ::-1]) if flip else part


def _corners(
    center: tuple[float, float], size: tuple[int, int], angle: float
) -> NDArray[np.float64]:
    """Return the corners top left, top right, bottom left, bottom right, (4, 2), in photo px."""
    height, width = size
    if not angle:
        left, top = floor(center[0] - width / 2 + 0.5), floor(center[1] - height / 2 + 0.5)
        center = left + width / 2, top + height / 2
    turn = radians(angle)
    right = np.array([cos(turn), sin(turn)]) * width / 2
    down = np.array([-sin(turn), cos(turn)]) * height / 2
    signs = ((-1, -1), (1, -1), (-1, 1), (1, 1))
    return np.array([np.array(center) + x * right + y * down for x, y in signs])


def _enclosing_box(points: NDArray[np.float64]) -> Box:
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    return Box(floor(x0), floor(y0), ceil(x1), ceil(y1))


def _inside(box: Box, photo_size: tuple[int, int]) -> Box:
    height, width = photo_size
    return Box(max(0, box.x0), max(0, box.y0), min(width, box.x1), min(height, box.y1))


def _scaled(
    pixels: RGBA, size: tuple[int, int], top_left: NDArray[np.float64], covered: Box
) -> Pillow.Image:
    """Return the part of the picture, scaled to ``size``, that covers a box of the photo."""
    scales = np.array([pixels.shape[1] / size[1], pixels.shape[0] / size[0]])
    first = (np.array(covered[:2]) - top_left) * scales
    last = np.minimum((np.array(covered[2:]) - top_left) * scales, pixels.shape[1::-1])
    part = *first.tolist(), *last.tolist()
    # resampled with premultiplied alpha, so that hidden pixels do not bleed into the outline
    whole = Pillow.fromarray(pixels).convert("RGBa")
    return whole.resize((covered.width, covered.height), LANCZOS, box=part)


def _turned(
    pixels: RGBA, size: tuple[int, int], corners: NDArray[np.float64], covered: Box
) -> Pillow.Image:
    """Return the picture, scaled to ``size`` and turned to its corners, over a box of the photo."""
    reduced = min(size[1], pixels.shape[1]), min(size[0], pixels.shape[0])
    small = np.asarray(Pillow.fromarray(pixels).convert("RGBa").resize(reduced, LANCZOS))
    source = np.array([(0, 0), (reduced[0], 0), (0, reduced[1])], np.float32)
    target = (corners[:3] - covered[:2]).astype(np.float32)
    half = np.float32(0.5)  # OpenCV's whole numbers are the centres of pixels
    matrix = cv2.getAffineTransform(source - half, target - half)
    turned = cv2.warpAffine(small, matrix, (covered.width, covered.height), flags=cv2.INTER_CUBIC)
    return Pillow.frombytes("RGBa", (covered.width, covered.height), turned.tobytes())


def _placed(premultiplied: Pillow.Image, box: Box) -> PlacedPicture:
    pixels: RGBA = np.asarray(premultiplied.convert("RGBA"))
    return PlacedPicture(box, pixels[..., :3], np.divide(pixels[..., 3], 255, dtype=np.float32))
