"""Tell which of the objects found in a photo a click means.

The object network knows how far objects of common kinds reach, but not which one is meant; the
click network's answer tells that. A mask in a found object's box counts if it overlaps with the
click network's own, and the two are blended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segment2inpaint.networks.click import MASK_CELL, resample_logits
from segment2inpaint.networks.letterbox import Letterbox
from segment2inpaint.networks.objects import FoundObject
from segment2inpaint.types import BinaryMask, Box, FloatArray

# IoU of the mask in an object's box with that of the click alone: from AGREEMENT on, the object is
# taken without another look, and below MIN_AGREEMENT it is another one.
AGREEMENT, MIN_AGREEMENT = 0.7, 0.3
LIKELY_OBJECT = 0.3  # score of an object that is taken if a click agrees with it
SURE_OBJECT = 0.7  # score of an object that is taken although the click network sees another one
CLICK_WEIGHT = 0.35  # of the mask of the click alone, in the blend
MAX_LOGIT = 4.0  # logits are clipped to +- this in the blend


@dataclass(frozen=True, eq=False)
class ObjectAtClick:
    """A found object that a click means, and the logits (h, w) of the click alone in a frame."""

    box: Box
    letterbox: Letterbox
    logits: FloatArray

    def blend_with(self, logits: FloatArray, letterbox: Letterbox) -> FloatArray:
        """Return the logits (h, w) of the object's box in a frame, blended with the click's."""
        alone = in_frame(letterbox, self.letterbox, self.logits, logits.shape)
        one, other = (np.clip(values, -MAX_LOGIT, MAX_LOGIT) for values in (alone, logits))
        blended: FloatArray = CLICK_WEIGHT * one + (1 - CLICK_WEIGHT) * other
        return blended


def in_frame(
    frame: Letterbox, source: Letterbox, logits: FloatArray, shape: tuple[int, ...]
) -> FloatArray:
    """Return logits of a ``source`` frame as logits (h, w) = ``shape`` of another ``frame``.

    They are negative where the other frame sees no photo.
    """
    height, width = (-(-side // MASK_CELL) for side in frame.size)
    moved = np.full(shape, -MAX_LOGIT, np.float32)
    moved[:height, :width] = resample_logits(source, logits, frame.window, (height, width))
    return moved


def agreeing_box(
    found: Sequence[FoundObject], masks: Sequence[FloatArray], click: FloatArray, least: float
) -> Box | None:
    """Return the box of the object with which a click agrees best, None below ``least``.

    ``masks`` are the logits (h, w) of the click in each object's box, ``click`` those of the click
    alone. The agreement is their IoU; an object's score counts as much. There is none either if
    the best one is a possible object only.
    """
    agreements = [_iou(mask > 0, click > 0) for mask in masks]
    ratings = [agreement + o.score for agreement, o in zip(agreements, found, strict=True)]
    best = ratings.index(max(ratings))
    is_object = agreements[best] > least and found[best].score > LIKELY_OBJECT
    return found[best].box if is_object else None


def sure_box(found: Sequence[FoundObject]) -> Box | None:
    """Return the box of the surest object, None if it is not sure."""
    surest = max(found, key=lambda o: o.score)
    return surest.box if surest.score > SURE_OBJECT else None


def _iou(one: BinaryMask, other: BinaryMask) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))
