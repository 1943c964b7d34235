"""Lossless AVIF, which Pillow cannot write: OpenCV stores RGB as it is at quality 100."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.images.pixels import Pixels

_SPEED = 8  # of 0 to 10


@lru_cache
def can_write_lossless() -> bool:
    """Return whether OpenCV writes AVIF, with metadata."""
    return hasattr(cv2, "imencodeWithMetadata") and bool(cv2.haveImageWriter("a.avif"))


def encode_lossless(pixels: Pixels, exif: bytes, icc_profile: bytes, xmp: bytes) -> bytes:
    """Return a lossless AVIF of RGB or RGBA pixels, uint8. Raises ``ValueError``."""
    parts = {
        cv2.IMAGE_METADATA_EXIF: exif.removeprefix(b"Exif\0\0"),
        cv2.IMAGE_METADATA_ICCP: icc_profile,
        cv2.IMAGE_METADATA_XMP: xmp,
    }
    kinds = [kind for kind, part in parts.items() if part]
    chunks: list[NDArray[np.uint8]] = [np.frombuffer(parts[kind], np.uint8) for kind in kinds]
    bgr = np.ascontiguousarray(pixels[..., [2, 1, 0, 3][: pixels.shape[2]]])
    options = [cv2.IMWRITE_AVIF_QUALITY, 100, cv2.IMWRITE_AVIF_SPEED, _SPEED]
    try:
        done, data = cv2.imencodeWithMetadata(".avif", bgr, kinds, chunks, options)
    except cv2.error as error:
        raise ValueError(str(error)) from error
    if not done:
        raise ValueError("the AVIF encoder failed")
    return bytes(data.tobytes())
