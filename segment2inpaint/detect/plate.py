"""The difference from a photo of the same scene without the object."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.detect.prompts import accept, limit
from segment2inpaint.types import BadPrompt, Bits, Box, Image, Mask, Plate, Points, Prompt


class PlateDetector:
    """Takes clean plates: what differs from all of them is one object."""

    name = "plate"
    takes: tuple[type, ...] = (Plate, Points, Box)

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Mask]:
        """One mask, or none where nothing differs. Raises ``BadPrompt``."""
        prompts = accept(self.name, self.takes, prompts, image.shape[:2])
        plates = [p for p in prompts if isinstance(p, Plate)]
        if not plates:
            raise BadPrompt(f"{self.name}: points and boxes only limit a plate, give a plate too")
        bits = np.ones(image.shape[:2], np.bool_)
        for plate in plates:
            _check_size(plate, image)
            bits &= _changed(image, plate.image)
        bits = limit(bits, prompts)
        return [Mask(bits)] if bits.any() else []


def _check_size(plate: Plate, image: Image) -> None:
    if plate.image.shape != image.shape:
        (h, w), (height, width) = plate.image.shape[:2], image.shape[:2]
        raise BadPrompt(
            f"plate {plate.source or 'given'} is {w} x {h} px, expected the photo's "
            f"{width} x {height} px"
        )


def _changed(image: Image, plate: Image) -> Bits:
    difference = _difference(image, plate)
    centre = float(np.median(difference))
    sigma = 1.4826 * float(np.median(np.abs(difference - centre)))
    low = max(centre + 6 * sigma, 4.0)
    return _hysteresis(difference, low, 2 * low)


def _difference(image: Image, plate: Image) -> NDArray[np.float32]:
    a, b = (cv2.GaussianBlur(i.astype(np.float32) / 255, (0, 0), 1.5) for i in (image, plate))
    lab = [cv2.cvtColor(i, cv2.COLOR_RGB2Lab) for i in (a, b)]
    difference: NDArray[np.float32] = np.linalg.norm(lab[0] - lab[1], axis=2)
    return difference


def _hysteresis(difference: NDArray[np.float32], low: float, high: float) -> Bits:
    """Components above ``low`` that somewhere exceed ``high`` (Canny 1986)."""
    count, labels = cv2.connectedComponents((difference > low).astype(np.uint8))
    keep = np.zeros(count, np.bool_)
    keep[labels[difference > high]] = True
    keep[0] = False
    kept: Bits = keep[labels]
    return kept
