"""A second detection in the result, which settles doubts about what is there now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from segment2inpaint.judgement import Check
from segment2inpaint.protocols import Detector
from segment2inpaint.types import Alpha, BinaryMask, Box, Detection, Image, Points, Prompt

# Intersection over union from which a detector's second mask is the old object.
SAME_OBJECT_IOU = 0.8
# Share of a detector's second mask inside the hole from which it is a new object.
NEW_OBJECT_SHARE = 0.99
MAX_REDETECT_SIDE = 256  # px, long side of the crop for a second detection
# The checks that a second detection can settle, with clicks and with boxes as prompts. In a box a
# detector finds something in any case.
SETTLED_BY_CLICKS, SETTLED_BY_BOXES = ("ghost", "stranger"), ("ghost",)


def redetect(
    checks: Sequence[Check],
    detector: Detector,
    after: Image,
    prompts: Sequence[Prompt],
    alpha: Alpha,
    object_mask: BinaryMask,
    box: Box,
) -> tuple[Check, ...]:
    """Return the checks after a second detection in ``box`` with the same clicks and boxes.

    The detector runs only if it can settle a doubtful check, because it can take as long as the
    first time. A check fails if the detector finds the old object, or, at a click, something that
    lies in the hole.
    """
    by_clicks = all(isinstance(p, Points) for p in prompts)
    names = SETTLED_BY_CLICKS if by_clicks else SETTLED_BY_BOXES
    doubtful = [c for c in checks if c.name in names and c.doubtful and not c.failed]
    if not doubtful or not all(isinstance(p, Points | Box) for p in prompts):
        return tuple(checks)
    scale = min(1.0, MAX_REDETECT_SIDE / max(box.width, box.height))
    size = max(1, round(box.width * scale)), max(1, round(box.height * scale))
    local_prompts = [moved for p in prompts if (moved := _to_crop(p, box, size)) is not None]
    if not local_prompts:
        return tuple(checks)
    detections = detector.detect(_resize(after[box.slices], size), local_prompts)
    old_mask, hole = (
        _resize(mask[box.slices].astype(np.uint8), size) > 0 for mask in (object_mask, alpha > 0)
    )
    sentences = _redetected_sentences(detections, old_mask, hole, by_clicks)
    return tuple(
        replace(check, score=check.threshold, sentence=sentences[check.name])
        if check in doubtful and check.name in sentences
        else check
        for check in checks
    )


def _resize(image: Image, size: tuple[int, int]) -> Image:
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _redetected_sentences(
    detections: Sequence[Detection], old_mask: BinaryMask, hole: BinaryMask, by_clicks: bool
) -> dict[str, str]:
    """Return the sentence of each check that fails by the second detection."""
    iou = max((_mask_iou(detection.mask, old_mask) for detection in detections), default=0.0)
    if iou >= SAME_OBJECT_IOU:
        sentence = f"the detector finds the object again (overlap {iou:.2f})"
        return dict.fromkeys(SETTLED_BY_CLICKS, sentence)
    if by_clicks and any(_is_new(detection.mask, hole) for detection in detections):
        return {"stranger": "the detector finds something new at the click"}
    return {}


def _is_new(mask: BinaryMask, hole: BinaryMask) -> bool:
    return bool(mask.any() and hole[mask].mean() >= NEW_OBJECT_SHARE)


def _mask_iou(first: BinaryMask, second: BinaryMask) -> float:
    return float((first & second).sum() / max(1, (first | second).sum()))


def _to_crop(prompt: Prompt, box: Box, size: tuple[int, int]) -> Prompt | None:
    """Return a prompt for the crop ``box`` resized to ``size`` (w, h).

    None for prompts that are no clicks or boxes, or lie outside the crop.
    """

    def scale(x: int, y: int) -> tuple[int, int]:
        return (x - box.x0) * size[0] // box.width, (y - box.y0) * size[1] // box.height

    if isinstance(prompt, Points):
        include, exclude = (
            tuple(scale(x, y) for x, y in points if box.contains((x, y)))
            for points in (prompt.include, prompt.exclude)
        )
        return Points(include, exclude, prompt.granularity) if include else None
    if isinstance(prompt, Box) and prompt.overlaps(box):
        x0, y0 = scale(max(prompt.x0, box.x0), max(prompt.y0, box.y0))
        x1, y1 = scale(min(prompt.x1, box.x1) - 1, min(prompt.y1, box.y1) - 1)
        return Box(x0, y0, x1 + 1, y1 + 1)
    return None
