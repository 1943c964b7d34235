"""A structure that follows a guide: a picture that another fill has painted into the hole.

The guide's patches are replaced by the most alike patches of the surroundings. So the guide says
what goes where, and all pixels are real ones. The idea is that of guided PatchMatch (Zhang et al.,
"Inpainting at Modern Camera Resolution by Guided PatchMatch with Auto-Curation", 2022).
"""

from __future__ import annotations

import numpy as np

from segment2inpaint.inpaint.exemplar.jit import Array
from segment2inpaint.inpaint.exemplar.patchmatch import paint_votes, search_patches
from segment2inpaint.inpaint.exemplar.pyramid import (
    PATCH_RADIUS,
    PyramidLevel,
    random_sources,
    reduced_features,
)
from segment2inpaint.inpaint.exemplar.refinement import (
    OFFSETS_SOFTNESS,
    SETTLED_SEARCH_RADIUS,
    PatchField,
    Refinement,
    settle,
)
from segment2inpaint.inpaint.exemplar.thread_pool import PatchJobRunner
from segment2inpaint.types import Image

GUIDED_PASSES = 8  # of PatchMatch over the whole level, in search of what is like the guide
GUIDED_ROUNDS = 2  # of search and votes after that, in which the copies fit themselves together


def follow_guide(
    level: PyramidLevel, octaves: int, guide: Image, seed: int, runner: PatchJobRunner
) -> PatchField:
    """Paint the level's hole with patches that are like those of the guide.

    ``guide`` (H, W, 3) uint8 RGB is the crop with its hole filled. The level is ``octaves``
    coarser than that.
    """
    level.features[level.hole] = _guide_features(level, octaves, guide, runner)
    nnf = random_sources(level, len(level.targets), seed)
    weight = (level.hole | level.known).astype(np.float32)
    nnf, cost = search_patches(level, nnf, weight, runner, seed=seed, passes=GUIDED_PASSES)
    paint_votes(level, nnf, cost, level.hole_pixels, runner, OFFSETS_SOFTNESS)
    refinement = Refinement(OFFSETS_SOFTNESS, seed, GUIDED_ROUNDS, SETTLED_SEARCH_RADIUS)
    return settle(level, nnf, refinement, runner)


def _guide_features(
    level: PyramidLevel, octaves: int, guide: Image, runner: PatchJobRunner
) -> Array:
    """Return the guide's features in the level's hole, (P, CHANNELS) uint8."""
    y, x = (level.hole_pixels - PATCH_RADIUS).T
    top, left = int(y.min()), int(x.min())
    rows = slice(top << octaves, (int(y.max()) + 1) << octaves)
    columns = slice(left << octaves, (int(x.max()) + 1) << octaves)
    features: Array = reduced_features(guide[rows, columns], octaves, runner)
    return np.asarray(features[y - top, x - left])
