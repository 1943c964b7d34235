"""The red outline by which some models are told what to remove."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from segment2inpaint.inpaint.diffusion.call import object_mask
from segment2inpaint.protocols import Crop
from segment2inpaint.types import bounding_box

RED = (255, 0, 0)
WIDTH = 3  # px
DISTANCE = 3  # px, from the object's box


def outline_object(crop: Crop) -> Crop:
    """Return the crop with a red rectangle around its object, to be repainted as a whole.

    The model removes the rectangle together with the object.
    """
    mask = object_mask(crop)
    if not mask.any():
        return crop
    box, image = bounding_box(mask), crop.image.copy()
    height, width = mask.shape
    top_left = max(0, box.x0 - DISTANCE), max(0, box.y0 - DISTANCE)
    bottom_right = min(width, box.x1 + DISTANCE) - 1, min(height, box.y1 + DISTANCE) - 1
    cv2.rectangle(image, top_left, bottom_right, RED, WIDTH)
    return replace(crop, image=image, mask=np.ones_like(mask), object_mask=mask)
