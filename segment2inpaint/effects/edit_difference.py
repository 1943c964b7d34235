"""The effects of an object, such as its shadow, by what an image editor changed besides the hole.

A model that edits whole images by instruction removes an object together with its effects on the
picture. Where the edited image differs from the original by more than noise, and the difference
is connected to the hole, it is an effect of the object.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.types import BinaryMask, Image

# A pixel is changed if its CIE76 difference is above both of these: a multiple of the median
# difference outside the hole, and a fixed difference.
NOISE_FACTOR = 4.0
MIN_COLOR_DIFFERENCE = 6.0
BLUR_SIGMA = 1.2  # px, over which colours are averaged
MIN_SAMPLES = 64  # px outside the hole that are needed to know the median difference


def object_effect(before: Image, after: Image, hole: BinaryMask) -> BinaryMask:
    """Return the mask (h, w) of the pixels that changed in the hole or connected to it.

    ``before``, ``after`` and ``hole`` have one size. An editor's autoencoder and tone change every
    pixel a little, so the median change is subtracted first, and the rest must stand out from the
    median of the rest. The mask is empty if the hole is empty or leaves too few pixels to compare.
    """
    outside = ~hole
    if np.count_nonzero(outside) < MIN_SAMPLES or not hole.any():
        return np.zeros_like(hole)
    change = _blurred_lab(after) - _blurred_lab(before)
    change -= np.median(change[outside], axis=0)
    difference = np.sqrt(np.einsum("ijk,ijk->ij", change, change))
    noise = float(np.median(difference[outside]))
    changed = difference > max(MIN_COLOR_DIFFERENCE, NOISE_FACTOR * noise)
    opened = cv2.morphologyEx(changed.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, labels = cv2.connectedComponents(opened | hole.astype(np.uint8))
    connected: BinaryMask = np.isin(labels, np.unique(labels[hole])) & (opened > 0)
    return connected


def _blurred_lab(image: Image) -> NDArray[np.float32]:
    blurred = cv2.GaussianBlur(image.astype(np.float32) / 255, (0, 0), BLUR_SIGMA)
    return np.asarray(cv2.cvtColor(blurred, cv2.COLOR_RGB2LAB))
