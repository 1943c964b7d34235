"""Measures of a result against a photo of the scene without the object.

Pictures are (H, W, 3) uint8 RGB and masks (H, W) bool, all of one size; masks have a True pixel.
Only masked pixels count.
"""

from __future__ import annotations

import cv2
import numpy as np

from segment2inpaint.types import BinaryMask, FloatArray, Image

SSIM_SIDE = 256  # px, about the short side of the pictures that SSIM compares
SSIM_SIGMA = 1.5  # px, of the Gaussian window
SSIM_CONSTANTS = (0.01 * 255) ** 2, (0.03 * 255) ** 2
UNDONE_REDUCTION = 8  # so that texture does not count


def psnr(after: Image, clean: Image, mask: BinaryMask) -> float:
    """Return the peak signal-to-noise ratio in dB, at most 88; higher is better.

    It favours blur.
    """
    error = (after[mask].astype(np.float64) - clean[mask]) ** 2
    return float(10 * np.log10(255**2 / max(error.mean(), 1e-4)))


def ssim(after: Image, clean: Image, mask: BinaryMask) -> float:
    """Return the mean structural similarity (Wang et al. 2004) of the grey pictures, at most 1.

    As its authors advise, pictures are first reduced so that their short side is about 256 px.
    """
    factor = max(1, round(min(mask.shape) / SSIM_SIDE))
    a, b = (_reduce(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), factor) for p in (after, clean))
    coverage = _reduce(mask, factor)
    mean_a, mean_b = _window_mean(a), _window_mean(b)
    var_a, var_b = _window_mean(a * a) - mean_a**2, _window_mean(b * b) - mean_b**2
    covariance = _window_mean(a * b) - mean_a * mean_b
    c1, c2 = SSIM_CONSTANTS
    numerator = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    similarity = numerator / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return float(similarity[coverage >= min(0.5, coverage.max())].mean())


def undone(before: Image, after: Image, clean: Image, mask: BinaryMask) -> float | None:
    """Return which share of the change that the object made to the scene was taken back.

    It is 1 where ``after`` is ``clean`` and 0 where it is ``before``; below 0 the result is worse
    than the photo with the object. Differences are summed over pictures of an eighth of the size.
    None if ``before`` and ``clean`` are alike in the mask.
    """
    fy, fx = (max(1 / UNDONE_REDUCTION, 1 / side) for side in mask.shape)
    weight, *pictures = (
        cv2.resize(a, None, fx=fx, fy=fy, interpolation=cv2.INTER_AREA).astype(np.float64)
        for a in (mask.astype(np.float32), before, after, clean)
    )
    old, new, truth = pictures
    made, left = (float((np.abs(p - truth).mean(2) * weight).sum()) for p in (old, new))
    return 1 - left / made if made > 0 else None


def _reduce(values: Image | BinaryMask, factor: int) -> FloatArray:
    """Return the values at 1 / factor of their size, by area."""
    size = [max(1, n // factor) for n in values.shape[::-1]]
    return np.asarray(cv2.resize(values.astype(np.float32), size, interpolation=cv2.INTER_AREA))


def _window_mean(a: FloatArray) -> FloatArray:
    return np.asarray(cv2.GaussianBlur(a, (11, 11), SSIM_SIGMA))
