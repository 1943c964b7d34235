"""Conversions of pixel arrays: orientation, bit depth, greyscale."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from segment2inpaint.types import Image

Pixels = NDArray[Any]  # (H, W, C) uint8 or uint16; (H, W) for one alpha channel

# EXIF orientation -> (flip rows, flip columns), after the transposition of 5 to 8.
_FLIPS = {
    2: (False, True), 3: (True, True), 4: (True, False),
    6: (False, True), 7: (True, True), 8: (True, False),
}  # fmt: skip


def to_upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turn stored pixels upright, as their EXIF orientation (1 to 8) says."""
    pixels = pixels.swapaxes(0, 1) if orientation >= 5 else pixels
    return np.ascontiguousarray(_flip(pixels, orientation))


def point_to_upright(x: float, y: float, orientation: int) -> tuple[float, float]:
    """Turn a point, in fractions of the stored width and height, as ``to_upright`` does."""
    x, y = (y, x) if orientation >= 5 else (x, y)
    rows, columns = _FLIPS.get(orientation, (False, False))
    return 1 - x if columns else x, 1 - y if rows else y


def to_stored(pixels: Pixels, orientation: int) -> Pixels:
    """Turn upright pixels back to the way they are stored: the inverse of ``to_upright``."""
    pixels = _flip(pixels, orientation)
    return np.ascontiguousarray(pixels.swapaxes(0, 1) if orientation >= 5 else pixels)


def _flip(pixels: Pixels, orientation: int) -> Pixels:
    rows, columns = _FLIPS.get(orientation, (False, False))
    return pixels[:: -1 if rows else 1, :: -1 if columns else 1]


def to_8bit(pixels: Pixels) -> Pixels:
    """Convert uint16 pixels to uint8 with rounding, so that ``257 * x`` becomes x."""
    if pixels.dtype == np.uint8:
        return pixels
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def to_grey(image: Image) -> NDArray[np.uint8]:
    """Return the luma (ITU-R BT.601), (H, W) uint8, rounded as Pillow does: x for (x, x, x)."""
    return np.asarray(Pillow.fromarray(image).convert("L"))


def read_only(pixels: Pixels) -> Pixels:
    """Return the pixels as a contiguous array that cannot be written to."""
    pixels = np.ascontiguousarray(pixels)
    pixels.setflags(write=False)
    return pixels
