"""A structure that follows a guide: a picture that another fill has painted into the hole.

The guide's patches are replaced by the most alike patches of the surroundings. So the guide says
what goes where, and all pixels are real ones. The idea is that of guided PatchMatch (Zhang et al.,
"Inpainting at Modern Camera Resolution by Guided PatchMatch with Auto-Curation", 2022). What is
compared here are blurred colours, and texture, of which a network paints too little: a smooth guide
would otherwise find the smoothest patches, on a lawn those out of focus.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
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
GUIDED_ROUNDS = 4  # of search and votes after that, in which the copies fit themselves together
COLOR_SIGMA = 1.5  # px, of the Gaussian over the colours that are compared with the guide's
TEXTURE_GAIN = 2.0  # of the guide's texture features


def follow_guide(
    level: PyramidLevel, octaves: int, guide: Image, seed: int, runner: PatchJobRunner
) -> PatchField:
    """Paint the level's hole with patches that are like those of the guide.

    ``guide`` (H, W, 3) uint8 RGB is the crop with its hole filled. The level is ``octaves``
    coarser than that.
    """
    nnf = random_sources(level, len(level.targets), seed)
    wanted = _guide_level(level, octaves, guide, runner)
    nnf, cost = search_patches(
        wanted, nnf, level.confidence, runner, seed=seed, passes=GUIDED_PASSES
    )
    paint_votes(level, nnf, cost, level.hole_pixels, runner, OFFSETS_SOFTNESS)
    refinement = Refinement(OFFSETS_SOFTNESS, seed, GUIDED_ROUNDS, SETTLED_SEARCH_RADIUS)
    return settle(level, nnf, refinement, runner)


def _guide_level(
    level: PyramidLevel, octaves: int, guide: Image, runner: PatchJobRunner
) -> PyramidLevel:
    """Return the level with the guide in its hole, the colours blurred, for the search alone."""
    features = level.features.copy()
    features[level.hole] = _guide_features(level, octaves, guide, runner)
    inside = (level.hole | level.known).astype(np.float32)
    colors = cv2.GaussianBlur(features[..., :3] * inside[..., None], (0, 0), COLOR_SIGMA)
    share = np.maximum(cv2.GaussianBlur(inside, (0, 0), COLOR_SIGMA), 1e-3)
    features[..., :3] = np.rint(colors / share[..., None])
    return replace(level, flat_features=features.reshape(level.flat_features.shape))


def _guide_features(
    level: PyramidLevel, octaves: int, guide: Image, runner: PatchJobRunner
) -> Array:
    """Return the guide's features in the level's hole, (P, CHANNELS) uint8."""
    y, x = (level.hole_pixels - PATCH_RADIUS).T
    top, left = int(y.min()), int(x.min())
    rows = slice(top << octaves, (int(y.max()) + 1) << octaves)
    columns = slice(left << octaves, (int(x.max()) + 1) << octaves)
    features = reduced_features(guide[rows, columns], octaves, runner)[y - top, x - left]
    features[:, 3:] = np.minimum(TEXTURE_GAIN * features[:, 3:], 255)
    return np.asarray(features)
