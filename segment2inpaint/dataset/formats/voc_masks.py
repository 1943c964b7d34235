"""The PNGs of Pascal VOC segmentations, whose pixels hold the number of an object or class."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from segment2inpaint import images
from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats.shapes import BoxSides
from segment2inpaint.types import BinaryMask, bounding_box

MIN_OVERLAP = 0.5  # intersection over union of an annotated box and the box of its mask


def object_masks(file: str, boxes: Mapping[int, BoxSides]) -> dict[int, BinaryMask]:
    """Return the masks of objects by number, from a file in ``SegmentationObject``.

    ``boxes`` are the annotated boxes of all objects by number. If a box is elsewhere, the numbers
    mean other objects, and there are no masks. Raises ``BadImage``.
    """
    photo = images.read(storage.read(file), name=file)
    numbers = photo.image[..., 0] if photo.palette_indices is None else photo.palette_indices
    masks = {number: numbers == number for number in boxes}
    masks = {number: mask for number, mask in masks.items() if mask.any()}
    overlaps = [_overlap(bounding_box(mask), boxes[number]) for number, mask in masks.items()]
    return masks if min(overlaps, default=0) >= MIN_OVERLAP else {}


def renumber_objects(raw: bytes, count: int, removed: Collection[int]) -> bytes:
    """Return a ``SegmentationObject`` file without removed objects; the others move up."""
    table = np.arange(256, dtype=np.uint8)
    table[list(removed)] = 0
    remaining = [number for number in range(1, count + 1) if number not in removed]
    table[remaining] = np.arange(1, len(remaining) + 1)
    picture, pixels = _open(raw)
    return _encode(picture, table[pixels])


def erase(raw: bytes, mask: BinaryMask) -> bytes:
    """Return a ``SegmentationClass`` file whose pixels in ``mask`` are background."""
    picture, pixels = _open(raw)
    pixels[mask] = 0
    return _encode(picture, pixels)


def _open(raw: bytes) -> tuple[Pillow.Image, NDArray[Any]]:
    """Return a picture and its pixels, which are numbers, not colours, if it has a palette."""
    picture = Pillow.open(io.BytesIO(raw))
    return picture, np.array(picture)


def _encode(picture: Pillow.Image, pixels: NDArray[Any]) -> bytes:
    """Return pixels as a PNG with the palette of ``picture``."""
    edited = Pillow.fromarray(pixels)
    if picture.mode == "P":
        edited.putpalette(picture.getpalette() or [])
    file = io.BytesIO()
    edited.save(file, "PNG")
    return file.getvalue()


def _overlap(box: BoxSides, other: BoxSides) -> float:
    """Return the intersection over union of two boxes."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    common = max(0.0, width) * max(0.0, height)
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (box, other)]
    return common / (sum(areas) - common)
