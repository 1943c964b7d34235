"""The outline of an object found."""

from __future__ import annotations

from typing import NamedTuple

from segment2inpaint.types import FloatArray


class Outline(NamedTuple):
    """A polygon (n, 2) of x, y in photo px, its score in [0, 1] and its shorter side in px."""

    polygon: FloatArray
    score: float
    short_side: float
