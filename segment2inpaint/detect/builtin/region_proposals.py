"""Regions of a superpixel graph that may be the object: two ways to make many."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from segment2inpaint.detect.builtin.features import FloatArray
from segment2inpaint.detect.builtin.superpixels import SuperpixelGraph
from segment2inpaint.types import Point

Regions = NDArray[np.bool_]  # (N, K): N regions of K superpixels

RADII = 0.05, 0.08, 0.12, 0.18, 0.26, 0.36  # first discs, share of the picture's scale
LEVELS = 24  # thresholds on a distance
NEAREST, REACH = 0.0015, 0.6  # of the picture: the first of them and the last
WAY = 0.02  # cost of a unit of way, beside the boundary's strength
DATA = 0.15  # weight of the colour models against the boundary
STEPS = 10  # of conjugate gradients
SURE = 1e3


@dataclass(frozen=True)
class ClickSeed:
    """A click on the object: its superpixel and its place, (x, y)."""

    start: int
    point: Point


def cuts(graph: SuperpixelGraph, seed: ClickSeed, weight: float) -> Regions:
    """Cuts that start from discs round the click."""
    near = ((graph.center - np.array(seed.point)) ** 2).sum(axis=1)
    share = near[None] / (np.array(RADII) * graph.scale)[:, None] ** 2
    prior = weight * np.clip(1 - share, -6, 2)
    return polish(graph, seed, share < 1, prior.astype(np.float32))


def polish(
    graph: SuperpixelGraph,
    seed: ClickSeed,
    regions: Regions,
    prior: FloatArray | float = 0.0,
    rounds: int = 4,
) -> Regions:
    """Each region after ``rounds`` of: colour models of inside and outside, then a cut.

    GrabCut (Rother et al. 2004) on superpixels, with colour histograms, and with the random
    walker (Grady 2006) for the cut: all regions at once by conjugate gradients.
    """
    links = _links(graph)
    degree = links.sum(axis=1)[:, None]
    size = (graph.area / graph.area.mean())[:, None]
    share = graph.words / graph.area[:, None]
    inside = regions.T.astype(np.float32)
    pull = np.transpose(prior)
    for _ in range(rounds):
        on, off = graph.spread.T @ inside, graph.spread.T @ (1 - inside)
        evidence = share @ (np.log(_smoothed(on)) - np.log(_smoothed(off))) + pull
        on, off = (DATA * size * np.maximum(sign * evidence, 0) for sign in (1, -1))
        on[seed.start] += SURE
        walker = _solve(links, (degree + on + off + 1e-6).astype(np.float32), on, inside)
        inside = (walker > 0.5).astype(np.float32)
    cut: Regions = inside.T > 0
    return cut


def _ways(graph: SuperpixelGraph) -> FloatArray:
    """(E,): from centre to centre, about 1 for each pair of small superpixels."""
    a, b = graph.ends
    way: FloatArray = np.linalg.norm(graph.center[a] - graph.center[b], axis=1) / graph.scale * 25
    return way


def _smoothed(histogram: FloatArray) -> FloatArray:
    smooth: FloatArray = histogram / np.maximum(histogram.sum(axis=0), 1e-6) + 3e-3 / len(histogram)
    return smooth


def _links(graph: SuperpixelGraph) -> FloatArray:
    """(K, K): how strongly neighbours hang together."""
    weight = (np.exp(-(graph.edge**2)) + 0.01) * graph.length
    links = np.zeros((len(graph.area),) * 2, np.float32)
    links[graph.ends[0], graph.ends[1]] = (
        weight / (4 * max(float(graph.length.mean()), 1e-6)) if len(weight) else 0
    )
    return links + links.T


def _solve(
    links: FloatArray, diagonal: FloatArray, right: FloatArray, start: FloatArray
) -> FloatArray:
    """x of (diagonal - links) x = right, each column alone (preconditioned CG)."""
    x = start.copy()
    rest = right - (diagonal * x - links @ x)
    z = rest / diagonal
    way, energy = z, (rest * z).sum(axis=0)
    for _ in range(STEPS):
        image = diagonal * way - links @ way
        step = energy / np.maximum((way * image).sum(axis=0), 1e-20)
        x = x + step * way
        rest = rest - step * image
        z = rest / diagonal
        before, energy = energy, (rest * z).sum(axis=0)
        way = z + energy / np.maximum(before, 1e-20) * way
    return x


@lru_cache(maxsize=16)  # a correction is made again with every click after it
def within_reach(graph: SuperpixelGraph, start: int) -> Regions:
    """(LEVELS, K): regions within a distance of a superpixel.

    A step costs its boundary's strength, and a little for the way.
    """
    distance = _distance(graph, graph.edge + WAY * _ways(graph), start)
    order = np.argsort(distance)
    share = np.cumsum(graph.area[order]) / graph.area.sum()
    last = np.minimum(np.searchsorted(share, np.geomspace(NEAREST, REACH, LEVELS)), len(order) - 1)
    levels: Regions = distance[None] <= distance[order[last]][:, None]
    return levels


def _distance(graph: SuperpixelGraph, cost: FloatArray, start: int) -> FloatArray:
    """The cheapest way to each superpixel from the start (Dijkstra 1959)."""
    near: list[list[tuple[int, float]]] = [[] for _ in graph.area]
    for a, b, c in zip(*graph.ends.tolist(), cost.tolist(), strict=True):
        near[a].append((b, c))
        near[b].append((a, c))
    distance = [float("inf")] * len(near)
    distance[start] = 0.0
    queue = [(0.0, start)]
    while queue:
        so_far, at = heapq.heappop(queue)
        if so_far > distance[at]:
            continue
        for to, c in near[at]:
            if so_far + c < distance[to]:
                distance[to] = so_far + c
                heapq.heappush(queue, (so_far + c, to))
    return np.array(distance, np.float32)
