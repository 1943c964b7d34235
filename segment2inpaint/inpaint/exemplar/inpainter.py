"""The exemplar fill: a hole is filled with pieces of its surroundings; no weights are needed.

The fill works from coarse to fine on an image pyramid. At each level, a nearest-neighbour field
of patches and the pixels in the hole improve each other in turn. In a large hole, this ends at
the level where the hole has ``MAX_SEARCHED_HOLE_AREA`` px: at finer levels the field is scaled
and only corrected by a pixel, so the cost grows slowly with the hole's area. The structure is
found at a coarse level, in two ways: by patches from the border inwards ("peeling"), which never
repeats what does not fit, and by a few offsets, which continues edges better. The cost of the
patches decides between the two. If there is a guide, the structure that follows it is chosen, and
the better of the two is the other one. Both are painted at the finest level that is searched, and
the chosen one is moved towards the other where the two agree.

Sources: Wexler, Shechtman, Irani 2007 (the energy and its minimisation); Newson et al. 2014
(texture features, onion peel); and those in ``patchmatch``, ``shiftmap`` and ``poisson``.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from threading import Lock, Thread
from typing import NamedTuple

import cv2
import numpy as np

from segment2inpaint.inpaint.exemplar.guidance import GUIDED_PASSES, GUIDED_ROUNDS, follow_guide
from segment2inpaint.inpaint.exemplar.jit import Array, needs_compiling
from segment2inpaint.inpaint.exemplar.patchmatch import (
    BAND_COUNT,
    VOTE_COST,
    count_trials,
    improve_field,
    paint_votes,
    search_patches,
)
from segment2inpaint.inpaint.exemplar.poisson import BLEND_COST, blend_copies
from segment2inpaint.inpaint.exemplar.pyramid import (
    COARSEST_HOLE_AREA,
    CONFIDENCE_DECAY,
    PATCH_SIDE,
    PYRAMID_COST,
    PyramidLevel,
    build_pyramid,
    random_sources,
    upscale_field,
)
from segment2inpaint.inpaint.exemplar.refinement import (
    CARRIED_SEARCH_RADIUS,
    OFFSETS_SOFTNESS,
    PEEL_SOFTNESS,
    SEARCH_PASSES,
    SETTLED_SEARCH_RADIUS,
    PatchField,
    Refinement,
    carry_up,
    mean_cost,
    repaint,
    settle,
)
from segment2inpaint.inpaint.exemplar.shiftmap import paint_offsets
from segment2inpaint.inpaint.exemplar.thread_pool import PatchJobRunner, thread_pool
from segment2inpaint.inpaint.smooth import smooth_fill
from segment2inpaint.networks.background import paint_background
from segment2inpaint.protocols import SURROUNDINGS, Crop, ProgressCallback, no_progress
from segment2inpaint.types import BinaryMask, Fill, Image

# The stages that a progress callback is given.
FILL_STAGE = "filling from the surroundings"
COMPILE_STAGE = "compiling the fill, this once"
COMPILE_POLL = 0.2  # s between calls of the progress callback while the kernels are compiled

# The structure is found at the finest level with a hole of at most this area, px.
MAX_STRUCTURE_HOLE_AREA = 2500
# The offsets' structure is chosen if its patches cost at most this factor more than the peel's.
OFFSETS_COST_TOLERANCE = 1.06
FINEST_LEVEL_ROUNDS = 2  # of search and votes; coarser levels are cheap and get more
SECOND_SEED_OFFSET = 100_003  # added to the seed for the structure that was not chosen
# Two results agree if they differ by less than about this, in grey levels ...
AGREEMENT_SCALE = 18.0
AGREEMENT_SIGMA = 3.0  # ... averaged over a Gaussian of this many px
# A guide is followed at the finest level with a hole of at most this area, px.
MAX_GUIDED_HOLE_AREA = 40_000
GUIDE_COST = 6e6  # time to paint a guide, in patch comparisons
# The finest level with a hole of at most this area is the last that is searched at length, px.
MAX_SEARCHED_HOLE_AREA = 200_000
STRUCTURE_ROUNDS = 15  # estimate of the rounds that finding the structure takes
THIN_HOLE_DEPTH = 3.5  # px; a hole that is less deep has no structure to find
_COMPILE_LOCK = Lock()
UNKNOWN_GREY = 127  # grey level of the result if no pixel is known


Guide = Callable[[Crop], Image]
"""Returns a crop with its hole painted by another fill. Raises ``BadModel``."""


class Structure(NamedTuple):
    """An arrangement of the surroundings in the hole, found at one level.

    ``level`` is the level's number, 0 the finest, ``field`` the sources of its targets, and
    ``features`` (P, CHANNELS) are those of the hole's pixels.
    """

    level: int
    field: PatchField
    features: Array


class ExemplarInpainter:
    """Fills a hole with pixels copied from its surroundings.

    The pixels inside the mask are never read. The result depends only on the crop and its seed.
    Another seed gives another result; odd seeds use the structure that was not chosen.
    """

    name = "exemplar"
    input_spec = SURROUNDINGS

    def __init__(self, threads: int | None = None) -> None:
        """Use ``threads`` threads, None: as many as OpenCV. The result does not depend on it."""
        self.threads = threads or cv2.getNumThreads()

    def guide(self) -> Guide | None:
        """Return the fill whose structure is to be used, None if the crop has to show it."""
        return None

    def start_compiling(self) -> None:
        """Compile the kernels in a thread, if this machine has not yet, and return at once."""
        compile_in_thread()

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        """Return each crop with the pixels of its mask filled; nothing in ``fill`` is used.

        If there is too little to copy from, the hole is filled smoothly, with a warning.
        """
        results = []
        if crops:
            _finish_compiling(progress)
        with thread_pool(min(self.threads, BAND_COUNT)) as threads:
            for index, crop in enumerate(crops):
                runner = PatchJobRunner(threads.map, _crop_progress(progress, index, len(crops)))
                results.append(_inpaint_crop(crop, runner, self.guide()))
        progress(FILL_STAGE, 1.0)
        return results


class GuidedInpainter(ExemplarInpainter):
    """Fills a hole with pixels copied from its surroundings, arranged as a network suggests.

    The background network, which ships with the package, paints the hole, and its patches are
    replaced by the most alike ones of the surroundings. Odd seeds use the structure of
    ``ExemplarInpainter`` instead.
    """

    name = "guided"

    def guide(self) -> Guide:
        """Return the fill by the background network."""
        return _paint_background


def _paint_background(crop: Crop) -> Image:
    return paint_background(crop.image, crop.mask)


def _crop_progress(progress: ProgressCallback, index: int, count: int) -> Callable[[float], None]:
    """Return a callback for the progress of one crop among ``count``."""
    progress(FILL_STAGE, index / count)
    return lambda share: progress(FILL_STAGE, (index + share) / count)


def compile_in_thread() -> Thread:
    """Compile the kernels in a thread, if this machine has not yet; only the first call does.

    Call it while the object is still looked for. ``ExemplarInpainter.inpaint`` waits for the end.
    """
    with _COMPILE_LOCK:
        return _compiling_thread()


@cache
def _compiling_thread() -> Thread:
    thread = Thread(target=_compile_kernels, name="compile the exemplar fill", daemon=True)
    thread.start()
    return thread


def _finish_compiling(progress: ProgressCallback) -> None:
    """Wait until the kernels are compiled; ``progress`` is called several times a second."""
    thread = compile_in_thread()
    while thread.is_alive():
        thread.join(COMPILE_POLL)
        if thread.is_alive():
            progress(COMPILE_STAGE, 0.0)


def _compile_kernels() -> None:
    """Fill a very small crop, which calls every kernel, if their machine code is not cached."""
    if not needs_compiling(improve_field):
        return
    mask = np.zeros((48, 48), bool)
    mask[16:32, 16:32] = True
    crop = Crop(np.zeros((48, 48, 3), np.uint8), mask)
    _inpaint_crop(crop, PatchJobRunner(map, lambda _: None), None)


def _inpaint_crop(crop: Crop, runner: PatchJobRunner, guide: Guide | None) -> Image:
    if not crop.mask.any():
        return crop.image.copy()
    guide_units = _estimate_guide_units(crop.mask) if guide else 0.0
    runner.set_total(_estimate_units(crop.mask) + guide_units)
    levels = build_pyramid(crop.image, crop.mask, runner)
    if not levels:
        return _fill_without_patches(crop.image, crop.mask)
    pixels = _paint_levels(levels, crop, runner, guide)
    del levels
    result = crop.image.copy()
    result[crop.mask] = np.clip(np.rint(pixels), 0, 255)
    return result


def _fill_without_patches(image: Image, mask: BinaryMask) -> Image:
    warnings.warn("too little around the hole to copy from: filled smoothly", stacklevel=3)
    return np.full_like(image, UNKNOWN_GREY) if mask.all() else smooth_fill(image, mask)


def _paint_levels(
    levels: list[PyramidLevel], crop: Crop, runner: PatchJobRunner, guide: Guide | None
) -> Array:
    """Paint the hole at all levels, and return its pixels at the finest, (P, 3) float32 RGB.

    ``levels`` loses all but the finest one if the field is carried up.
    """
    seed = crop.seed
    searched = _finest_level(levels, MAX_SEARCHED_HOLE_AREA)
    structures = _find_structures(levels, seed, runner)
    if len(structures) > 1 and guide:
        structures = [_guided_structure(levels, guide(crop), seed, runner), structures[0]]
    if seed % 2 == 1:
        structures.reverse()
    del levels[max(structure.level for structure in structures) + 1 :]
    fields, results = [], []
    for i, structure in enumerate(structures):
        field = _refine_structure(levels, structure, searched, i, seed, runner)
        fields.append(field)
        results.append(blend_copies(levels[searched], field.centers, field.costs, runner))
    pixels = _average_agreement(levels[searched], *results)
    if searched == 0:
        return pixels
    del levels[searched + 1 :]
    return carry_up(levels, fields[0], pixels - results[0], seed, runner)


def _refine_structure(
    levels: list[PyramidLevel], structure: Structure, searched: int, number: int, seed: int,
    runner: PatchJobRunner,
) -> PatchField:  # fmt: skip
    """Return the field at the level ``searched``. The structure ``number`` 0 is the chosen one."""
    start, field = structure.level, structure.field
    levels[start].features[levels[start].hole] = structure.features
    structure_seed = seed + number * SECOND_SEED_OFFSET
    for n in range(start - 1, searched - 1, -1):
        nnf = upscale_field(levels[n], levels[n + 1], field.centers, seed)
        rounds = _rounds(n - searched) // (1 + number)
        refinement = Refinement(field.softness, structure_seed, rounds, SETTLED_SEARCH_RADIUS)
        field = repaint(levels[n], nnf, refinement, runner)
    return field


def _finest_level(levels: list[PyramidLevel], max_hole_area: int) -> int:
    """Return the number of the finest level with a hole of at most this area, else the last."""
    areas = [len(level.hole_pixels) for level in levels]
    return next((n for n, a in enumerate(areas) if a <= max_hole_area), len(areas) - 1)


def _average_agreement(
    level: PyramidLevel, pixels: Array, alternative: Array | None = None
) -> Array:
    """Return ``pixels``, moved towards the mean of both results where the two agree.

    Results that agree are both right but for their grain. Where they do not, a mean would only
    be haze.
    """
    if alternative is None:
        return pixels
    difference = np.zeros(level.hole.shape, np.float32)
    difference[level.hole] = ((pixels - alternative) ** 2).max(axis=1)
    nearby = cv2.GaussianBlur(difference, (0, 0), AGREEMENT_SIGMA)[level.hole]
    weight = np.exp(-nearby / AGREEMENT_SCALE**2)[:, None]
    return np.asarray(pixels + weight / (1 + weight) * (alternative - pixels))


def _rounds(level_number: int) -> int:
    """Return how often a level is searched and repainted; 0 is the finest."""
    return FINEST_LEVEL_ROUNDS + min(2 * level_number, 4)


def _estimate_units(mask: BinaryMask) -> float:
    """Return the approximate work of a crop, in patch comparisons."""
    areas = [float(np.count_nonzero(mask))]
    while areas[-1] > COARSEST_HOLE_AREA:
        areas.append(areas[-1] / 4)
    searched = [a for a in areas if a <= MAX_SEARCHED_HOLE_AREA]
    carried = areas[: -len(searched)]
    refined = [a for a in searched if a > MAX_STRUCTURE_HOLE_AREA]
    structure = searched[len(refined) :]
    units = (1 + 4 / 3) * PYRAMID_COST * mask.size
    units += sum(_round_units(a, CARRIED_SEARCH_RADIUS) + VOTE_COST * a for a in carried)
    units += sum(
        1.5 * _rounds(n) * _round_units(a, SETTLED_SEARCH_RADIUS) for n, a in enumerate(refined)
    )
    units += STRUCTURE_ROUNDS * sum(_round_units(a, SETTLED_SEARCH_RADIUS) for a in structure)
    return units + BLEND_COST * (2 * searched[0] + sum(carried[:1]))


def _estimate_guide_units(mask: BinaryMask) -> float:
    """Return the approximate work to paint a guide and to follow it, in patch comparisons."""
    area = float(np.count_nonzero(mask))
    octaves = max(0, math.ceil(math.log(area / MAX_GUIDED_HOLE_AREA, 4)))
    hole_area, side = area / 4.0**octaves, max(mask.shape) >> octaves
    targets = hole_area + 4 * PATCH_SIDE * math.sqrt(hole_area)
    search = GUIDED_PASSES * count_trials(side // 2) * targets
    return GUIDE_COST + search + GUIDED_ROUNDS * _round_units(hole_area, SETTLED_SEARCH_RADIUS)


def _round_units(hole_area: float, search_radius: int) -> float:
    """Return the approximate work of one round of search and votes, in patch comparisons."""
    targets = hole_area + 4 * PATCH_SIDE * math.sqrt(hole_area)
    return SEARCH_PASSES * count_trials(search_radius) * targets + VOTE_COST * hole_area


def _guided_structure(
    levels: list[PyramidLevel], picture: Image, seed: int, runner: PatchJobRunner
) -> Structure:
    """Return the structure that follows a picture with the hole filled."""
    runner.add_done(GUIDE_COST)
    start = _finest_level(levels, MAX_GUIDED_HOLE_AREA)
    field = follow_guide(levels[start], start, picture, seed, runner)
    return Structure(start, field, levels[start].features[levels[start].hole])


def _find_structures(
    levels: list[PyramidLevel], seed: int, runner: PatchJobRunner
) -> list[Structure]:
    """Return two structures of the hole, the better one first. A thin hole has only one."""
    start = _finest_level(levels, MAX_STRUCTURE_HOLE_AREA)
    level = levels[start]
    peel = _peel(levels[start:], seed, runner)
    peel_result = Structure(start, peel, level.features[level.hole])
    if level.confidence[level.hole].min() > CONFIDENCE_DECAY**-THIN_HOLE_DEPTH:
        return [peel_result]
    max_cost = OFFSETS_COST_TOLERANCE * mean_cost(level, peel, seed, runner)
    refinement = Refinement(OFFSETS_SOFTNESS, seed, 3, SETTLED_SEARCH_RADIUS)
    offsets = settle(level, paint_offsets(level, seed, runner), refinement, runner)
    offsets_result = Structure(start, offsets, level.features[level.hole])
    if mean_cost(level, offsets, seed, runner) <= max_cost:
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
    field = settle(level, nnf, Refinement(PEEL_SOFTNESS, seed, 8), runner)
    for n in range(len(levels) - 2, -1, -1):
        nnf = upscale_field(levels[n], levels[n + 1], field.centers, seed)
        field = repaint(levels[n], nnf, Refinement(PEEL_SOFTNESS, seed, 4), runner)
    return field
