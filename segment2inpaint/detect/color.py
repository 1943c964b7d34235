"""A detector for everything of one colour, by the CIE76 difference in CIE L*a*b*."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.detect.lab import LabImage, to_lab
from segment2inpaint.detect.prompts import check_for_detector, limit_mask
from segment2inpaint.errors import BadPrompt
from segment2inpaint.masks import components_at
from segment2inpaint.types import BinaryMask, Box, Color, Detection, Image, Point, Points, Prompt

Difference = NDArray[np.float32]  # (h, w), CIE76

PIXELS_AT_ONCE = 1 << 20  # of the photo, to bound memory: 12 MB of L*a*b*
SAMPLE_DIFFERENCE = 12.0  # CIE76 within which the neighbours of a click count for its colour

# How a tolerance is chosen, on a reduced photo.
REDUCED_SIDE = 512  # px, long side
TOLERANCES = np.arange(2.0, 61.0)  # CIE76, one apart
FLOOD_GROWTH = 1.25  # a region that grows by this factor in one step ...
FLOOD_AREA = 0.1  # ... to more than this share of the photo has flooded it
MAX_STABLE_AREA = 0.95  # share of the photo; a larger region has nothing left to grow into


class ColorDetector:
    """Select all pixels of the given colours as one object. Points and boxes limit it."""

    name = "color"
    prompt_types: tuple[type, ...] = (Color, Points, Box)

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        """Return one detection, none if no pixel has a colour. Raises ``BadPrompt``."""
        prompts = check_for_detector(self.name, self.prompt_types, prompts, image.shape[:2])
        colors = [p for p in prompts if isinstance(p, Color)]
        if not colors:
            raise BadPrompt(f"{self.name}: points and boxes only limit a color; add a color")
        mask = np.zeros(image.shape[:2], np.bool_)
        for color in colors:
            mask |= _select(image, color)
        mask = limit_mask(mask, prompts)
        return [Detection(mask)] if mask.any() else []


def _select(image: Image, color: Color) -> BinaryMask:
    if (color.at is None) == (color.rgb is None):
        raise BadPrompt("a color is given either by a point of the photo or by its RGB value")
    lab = _reference_color(image, color)
    seed = None if color.everywhere else color.at
    tolerance = color.tolerance
    if tolerance is None:
        tolerance = _stable_tolerance(image, lab, seed)
    if not 0 <= tolerance < np.inf:
        raise BadPrompt(f"tolerance must be a number from 0, got {tolerance:g}")
    mask = _within(image, lab, tolerance)
    if seed is None:
        return mask
    mask[seed[1], seed[0]] = True
    return components_at(mask, [seed])


def _reference_color(image: Image, color: Color) -> LabImage:
    """Return the L*a*b* colour, (3,): ``rgb``, or the median of the similar pixels round ``at``."""
    if color.at is None:
        rgb: LabImage = to_lab(np.array([[color.rgb]], np.uint8))[0, 0]
        return rgb
    x, y = color.at
    box = Box(x, y, x + 1, y + 1).expand(2, image.shape[:2])
    neighbours = to_lab(image[box.slices]).reshape(-1, 3)
    clicked = to_lab(image[y : y + 1, x : x + 1])[0, 0]
    similar = neighbours[np.linalg.norm(neighbours - clicked, axis=1) <= SAMPLE_DIFFERENCE]
    median: LabImage = np.median(similar, axis=0).astype(np.float32)
    return median


def _difference(image: Image, lab: LabImage) -> Difference:
    difference: Difference = np.linalg.norm(to_lab(image) - lab, axis=2)
    return difference


def _within(image: Image, lab: LabImage, tolerance: float) -> BinaryMask:
    """Return the pixels within ``tolerance`` of a colour, computed in strips to bound memory."""
    rows = max(1, PIXELS_AT_ONCE // image.shape[1])
    strips = (image[y : y + rows] for y in range(0, len(image), rows))
    mask: BinaryMask = np.concatenate([_difference(strip, lab) <= tolerance for strip in strips])
    return mask


def _stable_tolerance(image: Image, lab: LabImage, seed: Point | None) -> float:
    """Return the tolerance before the region floods the photo, or else the most stable one.

    The most stable tolerance is that at which the region grows least: MSER (Matas et al. 2002)
    with one seed. ``seed`` None is a region of the whole photo, which cannot flood.
    """
    scale = min(1.0, REDUCED_SIDE / max(image.shape[:2]))
    reduced = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    difference = _difference(reduced, lab)
    if seed is None:
        areas = np.array([np.count_nonzero(difference <= t) for t in TOLERANCES])
        return _least_growth(areas, difference.size)
    areas = _areas_at(difference, _scale_point(seed, scale, difference.shape))
    flood = _flood_step(areas, difference.size)
    if flood is not None:
        return float(TOLERANCES[max(0, flood - 1)])
    return _least_growth(areas, difference.size)


def _scale_point(point: Point, scale: float, size: tuple[int, ...]) -> Point:
    return min(int(point[0] * scale), size[1] - 1), min(int(point[1] * scale), size[0] - 1)


def _areas_at(difference: Difference, point: Point) -> NDArray[np.int64]:
    """Return the area of the component at a point for each of ``TOLERANCES``."""
    difference[point[1], point[0]] = 0
    components = (components_at(difference <= t, [point]) for t in TOLERANCES)
    return np.array([np.count_nonzero(component) for component in components])


def _flood_step(areas: NDArray[np.int64], photo_area: int) -> int | None:
    """Return the index of the first step of ``areas`` that floods the photo, None if none does."""
    jumps = areas[1:] > FLOOD_GROWTH * np.maximum(areas[:-1], 1)
    floods = np.flatnonzero(jumps & (areas[1:] > FLOOD_AREA * photo_area))
    return int(floods[0]) if floods.size else None


def _least_growth(areas: NDArray[np.int64], photo_area: int) -> float:
    """Return the tolerance round which the area grows least, relative to itself."""
    growth = (areas[4:] - areas[:-4]) / np.maximum(areas[2:-2], 1)
    growth[areas[2:-2] > MAX_STABLE_AREA * photo_area] = np.inf
    return float(TOLERANCES[2 + int(np.argmin(growth))])
