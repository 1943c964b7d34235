"""An object's outline laid on the ground by every likely sun, beside what is dark there.

Without weights: a place counts where the picture is darker than others of the same chromaticity
are, and darker than just beside it. Sure only on calm ground; in a cluttered place it finds
nothing rather than something.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.types import BinaryMask, Box, Image, bounding_box

FloatArray = NDArray[np.float32]

LONG = 144  # px of the view's long side, at most
FLAT = (-0.5, -0.3, -0.15, 0.05, 0.2, 0.4, 0.7)  # height of a shadow, of the object's; up is < 0
SHEAR = (-2.4, -1.4, -0.8, -0.4, 0.0, 0.4, 0.8, 1.4, 2.4)  # sideways, per height
CONTRAST = (4.0, -6.0)  # certainty: the logistic of slope x contrast + constant
SMALLEST = 0.06  # a shadow's area, of its object's


@dataclass(frozen=True, eq=False)
class _CastShadowInput:
    """Round an object: log light and chromaticity without it, its outline, the same a little
    larger, and how far everything else is away from that.
    """

    box: Box
    light: FloatArray
    chroma: FloatArray
    solid: BinaryMask
    taken: BinaryMask
    away: FloatArray
    size: float


def project_outline(image: Image, bits: BinaryMask) -> tuple[BinaryMask, float]:
    """The likeliest place of the shadow of the object at ``bits``, and how sure that is, in [0, 1].

    ``bits`` (H, W), as is the place, which is empty where there is none.
    """
    seen = _view(image, bits)
    best, certainty = np.zeros_like(seen.solid), 0.0
    if np.count_nonzero(~seen.taken & (seen.away > 0.08 * seen.size)) >= 50:
        for part, sure in _cast(seen):
            if sure > certainty:
                best, certainty = part, sure
    return _full(best, seen.box, bits), certainty


def _view(image: Image, bits: BinaryMask) -> _CastShadowInput:
    object_box = bounding_box(bits)
    diagonal = hypot(object_box.width, object_box.height)
    box = object_box.grown(max(24, round(diagonal)), (bits.shape[0], bits.shape[1]))
    scale = min(1.0, LONG / max(box.width, box.height))
    size = max(1, round(box.width * scale)), max(1, round(box.height * scale))
    crop = cv2.resize(image[box.slices], size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(bits[box.slices].astype(np.float32), size, interpolation=cv2.INTER_AREA)
    taken = cv2.dilate((share > 0.02).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    free = (~taken).astype(np.float32)
    sigma = max(0.8, 0.012 * diagonal * scale)
    logs = np.log((crop.astype(np.float32) / 255) ** 2.2 + 0.004)  # of linear light, nearly
    logs = _blur(logs * free[..., None], sigma) / (_blur(free, sigma) + 1e-4)[..., None]
    chroma = np.dstack([logs[..., 0] - logs[..., 1], logs[..., 2] - logs[..., 1]])
    away = cv2.distanceTransform((~taken).astype(np.uint8), cv2.DIST_L2, 5)
    return _CastShadowInput(box, logs.mean(2), chroma, share > 0.5, taken, away, diagonal * scale)


def _blur(a: FloatArray, sigma: float) -> FloatArray:
    return np.asarray(cv2.GaussianBlur(np.asarray(a, np.float32), (0, 0), sigma))


def _full(part: BinaryMask, box: Box, bits: BinaryMask) -> BinaryMask:
    """A mask of the view at its place in the photo, the object left out."""
    whole = np.zeros_like(bits)
    smooth = cv2.resize(part.astype(np.float32), (box.width, box.height))
    whole[box.slices] = smooth > 0.5
    return whole & ~bits


def _cast(seen: _CastShadowInput) -> Iterator[tuple[BinaryMask, float]]:
    """The object's outline laid on the ground, with how sure each place is its shadow's."""
    ratio = np.clip(_against_its_like(seen), -1.2, 0.3)
    edge = max(2, round(0.05 * seen.size))
    wide = np.ones((2 * edge + 1, 2 * edge + 1), np.uint8)
    area = np.count_nonzero(seen.solid)
    for laid in _laid(seen):
        part = laid & ~seen.taken
        inner = cv2.dilate(laid.astype(np.uint8), np.ones((3, 3), np.uint8))
        beside = (cv2.dilate(laid.astype(np.uint8), wide) > inner) & ~seen.taken
        if np.count_nonzero(part) < max(20, SMALLEST * area) or np.count_nonzero(beside) < 15:
            continue
        dark, lit = ratio[part], ratio[beside]
        fall = float(lit.mean() - dark.mean())
        contrast = fall / float(np.sqrt((dark.var() + lit.var()) / 2 + 0.0025))
        yield _grown(laid, ratio < -fall / 2, wide) & ~seen.taken, _certainty(contrast)


def _laid(seen: _CastShadowInput) -> Iterator[BinaryMask]:
    """The outline laid down from its lowest line, in each direction and at each height of sun."""
    box, size = bounding_box(seen.solid), seen.solid.shape[::-1]
    ground = box.y1 - 1 - 0.02 * box.height
    for flat in FLAT:
        for shear in SHEAR:
            down = np.array([[1, -shear, shear * ground], [0, -flat, ground * (1 + flat)]])
            yield cv2.warpAffine(seen.solid.astype(np.float32), down, size) > 0.5


def _grown(laid: BinaryMask, dark: BinaryMask, wide: NDArray[np.uint8]) -> BinaryMask:
    """The outline, and what is dark and joined to it nearby: no shadow is as straight as a cut."""
    near = cv2.dilate(laid.astype(np.uint8), wide) > 0
    both = (near & (dark | laid)).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(both, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0)


def _certainty(contrast: float) -> float:
    return float(1 / (1 + np.exp(-(CONTRAST[0] * contrast + CONTRAST[1]))))


def _against_its_like(seen: _CastShadowInput) -> FloatArray:
    """Each pixel's log light less that of lit places of its chromaticity and height."""
    height, width = seen.light.shape
    y, x = np.mgrid[:height, :width].astype(np.float32) / max(height, width)
    rows = np.dstack([3 * seen.chroma, 1.5 * x, 3 * y]).reshape(height * width, -1)
    free = np.flatnonzero(~seen.taken)
    around = np.flatnonzero(~seen.taken & (seen.away > 0.08 * seen.size))
    around = np.random.default_rng(0).permutation(around)[:400]
    squares = (rows[free] ** 2).sum(1)[:, None] + (rows[around] ** 2).sum(1)
    squares = squares - 2 * rows[free] @ rows[around].T
    alike = np.argpartition(squares, 20, axis=1)[:, :20]
    lights = seen.light.ravel()[around][alike]
    ratio = np.zeros(height * width, np.float32)
    ratio[free] = seen.light.ravel()[free] - np.quantile(lights, 0.65, axis=1)
    return ratio.reshape(height, width)
