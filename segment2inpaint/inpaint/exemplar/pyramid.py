"""The levels of the exemplar fill: each half the size of the one before."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from segment2inpaint.inpaint.exemplar.jit import Array
from segment2inpaint.types import BinaryMask, Image

RADIUS = 3  # of a patch: 7 x 7 px
SIDE = 2 * RADIUS + 1
CHANNELS = 5  # R, G, B and the two texture features

FEWEST = 32  # patches to copy from; with fewer a level is of no use
COARSEST = 300  # hole px at which the pyramid ends
FADE = 1.6  # the confidence in a painted pixel falls by this factor with each px of depth ...
DEEPEST = 12  # ... down to this depth
TEXTURE = 1.5  # weight of the texture features beside the colours
WINDOW = 15  # px, over which texture is averaged (Newson et al. 2014)


@dataclass(frozen=True, eq=False)
class PyramidLevel:
    """One level, padded by the patch radius; only the hole's part of ``flat`` ever changes.

    ``flat`` is (H, W * CHANNELS) float32. Of ``hole`` and ``known``, both (H, W) bool, neither
    is set outside the crop. ``weight`` (H, W) float32 is the confidence in each pixel.
    ``pixels`` (P, 2) are the hole's (y, x), ``number`` (H, W) their numbers or -1.
    ``targets`` (T, 2) are the centres of the patches that touch the hole, ``index`` (H, W)
    their numbers or -1. ``usable`` (H, W) bool are the centres of wholly
    known patches, ``sources`` (S,) their places in the raveled picture. Numbers are int32.
    """

    flat: Array
    hole: BinaryMask
    known: BinaryMask
    weight: Array
    pixels: Array
    number: Array
    targets: Array
    index: Array
    sources: Array
    usable: BinaryMask

    @property
    def view(self) -> Array:
        """``flat`` as (H, W, CHANNELS)."""
        return self.flat.reshape(*self.hole.shape, CHANNELS)


def pyramid(image: Image, bits: BinaryMask) -> list[PyramidLevel]:
    """The levels from the finest on; an empty list if there is too little to copy from."""
    hole, known = bits, ~bits
    features = _featured(image, known)
    levels: list[PyramidLevel] = []
    while hole.any():
        level = _level(features, hole, known)
        if len(level.sources) < FEWEST:
            break
        levels.append(level)
        if len(level.pixels) <= COARSEST:
            break
        features, hole, known = _halved(features, hole, known)
    return levels


def doubled(fine: PyramidLevel, coarse: PyramidLevel, nnf: Array, seed: int) -> Array:
    """The field of the coarse level at twice the size; at random where that is not usable."""
    inner = fine.targets - RADIUS
    i = coarse.index[inner[:, 0] // 2 + RADIUS, inner[:, 1] // 2 + RADIUS]
    y, x = ((nnf[i] - RADIUS) * 2 + inner % 2 + RADIUS).T
    y, x = np.clip(y, 0, fine.hole.shape[0] - 1), np.clip(x, 0, fine.hole.shape[1] - 1)
    there = (i >= 0) & fine.usable[y, x]
    lost = anywhere(fine, len(inner), seed)
    return np.where(there[:, None], np.stack([y, x], axis=1), lost).astype(np.int32)


def anywhere(level: PyramidLevel, count: int, seed: int) -> Array:
    """So many sources, at random."""
    picks = np.random.default_rng(seed).integers(0, len(level.sources), count)
    places = np.divmod(level.sources[picks], level.hole.shape[1])
    return np.stack(places, axis=1)


def numbered(bits: BinaryMask) -> tuple[Array, Array]:
    """The True pixels (y, x), and the number of each in a picture of -1."""
    pixels = np.argwhere(bits).astype(np.int32)
    number = np.full(bits.shape, -1, np.int32)
    number[bits] = np.arange(len(pixels), dtype=np.int32)
    return pixels, number


def _featured(image: Image, known: BinaryMask) -> Array:
    """RGB and, as texture, the mean absolute gradients of what is known round each pixel."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    solid = cv2.erode(known.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    mass = cv2.blur(solid, (WINDOW, WINDOW)) + 1e-6
    features = np.empty((*known.shape, CHANNELS), np.float32)
    features[..., :3] = image
    for c, (x, y) in enumerate(((1, 0), (0, 1)), start=3):
        slope = np.abs(cv2.Sobel(grey, cv2.CV_32F, x, y, scale=0.25)) * solid
        features[..., c] = TEXTURE * cv2.blur(slope, (WINDOW, WINDOW)) / mass
    return features


def _halved(
    features: Array, hole: BinaryMask, known: BinaryMask
) -> tuple[Array, BinaryMask, BinaryMask]:
    """Half the size, each pixel the mean of the known ones of four; known if half of them are."""
    even = ((0, hole.shape[0] % 2), (0, hole.shape[1] % 2))
    features = np.where(hole[..., None], np.float32(0), features)
    if any(hole.shape[i] % 2 for i in (0, 1)):
        features = np.pad(features, (*even, (0, 0)))
        hole, known = np.pad(hole, even), np.pad(known, even)
    count, inside = _mean_of_four(known), _mean_of_four(hole | known)
    known = (count >= 0.5) | ((count > 0) & (count == inside))
    total = _mean_of_four(features)
    return total / np.maximum(count, 0.25)[..., None], (inside > 0) & ~known, known


def _mean_of_four(a: Array) -> Array:
    size = a.shape[1] // 2, a.shape[0] // 2
    mean = cv2.resize(a.astype(np.float32, copy=False), size, interpolation=cv2.INTER_AREA)
    return np.asarray(mean).reshape(a.shape[0] // 2, a.shape[1] // 2, *a.shape[2:])


def _level(features: Array, hole: BinaryMask, known: BinaryMask) -> PyramidLevel:
    sides = ((RADIUS, RADIUS), (RADIUS, RADIUS))
    hole, known = np.pad(hole, sides), np.pad(known, sides)
    patch = np.ones((SIDE, SIDE), np.uint8)
    usable = cv2.erode(known.astype(np.uint8), patch, borderValue=0) > 0
    near = (cv2.dilate(hole.astype(np.uint8), patch) > 0) & (hole | known)
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 3)
    weight = np.where(hole, FADE ** -np.minimum(depth, DEEPEST), known).astype(np.float32)
    flat = np.pad(features, (*sides, (0, 0))).reshape(hole.shape[0], -1)
    pixels, number = numbered(hole)
    targets, index = numbered(near)
    sources = np.flatnonzero(usable).astype(np.int32)
    return PyramidLevel(flat, hole, known, weight, pixels, number, targets, index, sources, usable)
