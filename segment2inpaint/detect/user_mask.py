"""The user's own mask as a detector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segment2inpaint.detect.prompts import accept, limit
from segment2inpaint.errors import BadPrompt
from segment2inpaint.types import Box, Detection, Image, Points, Prompt, UserMask


class UserMaskDetector:
    """Takes masks as they are; each is one object. Points and boxes choose among its parts."""

    name = "mask"
    prompt_types: tuple[type, ...] = (UserMask, Points, Box)

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        """A mask for each ``OwnMask`` that is not empty. Raises ``BadPrompt``."""
        prompts = accept(self.name, self.prompt_types, prompts, image.shape[:2])
        own = [p for p in prompts if isinstance(p, UserMask)]
        if not own:
            raise BadPrompt(f"{self.name}: points and boxes only limit a mask, give a mask too")
        found = (limit(mask.mask, prompts) for mask in own)
        return [Detection(np.array(bits), from_user=True) for bits in found if bits.any()]
