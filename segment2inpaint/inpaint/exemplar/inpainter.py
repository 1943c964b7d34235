"""The exemplar fill: a hole is filled with pieces of its surroundings; no weights are needed.

The fill works from coarse to fine on an image pyramid. At each level, a nearest-neighbour field
of patches and the pixels in the hole improve each other in turn. The structure is found at a
coarse level, in two ways: by patches from the border inwards ("peeling"), which never repeats
what does not fit, and by a few offsets, which continues edges better. The cost of the patches
decides between the two. Both are painted at full size, and the chosen one is moved towards the
other where the two agree.

Sources: Wexler, Shechtman, Irani 2007 (the energy and its minimisation); Newson et al. 2014
(texture features, onion peel); and those in ``patchmatch``, ``shiftmap`` and ``poisson``.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from segment2inpaint.inpaint.exemplar.jit import Array, needs_compiling
from segment2inpaint.inpaint.exemplar.patchmatch import (
    BAND_COUNT,
    VOTE_COST,
    improve_field,
    paint_votes,
    search_patches,
)
from segment2inpaint.inpaint.exemplar.poisson import RELAXATION_COST, blend_copies
from segment2inpaint.inpaint.exemplar.pyramid import (
    CONFIDENCE_DECAY,
    PATCH_RADIUS,
    PyramidLevel,
    build_pyramid,
    random_sources,
    upscale_field,
)
from segment2inpaint.inpaint.exemplar.shiftmap import paint_offsets
from segment2inpaint.inpaint.exemplar.thread_pool import PatchJobRunner, thread_pool
from segment2inpaint.inpaint.smooth import smooth_fill
from segment2inpaint.protocols import Crop, InputSpec, ProgressCallback, no_progress
from segment2inpaint.types import BinaryMask, Fill, Image

# The stages that a progress callback is given.
FILL_STAGE = "filling from the surroundings"
COMPILE_STAGE = "compiling the fill, this once"

# The structure is found at the finest level with a hole of at most this area, px.
MAX_STRUCTURE_HOLE_AREA = 2500
# The offsets' structure is chosen if its patches cost at most this factor more than the peel's.
OFFSETS_COST_TOLERANCE = 1.06
# Softness of the votes (see ``paint_votes``) after the peel and after the offsets.
PEEL_SOFTNESS, OFFSETS_SOFTNESS = 5.0, 1.5
FINEST_LEVEL_ROUNDS = 2  # of search and votes; coarser levels are cheap and get more
SEARCH_PASSES = 2  # of PatchMatch in each round
SECOND_SEED_OFFSET = 100_003  # added to the seed for the structure that was not chosen
# Two results agree if they differ by less than about this, in grey levels ...
AGREEMENT_SCALE = 18.0
AGREEMENT_SIGMA = 3.0  # ... averaged over a Gaussian of this many px
SETTLED_SEARCH_RADIUS = 8  # px of the random search once the structure is found
STRUCTURE_ROUNDS = 15  # estimate of the rounds that finding the structure takes
THIN_HOLE_DEPTH = 3.5  # px; a hole that is less deep has no structure to find
UNKNOWN_GREY = 127  # grey level of the result if no pixel is known


class PatchField(NamedTuple):
    """A nearest-neighbour field: ``centers`` (T, 2) int32 and ``costs`` (T,) float32.

    ``softness`` is that of its votes, see ``paint_votes``.
    """

    centers: Array
    costs: Array
    softness: float


class ExemplarInpainter:
    """Fills a hole with pixels copied from its surroundings.

    The pixels inside the mask are never read. The result depends only on the crop and its seed.
    Another seed gives another result; odd seeds use the structure that was not chosen.
    """

    name = "exemplar"
    input_spec = InputSpec(padding_share=1.0, min_side=256)

    def __init__(self, threads: int | None = None) -> None:
        """Use ``threads`` threads, None: one for each CPU. The result does not depend on it."""
        self.threads = threads or os.cpu_count() or 1

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        """Return each crop with the pixels of its mask filled; nothing in ``fill`` is used.

        If there is too little to copy from, the hole is filled smoothly, with a warning.
        """
        results = []
        if crops and needs_compiling(improve_field):
            _compile_kernels(progress)
        with thread_pool(min(self.threads, BAND_COUNT)) as threads:
            for index, crop in enumerate(crops):
                runner = PatchJobRunner(threads.map, _crop_progress(progress, index, len(crops)))
                results.append(_inpaint_crop(crop, crop.seed % 2 == 1, runner))
        progress(FILL_STAGE, 1.0)
        return results


def _crop_progress(progress: ProgressCallback, index: int, count: int) -> Callable[[float], None]:
    """Return a callback for the progress of one crop among ``count``."""
    progress(FILL_STAGE, index / count)
    return lambda share: progress(FILL_STAGE, (index + share) / count)


def _compile_kernels(progress: ProgressCallback) -> None:
    """Call every kernel once, on a very small crop."""
    progress(COMPILE_STAGE, 0.0)
    image = np.zeros((48, 48, 3), np.uint8)
    mask = np.zeros((48, 48), bool)
    mask[16:32, 16:32] = True
    runner = PatchJobRunner(map, lambda _: progress(COMPILE_STAGE, 0.0))
    _inpaint_crop(Crop(image, mask), False, runner)


def _inpaint_crop(crop: Crop, prefer_second: bool, runner: PatchJobRunner) -> Image:
    if not crop.mask.any():
        return crop.image.copy()
    levels = build_pyramid(crop.image, crop.mask)
    if not levels:
        return _fill_without_patches(crop.image, crop.mask)
    pixels, *alternative = _paint_levels(levels, prefer_second, crop.seed, runner)
    if alternative:
        pixels = _average_agreement(levels[0], pixels, alternative[0])
    y, x = (levels[0].hole_pixels - PATCH_RADIUS).T
    result = crop.image.copy()
    result[y, x] = np.clip(np.rint(pixels), 0, 255)
    return result


def _fill_without_patches(image: Image, mask: BinaryMask) -> Image:
    warnings.warn("too little around the hole to copy from: filled smoothly", stacklevel=3)
    return np.full_like(image, UNKNOWN_GREY) if mask.all() else smooth_fill(image, mask)


def _paint_levels(
    levels: list[PyramidLevel], prefer_second: bool, seed: int, runner: PatchJobRunner
) -> list[Array]:
    """Paint the hole at all levels, and return its finest pixels, (P, 3), once or twice.

    The first result is from the chosen structure. If there was a choice, a second one is from the
    other structure, with half the rounds.
    """
    areas = [len(level.hole_pixels) for level in levels]
    start = next((n for n, a in enumerate(areas) if a <= MAX_STRUCTURE_HOLE_AREA), len(areas) - 1)
    runner.set_total(_estimate_units(levels, start))
    results = []
    structures = _find_structures(levels[start:], prefer_second, seed, runner)
    for i, (field, features) in enumerate(structures):
        levels[start].features[levels[start].hole] = features
        for n in range(start - 1, -1, -1):
            field = _refine_level(
                levels[n],
                levels[n + 1],
                field,
                seed + i * SECOND_SEED_OFFSET,
                runner,
                rounds=_rounds(n) // (1 + i),
                search_radius=SETTLED_SEARCH_RADIUS,
            )
        results.append(blend_copies(levels[0], field.centers, field.costs, runner))
    return results


def _average_agreement(level: PyramidLevel, pixels: Array, alternative: Array) -> Array:
    """Return ``pixels``, moved towards the mean of both results where the two agree.

    Results that agree are both right but for their grain. Where they do not, a mean would only
    be haze.
    """
    difference = np.zeros(level.hole.shape, np.float32)
    difference[level.hole] = ((pixels - alternative) ** 2).max(axis=1)
    nearby = cv2.GaussianBlur(difference, (0, 0), AGREEMENT_SIGMA)[level.hole]
    weight = np.exp(-nearby / AGREEMENT_SCALE**2)[:, None]
    return np.asarray(pixels + weight / (1 + weight) * (alternative - pixels))


def _rounds(level_number: int) -> int:
    """Return how often a level is searched and repainted; 0 is the finest."""
    return FINEST_LEVEL_ROUNDS + min(2 * level_number, 4)


def _estimate_units(levels: list[PyramidLevel], start: int) -> float:
    """Return the approximate work of all levels, in patch comparisons."""
    per_round = [SEARCH_PASSES * len(v.targets) + VOTE_COST * len(v.hole_pixels) for v in levels]
    finer = sum(1.5 * _rounds(n) * per_round[n] for n in range(start))
    blending = 2 * RELAXATION_COST * len(levels[0].hole_pixels)
    return finer + blending + STRUCTURE_ROUNDS * sum(per_round[start:])


def _find_structures(
    levels: list[PyramidLevel], prefer_second: bool, seed: int, runner: PatchJobRunner
) -> list[tuple[PatchField, Array]]:
    """Paint the finest of ``levels`` in two ways; return each field and the hole's features.

    The better structure is first, the other one if ``prefer_second``. A thin hole has only one.
    """
    level = levels[0]
    peel = _peel(levels, seed, runner)
    peel_result = peel, level.features[level.hole]
    if level.confidence[level.hole].min() > CONFIDENCE_DECAY**-THIN_HOLE_DEPTH:
        return [peel_result]
    max_cost = OFFSETS_COST_TOLERANCE * _mean_cost(level, peel, seed, runner)
    offsets = _settle(
        level,
        paint_offsets(level, seed, runner),
        OFFSETS_SOFTNESS,
        seed,
        runner,
        rounds=3,
        search_radius=SETTLED_SEARCH_RADIUS,
    )
    offsets_result = offsets, level.features[level.hole]
    choose_offsets = _mean_cost(level, offsets, seed, runner) <= max_cost
    if choose_offsets != prefer_second:
        return [offsets_result, peel_result]
    return [peel_result, offsets_result]


def _peel(levels: list[PyramidLevel], seed: int, runner: PatchJobRunner) -> PatchField:
    """Fill the coarsest hole layer by layer from its border, then refine up to ``levels[0]``."""
    level = levels[-1]
    nnf = random_sources(level, len(level.targets), seed)
    unpainted = level.hole.copy()
    while unpainted.any():
        weight = np.where(unpainted, 0, level.confidence).astype(np.float32)
        nnf, cost = search_patches(level, nnf, weight, runner, seed=seed, passes=4)
        painted = ((level.hole | level.known) & ~unpainted).astype(np.uint8)
        layer = unpainted & (cv2.dilate(painted, np.ones((3, 3), np.uint8)) > 0)
        layer = layer if layer.any() else unpainted
        pixels = np.argwhere(layer).astype(np.int32)
        paint_votes(level, nnf, cost, pixels, runner, PEEL_SOFTNESS)
        unpainted = unpainted & ~layer
    field = _settle(level, nnf, PEEL_SOFTNESS, seed, runner, rounds=8)
    for n in range(len(levels) - 2, -1, -1):
        field = _refine_level(levels[n], levels[n + 1], field, seed, runner, rounds=4)
    return field


def _refine_level(
    level: PyramidLevel,
    coarse: PyramidLevel,
    field: PatchField,
    seed: int,
    runner: PatchJobRunner,
    *,
    rounds: int,
    search_radius: int = 0,
) -> PatchField:
    """Paint the level from the field of the coarser one, and settle it."""
    nnf = upscale_field(level, coarse, field.centers, seed)
    zero_cost = np.zeros(len(nnf), np.float32)
    paint_votes(level, nnf, zero_cost, level.hole_pixels, runner, PEEL_SOFTNESS)
    return _settle(
        level, nnf, field.softness, seed, runner, rounds=rounds, search_radius=search_radius
    )


def _settle(
    level: PyramidLevel,
    nnf: Array,
    softness: float,
    seed: int,
    runner: PatchJobRunner,
    *,
    rounds: int,
    search_radius: int = 0,
) -> PatchField:
    """Search patches and paint their votes in turn, and return the last field."""
    for i in range(rounds):
        nnf, cost = search_patches(
            level,
            nnf,
            level.confidence,
            runner,
            seed=seed + i,
            passes=SEARCH_PASSES,
            search_radius=search_radius,
        )
        paint_votes(level, nnf, cost, level.hole_pixels, runner, softness)
    return PatchField(nnf, cost, softness)


def _mean_cost(level: PyramidLevel, field: PatchField, seed: int, runner: PatchJobRunner) -> float:
    """Return the mean square root of the costs of all patches of the current features."""
    _, cost = search_patches(
        level,
        field.centers,
        level.confidence,
        runner,
        seed=seed,
        passes=1,
        search_radius=SETTLED_SEARCH_RADIUS,
    )
    return float(np.sqrt(cost).mean())
