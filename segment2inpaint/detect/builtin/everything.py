"""Find all objects of a photo by asking the click network at a grid of points.

The method and the measures are those of segment_anything's ``SamAutomaticMaskGenerator``
(Kirillov et al. 2023).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from segment2inpaint.networks.click import MASK_CELL, ClickNetwork, Embedding, ObjectPrompt
from segment2inpaint.types import BinaryMask, Box, FloatArray, Point, bounding_box

POINTS_PER_SIDE = 16  # of the grid
POINTS_PER_BATCH = 32  # asked together
MIN_SCORE = 0.75  # lowest expected IoU
MIN_STABILITY = 0.85  # lowest IoU of the masks at the logits +- STABILITY_OFFSET
STABILITY_OFFSET = 1.0
MIN_AREA, MAX_AREA = 0.001, 0.6  # of the photo
MAX_BOX_IOU = 0.7  # of two objects' boxes
MAX_OBJECTS = 60


class Candidate(NamedTuple):
    """The logits (h, w) of an object in a frame, its expected IoU, and the click that found it."""

    logits: FloatArray
    score: float
    click: Point


def find_everything(network: ClickNetwork, embedding: Embedding) -> list[Candidate]:
    """Return the objects in a window, the surest first."""
    candidates = list[Candidate]()
    for points in batches(list(grid_points(embedding.letterbox.window))):
        candidates += candidates_at(network, embedding, points)
    boxes = [bounding_box(inside_frame(embedding, c.logits) > 0) for c in candidates]
    return [candidates[i] for i in _distinct(boxes, [c.score for c in candidates])]


def grid_points(window: Box) -> Iterator[Point]:
    """Yield the centres of the cells of a grid over the window, row by row."""
    for row in range(POINTS_PER_SIDE):
        for column in range(POINTS_PER_SIDE):
            x = window.x0 + int((column + 0.5) * window.width / POINTS_PER_SIDE)
            y = window.y0 + int((row + 0.5) * window.height / POINTS_PER_SIDE)
            yield x, y


def batches(points: Sequence[Point]) -> Iterator[Sequence[Point]]:
    """Yield the points in groups that are asked together."""
    for start in range(0, len(points), POINTS_PER_BATCH):
        yield points[start : start + POINTS_PER_BATCH]


def candidates_at(
    network: ClickNetwork, embedding: Embedding, points: Sequence[Point]
) -> Iterator[Candidate]:
    """Yield the objects at some points whose masks are sure, stable and neither tiny nor huge."""
    answers = network.answers(embedding, [ObjectPrompt((point,)) for point in points])
    for click, answer in zip(points, answers, strict=True):
        for logits, score in zip(answer.logits, answer.scores, strict=True):
            if score >= MIN_SCORE and _is_stable(inside_frame(embedding, logits)):
                yield Candidate(logits, float(score), click)


def inside_frame(embedding: Embedding, logits: FloatArray) -> FloatArray:
    """Return the logits where the photo is, without the frame's empty margins."""
    height, width = embedding.letterbox.size
    return logits[: -(-height // MASK_CELL), : -(-width // MASK_CELL)]


def _is_stable(logits: FloatArray) -> bool:
    tight, loose = (
        np.count_nonzero(logits > offset) for offset in (STABILITY_OFFSET, -STABILITY_OFFSET)
    )
    mask: BinaryMask = logits > 0
    is_sized = MIN_AREA <= mask.mean() <= MAX_AREA
    return bool(is_sized and tight >= MIN_STABILITY * loose)


def _distinct(boxes: list[Box], scores: list[float]) -> list[int]:
    """Return the indices of the best boxes that do not overlap much, best first."""
    if not boxes:
        return []
    corners = [(b.x0, b.y0, b.width, b.height) for b in boxes]
    kept = cv2.dnn.NMSBoxes(corners, scores, 0.0, MAX_BOX_IOU)
    return [int(i) for i in np.ravel(kept)[:MAX_OBJECTS]]
