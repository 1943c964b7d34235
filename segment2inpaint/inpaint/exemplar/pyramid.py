"""The image pyramid of the exemplar fill: each level has half the size of the one before."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from segment2inpaint.inpaint.exemplar.jit import Array
from segment2inpaint.types import BinaryMask, Image

PATCH_RADIUS = 3  # px; a patch has 7 x 7 px
PATCH_SIDE = 2 * PATCH_RADIUS + 1  # px
CHANNELS = 5  # R, G, B and two texture features

# A level with fewer wholly known patches gives too little choice to copy from.
MIN_SOURCE_PATCHES = 32
COARSEST_HOLE_AREA = 300  # px; no coarser level follows one with a hole of this size or less
# The confidence in a painted pixel is divided by this for each px of distance from known pixels,
CONFIDENCE_DECAY = 1.6
MAX_DECAY_DEPTH = 12  # but stays the same deeper than this, in px
TEXTURE_WEIGHT = 1.5  # of the texture features relative to the colours
TEXTURE_WINDOW = 15  # px, side of the square over which texture is averaged (Newson et al. 2014)


@dataclass(frozen=True, eq=False)
class PyramidLevel:
    """One level, padded by the patch radius on each side.

    Only the hole's part of ``flat_features`` changes after construction. Positions are (y, x)
    in the padded level; integers are int32.

    ``flat_features``: (H, W * CHANNELS) float32.
    ``hole``, ``known``: (H, W) bool; neither is set in the padding.
    ``confidence``: (H, W) float32, in each pixel; 1 where known, 0 in the padding.
    ``hole_pixels``: (P, 2), the positions of the hole's pixels.
    ``pixel_index``: (H, W), each pixel's row in ``hole_pixels``, or -1.
    ``targets``: (T, 2), the centres of the patches that touch the hole.
    ``target_index``: (H, W), each pixel's row in ``targets``, or -1.
    ``sources``: (S,), the flat indices of the centres of wholly known patches.
    ``source_mask``: (H, W) bool, True at those centres.
    """

    flat_features: Array
    hole: BinaryMask
    known: BinaryMask
    confidence: Array
    hole_pixels: Array
    pixel_index: Array
    targets: Array
    target_index: Array
    sources: Array
    source_mask: BinaryMask

    @property
    def features(self) -> Array:
        """A view of ``flat_features`` as (H, W, CHANNELS)."""
        return self.flat_features.reshape(*self.hole.shape, CHANNELS)


def build_pyramid(image: Image, mask: BinaryMask) -> list[PyramidLevel]:
    """Return the levels, the finest first; an empty list if there is too little to copy from.

    ``image`` is (H, W, 3) uint8 RGB, ``mask`` (H, W) bool, True = hole.
    """
    hole, known = mask, ~mask
    features = _compute_features(image, known)
    levels: list[PyramidLevel] = []
    while hole.any():
        level = _make_level(features, hole, known)
        if len(level.sources) < MIN_SOURCE_PATCHES:
            break
        levels.append(level)
        if len(level.hole_pixels) <= COARSEST_HOLE_AREA:
            break
        features, hole, known = _halve(features, hole, known)
    return levels


def upscale_field(fine: PyramidLevel, coarse: PyramidLevel, nnf: Array, seed: int) -> Array:
    """Return the nearest-neighbour field of ``coarse``, (T, 2), for the level ``fine``.

    A target gets a random source if the upscaled one is not usable.
    """
    unpadded = fine.targets - PATCH_RADIUS
    i = coarse.target_index[unpadded[:, 0] // 2 + PATCH_RADIUS, unpadded[:, 1] // 2 + PATCH_RADIUS]
    y, x = ((nnf[i] - PATCH_RADIUS) * 2 + unpadded % 2 + PATCH_RADIUS).T
    y, x = np.clip(y, 0, fine.hole.shape[0] - 1), np.clip(x, 0, fine.hole.shape[1] - 1)
    usable = (i >= 0) & fine.source_mask[y, x]
    fallback = random_sources(fine, len(unpadded), seed)
    return np.where(usable[:, None], np.stack([y, x], axis=1), fallback).astype(np.int32)


def random_sources(level: PyramidLevel, count: int, seed: int) -> Array:
    """Return ``count`` random source centres, (count, 2) as (y, x)."""
    picks = np.random.default_rng(seed).integers(0, len(level.sources), count)
    centers = np.divmod(level.sources[picks], level.hole.shape[1])
    return np.stack(centers, axis=1)


def index_pixels(mask: BinaryMask) -> tuple[Array, Array]:
    """Return the True pixels, (N, 2) as (y, x), and each pixel's row in them, (H, W), or -1."""
    pixels = np.argwhere(mask).astype(np.int32)
    index = np.full(mask.shape, -1, np.int32)
    index[mask] = np.arange(len(pixels), dtype=np.int32)
    return pixels, index


def _compute_features(image: Image, known: BinaryMask) -> Array:
    """Return (H, W, CHANNELS) float32: RGB and the mean absolute gradients of known pixels."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    interior = cv2.erode(known.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    interior_share = cv2.blur(interior, (TEXTURE_WINDOW, TEXTURE_WINDOW)) + 1e-6
    features = np.empty((*known.shape, CHANNELS), np.float32)
    features[..., :3] = image
    for channel, (x, y) in enumerate(((1, 0), (0, 1)), start=3):
        slope = np.abs(cv2.Sobel(gray, cv2.CV_32F, x, y, scale=0.25)) * interior
        mean_slope = TEXTURE_WEIGHT * cv2.blur(slope, (TEXTURE_WINDOW, TEXTURE_WINDOW))
        features[..., channel] = mean_slope / interior_share
    return features


def _halve(
    features: Array, hole: BinaryMask, known: BinaryMask
) -> tuple[Array, BinaryMask, BinaryMask]:
    """Return features, hole and known at half the size.

    A pixel is the mean of the known ones among four, and known if at least half of them are.
    """
    odd = ((0, hole.shape[0] % 2), (0, hole.shape[1] % 2))
    features = np.where(hole[..., None], np.float32(0), features)
    if any(hole.shape[i] % 2 for i in (0, 1)):
        features = np.pad(features, (*odd, (0, 0)))
        hole, known = np.pad(hole, odd), np.pad(known, odd)
    known_share, inside_share = _mean_of_four(known), _mean_of_four(hole | known)
    known = (known_share >= 0.5) | ((known_share > 0) & (known_share == inside_share))
    mean = _mean_of_four(features)
    return mean / np.maximum(known_share, 0.25)[..., None], (inside_share > 0) & ~known, known


def _mean_of_four(a: Array) -> Array:
    size = a.shape[1] // 2, a.shape[0] // 2
    mean = cv2.resize(a.astype(np.float32, copy=False), size, interpolation=cv2.INTER_AREA)
    return np.asarray(mean).reshape(a.shape[0] // 2, a.shape[1] // 2, *a.shape[2:])


def _make_level(features: Array, hole: BinaryMask, known: BinaryMask) -> PyramidLevel:
    padding = ((PATCH_RADIUS, PATCH_RADIUS), (PATCH_RADIUS, PATCH_RADIUS))
    hole, known = np.pad(hole, padding), np.pad(known, padding)
    patch = np.ones((PATCH_SIDE, PATCH_SIDE), np.uint8)
    source_mask = cv2.erode(known.astype(np.uint8), patch, borderValue=0) > 0
    target_mask = (cv2.dilate(hole.astype(np.uint8), patch) > 0) & (hole | known)
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 3)
    faded = CONFIDENCE_DECAY ** -np.minimum(depth, MAX_DECAY_DEPTH)
    confidence = np.where(hole, faded, known).astype(np.float32)
    flat_features = np.pad(features, (*padding, (0, 0))).reshape(hole.shape[0], -1)
    hole_pixels, pixel_index = index_pixels(hole)
    targets, target_index = index_pixels(target_mask)
    sources = np.flatnonzero(source_mask).astype(np.int32)
    return PyramidLevel(
        flat_features,
        hole,
        known,
        confidence,
        hole_pixels,
        pixel_index,
        targets,
        target_index,
        sources,
        source_mask,
    )
