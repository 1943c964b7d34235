"""The two fills of OpenCV: quick, smooth, for scratches and small spots."""

from __future__ import annotations

from collections.abc import Sequence

from segment2inpaint.inpaint.smooth import NAVIER_STOKES, TELEA, smooth
from segment2inpaint.protocols import Canvas, Crop, Progress, quiet
from segment2inpaint.types import Fill, Image


class Telea:
    """The fast marching fill of Telea (2004)."""

    name = "telea"
    canvas = Canvas(seeded=False)

    def inpaint(self, crops: Sequence[Crop], fill: Fill, progress: Progress = quiet) -> list[Image]:
        """Each crop with its hole filled from the rim inwards; nothing in ``fill`` is used."""
        return _painted(crops, TELEA, progress)


class NavierStokes:
    """The fill that carries lines of equal brightness on (Bertalmio et al. 2001)."""

    name = "ns"
    canvas = Canvas(seeded=False)

    def inpaint(self, crops: Sequence[Crop], fill: Fill, progress: Progress = quiet) -> list[Image]:
        """Each crop with its hole filled; nothing in ``fill`` is used."""
        return _painted(crops, NAVIER_STOKES, progress)


def _painted(crops: Sequence[Crop], method: int, progress: Progress) -> list[Image]:
    painted = []
    for done, crop in enumerate(crops):
        progress("inpainting", done / len(crops))
        painted.append(smooth(crop.image, crop.bits, method))
    progress("inpainting", 1.0)
    return painted
