"""Propose regions of a superpixel graph that may be the object at a click."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from segment2inpaint.detect.builtin.superpixels import SuperpixelGraph
from segment2inpaint.types import FloatArray, Point

Regions = NDArray[np.bool_]  # (N, K): N regions of K superpixels

DISC_RADII = 0.05, 0.08, 0.12, 0.18, 0.26, 0.36  # of the first guesses, share of ``graph.scale``
DISTANCE_LEVELS = 24  # thresholds on the distance from the click
MIN_AREA, MAX_AREA = 0.0015, 0.6  # of the picture, at the first and the last threshold
LENGTH_COST = 0.02  # of a step between neighbours, relative to the strength of their boundary
COLOR_WEIGHT = 0.15  # of the colour models, relative to the boundaries
CG_STEPS = 10  # of conjugate gradients
CLICK_WEIGHT = 1e3  # fixes the clicked superpixel


@dataclass(frozen=True)
class ClickSeed:
    """A click on the object: its superpixel and its point, (x, y)."""

    start: int
    point: Point


def cuts(graph: SuperpixelGraph, seed: ClickSeed, weight: float) -> Regions:
    """Return regions (N, K) cut out from discs round the click; ``weight`` is that of the discs."""
    squared_distance = ((graph.center - np.array(seed.point)) ** 2).sum(axis=1)
    relative = squared_distance[None] / (np.array(DISC_RADII) * graph.scale)[:, None] ** 2
    prior = weight * np.clip(1 - relative, -6, 2)
    return polish(graph, seed, relative < 1, prior.astype(np.float32))


def polish(
    graph: SuperpixelGraph,
    seed: ClickSeed,
    regions: Regions,
    prior: FloatArray | float = 0.0,
    rounds: int = 4,
) -> Regions:
    """Return each region (N, K) after ``rounds`` of colour models and a cut that follows them.

    The method is GrabCut (Rother et al. 2004) on superpixels, with colour histograms as models
    and the random walker (Grady 2006) as the cut. All regions are solved at once by conjugate
    gradients. ``prior`` (N, K) are log-odds added to those of the colours.
    """
    links = _links(graph)
    degree = links.sum(axis=1)[:, None]
    size = (graph.area / graph.area.mean())[:, None]
    share = graph.words / graph.area[:, None]
    inside = regions.T.astype(np.float32)
    prior_odds = np.transpose(prior)
    for _ in range(rounds):
        on, off = graph.spread.T @ inside, graph.spread.T @ (1 - inside)
        odds = share @ (np.log(_smoothed(on)) - np.log(_smoothed(off))) + prior_odds
        on, off = (COLOR_WEIGHT * size * np.maximum(sign * odds, 0) for sign in (1, -1))
        on[seed.start] += CLICK_WEIGHT
        walker = _solve(links, (degree + on + off + 1e-6).astype(np.float32), on, inside)
        inside = (walker > 0.5).astype(np.float32)
    cut: Regions = inside.T > 0
    return cut


def _center_distances(graph: SuperpixelGraph) -> FloatArray:
    """Return the distances of neighbours' centres, (E,), about 1 for small superpixels."""
    a, b = graph.ends
    distance: FloatArray = (
        np.linalg.norm(graph.center[a] - graph.center[b], axis=1) / graph.scale * 25
    )
    return distance


def _smoothed(histogram: FloatArray) -> FloatArray:
    smooth: FloatArray = histogram / np.maximum(histogram.sum(axis=0), 1e-6) + 3e-3 / len(histogram)
    return smooth


def _links(graph: SuperpixelGraph) -> FloatArray:
    """Return the weights of the links between neighbours, (K, K)."""
    weight = (np.exp(-(graph.edge**2)) + 0.01) * graph.length
    links = np.zeros((len(graph.area),) * 2, np.float32)
    links[graph.ends[0], graph.ends[1]] = (
        weight / (4 * max(float(graph.length.mean()), 1e-6)) if len(weight) else 0
    )
    return links + links.T


def _solve(
    links: FloatArray, diagonal: FloatArray, right: FloatArray, start: FloatArray
) -> FloatArray:
    """Solve (diagonal - links) x = right for each column by preconditioned conjugate gradients."""
    x = start.copy()
    residual = right - (diagonal * x - links @ x)
    z = residual / diagonal
    direction, energy = z, (residual * z).sum(axis=0)
    for _ in range(CG_STEPS):
        product = diagonal * direction - links @ direction
        step = energy / np.maximum((direction * product).sum(axis=0), 1e-20)
        x = x + step * direction
        residual = residual - step * product
        z = residual / diagonal
        previous, energy = energy, (residual * z).sum(axis=0)
        direction = z + energy / np.maximum(previous, 1e-20) * direction
    return x


@lru_cache(maxsize=16)  # every later click needs those of the earlier ones again
def within_reach(graph: SuperpixelGraph, start: int) -> Regions:
    """Return the regions within growing distances of a superpixel, (DISTANCE_LEVELS, K).

    A step between neighbours costs the strength of their boundary and a little for its length.
    """
    distance = _distance(graph, graph.edge + LENGTH_COST * _center_distances(graph), start)
    order = np.argsort(distance)
    share = np.cumsum(graph.area[order]) / graph.area.sum()
    last = np.minimum(
        np.searchsorted(share, np.geomspace(MIN_AREA, MAX_AREA, DISTANCE_LEVELS)), len(order) - 1
    )
    levels: Regions = distance[None] <= distance[order[last]][:, None]
    return levels


def _distance(graph: SuperpixelGraph, cost: FloatArray, start: int) -> FloatArray:
    """Return the cost of the cheapest path from ``start`` to each superpixel (Dijkstra 1959)."""
    neighbours: list[list[tuple[int, float]]] = [[] for _ in graph.area]
    for a, b, c in zip(*graph.ends.tolist(), cost.tolist(), strict=True):
        neighbours[a].append((b, c))
        neighbours[b].append((a, c))
    distance = [float("inf")] * len(neighbours)
    distance[start] = 0.0
    queue = [(0.0, start)]
    while queue:
        so_far, at = heapq.heappop(queue)
        if so_far > distance[at]:
            continue
        for to, c in neighbours[at]:
            if so_far + c < distance[to]:
                distance[to] = so_far + c
                heapq.heappush(queue, (so_far + c, to))
    return np.array(distance, np.float32)
