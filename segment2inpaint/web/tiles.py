"""Square pieces of a photo at halved sizes: all that a page needs of 50 megapixels at a time."""

from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
from PIL import Image as Pillow

from segment2inpaint.images import Photo
from segment2inpaint.types import Box, Image
from segment2inpaint.web.session import ResultPatch

SIDE = 512  # px of a tile
DEEPEST = 10  # a level is a halving
QUALITY = 92


def levels(size: tuple[int, int]) -> int:
    """How many halvings bring a photo of ``size`` (h, w) into one tile."""
    level = 0
    while level < DEEPEST and max(size) > SIDE << level:
        level += 1
    return level


def tile(
    photo: Photo, patch: ResultPatch | None, level: int, column: int, row: int
) -> bytes | None:
    """A tile of the photo, with the patch over it, as JPEG (WebP if it is see-through).

    At ``level`` n a pixel is 2^n px of the photo. None beyond the photo.
    """
    step = SIDE << level
    height, width = photo.size
    box = Box(column * step, row * step, (column + 1) * step, (row + 1) * step).grown(
        0, (height, width)
    )
    if box.width <= 0 or box.height <= 0:
        return None
    part = pasted(photo.image[box.slices], box, patch)
    if photo.alpha is None:
        return _coded(reduced(part, level), photo.icc)
    top = np.iinfo(photo.alpha.dtype).max
    alpha = (photo.alpha[box.slices].astype(np.float32) * (255 / top)).astype(np.uint8)
    return _coded(reduced(np.dstack([part, alpha]), level), photo.icc)


def pasted(part: Image, box: Box, patch: ResultPatch | None) -> Image:
    """The photo's pixels in ``box``, with those of the patch where it lies there."""
    if patch is None or not box.overlaps(patch.box):
        return part
    x0, y0 = max(box.x0, patch.box.x0), max(box.y0, patch.box.y0)
    x1, y1 = min(box.x1, patch.box.x1), min(box.y1, patch.box.y1)
    part = part.copy()
    part[y0 - box.y0 : y1 - box.y0, x0 - box.x0 : x1 - box.x0] = patch.image[
        y0 - patch.box.y0 : y1 - patch.box.y0, x0 - patch.box.x0 : x1 - patch.box.x0
    ]
    return part


def reduced(image: Image, level: int) -> Image:
    """Halved ``level`` times, by mean; never to nothing."""
    if level == 0:
        return image
    height, width = image.shape[:2]
    size = max(1, -(-width >> level)), max(1, -(-height >> level))
    small: Image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return small


def picture(image: Image, side: int) -> bytes:
    """A whole picture as JPEG, at most ``side`` px long."""
    scale = min(1.0, side / max(image.shape[:2]))
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
    return _coded(small, None)


def _coded(pixels: Image, icc: bytes | None) -> bytes:
    file = BytesIO()
    kept = {"icc_profile": icc} if icc and icc[16:20] == b"RGB " else {}
    made = Pillow.fromarray(np.ascontiguousarray(pixels))
    if pixels.shape[2] == 4:
        made.save(file, "WEBP", quality=90, method=0, **kept)
    else:
        made.save(file, "JPEG", quality=QUALITY, subsampling="4:4:4", **kept)
    return file.getvalue()
