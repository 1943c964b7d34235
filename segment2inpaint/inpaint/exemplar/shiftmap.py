"""A guess of the structure in the hole: each pixel is copied from one of a few offsets.

The offsets are those by which the known part of the picture repeats itself most often. Straight
edges and repeated things continue if such offsets fill the whole hole and the seams between them
are as little visible as possible.

Sources: Pritch et al. 2009 (shift-map), He and Sun 2012 (offset statistics), Kolmogorov 2006
(the solver, TRW-S).
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
# The kernels have no annotations: numba infers the types of their arrays and numbers.

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from segment2inpaint.inpaint.exemplar.jit import Array, compile_kernel, inline_kernel
from segment2inpaint.inpaint.exemplar.patchmatch import search_patches
from segment2inpaint.inpaint.exemplar.pyramid import (
    CHANNELS,
    PyramidLevel,
    index_pixels,
    random_sources,
)
from segment2inpaint.inpaint.exemplar.thread_pool import PatchJobRunner

MAX_OFFSETS = 48  # candidates for each pixel
MAX_COST_ENTRIES = 8_000_000  # of the table of pairwise costs, which bounds its memory
MAX_MATCHED_PATCHES = 6_000  # patches around the hole that are matched to find the offsets
BORDER_RADIUS = 2  # px around a hole pixel; known pixels within it must fit the copy
OFFSET_CHANGE_COST = 20.0  # of different offsets at two neighbours, added to the visible seam
MISSING_PIXEL_COST = 1000.0  # of a known neighbour whose source is outside the known part
SOLVER_ROUNDS = 10  # forward and backward sweeps of message passing
UNKNOWN_SOURCE_COST = np.float32(1e6)  # of copying a pixel that is not known


def paint_offsets(level: PyramidLevel, seed: int, runner: PatchJobRunner) -> Array:
    """Paint the hole by the best offset for each pixel, and return the matching field (T, 2)."""
    count = int(min(MAX_OFFSETS, max(8, (MAX_COST_ENTRIES / len(level.hole_pixels)) ** 0.5)))
    offsets = _dominant_offsets(level, count, seed, runner)
    unary = np.zeros((len(level.hole_pixels), len(offsets)), np.float32)
    pairwise = np.zeros((*unary.shape, len(offsets)), np.float32)
    copies = np.zeros((len(offsets), CHANNELS), np.float32)
    _fill_costs(
        level.flat_features, level.known, level.hole_pixels, offsets, copies, unary, pairwise
    )
    y, x = level.hole_pixels.T
    directions = ((0, -1), (-1, 0), (0, 1), (1, 0))
    neighbors = np.stack([level.pixel_index[y + dy, x + dx] - 1 for dy, dx in directions], axis=1)
    labels = np.zeros(len(unary), np.int32)
    messages = np.zeros((len(unary), 4, len(offsets)), np.float32)
    belief, out = np.zeros((2, len(offsets)), np.float32)
    _solve_labels(neighbors, unary, pairwise, SOLVER_ROUNDS, messages, belief, out, labels)
    source = np.clip(level.hole_pixels + offsets[labels], 0, np.array(level.hole.shape) - 1)
    level.features[y, x] = level.features[source[:, 0], source[:, 1]]
    nnf = random_sources(level, len(level.targets), seed)
    usable = level.source_mask[source[:, 0], source[:, 1]]
    nnf[level.target_index[y, x][usable] - 1] = source[usable]
    return nnf


def _dominant_offsets(level: PyramidLevel, count: int, seed: int, runner: PatchJobRunner) -> Array:
    """Return the most frequent offsets (K, 2) between matching patches around the hole."""
    height, width = level.hole.shape
    offsets = _matched_offsets(level, seed, runner)
    votes = np.zeros((2 * height + 1, 2 * width + 1), np.float32)
    for sign in (1, -1):
        np.add.at(votes, (sign * offsets[:, 0] + height, sign * offsets[:, 1] + width), 1)
    votes = cv2.GaussianBlur(votes, (0, 0), 1.0)
    is_peak = (votes >= cv2.dilate(votes, np.ones((3, 3), np.uint8))) & (votes > 0)
    peaks = np.argwhere(is_peak)
    best = np.argsort(-votes[is_peak], kind="stable")[:count]
    return (peaks[best] - (height, width)).astype(np.int32)


def _matched_offsets(level: PyramidLevel, seed: int, runner: PatchJobRunner) -> Array:
    """Return the offset (N, 2) from each known patch around the hole to its nearest match."""
    hole_distance = cv2.distanceTransform((~level.hole).astype(np.uint8), cv2.DIST_L2, 3)
    limit = np.sort(hole_distance[level.source_mask])[: MAX_MATCHED_PATCHES + 1][-1]
    targets, target_index = index_pixels(level.source_mask & (hole_distance <= limit))
    nnf, cost = search_patches(
        replace(level, targets=targets, target_index=target_index),
        random_sources(level, len(targets), seed),
        np.ones_like(level.confidence),
        runner,
        seed=seed,
        passes=5,
        min_distance=max(4, max(level.hole.shape) // 15),
    )
    return np.asarray((nnf - targets)[np.isfinite(cost)])


@inline_kernel
def _border_cost(flat, known, y, x, sy, sx):
    """Return the weighted difference of the known pixels around (y, x) and around (sy, sx)."""
    height, width = known.shape
    total = np.float32(0.0)
    for dy in range(-BORDER_RADIUS, BORDER_RADIUS + 1):
        for dx in range(-BORDER_RADIUS, BORDER_RADIUS + 1):
            py, px = y + dy, x + dx
            if py < 0 or px < 0 or py >= height or px >= width or not known[py, px]:
                continue
            qy, qx = sy + dy, sx + dx
            weight = np.float32(1.0) / (dy * dy + dx * dx)
            if 0 <= qy < height and 0 <= qx < width and known[qy, qx]:
                for c in range(CHANNELS):
                    d = np.float32(flat[py, px * CHANNELS + c])
                    d -= flat[qy, qx * CHANNELS + c]
                    total += weight * d * d
            else:
                total += weight * np.float32(MISSING_PIXEL_COST)
    return total


@compile_kernel
def _fill_costs(flat, known, hole_pixels, offsets, copies, unary, pairwise):
    """Fill in the cost of each offset at each pixel, and of each two offsets next to each other.

    ``unary`` (P, K) is the misfit at the hole's border, ``pairwise`` (P, K, K) the squared
    difference of the values that two offsets copy to the pixel. ``copies`` (K, CHANNELS) is a
    buffer.
    """
    height, width = known.shape
    count = len(offsets)
    for p in range(len(hole_pixels)):
        y, x = hole_pixels[p]
        for k in range(count):
            sy, sx = y + offsets[k, 0], x + offsets[k, 1]
            for c in range(CHANNELS):
                copies[k, c] = 0
            unary[p, k] = UNKNOWN_SOURCE_COST
            if 0 <= sy < height and 0 <= sx < width and known[sy, sx]:
                unary[p, k] = _border_cost(flat, known, y, x, sy, sx)
                for c in range(CHANNELS):
                    copies[k, c] = flat[sy, sx * CHANNELS + c]
        for a in range(count):
            for b in range(count):
                total = np.float32(0.0 if a == b else OFFSET_CHANGE_COST)
                for c in range(CHANNELS):
                    d = copies[a, c] - copies[b, c]
                    total += d * d
                pairwise[p, a, b] = total


@inline_kernel
def _send_message(belief, messages, p, side, q, pairwise, out):
    """Send the message of ``p`` to ``q``, its neighbour number ``side``."""
    count = len(out)
    for b in range(count):
        out[b] = np.float32(1e30)
    for a in range(count):
        reduced = belief[a] - messages[p, side, a]
        for b in range(count):
            out[b] = min(out[b], reduced + pairwise[p, a, b] + pairwise[q, a, b])
    lowest = out[0]
    for b in range(count):
        lowest = min(lowest, out[b])
    for b in range(count):
        messages[q, (side + 2) % 4, b] = out[b] - lowest


@compile_kernel
def _solve_labels(neighbors, unary, pairwise, rounds, messages, belief, out, labels):
    """Choose an offset for each pixel so that the sum of all costs is small (TRW-S).

    ``neighbors`` (P, 4) are the rows of the left, upper, right and lower neighbours, or -1.
    ``messages`` (P, 4, K) are 0 at first; ``belief`` and ``out`` (K,) are buffers.
    """
    pixels, count = unary.shape
    for sweep in range(2 * rounds):
        ahead = 2 if sweep % 2 == 0 else 0
        for n in range(pixels):
            p = n if ahead == 2 else pixels - 1 - n
            later = (neighbors[p, ahead] >= 0) + (neighbors[p, ahead + 1] >= 0)
            earlier = (neighbors[p, 2 - ahead] >= 0) + (neighbors[p, 3 - ahead] >= 0)
            weight = np.float32(1.0) / max(later, earlier, 1)
            for k in range(count):
                total = unary[p, k]
                for side in range(4):
                    if neighbors[p, side] >= 0:
                        total += messages[p, side, k]
                belief[k] = total * weight
            for side in range(ahead, ahead + 2):
                if neighbors[p, side] >= 0:
                    _send_message(belief, messages, p, side, neighbors[p, side], pairwise, out)
    for p in range(pixels):
        lowest = np.float32(np.inf)
        for k in range(count):
            total = unary[p, k]
            for side in range(4):
                q = neighbors[p, side]
                if q >= 0 and side < 2:
                    total += pairwise[p, labels[q], k] + pairwise[q, labels[q], k]
                elif q >= 0:
                    total += messages[p, side, k]
            if total < lowest:
                lowest = total
                labels[p] = k
