"""Functions in place of the click and saliency networks, and photos that they understand."""

from __future__ import annotations

import numpy as np

from segment2inpaint.networks.click import INPUT_SIDE
from segment2inpaint.types import BinaryMask, Box, FloatArray, Image

OUTPUT_SIDE = INPUT_SIDE // 2  # of the click network's logits


def find_red(planes: FloatArray) -> FloatArray:
    """Return click logits: objects are red, and their upper halves are parts."""
    red, green, _, inside = planes[:4, ::2, ::2]
    whole = np.where((red - green > 1) & (inside > 0), 6, -6)
    rows = np.nonzero(whole > 0)[0]
    middle = rows.mean() if len(rows) else 0
    part = np.where(np.arange(OUTPUT_SIDE)[:, None] < middle, whole, -6)
    return np.stack([whole, part]).astype(np.float32)


def find_nothing(planes: FloatArray) -> FloatArray:
    """Return click logits without any object."""
    return np.full((2, OUTPUT_SIDE, OUTPUT_SIDE), -9, np.float32)


def find_noise(planes: FloatArray) -> FloatArray:
    """Return random click logits that depend on the number of pixels in the discs."""
    rng = np.random.default_rng(int(planes[4:6].sum()))
    return rng.normal(0, 3, (2, OUTPUT_SIDE, OUTPUT_SIDE))


def red_photo(height: int, width: int, *boxes: Box) -> tuple[Image, BinaryMask]:
    """Return a green photo with red boxes, and their mask."""
    image = np.full((height, width, 3), (60, 130, 70), np.uint8)
    mask = np.zeros((height, width), np.bool_)
    for box in boxes:
        image[box.slices], mask[box.slices] = (220, 40, 30), True
    return image, mask


def iou(first: BinaryMask, second: BinaryMask) -> float:
    """Return the intersection over union of two masks, 0 if both are empty."""
    return float((first & second).sum() / max((first | second).sum(), 1))
