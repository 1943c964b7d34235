"""Measures of ``fill.py``: how close a filled hole is to the truth.

Each takes RGB uint8 pictures and a bool mask of the same size, and compares masked pixels only.
"""

from __future__ import annotations

import cv2
import numpy as np

from segment2inpaint.types import BinaryMask, FloatArray, Image
from segment2inpaint.verify.reference import psnr, ssim

OCTAVES = 3  # of the texture measure
QUANTILES = np.linspace(0.005, 0.995, 100)


def texture(filled: Image, truth: Image, mask: BinaryMask) -> float:
    """Return the mean earth mover's distance of gradient magnitudes over octaves, in grey levels.

    It is 0 if the fill has as many edges of each strength as the truth, wherever they are. Blur
    has too few, noise and seams have too many.
    """
    a, b, inside = to_grey(filled), to_grey(truth), mask.astype(np.float32)
    distances = []
    for _ in range(OCTAVES):
        within = inside > 0.5
        if within.sum() < 16:
            break
        for x, y in ((1, 0), (0, 1)):
            distances.append(
                earth_movers_distance(
                    gradient_magnitude(a, x, y)[within], gradient_magnitude(b, x, y)[within]
                )
            )
        a, b, inside = (cv2.pyrDown(p) for p in (a, b, inside))
    return float(np.mean(distances))


def seam(filled: Image, truth: Image, mask: BinaryMask) -> float:
    """Return the earth mover's distance of the steps across the hole's border, in grey levels.

    It is 0 if the picture changes across the border as much as the truth does. Visible seams have
    steps that are too large; a blurred fill of a grainy photo has steps that are too small.
    """
    a, b = to_grey(filled), to_grey(truth)
    steps_a, steps_b = [], []
    for axis in (0, 1):
        is_border = np.diff(mask.astype(np.int8), axis=axis) != 0
        steps_a.append(np.abs(np.diff(a, axis=axis))[is_border])
        steps_b.append(np.abs(np.diff(b, axis=axis))[is_border])
    return earth_movers_distance(np.concatenate(steps_a), np.concatenate(steps_b))


MEASURES = {"psnr": psnr, "ssim": ssim, "texture": texture, "seam": seam}
HIGHER_IS_BETTER = {"psnr": True, "ssim": True, "texture": False, "seam": False}


def to_grey(image: Image) -> FloatArray:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float32)


def gradient_magnitude(a: FloatArray, x: int, y: int) -> FloatArray:
    return np.abs(np.asarray(cv2.Sobel(a, cv2.CV_32F, x, y, ksize=1, scale=0.5), np.float32))


def earth_movers_distance(a: FloatArray, b: FloatArray) -> float:
    """Return the earth mover's distance of two samples: the mean difference of their quantiles."""
    return float(np.abs(np.quantile(a, QUANTILES) - np.quantile(b, QUANTILES)).mean())
