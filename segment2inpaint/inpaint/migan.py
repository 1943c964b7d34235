"""MI-GAN: a light learned fill that ships with the package and needs no prompt."""

from __future__ import annotations

from collections.abc import Sequence

from segment2inpaint.inpaint.each_crop import inpaint_each
from segment2inpaint.networks.background import paint_background
from segment2inpaint.protocols import Crop, InputSpec, ProgressCallback, no_progress
from segment2inpaint.types import Fill, Image


class MiganInpainter:
    """Fills holes by the background network; the result does not depend on the seed."""

    name = "migan"
    input_spec = InputSpec(padding_share=1.0, min_side=256, uses_seed=False)

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        """Return each crop with its hole filled; nothing in ``fill`` is used."""
        return inpaint_each(crops, lambda crop: paint_background(crop.image, crop.mask), progress)
