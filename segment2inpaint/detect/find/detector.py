"""A detector for all objects of a kind: lines of text or faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from segment2inpaint.detect.find import faces, text_lines
from segment2inpaint.detect.find.outline import Outline
from segment2inpaint.detect.prompts import check_for_detector, check_prompts, pick_by_number
from segment2inpaint.detect.text_selection import lies_in, select
from segment2inpaint.errors import BadPrompt, NothingFound
from segment2inpaint.types import Box, Detection, Find, FindKind, Image, Points, Prompt


class Finder(NamedTuple):
    """The finder of a kind, and the score from which a find counts."""

    outlines: Callable[[Image], list[Outline]]
    threshold: float


FINDERS: dict[FindKind, Finder] = {
    "text": Finder(text_lines.find_text_lines, text_lines.DEFAULT_THRESHOLD),
    "face": Finder(faces.find_faces, faces.DEFAULT_THRESHOLD),
}


class FindDetector:
    """Find lines of text and faces, one object each. Points and boxes select some of them."""

    name = "find"
    prompt_types: tuple[type, ...] = (Find, Points, Box)

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        """Return a detection for each object, from top to bottom and from left to right.

        Raises ``BadPrompt``, and ``NothingFound`` if no object scores above its threshold.
        """
        prompts = check_for_detector(self.name, self.prompt_types, prompts, image.shape[:2])
        finds = [p for p in prompts if isinstance(p, Find)]
        if not finds:
            raise BadPrompt(f"{self.name}: points and boxes only limit what is found; say what")
        searches = [_search(image, find) for find in finds]
        if not any(found for found, _ in searches):
            raise NothingFound("; ".join(miss for _, miss in searches))
        kept = [d for find, (found, _) in zip(finds, searches, strict=True) if found
                for d in _chosen(found, find)]  # fmt: skip
        return select(kept, prompts)


def _search(image: Image, find: Find) -> tuple[list[Detection], str]:
    """Return the objects of a kind in their order, or else a sentence on the best of the others."""
    area = _search_area(image, find)
    finder = FINDERS[find.kind]
    threshold = finder.threshold if find.threshold is None else find.threshold
    outlines = finder.outlines(np.ascontiguousarray(image[area.slices]))
    found = [o for o in outlines if o.score > threshold and o.short_side >= find.min_size]
    if found:
        return [_detection(image, area, o) for o in in_reading_order(found)], ""
    best = max((o.score for o in outlines), default=0.0)
    if best > threshold:
        return [], f"find: every {find.kind} is smaller than {find.min_size} px; lower --min-size"
    return [], (
        f"find: no {find.kind} above {threshold:g}, the best scores {best:.3f}; "
        "lower --threshold or point at it"
    )


def _search_area(image: Image, find: Find) -> Box:
    if find.within is None:
        return Box(0, 0, image.shape[1], image.shape[0])
    (area,) = check_prompts([find.within], image.shape[:2])
    assert isinstance(area, Box)
    return area


def in_reading_order(outlines: Sequence[Outline]) -> list[Outline]:
    """Return the outlines from top to bottom and, at about the same height, from left to right."""
    ordered: list[Outline] = []
    row: list[Outline] = []
    for outline in sorted(outlines, key=_center_y):
        if row and _center_y(outline) - _center_y(row[0]) > row[0].short_side / 2:
            ordered += sorted(row, key=_left)
            row = []
        row.append(outline)
    return ordered + sorted(row, key=_left)


def _center_y(outline: Outline) -> float:
    return float(outline.polygon[:, 1].mean())


def _left(outline: Outline) -> float:
    return float(outline.polygon[:, 0].min())


def _detection(image: Image, area: Box, outline: Outline) -> Detection:
    """Return the part of an outline that lies in the area searched."""
    part = np.zeros((area.height, area.width), np.uint8)
    cv2.fillPoly(part, [np.rint(outline.polygon).astype(np.int32)], 1)
    mask = np.zeros(image.shape[:2], np.bool_)
    mask[area.slices] = part > 0
    return Detection(mask, min(1.0, outline.score))


def _chosen(found: Sequence[Detection], find: Find) -> list[Detection]:
    """Return the picked objects without the excluded ones. Raises ``BadPrompt``."""
    numbers = [e for e in find.exclude if not isinstance(e, Box)]
    boxes = [e for e in find.exclude if isinstance(e, Box)]
    excluded = pick_by_number(found, numbers) if numbers else []
    return [
        detection
        for detection in pick_by_number(found, find.pick)
        if not any(detection is other for other in excluded)
        and not any(lies_in(detection.mask, box) for box in boxes)
    ]
