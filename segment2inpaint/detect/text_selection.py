"""Objects found by words: which of them are kept, and how they are numbered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segment2inpaint.detect.prompts import picked, points_of
from segment2inpaint.errors import NothingFound
from segment2inpaint.types import BinaryMask, Box, Detection, Prompt, Text


class TextMatch(NamedTuple):
    """The score of a candidate for a text, and the numbers of both."""

    score: float
    text: int
    candidate: int


def text_matches(
    name: str, texts: Sequence[Text], scores: Sequence[NDArray[np.float32]], threshold: float
) -> list[TextMatch]:
    """The candidates above their text's threshold, the best first.

    ``scores`` has for each text those of all candidates; ``threshold`` is the detector's own.
    Raises ``NothingFound``, with the best score of all.
    """
    found = [
        TextMatch(float(score), i, j)
        for i, text in enumerate(texts)
        for j, score in enumerate(scores[i])
        if score > (threshold if text.threshold is None else text.threshold)
    ]
    if found:
        return sorted(found, reverse=True)
    best = [max((float(s) for s in of), default=0.0) for of in scores]
    i = int(np.argmax(best))
    least = threshold if texts[i].threshold is None else texts[i].threshold
    words = ", ".join(repr(text.words) for text in texts)
    raise NothingFound(
        f"{name}: no {words} above {least:g}, the best scores {best[i]:.3f}; "
        "lower --threshold or use other words"
    )


def select(masks: Sequence[Detection], prompts: Sequence[Prompt]) -> list[Detection]:
    """What boxes and points leave of the masks, then those that the texts pick.

    A mask stays if most of it lies in a box, if it holds an include point, where any are given,
    and if it holds no exclude point.
    """
    boxes = [p for p in prompts if isinstance(p, Box)]
    include, exclude = points_of(prompts)
    kept = [
        mask
        for mask in masks
        if (not boxes or any(_inside(mask.mask, box) for box in boxes))
        and (not include or any(mask.mask[y, x] for x, y in include))
        and not any(mask.mask[y, x] for x, y in exclude)
    ]
    return picked(kept, [n for p in prompts if isinstance(p, Text) for n in p.pick])


def _inside(bits: BinaryMask, box: Box) -> bool:
    return bool(2 * np.count_nonzero(bits[box.slices]) > np.count_nonzero(bits))
