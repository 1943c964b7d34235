"""Tell which of the objects found in a photo a click means.

The object network knows how far objects of common kinds reach, but not which one is meant; the
click network's answer tells that. A mask in a found object's box counts if it overlaps with the
click network's own, and the two are blended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from segment2inpaint.networks.click import MASK_CELL, resample_logits
from segment2inpaint.networks.letterbox import Letterbox
from segment2inpaint.networks.objects import FoundObject
from segment2inpaint.types import BinaryMask, Box, FloatArray

# IoU of the mask in an object's box with that of the click alone: from SAME on, the latter is taken
# as it is; from AGREEMENT on, without another look; below MIN_AGREEMENT the object is another one.
SAME, AGREEMENT, MIN_AGREEMENT = 0.95, 0.7, 0.3
LIKELY_OBJECT = 0.3  # score of an object that is taken if a click agrees with it
SURE_OBJECT = 0.7  # score of an object that is taken although the click network sees another one
CLICK_WEIGHT = 0.35  # of the mask of the click alone, in the blend
MAX_LOGIT = 4.0  # logits are clipped to +- this in the blend
# Kinds of COCO: bags, umbrellas, ties, boards, bats, rackets, balls and phones belong to the person
# who holds, wears or stands on them.
PERSON, HELD = 0, frozenset({*range(24, 39), 67})
LIKELY_HELD = 0.4  # score of a thing that a person holds
# What is held lies in the person's box, enlarged by NEAR on each side, with this share of its own.
NEAR, MIN_NEAR_SHARE = 0.35, 0.5
MAX_GAP = 1  # cells between a person and what is held


@dataclass(frozen=True, eq=False)
class ObjectAtClick:
    """A found object that a click means, and the logits (h, w) of the click alone in a frame.

    ``agreement`` is the IoU of the click's mask with that in the box, ``held`` are the boxes of
    things that belong to the object.
    """

    box: Box
    letterbox: Letterbox
    logits: FloatArray
    agreement: float = 0.0
    held: tuple[Box, ...] = ()

    def is_same_in(self, letterbox: Letterbox) -> bool:
        """Return whether the mask of the click alone is taken as it is in a frame."""
        return self.agreement >= SAME and letterbox == self.letterbox

    def blend_with(self, logits: FloatArray, letterbox: Letterbox) -> FloatArray:
        """Return the logits (h, w) of the object's box in a frame, blended with the click's."""
        alone = in_frame(letterbox, self.letterbox, self.logits, logits.shape)
        one, other = (np.clip(values, -MAX_LOGIT, MAX_LOGIT) for values in (alone, logits))
        blended: FloatArray = CLICK_WEIGHT * one + (1 - CLICK_WEIGHT) * other
        return blended


def with_held(person: FloatArray, things: Sequence[FloatArray]) -> FloatArray:
    """Return the logits (h, w) of a person with those of the things that touch the person."""
    kernel = np.ones((2 * MAX_GAP + 1, 2 * MAX_GAP + 1), np.uint8)
    reach = cv2.dilate((person > 0).astype(np.uint8), kernel) > 0
    held = [thing for thing in things if (reach & (thing > 0)).any()]
    joined: FloatArray = np.maximum.reduce([person, *held])
    return joined


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


def agreeing_object(
    found: Sequence[FoundObject], masks: Sequence[FloatArray], click: FloatArray, least: float
) -> tuple[FoundObject, float] | None:
    """Return the object with which a click agrees best, and the agreement; None below ``least``.

    ``masks`` are the logits (h, w) of the click in each object's box, ``click`` those of the click
    alone. The agreement is their IoU; an object's score counts as much. None is returned as well
    if the best one is not a likely object.
    """
    agreements = [_iou(mask > 0, click > 0) for mask in masks]
    ratings = [agreement + o.score for agreement, o in zip(agreements, found, strict=True)]
    best = ratings.index(max(ratings))
    is_object = agreements[best] > least and found[best].score > LIKELY_OBJECT
    return (found[best], agreements[best]) if is_object else None


def sure_object(found: Sequence[FoundObject]) -> tuple[FoundObject, float] | None:
    """Return the surest object, with which a click does not agree; None if it is not sure."""
    surest = max(found, key=lambda o: o.score)
    return (surest, 0.0) if surest.score > SURE_OBJECT else None


def near_things(person: FoundObject, found: Sequence[FoundObject]) -> tuple[Box, ...]:
    """Return the boxes of the things that an object may hold; none if it is no person."""
    if person.kind != PERSON:
        return ()
    likely = (o.box for o in found if o.kind in HELD and o.score > LIKELY_HELD)
    return tuple(box for box in likely if _near_share(box, person.box) >= MIN_NEAR_SHARE)


def _near_share(thing: Box, person: Box) -> float:
    """Return the share of a thing's box that lies in or near that of a person."""
    beside, above = NEAR * person.width, NEAR * person.height
    width = min(thing.x1, person.x1 + beside) - max(thing.x0, person.x0 - beside)
    height = min(thing.y1, person.y1 + above) - max(thing.y0, person.y0 - above)
    return max(0.0, width) * max(0.0, height) / (thing.width * thing.height)


def _iou(one: BinaryMask, other: BinaryMask) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))
