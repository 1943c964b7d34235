"""The patch search of the exemplar fill, and the votes of the matched patches.

A *target* is a patch that touches the hole, a *source* one that is wholly known. The
nearest-neighbour field (``nnf``) holds the centre (y, x) of the best source for each target,
``cost`` their distance: the weighted mean squared difference of the features.

Work is split into bands that can run in parallel. Only the previous pass is read across bands, and
their number depends on the work alone, so the result does not depend on the number of threads.

Sources: Barnes et al. 2009 (PatchMatch); Wexler, Shechtman, Irani 2007 (weights and votes).
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
# The kernels have no annotations: numba infers the types of their arrays and numbers.

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from segment2inpaint.inpaint.exemplar.jit import Array, compile_kernel, inline_kernel
from segment2inpaint.inpaint.exemplar.pyramid import (
    CHANNELS,
    PATCH_RADIUS,
    PATCH_SIDE,
    PyramidLevel,
)
from segment2inpaint.inpaint.exemplar.thread_pool import PatchJobRunner

ROW_LENGTH = PATCH_SIDE * CHANNELS  # numbers in one row of a patch
# Numbers that are read of each row, those after ROW_LENGTH with weight 0: a multiple of 8, for
# which the compiler makes code without a remainder.
ROW_STRIDE = -(-ROW_LENGTH // 8) * 8
# Fewer items than MIN_BAND_SIZE are one band. MAX_BAND_SIZE bounds how long a band runs, and
# between the two there are BAND_COUNT bands.
MIN_BAND_SIZE, BAND_COUNT, MAX_BAND_SIZE = 1_000, 8, 50_000
VOTE_COST = 2.5  # time to paint one pixel by votes, in patch comparisons
LOWEST_VOTE = 1e-30  # the weight of the worst patches, so that a sum of weights is never 0


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
    trials = count_trials(search_radius or max(level.hole.shape) // 2)
    sources = np.empty(0, np.int32) if search_radius else level.sources
    for pass_index in range(passes):
        previous, nnf = nnf, nnf.copy()
        arrays = (
            level.flat_features,
            weight,
            level.targets,
            level.target_index,
            level.source_mask,
            sources,
            previous,
            nnf,
            cost,
        )
        settings = pass_index, seed, search_radius, min_distance
        jobs = [(*arrays, *band, *settings) for band in split_bands(len(nnf))]
        runner.run_jobs(_improve_band, jobs, len(nnf) * trials)
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
    weight = confidence * np.maximum(np.exp(-cost / cost_scale), np.float32(LOWEST_VOTE))
    out = np.empty((len(pixels), CHANNELS), np.uint8)
    arrays = level.flat_features, out, pixels, level.targets, nnf, weight
    jobs = [(*arrays, *band) for band in _vote_bands(pixels, level.targets)]
    runner.run_jobs(_vote_band, jobs, VOTE_COST * len(pixels))
    level.features[pixels[:, 0], pixels[:, 1]] = out


def split_bands(count: int) -> list[tuple[int, int]]:
    """Return ``range(count)`` in half-open ranges of about equal size."""
    bands = min(max(count // MIN_BAND_SIZE, 1), max(BAND_COUNT, count // MAX_BAND_SIZE))
    return list(pairwise(np.linspace(0, count, bands + 1).astype(int).tolist()))


def _vote_bands(pixels: Array, targets: Array) -> list[tuple[int, int, int, int]]:
    """Return bands of pixels, each with the band of the targets whose patches reach its rows."""
    bands = split_bands(len(pixels))
    top = [pixels[first, 0] - PATCH_RADIUS for first, _ in bands]
    bottom = [pixels[last - 1, 0] + PATCH_RADIUS for _, last in bands]
    first_target = np.searchsorted(targets[:, 0], top).tolist()
    last_target = np.searchsorted(targets[:, 0], bottom, side="right").tolist()
    return [(*b, f, t) for b, f, t in zip(bands, first_target, last_target, strict=True)]


def count_trials(search_radius: int) -> int:
    """Return the number of sources that a pass compares with each target: 5 and the random ones."""
    return 5 + search_radius.bit_length()


# Numba compiles the allocation of arrays for seconds, so kernels get their buffers from here.


def _improve_band(arguments: tuple[Any, ...]) -> None:
    patch = np.zeros((PATCH_SIDE, ROW_STRIDE), np.float32)
    improve_field(patch, np.zeros_like(patch), *arguments)


def _vote_band(arguments: tuple[Any, ...]) -> None:
    _, _, pixels, targets, _, _, first, last, first_target, last_target = arguments
    columns = targets[first_target:last_target, 1]
    left, top = int(columns.min()) - PATCH_RADIUS, int(pixels[first, 0])
    shape = int(pixels[last - 1, 0]) - top + 1, int(columns.max()) + PATCH_RADIUS - left + 1
    sums = np.zeros((shape[0], shape[1] * CHANNELS), np.float32)
    _vote(top, left, sums, np.zeros(shape, np.float32), *arguments)


@inline_kernel
def _hash(a, b, c):
    """Return 32 pseudo-random bits for three numbers (splitmix64)."""
    h = np.uint64(a) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(b)
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9) + np.uint64(c)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64((h ^ (h >> np.uint64(31))) & np.uint64(0xFFFFFFFF))


@inline_kernel
def _load_patch(flat, weight, y, x, patch, patch_weight):
    """Copy the patch at (y, x) and its weights, and return the sum of the weights."""
    weight_sum = np.float32(0.0)
    left = (x - PATCH_RADIUS) * CHANNELS
    for r in range(PATCH_SIDE):
        row = flat[y - PATCH_RADIUS + r, left : left + ROW_LENGTH]
        for k in range(len(row)):
            patch[r, k] = row[k]
        weights = weight[y - PATCH_RADIUS + r, x - PATCH_RADIUS : x + PATCH_RADIUS + 1]
        for s in range(len(weights)):
            weight_sum += weights[s]
            for c in range(CHANNELS):
                patch_weight[r, s * CHANNELS + c] = weights[s]
    return weight_sum


@inline_kernel
def _patch_distance(flat, patch, patch_weight, y, x, limit):
    """Return the weighted sum of squared differences, infinite for a centre that is no source.

    Summing stops above ``limit``. The slice tells the compiler that a row is contiguous and that
    no index is negative, without which it makes no vector instructions.
    """
    total = np.float32(0.0)
    left = (x - PATCH_RADIUS) * CHANNELS
    for r in range(PATCH_SIDE):
        row = flat[y - PATCH_RADIUS + r, left : left + ROW_STRIDE]
        row_total = np.float32(0.0)
        for k in range(ROW_STRIDE):
            d = patch[r, k] - np.float32(row[k])
            row_total += patch_weight[r, k] * d * d
        total += row_total
        if total > limit:
            break
    return total


@compile_kernel
def improve_field(
    patch, patch_weight, flat, weight, targets, target_index, source_mask, sources, previous,
    nnf, cost, first, last, pass_index, seed, search_radius, min_distance,
):  # fmt: skip
    """Run one pass over the targets ``first`` to ``last`` - 1: propagation, then random search.

    ``nnf`` and ``cost`` are updated in place. ``patch`` and ``patch_weight`` (PATCH_SIDE,
    ROW_STRIDE) are buffers of zeros.
    """
    step = 1 if pass_index % 2 == 0 else -1
    height, width = source_mask.shape
    first_radius = search_radius if search_radius > 0 else max(source_mask.shape) // 2
    for n in range(last - first):
        i = first + n if step == 1 else last - 1 - n
        ty, tx = targets[i]
        weight_sum = _load_patch(flat, weight, ty, tx, patch, patch_weight)
        by, bx = np.int64(nnf[i, 0]), np.int64(nnf[i, 1])
        best = np.float32(np.inf)
        radius = first_radius
        for trial in range(-1, 64):
            if trial == -1:
                y, x = by, bx
            elif trial < 4:  # propagate from the four neighbours
                dy = (step, 0, -step, 0)[trial]
                dx = (0, step, 0, -step)[trial]
                j = target_index[ty - dy, tx - dx] - 1
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
                y = by + ((h & 0xFFFF) * (2 * radius + 1) >> 16) - radius
                x = bx + ((h >> 16) * (2 * radius + 1) >> 16) - radius
                radius //= 2
            else:
                break
            if abs(y - ty) + abs(x - tx) < min_distance:
                continue
            if y < 0 or x < 0 or y >= height or x >= width or not source_mask[y, x]:
                continue
            d = _patch_distance(flat, patch, patch_weight, y, x, best)
            if d < best:
                best, by, bx = d, y, x
        nnf[i, 0], nnf[i, 1] = by, bx
        cost[i] = best / max(weight_sum, np.float32(1e-6))


@compile_kernel
def _vote(
    top, left, sums, weight_sums, flat, out, pixels, targets, nnf, weight,
    first, last, first_target, last_target,
):  # fmt: skip
    """Write to ``out`` the weighted mean of the values that the patches over each pixel give.

    ``sums`` and ``weight_sums`` are buffers of zeros for the rows and columns from (top, left).
    """
    for i in range(first_target, last_target):
        y, x = targets[i, 0] - PATCH_RADIUS - top, targets[i, 1] - PATCH_RADIUS - left
        source_y, source_x = nnf[i, 0] - PATCH_RADIUS, nnf[i, 1] - PATCH_RADIUS
        w = weight[i]
        for r in range(max(0, -y), min(PATCH_SIDE, len(sums) - y)):
            source = flat[source_y + r, source_x * CHANNELS : source_x * CHANNELS + ROW_LENGTH]
            row = sums[y + r, x * CHANNELS : x * CHANNELS + ROW_LENGTH]
            for k in range(len(row)):
                row[k] += w * np.float32(source[k])
            weight_row = weight_sums[y + r, x : x + PATCH_SIDE]
            for s in range(len(weight_row)):
                weight_row[s] += w
    for p in range(first, last):
        y, x = pixels[p, 0] - top, pixels[p, 1] - left
        for c in range(CHANNELS):
            out[p, c] = np.uint8(sums[y, x * CHANNELS + c] / weight_sums[y, x] + np.float32(0.5))
