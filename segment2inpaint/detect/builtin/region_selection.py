"""Choose the region of a superpixel graph that is the object, and correct it by clicks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from segment2inpaint.detect.builtin.features import IntArray
from segment2inpaint.detect.builtin.region_proposals import (
    ClickSeed,
    Regions,
    cuts,
    polish,
    within_reach,
)
from segment2inpaint.detect.builtin.superpixels import SuperpixelGraph
from segment2inpaint.types import FloatArray, Point

DUPLICATE_IOU = 0.95  # of regions; above it they count as one
DISC_WEIGHTS = 0.3, 1.0  # of the disc that a cut starts from
RASTER_STEP = 4  # px; shapes are measured on every fourth pixel
CENTRALITY_WEIGHT = 3.0  # in the score of a correction: the click is its centre
SIZE_PENALTY = 0.3  # in the score of a correction: it is rather small
PRIOR_WEIGHT = 1.5  # of the overlap with the prior
PRIOR_SHARES = (0.3, 0.5, 0.7)  # of a superpixel's area, from which the prior covers it
MIN_AREA, MAX_AREA = 0.001, 0.6  # of the picture; other regions are not considered


@dataclass(frozen=True, eq=False)
class RegionCandidates:
    """Regions (N, K) that hold a click, and the score of each as an object, (N,)."""

    regions: Regions
    quality: FloatArray

    def concatenate(self, other: RegionCandidates) -> RegionCandidates:
        """Return the candidates of both."""
        regions = np.concatenate([self.regions, other.regions])
        return RegionCandidates(regions, np.concatenate([self.quality, other.quality]))


def candidates(graph: SuperpixelGraph, seed: ClickSeed) -> RegionCandidates:
    """Return the regions that may be the object at a click."""
    discs = [cuts(graph, seed, weight) for weight in DISC_WEIGHTS]
    proposals = np.concatenate([*discs, within_reach(graph, seed.start)])
    guesses = distinct(graph, _valid(graph, seed, proposals))
    polished = _valid(graph, seed, polish(graph, seed, guesses, rounds=1), drop=False)
    stability = np.tile(iou(graph, guesses, polished), 2)
    regions = np.concatenate([guesses, polished])
    return RegionCandidates(regions, quality(graph, seed, regions, stability))


def candidates_from_prior(
    graph: SuperpixelGraph, seed: ClickSeed, prior: FloatArray
) -> RegionCandidates:
    """Return the regions that a prior suggests, from wide to narrow.

    ``prior`` (K,) is how many pixels of each superpixel are expected to be of the object.
    """
    regions = np.array([prior > share * graph.area for share in PRIOR_SHARES])
    regions = _valid(graph, seed, regions, drop=False)
    polished = _valid(graph, seed, polish(graph, seed, regions, rounds=1), drop=False)
    stability = iou(graph, regions, polished)
    return RegionCandidates(regions, quality(graph, seed, regions, stability))


def best_region(
    graph: SuperpixelGraph,
    found: RegionCandidates,
    bias: float = 0.0,
    prior: FloatArray | None = None,
) -> Regions:
    """Return the region (K,) that is most likely the object.

    ``bias`` above 0 prefers large regions, below 0 small ones. ``prior`` is as in
    ``candidates_from_prior``.
    """
    area = found.regions @ graph.area
    score = found.quality + bias * np.log(area / graph.area.sum() + 1e-9)
    if prior is not None:
        both = found.regions @ prior
        score = score + PRIOR_WEIGHT * both / (area + prior.sum() - both)
    best: Regions = found.regions[int(np.argmax(score))]
    return best


def apply_correction(
    graph: SuperpixelGraph, region: Regions, point: Point, positive: bool, clicked: IntArray
) -> Regions:
    """Return the region (K,) after a click that may contradict it.

    The click is taken for the middle of a part that is missing (``positive``) or too much. That
    part is found as an object is. ``clicked`` are the superpixels of all clicks; those of the
    other clicks do not change.
    """
    start = int(graph.labels[point[1], point[0]])
    if region[start] == positive:
        return region
    changeable = region != positive
    changeable[np.setdiff1d(clicked, start)] = False
    parts = np.array([connected(graph, start, p) for p in within_reach(graph, start) & changeable])
    parts = distinct(graph, np.unique(parts, axis=0))
    after = region | parts if positive else region & ~parts
    depth, offset = _centrality(graph, point, parts)
    size = np.maximum(parts @ graph.area / max(float(region @ graph.area), 1.0), 0.05)
    score = _contrast(graph, parts)[0] + _contrast(graph, after)[0]
    score += CENTRALITY_WEIGHT * _centrality_score(depth, offset) - SIZE_PENALTY * np.log(size)
    best: Regions = after[int(np.argmax(score))]
    return best


def quality(
    graph: SuperpixelGraph, seed: ClickSeed, regions: Regions, stability: FloatArray
) -> FloatArray:
    """Return the score of each region as one whole object that was clicked in its middle, (N,).

    A good region has a strong boundary, an inside that is not one flat patch, a ``stability``
    near 1 (the IoU with itself after a further cut), the click deep inside and near the centre,
    and little of the picture's border.
    """
    outline, inside = _contrast(graph, regions)
    depth, offset = _centrality(graph, seed.point, regions)
    border = regions @ graph.border / graph.border.sum()
    centrality = _centrality_score(depth, offset)
    total: FloatArray = outline + inside / 2 + stability / 2 + centrality - border
    return total


def _centrality_score(depth: FloatArray, offset: FloatArray) -> FloatArray:
    score: FloatArray = np.log(depth + 0.05) / 4 - offset / 2
    return score


def _contrast(graph: SuperpixelGraph, regions: Regions) -> tuple[FloatArray, FloatArray]:
    """Return the mean rank of the boundaries round each region and within it, (N,) each."""
    a, b = graph.ends
    weights = np.stack([graph.length * graph.rank, graph.length], 1)
    outline = (regions[:, a] != regions[:, b]) @ weights
    inside = (regions[:, a] & regions[:, b]) @ weights + (1.5, 5.0)  # as if all had a few weak ones
    return outline[:, 0] / np.maximum(outline[:, 1], 1), inside[:, 0] / inside[:, 1]


def _centrality(
    graph: SuperpixelGraph, point: Point, regions: Regions
) -> tuple[FloatArray, FloatArray]:
    """Return the click's depth and its distance from the centre in each region, (N,) each.

    The depth is a share of the region's greatest, the distance in units of sqrt(area).
    """
    labels = graph.labels[::RASTER_STEP, ::RASTER_STEP]
    y, x = point[1] // RASTER_STEP, point[0] // RASTER_STEP
    depth = np.zeros(len(regions), np.float32)
    for i, region in enumerate(regions):
        padded = np.pad(region[labels].astype(np.uint8), 1)
        distance = cv2.distanceTransform(padded, cv2.DIST_L2, 3)
        depth[i] = distance[y : y + 3, x : x + 3].max() / max(float(distance.max()), 1.0)
    area = regions @ graph.area
    center = (regions * graph.area) @ graph.center / area[:, None]
    return depth, np.linalg.norm(center - np.array(point), axis=1) / np.sqrt(area)


def iou(graph: SuperpixelGraph, first: Regions, second: Regions) -> FloatArray:
    """Return the IoU of each region with its counterpart, (N,)."""
    both = (first & second) @ graph.area
    ratio: FloatArray = (both / np.maximum((first | second) @ graph.area, 1)).astype(np.float32)
    return ratio


def distinct(graph: SuperpixelGraph, regions: Regions) -> Regions:
    """Return the regions without near duplicates, in their order."""
    weighted = (regions * graph.area).astype(np.float32)
    both = weighted @ regions.T.astype(np.float32)
    area = weighted.sum(axis=1)
    duplicates = both > DUPLICATE_IOU * (area[:, None] + area - both)
    kept: list[int] = []
    for i in range(len(regions)):
        if not duplicates[i, kept].any():
            kept.append(i)
    return regions[kept]


def _valid(graph: SuperpixelGraph, seed: ClickSeed, regions: Regions, drop: bool = True) -> Regions:
    """Return the part of each region that holds the click, with holes filled.

    With ``drop``, regions of unlikely size are left out, unless all are.
    """
    parts = [connected(graph, seed.start, region) for region in regions]
    filled = np.array([_fill_holes(graph, part) for part in parts])
    share = filled @ graph.area / graph.area.sum()
    likely = (share > MIN_AREA) & (share < MAX_AREA)
    return filled[likely] if drop and likely.any() else filled


def connected(graph: SuperpixelGraph, start: int, region: Regions) -> Regions:
    """Return the part of a region that is connected to ``start``, with ``start`` itself."""
    a, b = graph.ends[:, region[graph.ends].all(axis=0)]
    reached = np.zeros_like(region)
    reached[start] = True
    reached[_neighbours(graph, start)] = region[_neighbours(graph, start)]
    count = 0
    while count != (count := int(reached.sum())):
        reached[b[reached[a]]] = True
        reached[a[reached[b]]] = True
    return reached


def _neighbours(graph: SuperpixelGraph, start: int) -> IntArray:
    a, b = graph.ends
    neighbours: IntArray = np.concatenate([b[a == start], a[b == start]])
    return neighbours


def _fill_holes(graph: SuperpixelGraph, region: Regions) -> Regions:
    """Return the region with the superpixels that it encloses."""
    labels = graph.labels[::RASTER_STEP, ::RASTER_STEP]
    canvas = np.pad(region[labels].astype(np.uint8), 1)
    cv2.floodFill(canvas, None, (0, 0), 2)
    enclosed = np.bincount(labels.ravel(), (canvas != 2)[1:-1, 1:-1].ravel(), len(region))
    full: Regions = region | (2 * enclosed > np.bincount(labels.ravel(), minlength=len(region)))
    return full
