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
RELAXATION_COST = 1.0  # time of all sweeps for one pixel, in patch comparisons
# The cost of a patch rises by this share for each squared px between a pixel and its centre.
OFF_CENTER_PENALTY = 0.02


def blend_copies(level: PyramidLevel, nnf: Array, cost: Array, runner: PatchJobRunner) -> Array:
    """Return the hole's pixels, (P, 3) float32 RGB, to replace the averages in the features."""
    sources = np.zeros((len(level.hole_pixels), 2), np.int32)
    _choose_sources(level.hole_pixels, level.target_index, nnf, cost, sources)
    inside = level.hole | level.known
    step_sums = np.zeros((len(sources), 3), np.float32)
    neighbors = np.zeros((len(sources), 4), np.int32)
    counts = np.zeros(len(sources), np.float32)
    _compute_steps(
        level.flat_features, level.hole_pixels, level.pixel_index, inside, level.known, sources,
        step_sums, neighbors, counts,
    )  # fmt: skip
    votes = np.ascontiguousarray(level.features[level.hole][:, :3])
    solution = level.features[sources[:, 0], sources[:, 1], :3]
    for sweep in range(RELAXATION_SWEEPS):
        _relax(solution, votes, step_sums, neighbors, counts, np.float32(SCREENING), sweep % 2)
        runner.add_done(RELAXATION_COST * len(solution) / RELAXATION_SWEEPS)
    return solution


@compile_kernel
def _choose_sources(hole_pixels, target_index, nnf, cost, sources):
    """Fill in the source pixel of each pixel: the one that the best patch over it copies."""
    for p in range(len(hole_pixels)):
        y, x = hole_pixels[p]
        lowest = np.float32(np.inf)
        for dy in range(-PATCH_RADIUS, PATCH_RADIUS + 1):
            for dx in range(-PATCH_RADIUS, PATCH_RADIUS + 1):
                i = target_index[y + dy, x + dx]
                if i >= 0:
                    c = cost[i] * (1 + np.float32(OFF_CENTER_PENALTY) * (dy * dy + dx * dx))
                    if c < lowest:
                        lowest = c
                        sources[p, 0], sources[p, 1] = nnf[i, 0] - dy, nnf[i, 1] - dx


@compile_kernel
def _compute_steps(
    flat, hole_pixels, pixel_index, inside, known, sources, step_sums, neighbors, counts
):
    """Fill in the right-hand side: the sum of the steps to each pixel from its neighbours.

    ``neighbors`` (P, 4) are the neighbours' rows, -1 outside the hole; ``counts`` (P,) is the
    number of neighbours inside the picture.
    """
    for p in range(len(hole_pixels)):
        y, x = hole_pixels[p]
        sy, sx = sources[p]
        for side in range(4):
            dy, dx = (-1, 1, 0, 0)[side], (0, 0, -1, 1)[side]
            neighbors[p, side] = -1
            if not inside[y + dy, x + dx]:
                continue
            counts[p] += 1
            q = pixel_index[y + dy, x + dx]
            neighbors[p, side] = q
            here = known[sy + dy, sx + dx]
            there = q >= 0 and known[sources[q, 0] - dy, sources[q, 1] - dx]
            for c in range(3):
                step = np.float32(0.0)
                if here:
                    value = flat[sy + dy, (sx + dx) * CHANNELS + c]
                    step += flat[sy, sx * CHANNELS + c] - value
                if there:
                    value = flat[sources[q, 0] - dy, (sources[q, 1] - dx) * CHANNELS + c]
                    step += value - flat[sources[q, 0], sources[q, 1] * CHANNELS + c]
                if here and there:
                    step /= 2
                if q < 0:
                    step += flat[y + dy, (x + dx) * CHANNELS + c]
                step_sums[p, c] += step


@compile_kernel
def _relax(solution, votes, step_sums, neighbors, counts, screening, backward):
    """Run one sweep of successive over-relaxation of the screened Poisson equation, in place."""
    for n in range(len(solution)):
        p = len(solution) - 1 - n if backward else n
        for c in range(3):
            total = step_sums[p, c] + screening * votes[p, c]
            for side in range(4):
                if neighbors[p, side] >= 0:
                    total += solution[neighbors[p, side], c]
            value = total / (counts[p] + screening)
            solution[p, c] += np.float32(OVER_RELAXATION) * (value - solution[p, c])
