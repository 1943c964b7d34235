"""Everything of one colour, by its CIE76 difference in CIE L*a*b*."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.detect.prompts import accept, limit
from segment2inpaint.errors import BadPrompt
from segment2inpaint.masks import components_at
from segment2inpaint.types import BinaryMask, Box, Color, Detection, Image, Point, Points, Prompt

Lab = NDArray[np.float32]

STRIP = 1 << 20  # pixels worked on at once: 12 MB of Lab
WORKING = 512  # long side at which the tolerance is chosen, px
LEVELS = np.arange(2.0, 61.0)  # tolerances to choose from, CIE76
LEAP, FLOOD = 1.25, 0.1  # times, in one step, to that much of the photo: it runs out
WHOLE = 0.95  # of the photo: a region that took all of it is not stable
NEAR = 12.0  # a clicked pixel's neighbours within this CIE76 count for its colour


class ColorDetector:
    """Takes colours; together they are one object. Points and boxes choose among its parts."""

    name = "color"
    prompt_types: tuple[type, ...] = (Color, Points, Box)

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        """One mask, or none. Raises ``BadPrompt``."""
        prompts = accept(self.name, self.prompt_types, prompts, image.shape[:2])
        colors = [p for p in prompts if isinstance(p, Color)]
        if not colors:
            raise BadPrompt(f"{self.name}: points and boxes only limit a color, give a color too")
        bits = np.zeros(image.shape[:2], np.bool_)
        for color in colors:
            bits |= _select(image, color)
        bits = limit(bits, prompts)
        return [Detection(bits)] if bits.any() else []


def _select(image: Image, color: Color) -> BinaryMask:
    if (color.at is None) == (color.rgb is None):
        raise BadPrompt("a color is given either by a point of the photo or by its RGB value")
    lab = _seed(image, color)
    seed = None if color.everywhere else color.at
    tolerance = color.tolerance
    if tolerance is None:
        tolerance = _stable(image, lab, seed)
    if not 0 <= tolerance < np.inf:
        raise BadPrompt(f"tolerance must not be negative, got {tolerance:g}")
    bits = _within(image, lab, tolerance)
    if seed is None:
        return bits
    bits[seed[1], seed[0]] = True
    return components_at(bits, [seed])


def to_lab(image: Image) -> Lab:
    """CIE L*a*b* (D65), float32, L in 0..100."""
    lab: Lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    return lab


def _seed(image: Image, color: Color) -> Lab:
    """The colour meant: given, or the median of the like pixels in 5 x 5 round the point."""
    if color.at is None:
        given: Lab = to_lab(np.array([[color.rgb]], np.uint8))[0, 0]
        return given
    x, y = color.at
    box = Box(x, y, x + 1, y + 1).grown(2, image.shape[:2])
    lab = to_lab(image[box.slices]).reshape(-1, 3)
    clicked = to_lab(image[y : y + 1, x : x + 1])[0, 0]
    like = lab[np.linalg.norm(lab - clicked, axis=1) <= NEAR]
    median: Lab = np.median(like, axis=0).astype(np.float32)
    return median


def _difference(image: Image, lab: Lab) -> Lab:
    difference: Lab = np.linalg.norm(to_lab(image) - lab, axis=2)
    return difference


def _within(image: Image, lab: Lab, tolerance: float) -> BinaryMask:
    """Pixels within ``tolerance``, strip by strip so that memory stays bounded."""
    rows = max(1, STRIP // image.shape[1])
    strips = (image[y : y + rows] for y in range(0, len(image), rows))
    bits: BinaryMask = np.concatenate([_difference(strip, lab) <= tolerance for strip in strips])
    return bits


def _stable(image: Image, lab: Lab, seed: Point | None) -> float:
    """The tolerance before the region floods the photo, else the one at which it grows least.

    The latter is MSER (Matas 2002) with one seed.
    """
    scale = min(1.0, WORKING / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    difference = _difference(small, lab)
    if seed is None:
        areas = np.array([np.count_nonzero(difference <= t) for t in LEVELS])
    else:
        at = (
            min(int(seed[0] * scale), small.shape[1] - 1),
            min(int(seed[1] * scale), small.shape[0] - 1),
        )
        difference[at[1], at[0]] = 0
        areas = np.array([np.count_nonzero(components_at(difference <= t, [at])) for t in LEVELS])
        leaps = areas[1:] > LEAP * np.maximum(areas[:-1], 1)
        floods = np.flatnonzero(leaps & (areas[1:] > FLOOD * difference.size))
        if floods.size:
            return float(LEVELS[max(0, int(floods[0]) - 1)])
    growth = (areas[4:] - areas[:-4]) / np.maximum(areas[2:-2], 1)
    growth[areas[2:-2] > WHOLE * difference.size] = np.inf  # nothing is left to grow into
    return float(LEVELS[2 + int(np.argmin(growth))])
