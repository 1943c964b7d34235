"""Adapt the colours of an inserted picture to those of its surroundings.

The mean and the spread of each channel of L*a*b* are moved towards those of the surroundings
(Reinhard et al., "Color transfer between images", IEEE CG&A 21(5), 2001). Blending of gradients
(``cv2.seamlessClone``) is no alternative: an object that is brighter or darker than the ground
turns transparent.
"""

from __future__ import annotations

from math import sqrt

import cv2
import numpy as np

from segment2inpaint.types import Alpha, Box, FloatArray, Image

MARGIN_SHARE = 0.5  # width of the surroundings, as a share of the picture's mean side
MIN_MARGIN = 8  # px
MIN_SPREAD = 1.0  # of L*a*b*: a picture of one colour has no spread to change
SPREAD_RATIOS = 0.5, 2.0  # a flat wall must not make a picture flat


def match_colors(image: Image, pixels: Image, alpha: Alpha, box: Box, strength: float) -> Image:
    """Return ``pixels`` with their colours moved towards those around ``box`` of ``image``.

    ``alpha``, ``(h, w)`` float32 in [0, 1], is the picture's outline in the box. ``strength`` 0
    changes nothing, and 1 gives the mean of the surroundings. A picture that covers the photo has
    no surroundings and stays as it is.
    """
    ground = _surroundings(image, alpha, box)
    if not len(ground):
        return pixels
    new, ground_lab = _to_lab(pixels), _to_lab(ground[None])[0]
    mean, spread = _moments(new[alpha > 0], alpha[alpha > 0])
    ground_mean, ground_spread = _moments(ground_lab, np.ones(len(ground), np.float32))
    ratio = np.clip(ground_spread / np.maximum(spread, MIN_SPREAD), *SPREAD_RATIOS)
    spread_factor = 1 + strength * (ratio - 1)
    moved = (new - mean) * spread_factor + mean + strength * (ground_mean - mean)
    rgb = cv2.cvtColor(moved.astype(np.float32), cv2.COLOR_LAB2RGB)
    matched: Image = np.rint(rgb.clip(0, 1) * 255).astype(np.uint8)
    return matched


def _surroundings(image: Image, alpha: Alpha, box: Box) -> Image:
    """Return the pixels in a larger box that the picture does not touch, (n, 3) uint8."""
    margin = max(MIN_MARGIN, round(MARGIN_SHARE * sqrt(box.width * box.height)))
    around = box.expand(margin, (image.shape[0], image.shape[1]))
    free = np.ones((around.height, around.width), np.bool_)
    x, y = box.x0 - around.x0, box.y0 - around.y0
    free[y : y + box.height, x : x + box.width] = alpha == 0
    outside: Image = image[around.slices][free]
    return outside


def _to_lab(pixels: Image) -> FloatArray:
    lab: FloatArray = cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return lab


def _moments(colors: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the weighted mean and standard deviation of colours, (n, 3)."""
    mean = np.average(colors, axis=0, weights=weights)
    spread = np.sqrt(np.average((colors - mean) ** 2, axis=0, weights=weights))
    return mean, spread
