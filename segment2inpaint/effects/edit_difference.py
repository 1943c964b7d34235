"""What an editor changed besides the hole: the shadow of what it took away, its mirror image.

A model that edits whole frames by instruction takes an object away with all that it does to the
picture. Where its answer differs from what it was given, by more than its noise, and this hangs
together with the hole, the difference is the object's effect.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.types import BinaryMask, Image

NOISE = 4.0  # times the usual difference ...
LEAST = 6.0  # ... or so much, CIE76, is a change
SIGMA = 1.2  # px, over which differences are averaged
FEWEST = 64  # px beside the hole from which the usual difference is known


def object_effect(before: Image, after: Image, hole: BinaryMask) -> BinaryMask:
    """(h, w): what changed from ``before`` to ``after`` in ``hole`` and hanging together with it.

    All of one size. The editor's coder and tone change every pixel a little: the median change
    is taken off, and what is left must stand out from the median of what is left.
    """
    free = ~hole
    if np.count_nonzero(free) < FEWEST or not hole.any():
        return np.zeros_like(hole)
    apart = _lab(after) - _lab(before)
    apart -= np.median(apart[free], axis=0)
    size = np.sqrt(np.einsum("ijk,ijk->ij", apart, apart))
    changed = size > max(LEAST, NOISE * float(np.median(size[free])))
    solid = cv2.morphologyEx(changed.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, labels = cv2.connectedComponents(solid | hole.astype(np.uint8))
    joined: BinaryMask = np.isin(labels, np.unique(labels[hole])) & (solid > 0)
    return joined


def _lab(image: Image) -> NDArray[np.float32]:
    soft = cv2.GaussianBlur(image.astype(np.float32) / 255, (0, 0), SIGMA)
    return np.asarray(cv2.cvtColor(soft, cv2.COLOR_RGB2LAB))
