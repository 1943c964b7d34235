"""The two fills of OpenCV: quick, smooth, for scratches and small spots."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from segment2inpaint.types import Canvas, Crop, Fill, Image, Progress, quiet

# Neighbourhood that a pixel is painted from, px. Larger only blurs, and costs its square.
RADIUS = 3.0


class Telea:
    """The fast marching fill of Telea (2004)."""

    name = "telea"
    canvas = Canvas()

    def inpaint(self, crops: Sequence[Crop], fill: Fill, progress: Progress = quiet) -> list[Image]:
        """Each crop with its hole filled from the rim inwards; nothing in ``fill`` is used."""
        return _painted(crops, cv2.INPAINT_TELEA, progress)


class NavierStokes:
    """The fill that carries lines of equal brightness on (Bertalmio et al. 2001)."""

    name = "ns"
    canvas = Canvas()

    def inpaint(self, crops: Sequence[Crop], fill: Fill, progress: Progress = quiet) -> list[Image]:
        """Each crop with its hole filled; nothing in ``fill`` is used."""
        return _painted(crops, cv2.INPAINT_NS, progress)


def _painted(crops: Sequence[Crop], method: int, progress: Progress) -> list[Image]:
    painted = []
    for done, crop in enumerate(crops):
        progress("inpainting", done / len(crops))
        hole = crop.bits.astype(np.uint8)
        painted.append(np.asarray(cv2.inpaint(crop.image, hole, RADIUS, method), np.uint8))
    progress("inpainting", 1.0)
    return painted
