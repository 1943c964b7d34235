"""The patch search of the exemplar fill, and the votes of the matched patches.

A *target* is a patch that touches the hole, a *source* one that is wholly known. The
nearest-neighbour field (``nnf``) holds the centre (y, x) of the best source for each target,
``cost`` their distance: the weighted mean squared difference of the features.

Work is split into bands that can run in parallel. Only the previous pass is read across bands, so
the result does not depend on the number of threads.

Sources: Barnes et al. 2009 (PatchMatch); Wexler, Shechtman, Irani 2007 (weights and votes).
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
# The kernels have no annotations: numba infers the types of their arrays and numbers.

from __future__ import annotations

from itertools import pairwise

import numpy as np

from segment2inpaint.inpaint.exemplar.jit import Array, compile_kernel
from segment2inpaint.inpaint.exemplar.pyramid import (
    CHANNELS,
    PATCH_RADIUS,
    PATCH_SIDE,
    PyramidLevel,
)
from segment2inpaint.inpaint.exemplar.thread_pool import PatchJobRunner

BAND_COUNT = 8  # fixed, so that the result is the same for any number of threads
ROW_LENGTH = PATCH_SIDE * CHANNELS  # numbers in one row of a patch
VOTE_COST = 0.5  # time to paint one pixel by votes, in patch comparisons


def search_patches(
    level: PyramidLevel,
    nnf: Array,
    weight: Array,
    runner: PatchJobRunner,
    *,
    seed: int,
    passes: int,
    search_radius: int = 0,
    min_distance: int = 0,
) -> tuple[Array, Array]:
    """Return the field after some passes of PatchMatch from ``nnf``: (T, 2) int32 and costs (T,).

    ``weight`` (H, W) float32 weights the pixels of a target. The random search stays within
    ``search_radius`` px of the best source so far; with 0 it covers the whole level. Sources
    nearer than ``min_distance`` px (L1) to their target are skipped.
    """
    cost = np.zeros(len(nnf), np.float32)
    for pass_index in range(passes):
        previous, nnf = nnf, nnf.copy()
        arrays = (
            level.flat_features,
            weight,
            level.targets,
            level.target_index,
            level.source_mask,
            level.sources,
            previous,
            nnf,
            cost,
        )
        settings = pass_index, seed, search_radius, min_distance
        jobs = [(*arrays, *band, *settings) for band in split_bands(len(nnf))]
        runner.run_jobs(_improve_band, jobs, len(nnf))
    return nnf, cost


def paint_votes(
    level: PyramidLevel,
    nnf: Array,
    cost: Array,
    pixels: Array,
    runner: PatchJobRunner,
    softness: float,
) -> None:
    """Paint ``pixels`` (P, 2) of the level with the weighted mean of the patches over them.

    The weight of a patch falls by a factor of e for each ``softness`` times the 75th percentile
    of the costs. A low softness keeps the best patch, a high one averages many.
    """
    confidence = level.confidence[level.targets[:, 0], level.targets[:, 1]]
    cost_scale = np.float32(softness * np.percentile(cost, 75) + 1)
    out = np.empty((len(pixels), CHANNELS), np.float32)
    arrays = (
        level.flat_features, out, pixels, level.target_index, nnf, cost, confidence, cost_scale,
    )  # fmt: skip
    jobs = [(*arrays, *band) for band in split_bands(len(pixels))]
    runner.run_jobs(_vote_band, jobs, VOTE_COST * len(pixels))
    level.features[pixels[:, 0], pixels[:, 1]] = out


def split_bands(count: int) -> list[tuple[int, int]]:
    """Return ``range(count)`` in ``BAND_COUNT`` half-open ranges."""
    return list(pairwise(np.linspace(0, count, BAND_COUNT + 1).astype(int).tolist()))


def _improve_band(arguments: tuple[Array, ...]) -> None:
    improve_field(*arguments)


def _vote_band(arguments: tuple[Array, ...]) -> None:
    _vote(*arguments)


@compile_kernel
def _hash(a, b, c):
    """Return 32 pseudo-random bits for three numbers (splitmix64)."""
    h = np.uint64(a) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(b)
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9) + np.uint64(c)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64((h ^ (h >> np.uint64(31))) & np.uint64(0xFFFFFFFF))


@compile_kernel
def _load_patch(flat, weight, y, x, patch, patch_weight):
    """Copy the patch at (y, x) and its weights, and return the sum of the weights."""
    weight_sum = np.float32(0.0)
    for r in range(PATCH_SIDE):
        for s in range(PATCH_SIDE):
            w = weight[y - PATCH_RADIUS + r, x - PATCH_RADIUS + s]
            weight_sum += w
            for k in range(s * CHANNELS, (s + 1) * CHANNELS):
                patch[r, k] = flat[y - PATCH_RADIUS + r, (x - PATCH_RADIUS) * CHANNELS + k]
                patch_weight[r, k] = w
    return weight_sum


@compile_kernel
def _patch_distance(flat, patch, patch_weight, source_mask, y, x, limit):
    """Return the weighted sum of squared differences, infinite for a centre that is no source.

    Summing stops above ``limit``.
    """
    height, width = source_mask.shape
    if y < 0 or x < 0 or y >= height or x >= width or not source_mask[y, x]:
        return np.float32(np.inf)
    total = np.float32(0.0)
    left = (x - PATCH_RADIUS) * CHANNELS
    for r in range(PATCH_SIDE):
        row = flat[y - PATCH_RADIUS + r]
        row_total = np.float32(0.0)
        for k in range(ROW_LENGTH):
            d = patch[r, k] - row[left + k]
            row_total += patch_weight[r, k] * d * d
        total += row_total
        if total > limit:
            break
    return total


@compile_kernel
def improve_field(
    flat, weight, targets, target_index, source_mask, sources, previous, nnf, cost,
    first, last, pass_index, seed, search_radius, min_distance,
):  # fmt: skip
    """Run one pass over the targets ``first`` to ``last`` - 1: propagation, then random search.

    ``nnf`` and ``cost`` are updated in place.
    """
    patch = np.empty((PATCH_SIDE, ROW_LENGTH), np.float32)
    patch_weight = np.empty((PATCH_SIDE, ROW_LENGTH), np.float32)
    step = 1 if pass_index % 2 == 0 else -1
    first_radius = search_radius if search_radius > 0 else max(source_mask.shape) // 2
    for n in range(last - first):
        i = first + n if step == 1 else last - 1 - n
        ty, tx = targets[i]
        weight_sum = _load_patch(flat, weight, ty, tx, patch, patch_weight)
        by, bx = np.int64(nnf[i, 0]), np.int64(nnf[i, 1])
        best = np.float32(np.inf)
        if abs(by - ty) + abs(bx - tx) >= min_distance:
            best = _patch_distance(flat, patch, patch_weight, source_mask, by, bx, best)
        radius = first_radius
        for trial in range(64):
            if trial < 4:  # propagate from the four neighbours
                dy = (step, 0, -step, 0)[trial]
                dx = (0, step, 0, -step)[trial]
                j = target_index[ty - dy, tx - dx]
                if j < 0:
                    continue
                neighbor = nnf if first <= j < last else previous
                y, x = np.int64(neighbor[j, 0] + dy), np.int64(neighbor[j, 1] + dx)
                if y == by and x == bx:
                    continue
            elif trial == 4:  # any source
                if search_radius > 0:
                    continue
                source = sources[_hash(seed, i, pass_index) % len(sources)]
                y = np.int64(source // source_mask.shape[1])
                x = np.int64(source % source_mask.shape[1])
            elif radius >= 1:  # random positions around the best, ever closer
                h = _hash(seed * 31 + pass_index, i, radius)
                y = by + (h & 0xFFFF) % (2 * radius + 1) - radius
                x = bx + (h >> 16) % (2 * radius + 1) - radius
                radius //= 2
            else:
                break
            if abs(y - ty) + abs(x - tx) < min_distance:
                continue
            d = _patch_distance(flat, patch, patch_weight, source_mask, y, x, best)
            if d < best:
                best, by, bx = d, y, x
        nnf[i, 0], nnf[i, 1] = by, bx
        cost[i] = best / max(weight_sum, np.float32(1e-6))


@compile_kernel
def _vote(flat, out, pixels, target_index, nnf, cost, confidence, cost_scale, first, last):
    """Write to ``out`` the weighted mean of the values that the patches over each pixel give."""
    for p in range(first, last):
        y, x = pixels[p]
        lowest = np.float32(np.inf)
        for dy in range(-PATCH_RADIUS, PATCH_RADIUS + 1):
            for dx in range(-PATCH_RADIUS, PATCH_RADIUS + 1):
                i = target_index[y + dy, x + dx]
                if i >= 0:
                    lowest = min(lowest, cost[i])
        total = np.float32(0.0)
        for c in range(CHANNELS):
            out[p, c] = 0
        for dy in range(-PATCH_RADIUS, PATCH_RADIUS + 1):
            for dx in range(-PATCH_RADIUS, PATCH_RADIUS + 1):
                i = target_index[y + dy, x + dx]
                if i < 0:
                    continue
                w = confidence[i] * np.exp((lowest - cost[i]) / cost_scale)
                total += w
                column = (nnf[i, 1] - dx) * CHANNELS
                for c in range(CHANNELS):
                    out[p, c] += w * flat[nnf[i, 0] - dy, column + c]
        for c in range(CHANNELS):
            out[p, c] /= total
