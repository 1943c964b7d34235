"""The pictures of photos in the report, as JPEG files."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from segment2inpaint import images, pipeline, window
from segment2inpaint.result import Result
from segment2inpaint.types import Alpha, BinaryMask, Image, bounding_box

EDIT_SIDE = 160  # px, the longer side of each of the three pictures of an edited photo
MARGIN = 0.75  # context on each side, as a fraction of the longer side of the object
MASK_SIDE = 240  # px, the longer side of each of the two pictures of a photo with its objects
HUE_STEP = 0.618  # between the colours of two objects, of a full turn
TINT = 0.55  # share of an object's colour in its pixels


def edit_thumbnail(before: Image, result: Result, after: Image, alpha: Alpha) -> bytes:
    """Return before, mask and after side by side, cropped around the change.

    ``result`` is the last one of the photo, ``alpha`` the union of its repainted regions.
    """
    box = bounding_box(alpha > 0)
    box = box.expand(int(MARGIN * max(box.width, box.height)), before.shape[:2])
    step = max(1, max(box.width, box.height) // EDIT_SIDE)  # subsample before resizing
    rows, columns = (slice(s.start, s.stop, step) for s in box.slices)
    crop = replace(result, image=after[rows, columns], alpha=alpha[rows, columns])
    return _encode(pipeline.preview(before[rows, columns], crop, EDIT_SIDE))


def mask_thumbnail(photo: Image, objects: Sequence[BinaryMask]) -> bytes:
    """Return the photo, and the photo with each object in a colour, side by side."""
    scale = min(1.0, MASK_SIDE / max(photo.shape[:2]))
    size = max(1, round(photo.shape[0] * scale)), max(1, round(photo.shape[1] * scale))
    tinted = photo.copy()
    for number, mask in enumerate(objects):
        color = 255 * np.array(colorsys.hsv_to_rgb(number * HUE_STEP % 1, 0.9, 1), np.float32)
        tinted[mask] = np.rint((1 - TINT) * tinted[mask] + TINT * color).astype(np.uint8)
    gap = np.full((size[0], 8, 3), 255, np.uint8)
    return _encode(np.hstack([window.resample(photo, size), gap, window.resample(tinted, size)]))


def _encode(strip: Image) -> bytes:
    picture = images.photo_from_array(strip)
    unchanged = np.zeros(picture.size, np.float32)
    return images.encode(picture, picture.image, unchanged, format="JPEG", quality=80)
