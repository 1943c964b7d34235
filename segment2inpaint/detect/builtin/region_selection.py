"""Which region of a superpixel graph is the object, and how clicks correct it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from segment2inpaint.detect.builtin.features import FloatArray, IntArray
from segment2inpaint.detect.builtin.region_proposals import (
    ClickSeed,
    Regions,
    cuts,
    polish,
    within_reach,
)
from segment2inpaint.detect.builtin.superpixels import SuperpixelGraph
from segment2inpaint.types import Point

ALIKE = 0.95  # regions that overlap more are one
PRIORS = 0.3, 1.0  # weights of the disc that a cut starts from
RASTER = 4  # px: shapes are judged on a raster this coarse
CENTRAL, MODEST = 3.0, 0.3  # a correction is central at its click, and rather small
KNOWN = 1.5  # weight of the overlap with what is known already
SHARES = (0.3, 0.5, 0.7)  # of a superpixel, from which it is taken for known
LEAST, MOST = 0.001, 0.6  # of the picture: other regions are not looked at


@dataclass(frozen=True, eq=False)
class RegionCandidates:
    """Regions (N, K) that hold a click, and how much each looks like an object, (N,)."""

    regions: Regions
    quality: FloatArray

    def and_(self, other: RegionCandidates) -> RegionCandidates:
        regions = np.concatenate([self.regions, other.regions])
        return RegionCandidates(regions, np.concatenate([self.quality, other.quality]))


def candidates(graph: SuperpixelGraph, seed: ClickSeed) -> RegionCandidates:
    """All that may be the object at a click."""
    found = [*(cuts(graph, seed, weight) for weight in PRIORS), within_reach(graph, seed.start)]
    guesses = distinct(graph, _valid(graph, seed, np.concatenate(found)))
    settled = _valid(graph, seed, polish(graph, seed, guesses, rounds=1), drop=False)
    fixed = np.tile(overlap(graph, guesses, settled), 2)
    every = np.concatenate([guesses, settled])
    return RegionCandidates(every, quality(graph, seed, every, fixed))


def candidates_from_prior(
    graph: SuperpixelGraph, seed: ClickSeed, known: FloatArray
) -> RegionCandidates:
    """What is known already, from wide to narrow. ``known`` (K,): pixels of each superpixel that
    are taken for the object.
    """
    own = np.array([known > share * graph.area for share in SHARES])
    own = _valid(graph, seed, own, drop=False)
    settled = _valid(graph, seed, polish(graph, seed, own, rounds=1), drop=False)
    return RegionCandidates(own, quality(graph, seed, own, overlap(graph, own, settled)))


def best_region(
    graph: SuperpixelGraph,
    found: RegionCandidates,
    bias: float = 0.0,
    known: FloatArray | None = None,
) -> Regions:
    """The (K,) region that is most likely the object.

    ``bias`` prefers large regions (above 0) or small ones. ``known`` as in ``told``.
    """
    area = found.regions @ graph.area
    score = found.quality + bias * np.log(area / graph.area.sum() + 1e-9)
    if known is not None:
        both = found.regions @ known
        score = score + KNOWN * both / (area + known.sum() - both)
    chosen: Regions = found.regions[int(np.argmax(score))]
    return chosen


def apply_correction(
    graph: SuperpixelGraph, region: Regions, point: Point, on: bool, clicked: IntArray
) -> Regions:
    """The (K,) region after a click that says it is wrong there.

    The click is taken for the middle of what is wrong: an object like any other, that is added
    or cut off. ``clicked``: the superpixels of all clicks; those that are right stay.
    """
    start = int(graph.labels[point[1], point[0]])
    if region[start] == on:
        return region
    free = region != on
    free[np.setdiff1d(clicked, start)] = False
    parts = np.array([connected(graph, start, p) for p in within_reach(graph, start) & free])
    parts = distinct(graph, np.unique(parts, axis=0))
    after = region | parts if on else region & ~parts
    depth, offset = _centrality(graph, point, parts)
    size = np.maximum(parts @ graph.area / max(float(region @ graph.area), 1.0), 0.05)
    score = _contrast(graph, parts)[0] + _contrast(graph, after)[0]
    score += CENTRAL * _middle(depth, offset) - MODEST * np.log(size)
    chosen: Regions = after[int(np.argmax(score))]
    return chosen


def quality(
    graph: SuperpixelGraph, seed: ClickSeed, regions: Regions, fixed: FloatArray
) -> FloatArray:
    """(N,): how much each region looks like one whole object that was clicked in its middle.

    Good: a strong boundary; an inside that is not just one flat patch; hardly changed (``fixed``
    near 1) by a further cut; the click deep inside and near the centre; little of the picture's
    border.
    """
    outline, inside = _contrast(graph, regions)
    depth, offset = _centrality(graph, seed.point, regions)
    border = regions @ graph.rim / graph.rim.sum()
    total: FloatArray = outline + inside / 2 + fixed / 2 + _middle(depth, offset) - border
    return total


def _middle(depth: FloatArray, offset: FloatArray) -> FloatArray:
    middle: FloatArray = np.log(depth + 0.05) / 4 - offset / 2
    return middle


def _contrast(graph: SuperpixelGraph, regions: Regions) -> tuple[FloatArray, FloatArray]:
    """Mean rank of the boundary strength round a region, and within it."""
    a, b = graph.ends
    weights = np.stack([graph.length * graph.rank, graph.length], 1)
    round_it = (regions[:, a] != regions[:, b]) @ weights
    within = (regions[:, a] & regions[:, b]) @ weights + (1.5, 5.0)  # a few weak ones for all
    return round_it[:, 0] / np.maximum(round_it[:, 1], 1), within[:, 0] / within[:, 1]


def _centrality(
    graph: SuperpixelGraph, point: Point, regions: Regions
) -> tuple[FloatArray, FloatArray]:
    """The click's depth as a share of the greatest, and its way from the centre in sqrt(area)."""
    labels = graph.labels[::RASTER, ::RASTER]
    y, x = point[1] // RASTER, point[0] // RASTER
    depth = np.zeros(len(regions), np.float32)
    for i, region in enumerate(regions):
        padded = np.pad(region[labels].astype(np.uint8), 1)
        distance = cv2.distanceTransform(padded, cv2.DIST_L2, 3)
        depth[i] = distance[y : y + 3, x : x + 3].max() / max(float(distance.max()), 1.0)
    area = regions @ graph.area
    center = (regions * graph.area) @ graph.center / area[:, None]
    return depth, np.linalg.norm(center - np.array(point), axis=1) / np.sqrt(area)


def overlap(graph: SuperpixelGraph, first: Regions, second: Regions) -> FloatArray:
    """(N,): IoU of each region with its counterpart."""
    both = (first & second) @ graph.area
    share: FloatArray = (both / np.maximum((first | second) @ graph.area, 1)).astype(np.float32)
    return share


def distinct(graph: SuperpixelGraph, regions: Regions) -> Regions:
    """The regions without near repeats, in order."""
    weighted = (regions * graph.area).astype(np.float32)
    both = weighted @ regions.T.astype(np.float32)
    area = weighted.sum(axis=1)
    alike = both > ALIKE * (area[:, None] + area - both)
    kept: list[int] = []
    for i in range(len(regions)):
        if not alike[i, kept].any():
            kept.append(i)
    return regions[kept]


def _valid(graph: SuperpixelGraph, seed: ClickSeed, regions: Regions, drop: bool = True) -> Regions:
    """Each region's part that holds the click, holes filled, of a fair size."""
    whole = [connected(graph, seed.start, region) for region in regions]
    kept = np.array([_filled(graph, region) for region in whole])
    share = kept @ graph.area / graph.area.sum()
    fair = (share > LEAST) & (share < MOST)
    return kept[fair] if drop and fair.any() else kept


def connected(graph: SuperpixelGraph, start: int, region: Regions) -> Regions:
    """The part of a region that holds ``start``, which is added."""
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
    near: IntArray = np.concatenate([b[a == start], a[b == start]])
    return near


def _filled(graph: SuperpixelGraph, region: Regions) -> Regions:
    """The region with what it encloses."""
    labels = graph.labels[::RASTER, ::RASTER]
    canvas = np.pad(region[labels].astype(np.uint8), 1)
    cv2.floodFill(canvas, None, (0, 0), 2)
    closed = np.bincount(labels.ravel(), (canvas != 2)[1:-1, 1:-1].ravel(), len(region))
    full: Regions = region | (2 * closed > np.bincount(labels.ravel(), minlength=len(region)))
    return full
