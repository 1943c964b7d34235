"""Masks made of boxes."""

from __future__ import annotations

import numpy as np

from segment2inpaint.types import BinaryMask, Box


def box_mask(size: tuple[int, int], *boxes: Box) -> BinaryMask:
    """Return a mask of ``size`` (h, w) that is True in some boxes."""
    mask = np.zeros(size, np.bool_)
    for box in boxes:
        mask[box.slices] = True
    return mask
