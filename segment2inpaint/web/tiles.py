"""Square tiles of a photo at halved sizes, so that a page never loads 50 megapixels at once."""

from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
from PIL import Image as Pillow

from segment2inpaint.images import Photo
from segment2inpaint.types import Box, Image
from segment2inpaint.web.session import ResultPatch

TILE_SIDE = 512  # px
MAX_LEVEL = 10  # each level halves the size of the photo
JPEG_QUALITY = 92
WEBP_QUALITY = 90


def top_level(size: tuple[int, int]) -> int:
    """Return the first level at which a photo of ``size`` (h, w) fits in one tile."""
    level = 0
    while level < MAX_LEVEL and max(size) > TILE_SIDE << level:
        level += 1
    return level


def render_tile(
    photo: Photo, patch: ResultPatch | None, level: int, column: int, row: int
) -> bytes | None:
    """Return a tile of the photo with the patch pasted in, None outside the photo.

    At ``level`` n, a tile pixel is 2^n px of the photo. The tile is a JPEG, or a WebP if the
    photo has an alpha channel.
    """
    step = TILE_SIDE << level
    height, width = photo.size
    box = Box(column * step, row * step, (column + 1) * step, (row + 1) * step).expand(
        0, (height, width)
    )
    if box.width <= 0 or box.height <= 0:
        return None
    pixels = paste_patch(photo.image[box.slices], box, patch)
    if photo.alpha is None:
        return _encode(downscale(pixels, level), photo.icc_profile)
    max_alpha = np.iinfo(photo.alpha.dtype).max
    alpha = (photo.alpha[box.slices].astype(np.float32) * (255 / max_alpha)).astype(np.uint8)
    return _encode(downscale(np.dstack([pixels, alpha]), level), photo.icc_profile)


def paste_patch(pixels: Image, box: Box, patch: ResultPatch | None) -> Image:
    """Return the photo's pixels in ``box``, with those of the patch where the two overlap."""
    if patch is None or not box.overlaps(patch.box):
        return pixels
    x0, y0 = max(box.x0, patch.box.x0), max(box.y0, patch.box.y0)
    x1, y1 = min(box.x1, patch.box.x1), min(box.y1, patch.box.y1)
    pixels = pixels.copy()
    pixels[y0 - box.y0 : y1 - box.y0, x0 - box.x0 : x1 - box.x0] = patch.image[
        y0 - patch.box.y0 : y1 - patch.box.y0, x0 - patch.box.x0 : x1 - patch.box.x0
    ]
    return pixels


def downscale(image: Image, level: int) -> Image:
    """Return the image halved ``level`` times by area averaging, at least 1 px on each side."""
    if level == 0:
        return image
    height, width = image.shape[:2]
    size = max(1, -(-width >> level)), max(1, -(-height >> level))
    small: Image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return small


def encode_thumbnail(image: Image, max_side: int) -> bytes:
    """Return the whole image as JPEG, its longer side reduced to ``max_side`` px."""
    scale = min(1.0, max_side / max(image.shape[:2]))
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
    return _encode(small, None)


def _encode(pixels: Image, icc_profile: bytes | None) -> bytes:
    """Return the pixels as JPEG, or as WebP with a fourth channel, alpha.

    Only RGB profiles are embedded.
    """
    file = BytesIO()
    is_rgb = icc_profile is not None and icc_profile[16:20] == b"RGB "
    metadata = {"icc_profile": icc_profile} if is_rgb else {}
    picture = Pillow.fromarray(np.ascontiguousarray(pixels))
    if pixels.shape[2] == 4:
        picture.save(file, "WEBP", quality=WEBP_QUALITY, method=0, **metadata)
    else:
        picture.save(file, "JPEG", quality=JPEG_QUALITY, subsampling="4:4:4", **metadata)
    return file.getvalue()
