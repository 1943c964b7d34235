"""Matting: the soft edge of an object with a hard mask, and its own colours along that edge.

A pixel on the edge of hair, fur or glass shows the object and what is behind it. Its share of the
object (alpha) is found in a band around the mask's edge by closed-form matting (Levin et al. 2008),
its colour without the background by multi-level foreground estimation (Germer et al. 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint import extras
from segment2inpaint.edge_refine import guided_filter
from segment2inpaint.masks import fill_holes
from segment2inpaint.types import (
    Alpha,
    BinaryMask,
    Box,
    Detection,
    Image,
    Point,
    Refine,
    bounding_box,
)

# The band on each side of the edge, as shares of the diagonal of the mask's box and in photo px.
OUTER_SHARE, OUTER_LIMITS = 0.035, (3.0, 48.0)
INNER_SHARE, INNER_LIMITS = 0.02, (2.0, 32.0)
CORE_SHARE = 0.5  # of the depth of a thin part or a narrow gap: the rest of it is certain
OUTER_PER_THICKNESS = 1.0  # the outer band is no wider than the part beside it is thick
THICKNESS_STEP = 1.5  # between the radii that local thickness is measured with
PRIOR_WEIGHT = 0.1  # how strongly the hard mask holds at the band's outer and inner end
CONTEXT = 2  # px around the band that the matting sees
MAX_AREA = 1_500_000  # px; a larger crop is matted reduced, and a guided filter sharpens it
EPSILON = 1e-6  # regularisation of the matting Laplacian
TOLERANCE = 1e-5  # of the solver
NOISE = 0.08  # alpha nearer to 0 or 1 than this is rounded


def object_alpha(image: Image, detection: Detection) -> Alpha:
    """Return how much of each pixel is the object, ``(H, W)`` float32 in [0, 1].

    It is 1 inside the mask and 0 outside except in a band around the edge, whose width follows
    from the mask's size. A soft mask keeps its own greys.
    """
    if detection.alpha is not None:
        return detection.alpha
    alpha: Alpha = detection.mask.astype(np.float32)
    box = _matted_box(detection.mask)
    mask, part = detection.mask[box.slices], image[box.slices]
    trimap = make_trimap(mask)
    if (trimap == 1).any() and (trimap == 0).any() and (trimap == 0.5).any():
        _require_pymatting()
        alpha[box.slices] = _solve(part, mask, trimap)
    return alpha


def objects_alpha(
    image: Image, detections: Sequence[Detection], refine: Refine, keep: Sequence[Point] = ()
) -> Alpha:
    """Return the alpha of all objects together, ``(H, W)`` float32 in [0, 1].

    Small holes are filled as ``refine`` says, except those that hold a point of ``keep`` (x, y).
    Without ``edge_refine`` the masks stay as they are.
    """
    alphas = []
    for detection in detections:
        found = detection
        if refine.fill_holes and not found.from_user:
            found = replace(found, mask=fill_holes(found.mask, keep))
        hard: Alpha = found.mask.astype(np.float32)
        unmatted = hard if found.alpha is None else found.alpha.copy()
        alphas.append(object_alpha(image, found) if refine.edge_refine else unmatted)
    together: Alpha = np.maximum.reduce(alphas)
    return together


def foreground_colors(image: Image, alpha: Alpha) -> Image:
    """Return the colours of the object alone, ``(H, W, 3)`` uint8 RGB.

    They equal the photo's where alpha is 1, and are estimated where it is between 0 and 1; there
    are none where it is 0. Raises ``PackageMissing`` without pymatting if any must be estimated.
    """
    if not ((alpha > 0) & (alpha < 1)).any():
        return np.where((alpha == 1)[..., None], image, 0)
    _require_pymatting()
    colors = np.zeros_like(image)
    box = bounding_box(alpha > 0).expand(CONTEXT, (alpha.shape[0], alpha.shape[1]))
    part, shares = image[box.slices], alpha[box.slices]
    from pymatting.foreground.estimate_foreground_ml import estimate_foreground_ml

    estimated = estimate_foreground_ml(part / 255, shares.astype(np.float64))
    rounded = np.rint(np.clip(estimated, 0, 1) * 255).astype(np.uint8)
    colors[box.slices] = np.where((shares == 1)[..., None], part, rounded)
    return colors


def make_trimap(mask: BinaryMask) -> NDArray[np.float64]:
    """Return 1 where a pixel is surely the object, 0 where it surely is not, else 0.5.

    The band in between is narrow along thin parts and in narrow gaps, so that both keep a core.
    """
    diagonal = _diagonal(mask)
    outer = float(np.clip(OUTER_SHARE * diagonal, *OUTER_LIMITS))
    inner = float(np.clip(INNER_SHARE * diagonal, *INNER_LIMITS))
    margin = int(np.ceil(outer)) + 1  # beyond the photo's border nothing is certain
    inner_part = (slice(margin, -margin),) * 2
    inside = _distance(np.pad(mask, 1, mode="edge"))[1:-1, 1:-1]
    outside, nearest = _distance_and_nearest(mask)
    thickness = _local_thickness(inside, outer)
    around = _distance(np.pad(~mask, margin, constant_values=True))
    gap = _local_thickness(around, outer)[inner_part]
    trimap = np.full(mask.shape, 0.5)
    trimap[mask & (inside > np.minimum(inner, CORE_SHARE * thickness))] = 1
    reach = np.minimum(outer, OUTER_PER_THICKNESS * thickness.ravel()[nearest])
    trimap[~mask & (outside > np.minimum(reach, CORE_SHARE * gap))] = 0
    return trimap


def _diagonal(mask: BinaryMask) -> float:
    box = bounding_box(mask)
    return hypot(box.width, box.height)


def _distance(mask: BinaryMask) -> NDArray[np.float32]:
    """Return each pixel's distance to the nearest pixel that is False, in px."""
    values: NDArray[np.float32] = cv2.distanceTransform(
        mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    )
    return values


def _distance_and_nearest(mask: BinaryMask) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return each pixel's distance to the mask, and the flat index of its nearest mask pixel."""
    distance, labels = cv2.distanceTransformWithLabels(
        (~mask).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    index = np.zeros(int(labels.max()) + 1, np.intp)
    index[labels[mask]] = np.flatnonzero(mask)
    return distance, index[labels]


def _local_thickness(depth: NDArray[np.float32], limit: float) -> NDArray[np.float32]:
    """Return the radius of the largest disc in an area that covers each pixel, up to ``limit``.

    ``depth`` is each pixel's distance to the outside of the area.
    """
    thickness = np.minimum(depth, 1)
    radius = 1.0
    while radius < limit:
        radius = min(limit, radius * THICKNESS_STEP)
        covered = _distance(depth < radius) < radius + 0.5
        thickness[covered & (depth > 0)] = radius
    return thickness


def _matted_box(mask: BinaryMask) -> Box:
    """Return the box around the mask and its band."""
    size = (mask.shape[0], mask.shape[1])
    return bounding_box(mask).expand(int(OUTER_LIMITS[1]) + CONTEXT, size)


def _solve(image: Image, mask: BinaryMask, trimap: NDArray[np.float64]) -> Alpha:
    """Return the alpha of a crop, solved at a reduced size if it is large."""
    height, width = trimap.shape
    scale = min(1.0, (MAX_AREA / trimap.size) ** 0.5)
    if scale == 1:
        return _rounded(_closed_form(image, mask, trimap), trimap)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    inside = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5
    coarse = cv2.resize(trimap, size, interpolation=cv2.INTER_AREA)
    coarse[(coarse > 0) & (coarse < 1)] = 0.5
    alpha = cv2.resize(_closed_form(small, inside, coarse), (width, height))
    grey = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) / 255).astype(np.float32)
    return _rounded(guided_filter(grey, alpha, int(np.ceil(1 / scale))), trimap)


def _rounded(alpha: Alpha, trimap: NDArray[np.float64]) -> Alpha:
    """Return the alpha exact where the trimap is certain and where noise is all that is left."""
    stretched = np.clip((alpha - NOISE) / (1 - 2 * NOISE), 0, 1)
    exact: Alpha = np.where(trimap == 0.5, stretched, trimap).astype(np.float32)
    return exact


def _require_pymatting() -> None:
    """Raise ``PackageMissing`` without pymatting."""
    extras.require("matting", "a soft edge", "cut hard: --hard-edge, --no-edge-refine")


def _closed_form(image: Image, mask: BinaryMask, trimap: NDArray[np.float64]) -> Alpha:
    """Return the alpha that varies as the colours do, and follows the mask where they are alike."""
    from pymatting.laplacian.cf_laplacian import cf_laplacian
    from pymatting.preconditioner.ichol import ichol
    from pymatting.solver.cg import cg
    from scipy.sparse import diags

    known = (trimap != 0.5).ravel()
    laplacian = cf_laplacian(image / 255, epsilon=EPSILON, is_known=known.reshape(trimap.shape))
    rows = laplacian[~known]
    prior = _prior(mask, trimap).ravel()[~known]
    matrix = (rows[:, ~known] + diags(prior)).tocsc()
    target = prior * mask.ravel()[~known] - rows[:, known] @ trimap.ravel()[known]
    alpha = trimap.ravel().copy()
    alpha[~known] = cg(
        matrix, target, mask.ravel()[~known].astype(np.float64), atol=TOLERANCE, rtol=TOLERANCE,
        M=ichol(matrix),
    )  # fmt: skip
    return alpha.reshape(trimap.shape).astype(np.float32)


def _prior(mask: BinaryMask, trimap: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how strongly each pixel is held to the mask: not at its edge, most at the band's."""
    to_edge = np.where(mask, _distance(mask), _distance(~mask))
    to_core = _distance(trimap == 0.5)
    share = to_edge / np.maximum(to_edge + to_core, 1)
    prior: NDArray[np.float64] = PRIOR_WEIGHT * share.astype(np.float64) ** 2
    return prior
