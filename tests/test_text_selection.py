"""The selection among objects that were found by words."""

from __future__ import annotations

import numpy as np
import pytest

from segment2inpaint.detect.text_selection import select, text_matches
from segment2inpaint.errors import NothingFound
from segment2inpaint.types import Box, Detection, Points, Text


def scores(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_each_text_has_its_own_threshold() -> None:
    texts = [Text("dog", 0.5), Text("cat")]
    matches = text_matches("x", texts, [scores(0.6, 0.4), scores(0.2, 0.35)], 0.3)
    assert [(m.text, m.candidate) for m in matches] == [(0, 0), (1, 1)]


def test_the_best_score_is_named_even_without_candidates() -> None:
    with pytest.raises(NothingFound, match=r"no 'dog' above 0\.3, the best scores 0\.000"):
        text_matches("x", [Text("dog")], [scores()], 0.3)


def test_boxes_points_and_picks_select_objects() -> None:
    detections = []
    for x in (0, 20, 40):
        mask = np.zeros((20, 60), bool)
        mask[5:15, x + 2 : x + 18] = True
        detections.append(Detection(mask))
    left, middle, right = detections
    dog = Text("dog")
    assert select(detections, [dog]) == detections
    assert select(detections, [dog, Box(0, 0, 30, 20)]) == [left]
    assert select(detections, [dog, Points(((30, 10),))]) == [middle]
    assert select(detections, [dog, Points((), ((30, 10),))]) == [left, right]
    assert select(detections, [Text("dog", pick=(3,))]) == [right]
    assert select(detections, [Text("dog", pick=(2,)), Box(10, 0, 60, 20)]) == [right]
