"""Smooth fills by OpenCV, made safe at the crop's edge."""

from __future__ import annotations

import cv2
import numpy as np

from segment2inpaint.types import BinaryMask, Image

TELEA, NAVIER_STOKES = cv2.INPAINT_TELEA, cv2.INPAINT_NS

# Neighbourhood that a pixel is painted from, px. Larger only blurs, and costs its square.
RADIUS = 3.0


def smooth(image: Image, hole: BinaryMask, method: int = TELEA) -> Image:
    """The image with its hole filled from the rim inwards, the same whatever was in the hole.

    ``method`` is ``TELEA`` (fast marching, Telea 2004) or ``NAVIER_STOKES`` (lines of equal
    brightness are carried on, Bertalmio et al. 2001). An image that is all hole stays.
    """
    if hole.all() or not hole.any():
        return image.copy()
    # OpenCV neither paints the outermost pixels nor keeps them from the others: so it gets one
    # more all round, which are cut off again, and nothing of what was in the hole.
    blank = image.copy()
    mean = cv2.mean(image, (~hole).astype(np.uint8))[:3]
    blank[hole] = np.round(mean)
    wide, mask = (
        cv2.copyMakeBorder(a, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
        for a in (blank, hole.astype(np.uint8))
    )
    filled: Image = cv2.inpaint(wide, mask, RADIUS, method)
    return filled[1:-1, 1:-1].copy()
