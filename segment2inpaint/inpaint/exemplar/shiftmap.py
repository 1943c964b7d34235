"""The exemplar fill's guess of the structure: which offset fills which pixel.

Straight edges and repeated things continue if a few offsets, those by which the known part
repeats itself, fill the whole hole with the least visible seams between them.

Sources: Pritch et al. 2009 (shift-map), He and Sun 2012 (offset statistics), Kolmogorov 2006
(the solver, TRW-S).
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
# The kernels take arrays and numbers as numba sees them, without annotations.

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from segment2inpaint.inpaint.exemplar.jit import Array, compiled
from segment2inpaint.inpaint.exemplar.patchmatch import search
from segment2inpaint.inpaint.exemplar.pyramid import CHANNELS, PyramidLevel, anywhere, numbered
from segment2inpaint.inpaint.exemplar.thread_pool import PatchJobRunner

OFFSETS = 48  # at most
ROOM = 8_000_000  # entries of the table of costs, at most
MATCHED = 6_000  # patches round the hole that are matched to find offsets, at most
NEAR = 2  # px round a hole's pixel whose known ones must fit
CUT = 20.0  # cost of a change of offset between neighbours, beside the visible seam
MISSING = 1000.0  # cost of a neighbour that the offset takes from outside
ROUNDS = 10  # of the solver
NEVER = np.float32(1e6)  # the cost of copying what is not known


def guess(level: PyramidLevel, seed: int, work: PatchJobRunner) -> Array:
    """Paint the hole by the best offset for each pixel; returns the field (T, 2) for it."""
    count = int(min(OFFSETS, max(8, (ROOM / len(level.pixels)) ** 0.5)))
    offsets = _dominant(level, count, seed, work)
    alone = np.zeros((len(level.pixels), len(offsets)), np.float32)
    apart = np.zeros((*alone.shape, len(offsets)), np.float32)
    _costs(level.flat, level.known, level.pixels, offsets, alone, apart)
    y, x = level.pixels.T
    ways = ((0, -1), (-1, 0), (0, 1), (1, 0))
    links = np.stack([level.number[y + dy, x + dx] for dy, dx in ways], axis=1)
    label = np.zeros(len(alone), np.int32)
    _solve(links, alone, apart, ROUNDS, label)
    source = np.clip(level.pixels + offsets[label], 0, np.array(level.hole.shape) - 1)
    level.view[y, x] = level.view[source[:, 0], source[:, 1]]
    nnf = anywhere(level, len(level.targets), seed)
    whole = level.usable[source[:, 0], source[:, 1]]
    nnf[level.index[y, x][whole]] = source[whole]
    return nnf


def _dominant(level: PyramidLevel, count: int, seed: int, work: PatchJobRunner) -> Array:
    """The offsets (K, 2) by which the known part round the hole most often repeats itself."""
    h, w = level.hole.shape
    far = cv2.distanceTransform((~level.hole).astype(np.uint8), cv2.DIST_L2, 3)
    limit = np.sort(far[level.usable])[: MATCHED + 1][-1]
    targets, index = numbered(level.usable & (far <= limit))
    start = anywhere(level, len(targets), seed)
    apart = max(4, max(h, w) // 15)
    even = np.ones_like(level.weight)
    known = replace(level, targets=targets, index=index)
    nnf, cost = search(known, start, even, work, seed=seed, passes=5, apart=apart)
    step = (nnf - targets)[np.isfinite(cost)]
    votes = np.zeros((2 * h + 1, 2 * w + 1), np.float32)
    for way in (1, -1):
        np.add.at(votes, (way * step[:, 0] + h, way * step[:, 1] + w), 1)
    votes = cv2.GaussianBlur(votes, (0, 0), 1.0)
    peak = (votes >= cv2.dilate(votes, np.ones((3, 3), np.uint8))) & (votes > 0)
    found = np.argwhere(peak)
    best = np.argsort(-votes[peak], kind="stable")[:count]
    return (found[best] - (h, w)).astype(np.int32)


@compiled
def _misfit(flat, known, y, x, sy, sx):
    """How badly the known pixels round (y, x) fit those round (sy, sx)."""
    height, width = known.shape
    total = np.float32(0.0)
    for dy in range(-NEAR, NEAR + 1):
        for dx in range(-NEAR, NEAR + 1):
            py, px = y + dy, x + dx
            if py < 0 or px < 0 or py >= height or px >= width or not known[py, px]:
                continue
            qy, qx = sy + dy, sx + dx
            share = np.float32(1.0) / (dy * dy + dx * dx)
            if 0 <= qy < height and 0 <= qx < width and known[qy, qx]:
                for c in range(CHANNELS):
                    d = flat[py, px * CHANNELS + c] - flat[qy, qx * CHANNELS + c]
                    total += share * d * d
            else:
                total += share * np.float32(MISSING)
    return total


@compiled
def _costs(flat, known, pixels, offsets, alone, apart):
    """Fill in what each offset costs at each pixel, and each two that meet there.

    ``alone`` (P, K): how badly it fits the hole's border. ``apart`` (P, K, K): the squared
    difference of what the two put there.
    """
    height, width = known.shape
    count = len(offsets)
    said = np.zeros((count, CHANNELS), np.float32)
    for p in range(len(pixels)):
        y, x = pixels[p]
        for k in range(count):
            sy, sx = y + offsets[k, 0], x + offsets[k, 1]
            for c in range(CHANNELS):
                said[k, c] = 0
            alone[p, k] = NEVER
            if 0 <= sy < height and 0 <= sx < width and known[sy, sx]:
                alone[p, k] = _misfit(flat, known, y, x, sy, sx)
                for c in range(CHANNELS):
                    said[k, c] = flat[sy, sx * CHANNELS + c]
        for a in range(count):
            for b in range(count):
                total = np.float32(0.0 if a == b else CUT)
                for c in range(CHANNELS):
                    d = said[a, c] - said[b, c]
                    total += d * d
                apart[p, a, b] = total


@compiled
def _tell(belief, mail, p, w, q, apart, out):
    """Send ``q`` what ``p``, whose neighbour number ``w`` it is, believes of its offsets."""
    count = len(out)
    for b in range(count):
        out[b] = np.float32(1e30)
    for a in range(count):
        mine = belief[a] - mail[p, w, a]
        for b in range(count):
            out[b] = min(out[b], mine + apart[p, a, b] + apart[q, a, b])
    least = out[0]
    for b in range(count):
        least = min(least, out[b])
    for b in range(count):
        mail[q, (w + 2) % 4, b] = out[b] - least


@compiled
def _solve(links, alone, apart, rounds, label):
    """Choose an offset for each pixel so that all costs together are small (TRW-S).

    ``links`` (P, 4) are the numbers of the left, upper, right and lower neighbours, or -1.
    """
    pixels, count = alone.shape
    mail = np.zeros((pixels, 4, count), np.float32)
    belief = np.empty(count, np.float32)
    out = np.empty(count, np.float32)
    for turn in range(2 * rounds):
        ahead = 2 if turn % 2 == 0 else 0
        for n in range(pixels):
            p = n if ahead == 2 else pixels - 1 - n
            after = (links[p, ahead] >= 0) + (links[p, ahead + 1] >= 0)
            earlier = (links[p, 2 - ahead] >= 0) + (links[p, 3 - ahead] >= 0)
            share = np.float32(1.0) / max(after, earlier, 1)
            for k in range(count):
                total = alone[p, k]
                for w in range(4):
                    if links[p, w] >= 0:
                        total += mail[p, w, k]
                belief[k] = total * share
            for w in range(ahead, ahead + 2):
                if links[p, w] >= 0:
                    _tell(belief, mail, p, w, links[p, w], apart, out)
    for p in range(pixels):
        least = np.float32(np.inf)
        for k in range(count):
            total = alone[p, k]
            for w in range(4):
                q = links[p, w]
                if q >= 0 and w < 2:
                    total += apart[p, label[q], k] + apart[q, label[q], k]
                elif q >= 0:
                    total += mail[p, w, k]
            if total < least:
                least = total
                label[p] = k
