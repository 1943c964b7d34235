"""The steps by which the exemplar fill takes a field of patches from one level to a finer one."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from segment2inpaint.inpaint.exemplar.jit import Array
from segment2inpaint.inpaint.exemplar.patchmatch import paint_votes, search_patches
from segment2inpaint.inpaint.exemplar.poisson import blend_copies
from segment2inpaint.inpaint.exemplar.pyramid import PATCH_RADIUS, PyramidLevel, upscale_field
from segment2inpaint.inpaint.exemplar.thread_pool import PatchJobRunner

# Softness of the votes (see ``paint_votes``) after the peel and after the offsets.
PEEL_SOFTNESS, OFFSETS_SOFTNESS = 5.0, 1.5
SEARCH_PASSES = 2  # of PatchMatch in each round
SETTLED_SEARCH_RADIUS = 8  # px of the random search once the structure is found
CARRIED_SEARCH_RADIUS = 1  # px of the random search at finer levels


class PatchField(NamedTuple):
    """A nearest-neighbour field: ``centers`` (T, 2) int32 and ``costs`` (T,) float32.

    ``softness`` is that of its votes, see ``paint_votes``.
    """

    centers: Array
    costs: Array
    softness: float


class Refinement(NamedTuple):
    """Rounds of search and votes at a level.

    ``softness`` is that of the votes. The random search stays within ``search_radius`` px; with 0
    it covers the whole level.
    """

    softness: float
    seed: int
    rounds: int
    search_radius: int = 0


def repaint(
    level: PyramidLevel, nnf: Array, refinement: Refinement, runner: PatchJobRunner
) -> PatchField:
    """Paint the level from the field ``nnf`` (T, 2) of the coarser one, and settle it."""
    zero_cost = np.zeros(len(nnf), np.float32)
    paint_votes(level, nnf, zero_cost, level.hole_pixels, runner, PEEL_SOFTNESS)
    return settle(level, nnf, refinement, runner)


def settle(
    level: PyramidLevel, nnf: Array, refinement: Refinement, runner: PatchJobRunner
) -> PatchField:
    """Search patches and paint their votes in turn, and return the last field."""
    softness, seed, rounds, radius = refinement
    for i in range(rounds):
        nnf, cost = search_patches(
            level, nnf, level.confidence, runner,
            seed=seed + i, passes=SEARCH_PASSES, search_radius=radius,
        )  # fmt: skip
        paint_votes(level, nnf, cost, level.hole_pixels, runner, softness)
    return PatchField(nnf, cost, softness)


def mean_cost(level: PyramidLevel, field: PatchField, seed: int, runner: PatchJobRunner) -> float:
    """Return the mean square root of the costs of all patches of the current features."""
    _, cost = search_patches(
        level, field.centers, level.confidence, runner,
        seed=seed, passes=1, search_radius=SETTLED_SEARCH_RADIUS,
    )  # fmt: skip
    return float(np.sqrt(cost).mean())


def carry_up(
    levels: list[PyramidLevel],
    field: PatchField,
    correction: Array,
    seed: int,
    runner: PatchJobRunner,
) -> Array:
    """Return the hole's finest pixels, (P, 3) float32 RGB, from the field of ``levels[-1]``.

    At each finer level, sources are only searched next to those of the coarser one.
    ``correction``, (P, 3) of the coarsest level, is interpolated and added. Levels are removed
    from the list once they are not needed.
    """
    corrected, octaves = levels[-1].hole_pixels, len(levels) - 1
    while len(levels) > 1:
        nnf = upscale_field(levels[-2], levels.pop(), field.centers, seed)
        refinement = Refinement(field.softness, seed, 1, CARRIED_SEARCH_RADIUS)
        field = repaint(levels[-1], nnf, refinement, runner)
    pixels = blend_copies(levels[0], field.centers, field.costs, runner)
    for channel in range(3):
        pixels[:, channel] += _upscale_values(
            corrected, correction[:, channel], levels[0].hole_pixels, octaves
        )
    return pixels


def _upscale_values(coarse_pixels: Array, values: Array, pixels: Array, octaves: int) -> Array:
    """Return values at ``pixels`` (P, 2), interpolated from those at the coarse level's pixels.

    ``values`` are (Q,) float32, the result is (P,). The level of ``pixels`` is ``octaves``
    finer. Values are 0 outside the hole.
    """
    y, x = (pixels - PATCH_RADIUS).T
    top, left, bottom, right = (int(v) >> octaves for v in (y.min(), x.min(), y.max(), x.max()))
    grid = np.zeros((bottom - top + 1, right - left + 1), np.float32)
    coarse_y, coarse_x = (coarse_pixels - PATCH_RADIUS).T
    grid[coarse_y - top, coarse_x - left] = values
    size = grid.shape[1] << octaves, grid.shape[0] << octaves
    scaled = cv2.resize(grid, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(scaled[y - (top << octaves), x - (left << octaves)])
