"""A shadow found without weights: the object's outline is projected on the ground.

The outline is projected for many directions and heights of the sun, and each projection is
compared with its surroundings. A pixel counts as dark if the picture is darker there than at other
places of the same chromaticity and than right next to the projection. The result is certain only
on calm ground; in a cluttered scene nothing is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.types import BinaryMask, Box, FloatArray, Image, bounding_box

MAX_VIEW_SIDE = 144  # px, long side of the reduced crop in which shadows are searched
# Height of the projection as a multiple of the object's; negative is up in the picture.
PROJECTED_HEIGHTS = (-0.5, -0.3, -0.15, 0.05, 0.2, 0.4, 0.7)
# Sideways shift of the projection per height above the ground.
PROJECTED_SHEARS = (-2.4, -1.4, -0.8, -0.4, 0.0, 0.4, 0.8, 1.4, 2.4)
# Certainty: the sigmoid of slope x contrast + constant.
CERTAINTY_SLOPE, CERTAINTY_CONSTANT = 4.0, -6.0
MIN_AREA_SHARE = 0.06  # a shadow's smallest area as a share of its object's
# Least distance of comparison pixels from the object, as a share of its box diagonal.
MIN_REFERENCE_DISTANCE = 0.08
MIN_REFERENCE_AREA = 50  # comparison pixels that are needed
PIXELS_PER_STEP = 1024  # compared together; their distances stay in the processor's cache


@dataclass(frozen=True, eq=False)
class _CastShadowInput:
    """A reduced crop around an object.

    ``box`` is its place in the photo. ``light`` (h, w) and ``chroma`` (h, w, 2) are log light and
    log chromaticity of the picture without the object. ``outline`` (h, w) is the object,
    ``object_mask`` the same slightly enlarged, ``distance`` (h, w) the distance to that in px.
    ``diagonal`` is that of the object's box, px.
    """

    box: Box
    light: FloatArray
    chroma: FloatArray
    outline: BinaryMask
    object_mask: BinaryMask
    distance: FloatArray
    diagonal: float

    @property
    def reference_mask(self) -> BinaryMask:
        """The pixels that others are compared with: not too near to the object."""
        far: BinaryMask = self.distance > MIN_REFERENCE_DISTANCE * self.diagonal
        return ~self.object_mask & far


def project_outline(image: Image, mask: BinaryMask) -> tuple[BinaryMask, float]:
    """Return the likeliest shadow of an object, and its certainty in [0, 1].

    ``image`` is (H, W, 3) uint8 RGB, ``mask`` (H, W) bool the object. The shadow is (H, W) bool
    without the object, and empty if there is none.
    """
    view = _make_input(image, mask)
    best, certainty = np.zeros_like(view.outline), 0.0
    if np.count_nonzero(view.reference_mask) >= MIN_REFERENCE_AREA:
        for shadow, shadow_certainty in _candidate_shadows(view):
            if shadow_certainty > certainty:
                best, certainty = shadow, shadow_certainty
    return _in_photo(best, view.box, mask), certainty


def _make_input(image: Image, mask: BinaryMask) -> _CastShadowInput:
    object_box = bounding_box(mask)
    diagonal = hypot(object_box.width, object_box.height)
    box = object_box.expand(max(24, round(diagonal)), (mask.shape[0], mask.shape[1]))
    scale = min(1.0, MAX_VIEW_SIDE / max(box.width, box.height))
    size = max(1, round(box.width * scale)), max(1, round(box.height * scale))
    crop = cv2.resize(image[box.slices], size, interpolation=cv2.INTER_AREA)
    coverage = cv2.resize(mask[box.slices].astype(np.float32), size, interpolation=cv2.INTER_AREA)
    object_mask = cv2.dilate((coverage > 0.02).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    free = (~object_mask).astype(np.float32)
    sigma = max(0.8, 0.012 * diagonal * scale)
    # log of the approximately linear light; the offset keeps black pixels finite
    logs = np.log((crop.astype(np.float32) / 255) ** 2.2 + 0.004)
    logs = _blur(logs * free[..., None], sigma) / (_blur(free, sigma) + 1e-4)[..., None]
    chroma = np.dstack([logs[..., 0] - logs[..., 1], logs[..., 2] - logs[..., 1]])
    distance = cv2.distanceTransform((~object_mask).astype(np.uint8), cv2.DIST_L2, 5)
    return _CastShadowInput(
        box, logs.mean(2), chroma, coverage > 0.5, object_mask, distance, diagonal * scale
    )


def _blur(a: FloatArray, sigma: float) -> FloatArray:
    return np.asarray(cv2.GaussianBlur(np.asarray(a, np.float32), (0, 0), sigma))


def _in_photo(shadow: BinaryMask, box: Box, mask: BinaryMask) -> BinaryMask:
    """Return a mask of the reduced crop in photo coordinates, without the object."""
    full = np.zeros_like(mask)
    enlarged = cv2.resize(shadow.astype(np.float32), (box.width, box.height))
    full[box.slices] = enlarged > 0.5
    return full & ~mask


def _candidate_shadows(view: _CastShadowInput) -> Iterator[tuple[BinaryMask, float]]:
    """Yield projections of the outline, each with the certainty that it is a shadow."""
    ratio = np.clip(_relative_light(view), -1.2, 0.3)
    margin = max(2, round(0.05 * view.diagonal))
    margin_kernel = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
    object_area = np.count_nonzero(view.outline)
    for projection in _projections(view):
        inside = projection & ~view.object_mask
        enlarged = cv2.dilate(projection.astype(np.uint8), np.ones((3, 3), np.uint8))
        wide = cv2.dilate(projection.astype(np.uint8), margin_kernel)
        border = (wide > enlarged) & ~view.object_mask
        min_area = max(20, MIN_AREA_SHARE * object_area)
        if np.count_nonzero(inside) < min_area or np.count_nonzero(border) < 15:
            continue
        dark, lit = ratio[inside], ratio[border]
        drop = float(lit.mean() - dark.mean())
        contrast = drop / float(np.sqrt((dark.var() + lit.var()) / 2 + 0.0025))
        shadow = _add_adjacent_dark(projection, ratio < -drop / 2, margin_kernel)
        yield shadow & ~view.object_mask, _certainty(contrast)


def _projections(view: _CastShadowInput) -> Iterator[BinaryMask]:
    """Yield the outline projected from its lowest line, for each shear and height."""
    box, size = bounding_box(view.outline), view.outline.shape[::-1]
    ground = box.y1 - 1 - 0.02 * box.height
    for height in PROJECTED_HEIGHTS:
        for shear in PROJECTED_SHEARS:
            matrix = np.array([[1, -shear, shear * ground], [0, -height, ground * (1 + height)]])
            yield cv2.warpAffine(view.outline.astype(np.float32), matrix, size) > 0.5


def _add_adjacent_dark(
    projection: BinaryMask, dark: BinaryMask, margin_kernel: NDArray[np.uint8]
) -> BinaryMask:
    """Add dark pixels near the projection, as a real shadow's outline is less regular."""
    near = cv2.dilate(projection.astype(np.uint8), margin_kernel) > 0
    both = (near & (dark | projection)).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(both, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0)


def _certainty(contrast: float) -> float:
    return float(1 / (1 + np.exp(-(CERTAINTY_SLOPE * contrast + CERTAINTY_CONSTANT))))


def _relative_light(view: _CastShadowInput) -> FloatArray:
    """Return each pixel's log light minus that of lit pixels of its chromaticity and height."""
    height, width = view.light.shape
    y, x = np.mgrid[:height, :width].astype(np.float32) / max(height, width)
    features = np.dstack([3 * view.chroma, 1.5 * x, 3 * y]).reshape(height * width, -1)
    free = np.flatnonzero(~view.object_mask)
    reference = np.flatnonzero(view.reference_mask)
    reference = np.random.default_rng(0).permutation(reference)[:400]
    light, ratio = view.light.ravel(), np.zeros(height * width, np.float32)
    for start in range(0, len(free), PIXELS_PER_STEP):
        pixels = free[start : start + PIXELS_PER_STEP]
        most_alike = reference[_most_alike(features[pixels], features[reference])]
        ratio[pixels] = light[pixels] - np.quantile(light[most_alike], 0.65, axis=1)
    return ratio.reshape(height, width)


def _most_alike(queries: FloatArray, samples: FloatArray) -> NDArray[np.intp]:
    """Return the indices (Q, 20) of the samples nearest to each query, rows of features."""
    squares = (queries**2).sum(1)[:, None] + (samples**2).sum(1) - 2 * queries @ samples.T
    return np.argpartition(squares, 20, axis=1)[:, :20]
