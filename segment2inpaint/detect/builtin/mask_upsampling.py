"""Bring a mask found at another resolution to the photo's size."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np

from segment2inpaint.types import BinaryMask, Box, FloatArray, Image

BoxMean = Callable[[FloatArray], FloatArray]

TILE_SIDE = 512  # px, worked on at once to bound memory
MAX_EDGE_SHIFT = 1.0  # coarse px
MIN_VARIANCE = 1e-4  # of colours in [0, 1], below which the guide counts as flat


def upsample_mask(image: Image, coverage: FloatArray) -> BinaryMask:
    """Return the mask at the size of its photo (H, W, 3), its edge moved to the nearest one there.

    ``coverage`` (h, w) in [0, 1] covers the same view at any size. If that is smaller, the edge
    moves by at most ``MAX_EDGE_SHIFT`` of its pixels. The method is the guided filter (He, Sun and
    Tang 2013) with the colours as the guide, tile by tile, so that memory does not grow with the
    photo.
    """
    height, width = image.shape[:2]
    if coverage.shape[0] >= height:
        reduced = cv2.resize(coverage, (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(reduced > 0.5)
    step = max(height / coverage.shape[0], width / coverage.shape[1])
    radius = int(np.ceil(MAX_EDGE_SHIFT * step))
    mask = np.zeros((height, width), np.bool_)
    for tile in _tiles(height, width):
        around = tile.expand(2 * radius, (height, width))
        share = _upsample(coverage, around, (height, width))
        if float(share.max()) > 0.01 and float(share.min()) < 0.99:
            share = _guided_filter(image[around.slices], share, radius)
        x, y = tile.x0 - around.x0, tile.y0 - around.y0
        mask[tile.slices] = share[y : y + tile.height, x : x + tile.width] > 0.5
    return mask


def _tiles(height: int, width: int) -> Iterator[Box]:
    for y in range(0, height, TILE_SIDE):
        for x in range(0, width, TILE_SIDE):
            yield Box(x, y, min(x + TILE_SIDE, width), min(y + TILE_SIDE, height))


def _upsample(coverage: FloatArray, box: Box, size: tuple[int, int]) -> FloatArray:
    """Return the part in a box of ``coverage`` enlarged to ``size``."""
    y, x = coverage.shape[0] / size[0], coverage.shape[1] / size[1]
    to_coarse = np.array(
        [[x, 0, (box.x0 + 0.5) * x - 0.5], [0, y, (box.y0 + 0.5) * y - 0.5]], np.float32
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    part: FloatArray = cv2.warpAffine(
        coverage, to_coarse, (box.width, box.height), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return part


def _guided_filter(image: Image, share: FloatArray, radius: int) -> FloatArray:
    """Return ``share``, where not constant, fitted by a local linear function of the colours."""
    window = (2 * radius + 1, 2 * radius + 1)

    def mean(plane: FloatArray) -> FloatArray:
        smooth: FloatArray = cv2.blur(plane, window, borderType=cv2.BORDER_REFLECT_101)
        return smooth

    guide: FloatArray = image.astype(np.float32) / np.float32(255)
    mean_color, mean_share = mean(guide), mean(share)
    covariance = mean(guide * share[..., None]) - mean_color * mean_share[..., None]
    slope = _solve_covariance(guide, mean_color, covariance, mean)
    offset = mean_share - (slope * mean_color).sum(axis=2)
    fitted: FloatArray = (mean(slope) * guide).sum(axis=2) + mean(offset)
    constant = (mean_share < 1e-3) | (mean_share > 1 - 1e-3)
    return np.where(constant, share, fitted)


def _solve_covariance(
    guide: FloatArray, mean_color: FloatArray, right: FloatArray, mean: BoxMean
) -> FloatArray:
    """Return the inverse of the colours' local covariance matrix times ``right``, (H, W, 3)."""
    r, g, b = np.moveaxis(guide, 2, 0)
    cr, cg, cb = np.moveaxis(mean_color, 2, 0)
    rr, gg, bb = (mean(p * p) - c * c + MIN_VARIANCE for p, c in ((r, cr), (g, cg), (b, cb)))
    rg, rb, gb = mean(r * g) - cr * cg, mean(r * b) - cr * cb, mean(g * b) - cg * cb
    irr, irg, irb = gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb
    igg, igb, ibb = rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg
    x, y, z = np.moveaxis(right, 2, 0)
    rows = (irr * x + irg * y + irb * z, irg * x + igg * y + igb * z, irb * x + igb * y + ibb * z)
    solved: FloatArray = np.stack(rows, 2) / (rr * irr + rg * irg + rb * irb)[..., None]
    return solved
