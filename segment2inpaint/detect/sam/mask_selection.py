"""Choose among the masks that a model predicts for one prompt, and remove specks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.networks.click import ObjectPrompt
from segment2inpaint.types import BinaryMask, Point, bounding_box

MAX_AREA = 0.6  # of the photo, for a mask that no box asked for
MIN_AREA_IN_BOX = 0.8  # of the mask, in the box that asked for it
TIE = 0.05  # difference of quality up to which the larger mask is taken
MIN_RELATIVE_QUALITY = 0.5  # of the best quality, for a mask to count as a part or a whole
STABILITY_SCORE_OFFSET = 1.0  # logits; the value of segment_anything
MIN_ISLAND_AREA = 0.02  # of the largest island; smaller ones are removed
MIN_HOLE_AREA = 0.01  # of the mask; smaller holes are filled


class MaskChoice(NamedTuple):
    """The index of the chosen mask, and whether that mask agrees with the prompt."""

    mask_index: int
    fits: bool


def choose_mask(
    logits: NDArray[np.float32],
    scores: NDArray[np.float32],
    prompt: ObjectPrompt,
    scale: tuple[float, float] = (1.0, 1.0),
) -> MaskChoice | None:
    """Return which of several masks to take, None if all are empty.

    ``logits`` (n, h, w) and ``scores`` (n,), the predicted IoU; ``scale`` (x, y) is the number
    of their pixels per photo pixel. A mask that misses an include point, holds an exclude point,
    extends far out of the box or covers most of the photo is taken only if all masks do. Among
    nearly equal masks the largest is taken, because an object that is left over in part is the
    worse failure. The prompt's granularity asks instead for the smallest, the middle or the
    largest of the good masks.
    """
    masks = logits > 0
    filled = [i for i in range(len(masks)) if masks[i].any()]
    fitting = [i for i in filled if _fits(masks[i], prompt, scale)]
    candidates = fitting or filled
    if not candidates:
        return None
    quality = {i: scores[i] * (0.5 + 0.5 * stability_score(logits[i])) for i in candidates}
    best = max(quality.values())
    tolerance = TIE if prompt.granularity == "auto" else (1 - MIN_RELATIVE_QUALITY) * abs(best)
    good = [i for i in candidates if quality[i] >= best - tolerance]
    good.sort(key=lambda i: int(masks[i].sum()))
    position = {"part": 0, "object": len(good) // 2}.get(prompt.granularity, -1)
    return MaskChoice(good[position], bool(fitting))


def _fits(mask: BinaryMask, prompt: ObjectPrompt, scale: tuple[float, float]) -> bool:
    height, width = mask.shape

    def holds(point: Point) -> bool:
        x, y = (int((c + 0.5) * s) for c, s in zip(point, scale, strict=True))
        return bool(mask[min(y, height - 1), min(x, width - 1)])

    if not all(map(holds, prompt.include)) or any(map(holds, prompt.exclude)):
        return False
    if prompt.box is None:
        return bool(mask.mean() < MAX_AREA)
    x0, y0, x1, y1 = (round(c * s) for c, s in zip(prompt.box, 2 * scale, strict=True))
    return bool(mask[y0:y1, x0:x1].sum() >= MIN_AREA_IN_BOX * mask.sum())


def stability_score(logits: NDArray[np.float32]) -> float:
    """Return the IoU of the masks at a higher and a lower threshold, 0 for an empty mask.

    The measure of segment_anything's ``calculate_stability_score``.
    """
    loose = np.count_nonzero(logits > -STABILITY_SCORE_OFFSET)
    return np.count_nonzero(logits > STABILITY_SCORE_OFFSET) / loose if loose else 0.0


def remove_specks(mask: BinaryMask, prompt: ObjectPrompt) -> BinaryMask:
    """Return the mask, (H, W), without small islands and small holes.

    An island that holds an include point stays. A hole that holds an exclude point or touches
    the edge of the mask's box stays.
    """
    box = bounding_box(mask)
    if not box.width:
        return mask
    cleaned = np.zeros_like(mask)
    include, exclude = (
        [(x - box.x0, y - box.y0) for x, y in points if box.contains((x, y))]
        for points in (prompt.include, prompt.exclude)
    )
    solid = _without_islands(mask[box.slices], include)
    cleaned[box.slices] = solid | _small_holes(~solid, MIN_HOLE_AREA * solid.sum(), exclude)
    return cleaned


def _without_islands(mask: BinaryMask, include: Sequence[Point]) -> BinaryMask:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    area = stats[:, cv2.CC_STAT_AREA]
    keep = area >= MIN_ISLAND_AREA * area[1:].max()
    keep[[labels[y, x] for x, y in include]] = True
    keep[0] = False
    solid: BinaryMask = keep[labels]
    return solid


def _small_holes(background: BinaryMask, area: float, exclude: Sequence[Point]) -> BinaryMask:
    """Return the enclosed parts of the background that are smaller than ``area`` px."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        background.astype(np.uint8), connectivity=4
    )
    fill = stats[:, cv2.CC_STAT_AREA] < area
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):  # these lead outside
        fill[edge] = False
    fill[[labels[y, x] for x, y in exclude]] = False
    fill[0] = False
    holes: BinaryMask = fill[labels]
    return holes
