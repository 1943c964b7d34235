"""What a pixel looks like: its colour in L*a*b*, its texture, and words for both."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.types import Image

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.intp]

SAMPLE = 7  # every so many pixels are looked at for texture words


def lab(image: Image) -> FloatArray:
    """(h, w, 3) L*a*b* of an sRGB picture, L in [0, 100]."""
    converted: FloatArray = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    return converted


def softened(image: Image) -> FloatArray:
    """L*a*b* with a little of the noise taken off."""
    return lab(cv2.GaussianBlur(image, (0, 0), 0.7))


def slopes(plane: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Change per px along x and along y (Scharr)."""
    return cv2.Scharr(plane, cv2.CV_32F, 1, 0) / 16, cv2.Scharr(plane, cv2.CV_32F, 0, 1) / 16


def texture(light: FloatArray) -> Iterator[FloatArray]:
    """Strength of lightness changes in four directions at three scales, smoothed: 12 planes."""
    for scale in (1, 2, 4):
        x, y = (scale * s for s in slopes(cv2.GaussianBlur(light, (0, 0), scale)))
        for energy in (x * x, y * y, (x + y) ** 2 / 2, (x - y) ** 2 / 2):
            yield np.sqrt(cv2.GaussianBlur(energy, (0, 0), 3))


def color_words(colors: FloatArray, side: float, spread: float) -> tuple[IntArray, FloatArray]:
    """The word of each (..., 3) colour, flat, and how near the V words are: (V, V), rows sum to 1.

    A word is a cell of ``side`` CIE76 that is in use; nearness falls off over ``spread``.
    """
    flat = colors.reshape(-1, 3)
    cell = np.floor(flat / side).astype(np.intp)
    cell -= cell.min(axis=0)
    sides = cell.max(axis=0) + 1
    key = (cell[:, 0] * sides[1] + cell[:, 1]) * sides[2] + cell[:, 2]
    _, word, used = np.unique(key, return_inverse=True, return_counts=True)
    mean = np.stack([np.bincount(word, flat[:, i]) / used for i in range(3)], 1)
    squares = (mean**2).sum(axis=1)
    away = np.maximum(squares[:, None] + squares - 2 * mean @ mean.T, 0)
    kernel = np.exp(-away / (2 * spread**2))
    near: FloatArray = (kernel / kernel.sum(axis=1, keepdims=True)).astype(np.float32)
    return word, near


def texture_words(light: FloatArray, number: int) -> IntArray:
    """The word of each pixel, flat: the nearest of at most ``number`` k-means of ``texture``."""
    planes = np.log1p(np.stack([*texture(light)], -1)).reshape(-1, 12).astype(np.float32)
    sample = np.ascontiguousarray(planes[:: SAMPLE if len(planes) > SAMPLE * number else 1])
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_COUNT, 10, 0.1)
    clusters = min(number, len(sample))
    _, _, centers = cv2.kmeans(sample, clusters, None, stop, 1, cv2.KMEANS_PP_CENTERS)
    word: IntArray = ((centers**2).sum(axis=1) - 2 * planes @ centers.T).argmin(axis=1)
    return word
