"""The last step of the exemplar fill: copy pixels and blend the copies in the gradient domain.

Averages of patches lose grain; copied pixels keep it but show seams. So the differences between
neighbouring copies are kept, and the pixels are solved for: they have these differences and meet
the hole's border.

Sources: Perez et al. 2003 (Poisson blending); Darabi et al. 2012 (screened: pulled to the votes).
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
# The kernels have no annotations: numba infers the types of their arrays and numbers.

from __future__ import annotations

import numpy as np

from segment2inpaint.inpaint.exemplar.jit import Array, compile_kernel
from segment2inpaint.inpaint.exemplar.pyramid import CHANNELS, PATCH_RADIUS, PyramidLevel
from segment2inpaint.inpaint.exemplar.thread_pool import PatchJobRunner

# Pull of a pixel towards the average of the votes, relative to one neighbour's. A step at the
# border fades over about SCREENING ** -0.5 = 7 px.
SCREENING = 0.02
RELAXATION_SWEEPS = 60
OVER_RELAXATION = 1.7  # factor of each correction, between 1 and 2
BLEND_COST = 13.0  # time to blend one pixel, in patch comparisons
# The cost of a patch rises by this share for each squared px between a pixel and its centre.
OFF_CENTER_PENALTY = 0.02


def blend_copies(level: PyramidLevel, nnf: Array, cost: Array, runner: PatchJobRunner) -> Array:
    """Return the hole's pixels, (P, 3) float32 RGB, to replace the averages in the features."""
    count = len(level.hole_pixels)
    sources = np.zeros((count, 2), np.int32)
    _choose_sources(level.hole_pixels, level.target_index, nnf, cost, sources)
    y, x = level.hole_pixels.T
    fixed = np.float32(SCREENING) * level.features[y, x, :3]
    share = np.zeros(count, np.float32)
    neighbors = np.full((count, 4), count, np.int32)
    _compute_steps(
        level.flat_features, level.hole_pixels, level.pixel_index, level.hole | level.known,
        level.known, sources, fixed, share, neighbors,
    )  # fmt: skip
    solution = np.zeros((count + 1, 3), np.float32)
    solution[:-1] = level.features[sources[:, 0], sources[:, 1], :3]
    for sweep in range(RELAXATION_SWEEPS):
        _relax(solution, fixed, share, neighbors, sweep % 2)
        runner.add_done(BLEND_COST * count / RELAXATION_SWEEPS)
    return solution[:-1]


@compile_kernel
def _choose_sources(hole_pixels, target_index, nnf, cost, sources):
    """Fill in the source pixel of each pixel: the one that the best patch over it copies."""
    for p in range(len(hole_pixels)):
        y, x = hole_pixels[p]
        lowest = np.float32(np.inf)
        for dy in range(-PATCH_RADIUS, PATCH_RADIUS + 1):
            for dx in range(-PATCH_RADIUS, PATCH_RADIUS + 1):
                i = target_index[y + dy, x + dx] - 1
                if i >= 0:
                    c = cost[i] * (1 + np.float32(OFF_CENTER_PENALTY) * (dy * dy + dx * dx))
                    if c < lowest:
                        lowest = c
                        sources[p, 0], sources[p, 1] = nnf[i, 0] - dy, nnf[i, 1] - dx


@compile_kernel
def _compute_steps(flat, hole_pixels, pixel_index, inside, known, sources, fixed, share, neighbors):
    """Fill in the equation of each pixel: it is ``fixed`` plus ``share`` times its neighbours' sum.

    ``fixed`` (P, 3) holds the screening term and becomes its sum with the steps to the pixel from
    its neighbours, over the sum of all weights. ``share`` (P,) is 1 over that sum. ``neighbors``
    (P, 4) are the neighbours' rows; those of neighbours outside the hole stay as they are.
    """
    for p in range(len(hole_pixels)):
        y, x = hole_pixels[p]
        sy, sx = sources[p]
        weight_sum = np.float32(SCREENING)
        for side in range(4):
            dy, dx = (-1, 1, 0, 0)[side], (0, 0, -1, 1)[side]
            if not inside[y + dy, x + dx]:
                continue
            weight_sum += np.float32(1.0)
            q = pixel_index[y + dy, x + dx] - 1
            if q >= 0:
                neighbors[p, side] = q
            here = known[sy + dy, sx + dx]
            there = q >= 0 and known[sources[q, 0] - dy, sources[q, 1] - dx]
            for c in range(3):
                step = np.float32(0.0)
                if here:
                    value = np.float32(flat[sy + dy, (sx + dx) * CHANNELS + c])
                    step += flat[sy, sx * CHANNELS + c] - value
                if there:
                    there_x = sources[q, 1] - dx
                    value = np.float32(flat[sources[q, 0] - dy, there_x * CHANNELS + c])
                    step += value - flat[sources[q, 0], sources[q, 1] * CHANNELS + c]
                if here and there:
                    step /= 2
                if q < 0:
                    step += flat[y + dy, (x + dx) * CHANNELS + c]
                fixed[p, c] += step
        share[p] = np.float32(1.0) / weight_sum
        for c in range(3):
            fixed[p, c] *= share[p]


@compile_kernel
def _relax(solution, fixed, share, neighbors, backward):
    """Run one sweep of successive over-relaxation of the screened Poisson equation, in place.

    The last row of ``solution`` (P + 1, 3) is 0 and stands for neighbours outside the hole.
    """
    for n in range(len(fixed)):
        p = len(fixed) - 1 - n if backward else n
        a, b, c, d = neighbors[p]
        for k in range(3):
            around = solution[a, k] + solution[b, k] + solution[c, k] + solution[d, k]
            value = fixed[p, k] + share[p] * around
            solution[p, k] += np.float32(OVER_RELAXATION) * (value - solution[p, k])
