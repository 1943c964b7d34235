"""The image pyramid of the exemplar fill: each level has half the size of the one before."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from segment2inpaint.inpaint.exemplar.jit import Array
from segment2inpaint.inpaint.exemplar.thread_pool import PatchJobRunner
from segment2inpaint.types import BinaryMask, Image

PATCH_RADIUS = 3  # px; a patch has 7 x 7 px
PATCH_SIDE = 2 * PATCH_RADIUS + 1  # px
CHANNELS = 5  # R, G, B and two texture features
# px at the top, bottom, left and right of a level. One more column on the right lets the patch
# distance read ROW_STRIDE numbers at the end of each row.
PADDING = (PATCH_RADIUS, PATCH_RADIUS), (PATCH_RADIUS, PATCH_RADIUS + 1)
UPSCALED_TARGETS = 100_000  # targets whose sources are upscaled at once; bounds the memory
STRIP_ROWS = 64  # rows whose features are computed at once; even; bounds the memory

# A level with fewer wholly known patches gives too little choice to copy from.
MIN_SOURCE_PATCHES = 32
COARSEST_HOLE_AREA = 300  # px; no coarser level follows one with a hole of this size or less
# The confidence in a painted pixel is divided by this for each px of distance from known pixels,
CONFIDENCE_DECAY = 1.6
MAX_DECAY_DEPTH = 12  # but stays the same deeper than this, in px
TEXTURE_WEIGHT = 1.5  # of the texture features relative to the colours
TEXTURE_WINDOW = 15  # px, side of the square over which texture is averaged (Newson et al. 2014)
PYRAMID_COST = 1.0  # time to build a level for each px of it, in patch comparisons
TEXTURE_REACH = TEXTURE_WINDOW // 2 + 1  # px from a pixel to the farthest one its features read


@dataclass(frozen=True, eq=False)
class PyramidLevel:
    """One level, padded on each side, see ``PADDING``.

    Only the hole's part of ``flat_features`` changes after construction. Positions are (y, x)
    in the padded level; integers are int32. The arrays with a value for each pixel are 0 far
    from the hole, so that the system gives them no memory there.

    ``flat_features``: (H, W * CHANNELS) uint8.
    ``hole``, ``known``: (H, W) bool; neither is set in the padding.
    ``confidence``: (H, W) float32, in each pixel of a target; 1 where known, 0 in the padding.
    ``hole_pixels``: (P, 2), the positions of the hole's pixels, by rows.
    ``pixel_index``: (H, W), each pixel's row in ``hole_pixels`` plus 1, or 0.
    ``targets``: (T, 2), the centres of the patches that touch the hole, by rows.
    ``target_index``: (H, W), each pixel's row in ``targets`` plus 1, or 0.
    ``source_mask``: (H, W) bool, True at the centres of wholly known patches.
    """

    flat_features: Array
    hole: BinaryMask
    known: BinaryMask
    confidence: Array
    hole_pixels: Array
    pixel_index: Array
    targets: Array
    target_index: Array
    source_mask: BinaryMask

    @property
    def features(self) -> Array:
        """A view of ``flat_features`` as (H, W, CHANNELS)."""
        return self.flat_features.reshape(*self.hole.shape, CHANNELS)

    @cached_property
    def sources(self) -> Array:
        """The flat indices (S,) of the centres of wholly known patches."""
        return np.flatnonzero(self.source_mask).astype(np.int32)


def build_pyramid(image: Image, mask: BinaryMask, runner: PatchJobRunner) -> list[PyramidLevel]:
    """Return the levels, the finest first; an empty list if there is too little to copy from.

    ``image`` is (H, W, 3) uint8 RGB, ``mask`` (H, W) bool, True = hole.
    """
    hole, known = mask, ~mask
    features = _compute_features(image, known, runner)
    levels: list[PyramidLevel] = []
    while hole.any():
        level = _make_level(features, hole, known)
        if np.count_nonzero(level.source_mask) < MIN_SOURCE_PATCHES:
            break
        levels.append(level)
        if len(level.hole_pixels) <= COARSEST_HOLE_AREA:
            break
        features, hole, known = _halve(features, hole, known, runner)
    return levels


def reduced_features(image: Image, octaves: int, runner: PatchJobRunner) -> Array:
    """Return the features (h, w, CHANNELS) uint8 of a whole picture, ``octaves`` coarser."""
    known = np.ones(image.shape[:2], np.bool_)
    hole, features = ~known, _compute_features(image, known, runner)
    for _ in range(octaves):
        features, hole, known = _halve(features, hole, known, runner)
    return _unpad(features)


def upscale_field(fine: PyramidLevel, coarse: PyramidLevel, nnf: Array, seed: int) -> Array:
    """Return the nearest-neighbour field of ``coarse``, (T, 2), for the level ``fine``.

    A target gets a random source if the upscaled one is not usable.
    """
    bands = np.array_split(fine.targets, len(fine.targets) // UPSCALED_TARGETS + 1)
    return np.concatenate([_upscale_band(fine, coarse, nnf, band, seed) for band in bands])


def _upscale_band(
    fine: PyramidLevel, coarse: PyramidLevel, nnf: Array, targets: Array, seed: int
) -> Array:
    """Return the sources of some of the targets, (N, 2)."""
    unpadded = targets - PATCH_RADIUS
    parents = unpadded // 2 + PATCH_RADIUS
    i = coarse.target_index[parents[:, 0], parents[:, 1]] - 1
    centers = np.asarray(nnf[i])
    centers *= 2
    centers += unpadded % 2 - PATCH_RADIUS
    np.clip(centers, 0, np.array(fine.hole.shape, np.int32) - 1, out=centers)
    y, x = centers.T
    usable = (i >= 0) & fine.source_mask[y, x]
    centers[~usable] = random_sources(fine, int(np.count_nonzero(~usable)), seed)
    return centers


def random_sources(level: PyramidLevel, count: int, seed: int) -> Array:
    """Return ``count`` random source centres, (count, 2) int32 as (y, x)."""
    last = np.cumsum(np.count_nonzero(level.source_mask, axis=1))
    picks = np.random.default_rng(seed).integers(0, last[-1], count)
    rows = np.searchsorted(last, picks, side="right")
    centers = np.empty((count, 2), np.int32)
    for y in np.unique(rows):
        columns, in_row = np.flatnonzero(level.source_mask[y]), rows == y
        centers[in_row, 0], centers[in_row, 1] = y, columns[picks[in_row] - last[y]]
    return centers


def index_pixels(mask: BinaryMask) -> tuple[Array, Array]:
    """Return the True pixels, (N, 2) by rows as (y, x), and their numbers from 1, (H, W), or 0."""
    pixels = np.argwhere(mask).astype(np.int32)
    index = np.zeros(mask.shape, np.int32)
    index[mask] = np.arange(1, len(pixels) + 1, dtype=np.int32)
    return pixels, index


def _compute_features(image: Image, known: BinaryMask, runner: PatchJobRunner) -> Array:
    """Return RGB and the mean absolute gradients of known pixels, padded, uint8."""
    padded_shape = (side + sum(pad) for side, pad in zip(known.shape, PADDING, strict=True))
    features = np.zeros((*padded_shape, CHANNELS), np.uint8)
    inner = _unpad(features)
    inner[..., :3] = image
    for first in range(0, len(image), STRIP_ROWS):
        top = max(first - TEXTURE_REACH, 0)
        rows = slice(top, first + STRIP_ROWS + TEXTURE_REACH)
        texture = _compute_texture(image[rows], known[rows])
        strip = inner[first : first + STRIP_ROWS, :, 3:]
        strip[:] = texture[first - top :][: len(strip)]
        runner.add_done(PYRAMID_COST * known[first : first + STRIP_ROWS].size)
    return features


def _unpad(a: Array) -> Array:
    """Return the view of a padded array without its padding."""
    (top, bottom), (left, right) = PADDING
    return a[top:-bottom, left:-right]


def _compute_texture(image: Image, known: BinaryMask) -> Array:
    """Return (H, W, 2) uint8: the mean absolute gradients along x and y of known pixels."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    interior = cv2.erode(known.view(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    interior_share = cv2.blur(interior, (TEXTURE_WINDOW, TEXTURE_WINDOW)) + 1e-6
    channels = []
    for x, y in ((1, 0), (0, 1)):
        slope = np.abs(cv2.Sobel(gray, cv2.CV_32F, x, y, scale=0.25)) * interior
        mean_slope = TEXTURE_WEIGHT * cv2.blur(slope, (TEXTURE_WINDOW, TEXTURE_WINDOW))
        channels.append(np.rint(np.minimum(mean_slope / interior_share, 255)))
    return np.stack(channels, axis=-1).astype(np.uint8)


def _halve(
    features: Array, hole: BinaryMask, known: BinaryMask, runner: PatchJobRunner
) -> tuple[Array, BinaryMask, BinaryMask]:
    """Return features, padded, hole and known at half the size, see ``_halve_strip``."""
    strips = []
    for first in range(0, len(hole), STRIP_ROWS):
        rows = slice(first, first + STRIP_ROWS)
        strips.append(_halve_strip(_unpad(features)[rows], hole[rows], known[rows]))
        runner.add_done(PYRAMID_COST * hole[rows].size)
    halved, holes, knowns = (np.concatenate(parts) for parts in zip(*strips, strict=True))
    return np.pad(halved, (*PADDING, (0, 0))), holes, knowns


def _halve_strip(
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
    mean = _mean_of_four(features) / np.maximum(known_share, 0.25)[..., None]
    return np.rint(mean).astype(np.uint8), (inside_share > 0) & ~known, known


def _mean_of_four(a: Array) -> Array:
    size = a.shape[1] // 2, a.shape[0] // 2
    mean = cv2.resize(a.astype(np.float32, copy=False), size, interpolation=cv2.INTER_AREA)
    return np.asarray(mean).reshape(a.shape[0] // 2, a.shape[1] // 2, *a.shape[2:])


def _make_level(features: Array, hole: BinaryMask, known: BinaryMask) -> PyramidLevel:
    """Return the level; ``features`` are padded already."""
    hole, known = np.pad(hole, PADDING), np.pad(known, PADDING)
    patch = np.ones((PATCH_SIDE, PATCH_SIDE), np.uint8)
    source_mask = cv2.erode(known.view(np.uint8), patch, borderValue=0).view(bool)
    target_mask = cv2.dilate(hole.view(np.uint8), patch).view(bool) & (hole | known)
    hole_pixels, pixel_index = index_pixels(hole)
    targets, target_index = index_pixels(target_mask)
    return PyramidLevel(
        features.reshape(hole.shape[0], -1),
        hole,
        known,
        _compute_confidence(hole, known, hole_pixels),
        hole_pixels,
        pixel_index,
        targets,
        target_index,
        source_mask,
    )


def _compute_confidence(hole: BinaryMask, known: BinaryMask, hole_pixels: Array) -> Array:
    """Return the confidence of the pixels within two patch radii of the hole, 0 elsewhere."""
    confidence = np.zeros(hole.shape, np.float32)
    top, left = np.maximum(hole_pixels.min(axis=0) - 2 * PATCH_RADIUS, 0)
    bottom, right = hole_pixels.max(axis=0) + 2 * PATCH_RADIUS + 1
    box = slice(top, bottom), slice(left, right)
    confidence[box] = known[box]
    depth = np.asarray(cv2.distanceTransform(hole[box].view(np.uint8), cv2.DIST_L2, 3))
    y, x = hole_pixels.T
    confidence[y, x] = CONFIDENCE_DECAY ** -np.minimum(depth[y - top, x - left], MAX_DECAY_DEPTH)
    return confidence
