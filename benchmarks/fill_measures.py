"""How near a filled hole comes to the truth: the measures of ``fill.py``.

Each takes RGB uint8 pictures and a bool mask of one size and looks at the masked pixels only.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Bits = NDArray[np.bool_]
Floats = NDArray[np.float32]
SCALES = 3  # octaves of the texture measure
QUANTILES = np.linspace(0.005, 0.995, 100)


def psnr(made: Image, truth: Image, bits: Bits) -> float:
    """Peak signal to noise ratio in dB; higher is nearer. Rewards blur."""
    error = (made[bits].astype(np.float64) - truth[bits]) ** 2
    return float(10 * np.log10(255**2 / max(error.mean(), 1e-4)))


def ssim(made: Image, truth: Image, bits: Bits) -> float:
    """Structural similarity (Wang et al. 2004) of the grey pictures, at most 1.

    At the scale its authors advise: first reduced so that the short side is about 256.
    """
    factor = max(1, round(min(bits.shape) / 256))
    a, b = reduced(grey(made), factor), reduced(grey(truth), factor)
    inside = reduced(bits.astype(np.float32), factor) >= 0.5
    mean_a, mean_b = smooth(a), smooth(b)
    var_a, var_b = smooth(a * a) - mean_a**2, smooth(b * b) - mean_b**2
    both = smooth(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    return float((top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)))[inside].mean())


def texture(made: Image, truth: Image, bits: Bits) -> float:
    """Mean earth mover's distance of the gradients' sizes over octaves, in grey levels.

    0 if the fill has as many edges of each strength as the truth, wherever they are: blur
    lacks them, noise and seams have too many.
    """
    a, b, inside = grey(made), grey(truth), bits.astype(np.float32)
    distances = []
    for _ in range(SCALES):
        within = inside > 0.5
        if within.sum() < 16:
            break
        for x, y in ((1, 0), (0, 1)):
            distances.append(earth(gradient(a, x, y)[within], gradient(b, x, y)[within]))
        a, b, inside = (cv2.pyrDown(p) for p in (a, b, inside))
    return float(np.mean(distances))


def seam(made: Image, truth: Image, bits: Bits) -> float:
    """Earth mover's distance of the steps across the hole's border, in grey levels.

    0 if the picture changes across the border as much as the truth does: a visible seam has
    steps that are too large, a blurred fill of a grained photo too small.
    """
    a, b = grey(made), grey(truth)
    steps_a, steps_b = [], []
    for axis in (0, 1):
        across = np.diff(bits.astype(np.int8), axis=axis) != 0
        steps_a.append(np.abs(np.diff(a, axis=axis))[across])
        steps_b.append(np.abs(np.diff(b, axis=axis))[across])
    return earth(np.concatenate(steps_a), np.concatenate(steps_b))


MEASURES = {"psnr": psnr, "ssim": ssim, "texture": texture, "seam": seam}
HIGHER_IS_BETTER = {"psnr": True, "ssim": True, "texture": False, "seam": False}


def grey(image: Image) -> Floats:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float32)


def reduced(a: Floats, factor: int) -> Floats:
    """The picture at 1 / factor of its size, by block means."""
    h, w = a.shape[0] // factor, a.shape[1] // factor
    return a[: h * factor, : w * factor].reshape(h, factor, w, factor).mean(axis=(1, 3))


def smooth(a: Floats) -> Floats:
    return np.asarray(cv2.GaussianBlur(a, (11, 11), 1.5), np.float32)


def gradient(a: Floats, x: int, y: int) -> Floats:
    return np.abs(np.asarray(cv2.Sobel(a, cv2.CV_32F, x, y, ksize=1, scale=0.5), np.float32))


def earth(a: Floats, b: Floats) -> float:
    """Earth mover's distance of two samples: the mean difference of their quantiles."""
    return float(np.abs(np.quantile(a, QUANTILES) - np.quantile(b, QUANTILES)).mean())
