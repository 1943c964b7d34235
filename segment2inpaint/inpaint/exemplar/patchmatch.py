"""The patch search of the exemplar fill, and the votes of the patches found.

A *field* holds for each target (a patch that touches the hole) the centre (y, x) of the source
patch it is nearest to, and the cost: the weighted mean squared difference of the two.
Work is cut into bands that may run at the same time. Across bands only the field of the last
pass is read, so the result does not depend on the number of threads.

Sources: Barnes et al. 2009 (PatchMatch); Wexler, Shechtman, Irani 2007 (weights and votes).
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
# The kernels take arrays and numbers as numba sees them, without annotations.

from __future__ import annotations

from itertools import pairwise

import numpy as np

from segment2inpaint.inpaint.exemplar.jit import Array, compiled
from segment2inpaint.inpaint.exemplar.pyramid import CHANNELS, RADIUS, SIDE, PyramidLevel
from segment2inpaint.inpaint.exemplar.thread_pool import PatchJobRunner

BANDS = 8  # fixed, so that the result is the same for any number of threads
ROW = SIDE * CHANNELS
VOTE = 0.5  # what a vote takes, in looks at a patch


def search(
    level: PyramidLevel,
    nnf: Array,
    weight: Array,
    work: PatchJobRunner,
    *,
    seed: int,
    passes: int,
    reach: int = 0,
    apart: int = 0,
) -> tuple[Array, Array]:
    """The field after some passes of PatchMatch from ``nnf``: centres (T, 2) and costs (T,).

    ``weight`` (H, W) is that of each pixel of a target. At random it looks within ``reach`` px
    of the best so far, 0: everywhere. Sources nearer than ``apart`` px (L1) are passed over.
    """
    cost = np.zeros(len(nnf), np.float32)
    for turn in range(passes):
        before, nnf = nnf, nnf.copy()
        common = (level.flat, weight, level.targets, level.index, level.usable, level.sources)
        field = (before, nnf, cost)
        jobs = [(*common, *field, *band, turn, seed, reach, apart) for band in bands(len(nnf))]
        work.map(_improve_job, jobs, len(nnf))
    return nnf, cost


def repaint(
    level: PyramidLevel,
    nnf: Array,
    cost: Array,
    pixels: Array,
    work: PatchJobRunner,
    softness: float,
) -> None:
    """Paint ``pixels`` (P, 2) of the level with the votes of the patches over them.

    A patch's say falls by e at ``softness`` times the cost of the 75th percentile: little
    keeps what is there, much lets the surroundings flow in.
    """
    trust = level.weight[level.targets[:, 0], level.targets[:, 1]]
    spread = np.float32(softness * np.percentile(cost, 75) + 1)
    out = np.empty((len(pixels), CHANNELS), np.float32)
    common = (level.flat, out, pixels, level.index, nnf, cost, trust, spread)
    jobs = [(*common, *band) for band in bands(len(pixels))]
    work.map(_vote_job, jobs, VOTE * len(pixels))
    level.view[pixels[:, 0], pixels[:, 1]] = out


def bands(count: int) -> list[tuple[int, int]]:
    """``count`` things in ``BANDS`` runs, as (first, last + 1)."""
    return list(pairwise(np.linspace(0, count, BANDS + 1).astype(int).tolist()))


def _improve_job(job: tuple[Array, ...]) -> None:
    improve(*job)


def _vote_job(job: tuple[Array, ...]) -> None:
    _vote(*job)


@compiled
def _hash(a, b, c):
    """32 bits, as good as random, of three numbers (splitmix64)."""
    h = np.uint64(a) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(b)
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9) + np.uint64(c)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64((h ^ (h >> np.uint64(31))) & np.uint64(0xFFFFFFFF))


@compiled
def _load(flat, weight, y, x, patch, share):
    """Copy the patch at (y, x) and its weights, and return their sum."""
    mass = np.float32(0.0)
    for r in range(SIDE):
        for s in range(SIDE):
            w = weight[y - RADIUS + r, x - RADIUS + s]
            mass += w
            for k in range(s * CHANNELS, (s + 1) * CHANNELS):
                patch[r, k] = flat[y - RADIUS + r, (x - RADIUS) * CHANNELS + k]
                share[r, k] = w
    return mass


@compiled
def _distance(flat, patch, share, usable, y, x, stop):
    """Weighted sum of squared differences, given up above ``stop``; no end if not usable."""
    height, width = usable.shape
    if y < 0 or x < 0 or y >= height or x >= width or not usable[y, x]:
        return np.float32(np.inf)
    total = np.float32(0.0)
    left = (x - RADIUS) * CHANNELS
    for r in range(SIDE):
        row = flat[y - RADIUS + r]
        part = np.float32(0.0)
        for k in range(ROW):
            d = patch[r, k] - row[left + k]
            part += share[r, k] * d * d
        total += part
        if total > stop:
            break
    return total


@compiled
def improve(
    flat, weight, targets, index, usable, sources, before, nnf, cost,
    first, last, turn, seed, reach, apart,
):  # fmt: skip
    """One pass over the targets ``first`` to ``last``: propagate, then look at random."""
    patch = np.empty((SIDE, ROW), np.float32)
    share = np.empty((SIDE, ROW), np.float32)
    step = 1 if turn % 2 == 0 else -1
    widest = reach if reach > 0 else max(usable.shape) // 2
    for n in range(last - first):
        i = first + n if step == 1 else last - 1 - n
        ty, tx = targets[i]
        mass = _load(flat, weight, ty, tx, patch, share)
        by, bx = np.int64(nnf[i, 0]), np.int64(nnf[i, 1])
        best = np.float32(np.inf)
        if abs(by - ty) + abs(bx - tx) >= apart:
            best = _distance(flat, patch, share, usable, by, bx, best)
        radius = widest
        for tried in range(64):
            if tried < 4:
                dy = (step, 0, -step, 0)[tried]
                dx = (0, step, 0, -step)[tried]
                j = index[ty - dy, tx - dx]
                if j < 0:
                    continue
                known = nnf if first <= j < last else before
                y, x = np.int64(known[j, 0] + dy), np.int64(known[j, 1] + dx)
                if y == by and x == bx:
                    continue
            elif tried == 4:
                if reach > 0:
                    continue
                place = sources[_hash(seed, i, turn) % len(sources)]
                y = np.int64(place // usable.shape[1])
                x = np.int64(place % usable.shape[1])
            elif radius >= 1:
                h = _hash(seed * 31 + turn, i, radius)
                y = by + (h & 0xFFFF) % (2 * radius + 1) - radius
                x = bx + (h >> 16) % (2 * radius + 1) - radius
                radius //= 2
            else:
                break
            if abs(y - ty) + abs(x - tx) < apart:
                continue
            d = _distance(flat, patch, share, usable, y, x, best)
            if d < best:
                best, by, bx = d, y, x
        nnf[i, 0], nnf[i, 1] = by, bx
        cost[i] = best / max(mass, np.float32(1e-6))


@compiled
def _vote(flat, out, pixels, index, nnf, cost, trust, spread, first, last):
    """Write to ``out`` the trusted mean of what the patches over each pixel put there."""
    for p in range(first, last):
        y, x = pixels[p]
        least = np.float32(np.inf)
        for dy in range(-RADIUS, RADIUS + 1):
            for dx in range(-RADIUS, RADIUS + 1):
                i = index[y + dy, x + dx]
                if i >= 0:
                    least = min(least, cost[i])
        total = np.float32(0.0)
        for c in range(CHANNELS):
            out[p, c] = 0
        for dy in range(-RADIUS, RADIUS + 1):
            for dx in range(-RADIUS, RADIUS + 1):
                i = index[y + dy, x + dx]
                if i < 0:
                    continue
                w = trust[i] * np.exp((least - cost[i]) / spread)
                total += w
                at = (nnf[i, 1] - dx) * CHANNELS
                for c in range(CHANNELS):
                    out[p, c] += w * flat[nnf[i, 0] - dy, at + c]
        for c in range(CHANNELS):
            out[p, c] /= total
