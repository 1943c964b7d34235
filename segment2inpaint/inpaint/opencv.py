"""The two fills of OpenCV: quick, smooth, for scratches and small spots."""

from __future__ import annotations

from collections.abc import Sequence

from segment2inpaint.inpaint.smooth import NAVIER_STOKES, TELEA, smooth
from segment2inpaint.protocols import Crop, InputSpec, ProgressCallback, no_progress
from segment2inpaint.types import Fill, Image


class TeleaInpainter:
    """The fast marching fill of Telea (2004)."""

    name = "telea"
    input_spec = InputSpec(uses_seed=False)

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        """Each crop with its hole filled from the rim inwards; nothing in ``fill`` is used."""
        return _painted(crops, TELEA, progress)


class NavierStokesInpainter:
    """The fill that carries lines of equal brightness on (Bertalmio et al. 2001)."""

    name = "ns"
    input_spec = InputSpec(uses_seed=False)

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        """Each crop with its hole filled; nothing in ``fill`` is used."""
        return _painted(crops, NAVIER_STOKES, progress)


def _painted(crops: Sequence[Crop], method: int, progress: ProgressCallback) -> list[Image]:
    painted = []
    for done, crop in enumerate(crops):
        progress("inpainting", done / len(crops))
        painted.append(smooth(crop.image, crop.mask, method))
    progress("inpainting", 1.0)
    return painted
