"""Checks with given scores."""

from __future__ import annotations

import numpy as np

from segment2inpaint.judgement import Check
from segment2inpaint.types import Box, Image
from segment2inpaint.verify import acceptance

BLACK, NO_HEATMAP = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.float32)


def make_check(name: str, score: float, threshold: float = 0.8, crop: Image = BLACK) -> Check:
    return Check(name, score, threshold, name, Box(0, 0, 4, 4), crop, NO_HEATMAP[: len(crop)])


def removal_checks(**scores: float) -> list[Check]:
    """Return the checks of a removal, all of them sound except for the given scores."""
    return [make_check(name, scores.get(name, 0.02)) for name in acceptance.WEIGHTS]
