"""Select among objects that were found by words: by score, by points and boxes, by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segment2inpaint.detect.prompts import collect_points, pick_by_number
from segment2inpaint.errors import NothingFound
from segment2inpaint.types import BinaryMask, Box, Detection, Prompt, Text


class TextMatch(NamedTuple):
    """A candidate's score for a text, the text's index and the candidate's index."""

    score: float
    text: int
    candidate: int


def text_matches(
    name: str, texts: Sequence[Text], scores: Sequence[NDArray[np.float32]], threshold: float
) -> list[TextMatch]:
    """Return the candidates above the threshold of their text, the best first.

    ``scores`` has an array (n,) for each text, the scores of all candidates in [0, 1].
    ``threshold`` is the default of the detector ``name``. Raises ``NothingFound`` with the best
    score if no candidate is above its threshold.
    """
    thresholds = [threshold if text.threshold is None else text.threshold for text in texts]
    matches = [
        TextMatch(float(score), i, j)
        for i in range(len(texts))
        for j, score in enumerate(scores[i])
        if score > thresholds[i]
    ]
    if matches:
        return sorted(matches, reverse=True)
    best_scores = [max((float(s) for s in row), default=0.0) for row in scores]
    best = int(np.argmax(best_scores))
    words = ", ".join(repr(text.words) for text in texts)
    raise NothingFound(
        f"{name}: no {words} above {thresholds[best]:g}, the best scores {best_scores[best]:.3f}; "
        "lower --threshold or use other words"
    )


def select(detections: Sequence[Detection], prompts: Sequence[Prompt]) -> list[Detection]:
    """Return the detections that boxes and points select, and of these the picks of the texts.

    A detection is selected if more than half of it lies in one of the boxes, if it holds one of
    the include points (where there are any), and if it holds no exclude point. Raises
    ``BadPrompt`` for a pick that no detection has.
    """
    boxes = [p for p in prompts if isinstance(p, Box)]
    include, exclude = collect_points(prompts)
    selected = [
        detection
        for detection in detections
        if (not boxes or any(lies_in(detection.mask, box) for box in boxes))
        and (not include or any(detection.mask[y, x] for x, y in include))
        and not any(detection.mask[y, x] for x, y in exclude)
    ]
    return pick_by_number(selected, [n for p in prompts if isinstance(p, Text) for n in p.pick])


def lies_in(mask: BinaryMask, box: Box) -> bool:
    """Return whether more than half of a mask lies in a box."""
    return bool(2 * np.count_nonzero(mask[box.slices]) > np.count_nonzero(mask))
