"""The shadow that an object casts, and its mirror image, which should be removed with it.

A small network says for each pixel whether the object darkens it or is mirrored there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp, log

import cv2
import numpy as np

from segment2inpaint.masks import components_at
from segment2inpaint.networks.shadow import ask_shadow_network
from segment2inpaint.types import Alpha, BinaryMask, Image, Point, bounding_box

# Certainties from which a shadow is removed: if the user asks for it, and without being asked.
REQUESTED_CERTAINTY, AUTOMATIC_CERTAINTY = 0.1, 0.5
MAX_OBJECT_SHARE = 0.5  # of the photo: the network knows no larger ones, such as a background
PIXEL_PROBABILITY = 0.4  # from which a pixel is a part of the shadow
# The certainty's logit is that of the network times the first, plus the second. They are fitted on
# outlined photos that a network like it had not seen (``models.training.shadow.tune``): there, half
# of the objects with a certainty of 0.5 have a shadow.
CALIBRATION = (0.83, -1.31)


@dataclass(frozen=True, eq=False)
class Shadow:
    """A shadow: ``mask`` (H, W) bool without the object, empty if none was found.

    ``certainty`` is in [0, 1].
    """

    mask: BinaryMask
    certainty: float

    def without(self, points: Sequence[Point]) -> Shadow:
        """Return the shadow without the connected parts at the points (x, y), which are to stay."""
        if not any(self.mask[y, x] for x, y in points):
            return self
        kept = components_at(self.mask, (), points)
        return Shadow(kept, self.certainty if kept.any() else 0.0)

    def goes_with_object(self, wanted: bool | None, alpha: Alpha) -> bool:
        """Return whether it goes with its object: if ``wanted``, or None and it would be missed.

        ``alpha`` (H, W) is that of the objects.
        """
        if wanted is None:
            return self.remaining_certainty(alpha) >= AUTOMATIC_CERTAINTY
        return wanted and self.certainty >= REQUESTED_CERTAINTY

    def remaining_certainty(self, alpha: Alpha) -> float:
        """Return the certainty times the share of the shadow where ``alpha`` (H, W) is 0."""
        area, remaining = (int(part.sum()) for part in (self.mask, self.mask & (alpha == 0)))
        return self.certainty * remaining / max(1, area)


def find_shadow(image: Image, mask: BinaryMask) -> Shadow:
    """Return the likeliest shadow of an object.

    ``image`` is (H, W, 3) uint8 RGB, ``mask`` (H, W) bool the object. None is found of one that
    fills more than half of the photo. Raises ``BadModel`` and ``ModelMissing`` if a network's file
    is missing.
    """
    none = Shadow(np.zeros_like(mask), 0.0)
    if not mask.any() or mask.mean() > MAX_OBJECT_SHARE:
        return none
    answer = ask_shadow_network(image, mask)
    found = np.zeros_like(mask)
    found[answer.box.slices] = answer.probability > PIXEL_PROBABILITY
    found &= ~mask
    return Shadow(found, _calibrate(answer.certainty)) if found.any() else none


def _calibrate(certainty: float) -> float:
    slope, constant = CALIBRATION
    logit = log((certainty + 1e-3) / (1 - certainty + 1e-3))
    return 1 / (1 + exp(-slope * logit - constant))


def add_shadows(alpha: Alpha, shadows: Sequence[Shadow], softness: float) -> Alpha:
    """Return an alpha (H, W) with shadows, each with a soft edge of ``softness`` px, 1 or more."""
    softness, both = max(softness, 1.0), alpha.copy()
    for shadow in shadows:
        box = bounding_box(shadow.mask).expand(ceil(softness) + 1, shadow.mask.shape)
        soft = shadow_alpha(Shadow(shadow.mask[box.slices], shadow.certainty), softness)
        np.maximum(both[box.slices], soft, out=both[box.slices])
    return both


def shadow_alpha(shadow: Shadow, softness: float) -> Alpha:
    """Return (H, W) float32: 1 on a shadow, falling smoothly to 0 at ``softness`` px from it."""
    distance = cv2.distanceTransform((~shadow.mask).astype(np.uint8), cv2.DIST_L2, 5)
    t = np.clip(1 - distance / softness, 0, 1)
    alpha: Alpha = np.where(shadow.mask, 1, t * t * (3 - 2 * t)).astype(np.float32)
    return alpha if shadow.mask.any() else np.zeros(shadow.mask.shape, np.float32)
