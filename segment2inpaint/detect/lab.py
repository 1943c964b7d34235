"""The CIE L*a*b* colour space, in which Euclidean distances are CIE76 colour differences."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.types import Image

LabImage = NDArray[np.float32]


def to_lab(image: Image) -> LabImage:
    """Return an sRGB image (h, w, 3) in CIE L*a*b* (D65), float32, L in [0, 100]."""
    lab: LabImage = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    return lab
