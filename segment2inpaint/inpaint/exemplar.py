"""The exemplar fill: a hole is filled with patches of its surroundings, without weights.

Coarse to fine: at each level of a pyramid a field of nearest patches and the picture in the
hole are improved in turn. Sources: Wexler, Shechtman, Irani 2007 (the energy and its
minimisation), Barnes et al. 2009 (PatchMatch), Newson et al. 2014 (texture features, onion
peel at the coarsest level).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.inpaint import patchmatch as pm
from segment2inpaint.types import Bits, Canvas, Crop, Fill, Image, Progress, quiet

BANDS = 8  # independent parts of one pass; fixed, so that threads do not change the result
Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Level:
    """One level of the pyramid, padded by the patch radius.

    ``features`` is (H, W * channels) float32, ``hole`` and ``known`` (H, W) bool (neither:
    outside the crop), ``weight`` (H, W) float32 the confidence in each pixel.
    """

    features: Array
    hole: Bits
    known: Bits
    weight: Array
    targets: Array
    index: Array
    usable: Bits
    sources: Array


class Exemplar:
    """Fills by copying patches of the surroundings. Needs no weights; same seed, same result."""

    name = "exemplar"
    canvas = Canvas(padding=1.0, side=256)

    def inpaint(self, crops: Sequence[Crop], fill: Fill, progress: Progress = quiet) -> list[Image]:
        """Each crop with its ``bits`` filled from its other pixels, never from ``bits``."""
        filled = []
        for number, crop in enumerate(crops):
            progress("filling from the surroundings", number / len(crops))
            filled.append(paint(crop.image, crop.bits, crop.seed))
        progress("filling from the surroundings", 1.0)
        return filled


def paint(image: Image, bits: Bits, seed: int) -> Image:
    if not bits.any():
        return image.copy()
    with ThreadPoolExecutor(min(os.cpu_count() or 1, BANDS)) as pool:
        levels = pyramid(image, bits)
        if not levels:
            return plain(image, bits)
        field = None
        for depth in range(len(levels) - 1, -1, -1):
            field = solve(levels[depth], field, levels, depth, seed, pool.map)
    level = levels[0]
    out = image.copy()
    inner = level.features.reshape(*level.hole.shape, pm.CHANNELS)[
        pm.RADIUS : pm.RADIUS + bits.shape[0], pm.RADIUS : pm.RADIUS + bits.shape[1], :3
    ]
    out[bits] = np.clip(np.rint(inner[bits]), 0, 255)
    return out


def plain(image: Image, bits: Bits) -> Image:
    """Flat grey where nothing is known, else OpenCV's fast-marching fill (Telea 2004)."""
    if bits.all():
        return np.full_like(image, 127)
    return np.asarray(cv2.inpaint(image, bits.astype(np.uint8), 3, cv2.INPAINT_TELEA), np.uint8)


def pyramid(image: Image, bits: Bits) -> list[Level]:
    hole = bits
    known = ~bits
    features = textured(image, known)
    levels = []
    while True:
        level = make_level(features, hole, known)
        if len(level.sources) < 32:
            break
        levels.append(level)
        if cv2.distanceTransform(pad(hole.astype(np.uint8)), cv2.DIST_L2, 3).max() < 3:
            break
        features, hole, known = halve(features, hole, known)
    return levels


def textured(image: Image, known: Bits) -> Array:
    """RGB and the mean absolute gradients round each pixel, (H, W, 5) float32."""
    grey = image.astype(np.float32).mean(axis=2)
    solid = cv2.erode(known.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    mass = cv2.blur(solid, (15, 15)) + 1e-6
    x = cv2.blur(np.abs(cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=0.25)) * solid, (15, 15)) / mass
    y = cv2.blur(np.abs(cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=0.25)) * solid, (15, 15)) / mass
    return np.dstack([image.astype(np.float32), 1.5 * x, 1.5 * y])


def halve(features: Array, hole: Bits, known: Bits) -> tuple[Array, Bits, Bits]:
    """Half the size, each pixel the mean of the known ones of four."""
    h, w = hole.shape
    even = ((0, h % 2), (0, w % 2))
    features = np.pad(features, (*even, (0, 0)))
    hole, known = np.pad(hole, even), np.pad(known, even)
    mass = known.astype(np.float32)

    def four(a: Array) -> Array:
        return a[::2, ::2] + a[1::2, ::2] + a[::2, 1::2] + a[1::2, 1::2]

    count = four(mass)
    total = four(features * mass[..., None])
    inside = count + four(hole.astype(np.float32))
    known = (count >= 2) | ((count > 0) & (count == inside))
    return total / np.maximum(count, 1)[..., None], (inside > 0) & ~known, known


def pad(a: Array) -> Array:
    r = pm.RADIUS
    return np.pad(a, [(r, r), (r, r)] + [(0, 0)] * (a.ndim - 2))


def make_level(features: Array, hole: Bits, known: Bits) -> Level:
    features, hole, known = (pad(a) for a in (features, hole, known))
    box = np.ones((pm.SIDE, pm.SIDE), np.uint8)
    usable = cv2.erode(known.astype(np.uint8), box, borderValue=0).astype(bool)
    near = cv2.dilate(hole.astype(np.uint8), box).astype(bool) & (hole | known)
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 3)
    weight = np.where(hole, 1.3 ** -np.minimum(depth, 12), known).astype(np.float32)
    targets = np.argwhere(near).astype(np.int32)
    index = np.full(hole.shape, -1, np.int32)
    index[near] = np.arange(len(targets), dtype=np.int32)
    flat = np.ascontiguousarray(features.reshape(hole.shape[0], -1), np.float32)
    sources = np.argwhere(usable).astype(np.int32)
    return Level(flat, hole, known, weight, targets, index, usable, sources)


Map = Callable[..., Any]


def bands(count: int) -> list[tuple[int, int]]:
    edges = np.linspace(0, count, BANDS + 1).astype(int).tolist()
    return list(pairwise(edges))


def search(
    level: Level, nnf: Array, weight: Array, seed: int, passes: int, run: Map
) -> tuple[Array, Array]:
    """The field after some passes of PatchMatch, and the cost of each patch."""
    cost = np.zeros(len(nnf), np.float32)
    offsets = np.zeros((1, 2), np.int32)
    for turn in range(passes):
        before, nnf = nnf, nnf.copy()

        def one(
            span: tuple[int, int], turn: int = turn, nnf: Array = nnf, before: Array = before
        ) -> None:
            pm.improve(
                level.features,
                weight,
                level.targets,
                level.index,
                before,
                nnf,
                cost,
                level.usable,
                level.sources,
                offsets,
                span,
                turn,
                seed,
            )

        list(run(one, bands(len(nnf))))
    return nnf, cost


def cast(level: Level, nnf: Array, cost: Array, pixels: Array, sharpen: int, run: Map) -> None:
    """Repaint ``pixels`` of the level from the field, in place."""
    spread = np.percentile(cost, 75) + 1e-3
    centre = level.weight[level.targets[:, 0], level.targets[:, 1]]
    trust = (np.exp(-cost / (2 * spread)) * centre).astype(np.float32)
    out = level.features.copy()

    def one(span: tuple[int, int]) -> None:
        pm.vote(level.features, out, pixels, level.index, nnf, trust, span, sharpen)

    list(run(one, bands(len(pixels))))
    level.features[:] = out


def solve(
    level: Level, coarse: Array | None, levels: list[Level], depth: int, seed: int, run: Map
) -> Array:
    pixels = np.argwhere(level.hole).astype(np.int32)
    if coarse is None:
        nnf = peel(level, seed, run)
    else:
        nnf = grow(level, levels[depth + 1], coarse, seed)
        cost = np.zeros(len(nnf), np.float32)
        cast(level, nnf, cost, pixels, 0, run)
    rounds = (4, 6, 8)[min(depth, 2)] if coarse is not None else 12
    for turn in range(rounds):
        nnf, cost = search(level, nnf, level.weight, seed + turn, 2, run)
        cast(level, nnf, cost, pixels, 2 if turn >= rounds - 1 else 0, run)
    return nnf


def grow(level: Level, below: Level, coarse: Array, seed: int) -> Array:
    """The field of the level below, at twice the size."""
    inner = level.targets - pm.RADIUS
    i = below.index[inner[:, 0] // 2 + pm.RADIUS, inner[:, 1] // 2 + pm.RADIUS]
    rng = np.random.default_rng(seed)
    lost = level.sources[rng.integers(0, len(level.sources), len(inner))]
    y, x = ((coarse[i] - pm.RADIUS) * 2 + inner % 2 + pm.RADIUS).T
    y, x = np.clip(y, 0, level.hole.shape[0] - 1), np.clip(x, 0, level.hole.shape[1] - 1)
    fine = (i >= 0) & level.usable[y, x]
    return np.where(fine[:, None], np.stack([y, x], axis=1), lost).astype(np.int32)


def peel(level: Level, seed: int, run: Map) -> Array:
    """Fill the coarsest hole layer by layer from its border (Newson et al. 2014)."""
    rng = np.random.default_rng(seed)
    nnf = level.sources[rng.integers(0, len(level.sources), len(level.targets))]
    left = level.hole.copy()
    cross = np.ones((3, 3), np.uint8)
    while left.any():
        weight = np.where(left, 0, level.weight).astype(np.float32)
        nnf, cost = search(level, nnf, weight, seed, 6, run)
        layer = left & cv2.dilate(
            (~left & (level.hole | level.known)).astype(np.uint8), cross
        ).astype(bool)
        if not layer.any():
            layer = left
        cast(level, nnf, cost, np.argwhere(layer).astype(np.int32), 0, run)
        left &= ~layer
    return nnf
