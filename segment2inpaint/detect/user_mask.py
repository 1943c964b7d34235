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
        found = (_detection(p, prompts) for p in user_masks)
        return [detection for detection in found if detection.mask.any()]


def _detection(prompt: UserMask, prompts: Sequence[Prompt]) -> Detection:
    """Return the part of a user mask that points and boxes select, with the alpha of a soft one."""
    if prompt.alpha is None:
        return Detection(np.array(limit_mask(prompt.mask, prompts)), from_user=True)
    selected = limit_mask(prompt.alpha > 0, prompts)
    alpha = np.where(selected, prompt.alpha, np.float32(0))
    return Detection(prompt.mask & selected, from_user=True, alpha=alpha)
