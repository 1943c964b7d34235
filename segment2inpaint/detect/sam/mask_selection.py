"""Which of the masks that a network offers for one prompt, and how it is cleaned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.networks.click import ObjectPrompt
from segment2inpaint.types import BinaryMask, Point, bounding_box

LARGEST = 0.6  # of the photo, for a mask that no box asked for
IN_BOX = 0.8  # of a mask lies in the box that asked for it
TIE = 0.05  # difference of quality below which the larger mask is taken
SOUND = 0.5  # of the best quality, for a mask to count as a part or a whole
OFFSET = 1.0  # of the logits, for the stability score; as in segment_anything
ISLAND = 0.02  # of the largest part; smaller parts are dropped
HOLE = 0.01  # of the mask; smaller holes are filled


class MaskChoice(NamedTuple):
    """The mask taken, and whether it obeys the prompt."""

    which: int
    fits: bool


def choose_mask(
    logits: NDArray[np.float32],
    scores: NDArray[np.float32],
    target: ObjectPrompt,
    scale: tuple[float, float] = (1.0, 1.0),
) -> MaskChoice | None:
    """Which of several masks to take, None if all are empty.

    ``logits`` (n, h, w) and ``scores`` (n,), the predicted IoU; ``scale`` is their pixels per
    photo pixel, (x, y). A mask that misses an include point, holds an exclude point, spills far
    out of the box or covers most of the photo is taken only if all do. Of nearly equal ones the
    largest wins (an object left over in part is the worse failure), unless the target's
    granularity asks for the smallest, the middle or the largest of the sound ones.
    """
    masks = logits > 0
    filled = [i for i in range(len(masks)) if masks[i].any()]
    fitting = [i for i in filled if _fits(masks[i], target, scale)]
    candidates = fitting or filled
    if not candidates:
        return None
    quality = {i: scores[i] * (0.5 + 0.5 * stability(logits[i])) for i in candidates}
    best = max(quality.values())
    tie = TIE if target.granularity == "auto" else (1 - SOUND) * abs(best)
    near = sorted(
        (i for i in candidates if quality[i] >= best - tie), key=lambda i: int(masks[i].sum())
    )
    place = {"part": 0, "object": len(near) // 2}.get(target.granularity, -1)
    return MaskChoice(near[place], bool(fitting))


def _fits(mask: BinaryMask, target: ObjectPrompt, scale: tuple[float, float]) -> bool:
    height, width = mask.shape

    def at(point: Point) -> bool:
        x, y = (int((c + 0.5) * s) for c, s in zip(point, scale, strict=True))
        return bool(mask[min(y, height - 1), min(x, width - 1)])

    if not all(map(at, target.include)) or any(map(at, target.exclude)):
        return False
    if target.box is None:
        return bool(mask.mean() < LARGEST)
    x0, y0, x1, y1 = (round(c * s) for c, s in zip(target.box, 2 * scale, strict=True))
    return bool(mask[y0:y1, x0:x1].sum() >= IN_BOX * mask.sum())


def stability(logits: NDArray[np.float32]) -> float:
    """IoU of the masks at a higher and a lower threshold, 0 for an empty mask."""
    loose = np.count_nonzero(logits > -OFFSET)
    return np.count_nonzero(logits > OFFSET) / loose if loose else 0.0


def clean(bits: BinaryMask, target: ObjectPrompt) -> BinaryMask:
    """The mask without specks: small islands dropped, small holes filled.

    An island that holds an include point stays, as does a hole that holds an exclude point or
    touches the photo's edge.
    """
    box = bounding_box(bits)
    if not box.width:
        return bits
    cleaned = np.zeros_like(bits)
    include, exclude = (
        [(x - box.x0, y - box.y0) for x, y in points if box.contains((x, y))]
        for points in (target.include, target.exclude)
    )
    solid = _without_islands(bits[box.slices], include)
    cleaned[box.slices] = solid | _specks(~solid, HOLE * solid.sum(), exclude)
    return cleaned


def _without_islands(bits: BinaryMask, include: Sequence[Point]) -> BinaryMask:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(bits.astype(np.uint8))
    area = stats[:, cv2.CC_STAT_AREA]
    keep = area >= ISLAND * area[1:].max()
    keep[[labels[y, x] for x, y in include]] = True
    keep[0] = False
    solid: BinaryMask = keep[labels]
    return solid


def _specks(gaps: BinaryMask, largest: float, exclude: Sequence[Point]) -> BinaryMask:
    """Gaps inside, smaller than ``largest`` px: those on the rim of the box lead outside."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(gaps.astype(np.uint8), connectivity=4)
    fill = stats[:, cv2.CC_STAT_AREA] < largest
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        fill[edge] = False
    fill[[labels[y, x] for x, y in exclude]] = False
    fill[0] = False
    specks: BinaryMask = fill[labels]
    return specks
