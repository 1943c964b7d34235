"""The two fills of OpenCV: fast and smooth, for scratches and small spots."""

from __future__ import annotations

from collections.abc import Sequence

from segment2inpaint.inpaint.each_crop import inpaint_each
from segment2inpaint.inpaint.smooth import NAVIER_STOKES, TELEA, smooth_fill
from segment2inpaint.protocols import Crop, InputSpec, ProgressCallback, no_progress
from segment2inpaint.types import Fill, Image


class TeleaInpainter:
    """The fast marching fill of Telea (2004)."""

    name = "telea"
    input_spec = InputSpec(uses_seed=False)

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        """Return each crop with its hole filled; nothing in ``fill`` is used."""
        return _inpaint_crops(crops, TELEA, progress)


class NavierStokesInpainter:
    """The fill that continues lines of equal brightness (Bertalmio et al. 2001)."""

    name = "ns"
    input_spec = InputSpec(uses_seed=False)

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        """Return each crop with its hole filled; nothing in ``fill`` is used."""
        return _inpaint_crops(crops, NAVIER_STOKES, progress)


def _inpaint_crops(crops: Sequence[Crop], method: int, progress: ProgressCallback) -> list[Image]:
    return inpaint_each(crops, lambda crop: smooth_fill(crop.image, crop.mask, method), progress)
