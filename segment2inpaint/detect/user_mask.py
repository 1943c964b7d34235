"""A detector for masks that the user brings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segment2inpaint.detect.prompts import check_for_detector, limit_mask
from segment2inpaint.errors import BadPrompt
from segment2inpaint.types import Box, Detection, Image, Points, Prompt, UserMask


class UserMaskDetector:
    """Return user masks unchanged, one object each. Points and boxes select parts of them."""

    name = "mask"
    prompt_types: tuple[type, ...] = (UserMask, Points, Box)

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        """Return a detection for each ``UserMask`` that is not empty. Raises ``BadPrompt``."""
        prompts = check_for_detector(self.name, self.prompt_types, prompts, image.shape[:2])
        user_masks = [p for p in prompts if isinstance(p, UserMask)]
        if not user_masks:
            raise BadPrompt(f"{self.name}: points and boxes only limit a mask; add a mask")
        limited = (limit_mask(p.mask, prompts) for p in user_masks)
        return [Detection(np.array(mask), from_user=True) for mask in limited if mask.any()]
