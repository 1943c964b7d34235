"""Statistics of pixels that the measurements of a result are made of."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.models.threads import single_blas_thread
from segment2inpaint.types import BinaryMask, FloatArray, Image

FlatIndices = NDArray[np.intp]

MIN_SHIFT = 7.0  # px; any texture resembles itself at smaller shifts


def to_lab(image: Image) -> FloatArray:
    """Return uint8 RGB as float32 CIE L*a*b*."""
    return np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB))


def blur(a: FloatArray, sigma: float) -> FloatArray:
    """Return the array with a Gaussian blur, sigma in px."""
    return np.asarray(cv2.GaussianBlur(np.asarray(a, np.float32), (0, 0), sigma))


def distance_to_false(mask: BinaryMask) -> FloatArray:
    """Return the distance in px from each True pixel to the nearest False one."""
    return np.asarray(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5))


def sample_indices(mask: BinaryMask, max_count: int) -> FlatIndices:
    """Return flat indices of True pixels, at most ``max_count`` of them at even intervals."""
    indices = np.flatnonzero(mask)
    if len(indices) <= max_count:
        return indices
    return indices[np.linspace(0, len(indices) - 1, max_count).astype(np.intp)]


@single_blas_thread
def squared_distances(queries: FloatArray, samples: FloatArray) -> FloatArray:
    """Return the squared Euclidean distances between rows, (Q, S)."""
    return np.asarray((queries**2).sum(1)[:, None] + (samples**2).sum(1) - 2 * queries @ samples.T)


def nearest_distances(queries: FloatArray, samples: FloatArray, rank: int = 0) -> FloatArray:
    """Return each query's distance (Q,) to its nearest sample, or to that of a later ``rank``."""
    squares = squared_distances(queries, samples)
    nearest = np.partition(squares, rank, axis=1)[:, rank] if rank else squares.min(1)
    return np.asarray(np.sqrt(np.maximum(nearest, 0)))


def pixel_features(indices: FlatIndices, weight: float, *maps: FloatArray) -> FloatArray:
    """Return a row for each pixel: the values of the maps and, times ``weight``, x and y."""
    width = maps[0].shape[1]
    position = weight * np.column_stack([indices % width, indices // width]).astype(np.float32)
    values = [a.reshape(len(a) * width, -1)[indices] for a in maps]
    return np.hstack([*values, position])


def masked_blur(values: FloatArray, mask: BinaryMask, sigma: float) -> FloatArray:
    """Return the Gaussian mean of ``values`` over the True pixels near each pixel."""
    weight = mask.astype(np.float32)
    return blur(values * weight, sigma) / (blur(weight, sigma) + 1e-3)


def gradients(maps: FloatArray) -> FloatArray:
    """Return the Sobel gradients (h, w, 2 C): along x, then along y."""
    return np.dstack([cv2.Sobel(maps, cv2.CV_32F, 1, 0), cv2.Sobel(maps, cv2.CV_32F, 0, 1)])


def gradient_magnitude(maps: FloatArray) -> FloatArray:
    """Return the size of the gradient over all channels, per px, (h, w)."""
    slopes = gradients(maps)
    size: FloatArray = np.sqrt(np.einsum("ijk,ijk->ij", slopes, slopes)) / 8
    return size


def self_similarity(gray: FloatArray, mask: BinaryMask) -> float:
    """Return the highest masked normalised correlation of a picture with itself, shifted.

    Shifts below ``MIN_SHIFT`` px, and shifts with an overlap of less than a quarter of the mask,
    do not count. Computed by Fourier transforms (Padfield 2012).
    """
    size = tuple(cv2.getOptimalDFTSize(2 * n) for n in mask.shape)
    values, weight = np.where(mask, gray, 0), mask.astype(np.float32)
    value_spectrum, weight_spectrum, square_spectrum = (
        cv2.dft(_pad(a, size)) for a in (values, weight, values**2)
    )
    product = _cross_correlation(value_spectrum, value_spectrum)
    count = _cross_correlation(weight_spectrum, weight_spectrum)
    square = _cross_correlation(square_spectrum, weight_spectrum)
    shifted_square = np.roll(square[::-1, ::-1], 1, (0, 1))  # that of the opposite shift
    half = slice(size[0] // 2 + 1)  # opposite shifts give the same similarity
    product, count, square, shifted_square = (
        a[half] for a in (product, count, square, shifted_square)
    )
    norm = np.sqrt(np.maximum(square * shifted_square, 0) + (0.5 * count) ** 2 + 1)
    similarity = product / norm
    similarity[count < 0.25 * np.float32(weight.sum())] = 0
    y, x = np.nonzero(np.hypot(*np.mgrid[: min(7, len(similarity)), -6:7]) < MIN_SHIFT)
    similarity[y, (x - 6) % similarity.shape[1]] = 0
    return float(similarity.max())


def _pad(a: FloatArray, size: tuple[int, ...]) -> FloatArray:
    padded = np.zeros(size, np.float32)
    padded[: a.shape[0], : a.shape[1]] = a
    return padded


def _cross_correlation(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the correlation over all cyclic shifts, by the two Fourier transforms."""
    product = cv2.mulSpectrums(a, b, 0, conjB=True)
    return np.asarray(cv2.dft(product, flags=cv2.DFT_INVERSE | cv2.DFT_REAL_OUTPUT | cv2.DFT_SCALE))
