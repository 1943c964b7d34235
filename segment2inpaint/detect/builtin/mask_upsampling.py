"""A mask found on a reduced picture, at the photo's size."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.types import BinaryMask, Box, Image

FloatArray = NDArray[np.float32]
Mean = Callable[[FloatArray], FloatArray]

TILE = 512  # px: so much is worked on at once, and only where the edge runs
REACH = 1.5  # coarse px that the edge may move
EPSILON = 1e-4  # variance, of [0, 1], below which the guide counts as flat


def upsample_mask(image: Image, coarse: BinaryMask) -> BinaryMask:
    """The mask at the size of its (H, W, 3) photo, its edge moved to the photo's nearest one.

    ``coarse`` covers the same view at any smaller size. The edge moves by at most
    ``REACH`` coarse px. Needs memory for one tile, whatever the photo's size. Guided filter
    (He, Sun and Tang 2013) with the colours as guide.
    """
    height, width = image.shape[:2]
    if coarse.shape == (height, width):
        return coarse.copy()
    soft = coarse.astype(np.float32)
    radius = int(np.ceil(REACH * max(height / coarse.shape[0], width / coarse.shape[1])))
    bits = np.zeros((height, width), np.bool_)
    for tile in _tiles(height, width):
        around = tile.grown(2 * radius, (height, width))
        share = _part(soft, around, (height, width))
        if float(share.max()) > 0.01 and float(share.min()) < 0.99:
            share = _guided(image[around.slices], share, radius)
        x, y = tile.x0 - around.x0, tile.y0 - around.y0
        bits[tile.slices] = share[y : y + tile.height, x : x + tile.width] > 0.5
    return bits


def _tiles(height: int, width: int) -> Iterator[Box]:
    for y in range(0, height, TILE):
        for x in range(0, width, TILE):
            yield Box(x, y, min(x + TILE, width), min(y + TILE, height))


def _part(soft: FloatArray, box: Box, size: tuple[int, int]) -> FloatArray:
    """The part of ``soft``, enlarged to ``size``, that lies in the box."""
    y, x = soft.shape[0] / size[0], soft.shape[1] / size[1]
    back = np.array(
        [[x, 0, (box.x0 + 0.5) * x - 0.5], [0, y, (box.y0 + 0.5) * y - 0.5]], np.float32
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    part: FloatArray = cv2.warpAffine(
        soft, back, (box.width, box.height), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return part


def _guided(image: Image, share: FloatArray, radius: int) -> FloatArray:
    """``share`` as the best local linear function of the colours, where it is not settled."""
    side = (2 * radius + 1, 2 * radius + 1)

    def mean(plane: FloatArray) -> FloatArray:
        smooth: FloatArray = cv2.blur(plane, side, borderType=cv2.BORDER_REFLECT_101)
        return smooth

    guide: FloatArray = image.astype(np.float32) / np.float32(255)
    color, level = mean(guide), mean(share)
    both = mean(guide * share[..., None]) - color * level[..., None]
    slope = _solved(guide, color, both, mean)
    offset = level - (slope * color).sum(axis=2)
    fitted: FloatArray = (mean(slope) * guide).sum(axis=2) + mean(offset)
    settled = (level < 1e-3) | (level > 1 - 1e-3)
    return np.where(settled, share, fitted)


def _solved(guide: FloatArray, color: FloatArray, both: FloatArray, mean: Mean) -> FloatArray:
    """(H, W, 3): the colours' local covariance matrix, inverse, times ``both``."""
    r, g, b = np.moveaxis(guide, 2, 0)
    cr, cg, cb = np.moveaxis(color, 2, 0)
    rr, gg, bb = (mean(p * p) - c * c + EPSILON for p, c in ((r, cr), (g, cg), (b, cb)))
    rg, rb, gb = mean(r * g) - cr * cg, mean(r * b) - cr * cb, mean(g * b) - cg * cb
    irr, irg, irb = gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb
    igg, igb, ibb = rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg
    x, y, z = np.moveaxis(both, 2, 0)
    rows = (irr * x + irg * y + irb * z, irg * x + igg * y + igb * z, irb * x + igb * y + ibb * z)
    solved: FloatArray = np.stack(rows, 2) / (rr * irr + rg * irg + rb * irb)[..., None]
    return solved
