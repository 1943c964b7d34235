"""The colour and texture of pixels, and visual words (histogram bins) for both."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.detect.lab import to_lab
from segment2inpaint.types import FloatArray, Image

IntArray = NDArray[np.intp]

SAMPLE_STEP = 7  # every seventh pixel is used to find the texture words


def denoised_lab(image: Image) -> FloatArray:
    """Return an sRGB picture (h, w, 3) in L*a*b*, slightly blurred against noise."""
    return to_lab(cv2.GaussianBlur(image, (0, 0), 0.7))


def gradients(plane: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the change per px along x and along y (Scharr)."""
    return cv2.Scharr(plane, cv2.CV_32F, 1, 0) / 16, cv2.Scharr(plane, cv2.CV_32F, 0, 1) / 16


def texture_planes(lightness: FloatArray) -> Iterator[FloatArray]:
    """Yield the smoothed strength of lightness changes in 4 directions at 3 scales: 12 planes."""
    for scale in (1, 2, 4):
        x, y = (scale * s for s in gradients(cv2.GaussianBlur(lightness, (0, 0), scale)))
        for energy in (x * x, y * y, (x + y) ** 2 / 2, (x - y) ** 2 / 2):
            yield np.sqrt(cv2.GaussianBlur(energy, (0, 0), 3))


def color_words(colors: FloatArray, side: float, spread: float) -> tuple[IntArray, FloatArray]:
    """Return the word of each colour (..., 3), flat, and the similarity of the V words, (V, V).

    A word is a cell of L*a*b* with sides of ``side`` CIE76 that holds a colour. The similarity is
    a Gaussian of width ``spread`` CIE76; its rows sum to 1.
    """
    flat = colors.reshape(-1, 3)
    cell = np.floor(flat / side).astype(np.intp)
    cell -= cell.min(axis=0)
    sides = cell.max(axis=0) + 1
    key = (cell[:, 0] * sides[1] + cell[:, 1]) * sides[2] + cell[:, 2]
    _, word, count = np.unique(key, return_inverse=True, return_counts=True)
    mean = np.stack([np.bincount(word, flat[:, i]) / count for i in range(3)], 1)
    squares = (mean**2).sum(axis=1)
    squared_distance = np.maximum(squares[:, None] + squares - 2 * mean @ mean.T, 0)
    kernel = np.exp(-squared_distance / (2 * spread**2))
    similarity: FloatArray = (kernel / kernel.sum(axis=1, keepdims=True)).astype(np.float32)
    return word, similarity


def texture_words(lightness: FloatArray, number: int) -> IntArray:
    """Return the word of each pixel, flat: one of up to ``number`` k-means clusters of texture."""
    planes = np.log1p(np.stack([*texture_planes(lightness)], -1)).reshape(-1, 12).astype(np.float32)
    step = SAMPLE_STEP if len(planes) > SAMPLE_STEP * number else 1
    sample = np.ascontiguousarray(planes[::step])
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_COUNT, 10, 0.1)
    clusters = min(number, len(sample))
    _, _, centers = cv2.kmeans(sample, clusters, None, stop, 1, cv2.KMEANS_PP_CENTERS)
    word: IntArray = ((centers**2).sum(axis=1) - 2 * planes @ centers.T).argmin(axis=1)
    return word
