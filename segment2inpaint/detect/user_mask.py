"""The user's own mask as a detector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segment2inpaint.detect.prompts import accept, limit
from segment2inpaint.errors import BadPrompt
from segment2inpaint.types import Box, Image, Mask, OwnMask, Points, Prompt


class MaskDetector:
    """Takes masks as they are; each is one object. Points and boxes choose among its parts."""

    name = "mask"
    takes: tuple[type, ...] = (OwnMask, Points, Box)

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Mask]:
        """A mask for each ``OwnMask`` that is not empty. Raises ``BadPrompt``."""
        prompts = accept(self.name, self.takes, prompts, image.shape[:2])
        own = [p for p in prompts if isinstance(p, OwnMask)]
        if not own:
            raise BadPrompt(f"{self.name}: points and boxes only limit a mask, give a mask too")
        for mask in own:
            _check_size(mask, image)
        found = (limit(mask.bits, prompts) for mask in own)
        return [Mask(np.array(bits), own=True) for bits in found if bits.any()]


def _check_size(mask: OwnMask, image: Image) -> None:
    if mask.bits.shape != image.shape[:2]:
        (h, w), (height, width) = mask.bits.shape, image.shape[:2]
        raise BadPrompt(
            f"mask {mask.source or 'given'} is {w} x {h} px, expected the photo's "
            f"{width} x {height} px"
        )
