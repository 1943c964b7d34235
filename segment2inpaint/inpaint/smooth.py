"""Smooth fills by OpenCV that also work at the edge of a crop."""

from __future__ import annotations

import cv2
import numpy as np

from segment2inpaint.types import BinaryMask, Image

TELEA, NAVIER_STOKES = cv2.INPAINT_TELEA, cv2.INPAINT_NS

# Radius in px from which a pixel is painted. A larger one only blurs, and time grows as its square.
SAMPLING_RADIUS = 3.0


def smooth_fill(image: Image, mask: BinaryMask, method: int = TELEA) -> Image:
    """Return a copy of the image with the masked pixels filled from the border of the hole.

    ``image`` is (H, W, 3) uint8, ``mask`` (H, W) bool. ``method`` is ``TELEA`` (fast marching,
    Telea 2004) or ``NAVIER_STOKES`` (lines of equal brightness are continued, Bertalmio et al.
    2001). The pixels in the hole are not read. If the mask is full or empty, the image is returned
    unchanged.
    """
    if mask.all() or not mask.any():
        return image.copy()
    # OpenCV neither paints the outermost pixels nor stops reading them. So one more row or column
    # is added on each side and cut off again, and the hole is blanked first.
    blank = image.copy()
    mean = cv2.mean(image, (~mask).astype(np.uint8))[:3]
    blank[mask] = np.round(mean)
    padded_image, padded_mask = (
        cv2.copyMakeBorder(a, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
        for a in (blank, mask.astype(np.uint8))
    )
    filled: Image = cv2.inpaint(padded_image, padded_mask, SAMPLING_RADIUS, method)
    return filled[1:-1, 1:-1].copy()
