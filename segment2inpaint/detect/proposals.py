"""Regions of a superpixel graph that may be the object: three ways to make many."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..types import Point
from .superpixels import Floats, Graph, Ints

Regions = NDArray[np.bool_]  # (N, K): N regions of K superpixels

RADII = 0.05, 0.08, 0.12, 0.18, 0.26, 0.36  # first discs, share of the picture's scale
SHRINKS = 0.5, 0.7, 0.85, 1.0  # first ellipses, share of the box
LEVELS = 24  # thresholds on a distance
REACH = 0.6  # of the picture: the farthest of them
PLACES = (0.02, 0.0), (0.02, 0.3), (0.1, 0.6)  # costs of way and colour beside the boundary's 1
DATA = 0.15  # weight of the colour models against the boundary
GRADIENT = 15.0  # CIE76 that a boundary of mean strength counts as, when merging
STEPS = 25  # of conjugate gradients
SURE = 1e3


@dataclass(frozen=True, eq=False)
class Seeds:
    """What is known at first: a click, or a box, or both.

    ``start``: the superpixel at the click ``point`` (x, y), None without one. ``off``:
    superpixels outside the box. ``ellipse``: centre x, y and half axes of the box.
    """

    start: int | None = None
    point: Point = (0, 0)
    off: Ints = field(default_factory=lambda: np.zeros(0, np.intp))
    ellipse: tuple[float, float, float, float] | None = None


def nested(graph: Graph, start: int) -> Regions:
    """Regions that hold a superpixel: within a distance of it, and of a hierarchy of merges."""
    reached = [within_reach(graph, start, *costs) for costs in PLACES]
    grown = [np.array(list(merged(graph, start, kind))) for kind in range(3)]
    return np.concatenate([r for r in [*reached, *grown] if len(r)])


def cuts(graph: Graph, seeds: Seeds, weight: float) -> Regions:
    """Cuts that start from discs round the click, or from ellipses in the box."""
    x, y = graph.center.T
    if seeds.ellipse is not None:
        cx, cy, a, b = seeds.ellipse
        near = ((x - cx) / a) ** 2 + ((y - cy) / b) ** 2
        sizes = np.array(SHRINKS)
    else:
        cx, cy = seeds.point
        near = (x - cx) ** 2 + (y - cy) ** 2
        sizes = np.array(RADII) * graph.scale
    share = near[None] / sizes[:, None] ** 2
    prior = weight * np.clip(1 - share, -6, 2)
    return polish(graph, seeds, share < 1, prior.astype(np.float32))


def polish(
    graph: Graph, seeds: Seeds, regions: Regions, prior: Floats | float = 0.0, rounds: int = 4
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
        if seeds.start is not None:
            on[seeds.start] += SURE
        off[seeds.off] += SURE
        walker = _solve(links, (degree + on + off + 1e-6).astype(np.float32), on, inside)
        inside = (walker > 0.5).astype(np.float32)
    cut: Regions = inside.T > 0
    return cut


def _ways(graph: Graph) -> Floats:
    """(E,): from centre to centre, about 1 for each pair of small superpixels."""
    a, b = graph.ends
    way: Floats = np.linalg.norm(graph.center[a] - graph.center[b], axis=1) / graph.scale * 25
    return way


def _smoothed(histogram: Floats) -> Floats:
    smooth: Floats = histogram / np.maximum(histogram.sum(axis=0), 1e-6) + 3e-3 / len(histogram)
    return smooth


def _links(graph: Graph) -> Floats:
    """(K, K): how strongly neighbours hang together."""
    weight = (np.exp(-(graph.edge**2)) + 0.01) * graph.length
    links = np.zeros((len(graph.area),) * 2, np.float32)
    links[graph.ends[0], graph.ends[1]] = (
        weight / (4 * max(float(graph.length.mean()), 1e-6)) if len(weight) else 0
    )
    return links + links.T


def _solve(links: Floats, diagonal: Floats, right: Floats, start: Floats) -> Floats:
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


def within_reach(graph: Graph, start: int, place: float, color: float) -> Regions:
    """Regions within a distance of the click.

    A step costs its boundary's strength, ``place`` a unit of way, ``color`` of the difference
    from the clicked colour.
    """
    a, b = graph.ends
    way = _ways(graph)
    away = np.linalg.norm(graph.features - graph.features[start], axis=1)
    cost = graph.edge + place * way + color * np.hypot(away[a], away[b]) / 20
    distance = _distance(graph, cost, start)
    order = np.argsort(distance)
    share = np.cumsum(graph.area[order]) / graph.area.sum()
    last = np.minimum(np.searchsorted(share, np.geomspace(0.003, REACH, LEVELS)), len(order) - 1)
    levels: Regions = distance[None] <= distance[order[last]][:, None]
    return levels


def _distance(graph: Graph, cost: Floats, start: int) -> Floats:
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


def merged(graph: Graph, seed: int, kind: int) -> Iterator[Regions]:
    """What holds the seed while the most alike neighbours are merged, one pair at a time.

    Kind 0 merges small regions first, 1 is Ward's criterion over the boundary's length, 2 goes
    by the difference and lets large regions wait.
    """
    total = float(graph.area.sum())
    area = graph.area.tolist()
    feature = [*graph.features.astype(float)]
    near: list[dict[int, tuple[float, float]]] = [{} for _ in area]
    for a, b, length, edge in zip(
        *graph.ends.tolist(), graph.length.tolist(), graph.edge.tolist(), strict=True
    ):
        near[a][b] = near[b][a] = (length, length * edge)
    version = [0] * len(area)
    members = [[i] for i in range(len(area))]

    def cost(a: int, b: int) -> float:
        length, edge = near[a][b]
        apart = feature[a] - feature[b]
        unlike = float(np.sqrt(apart @ apart)) + GRADIENT * edge / length
        if kind == 0:
            return unlike * float(min(area[a], area[b]) ** 0.25)
        if kind == 1:
            return unlike * float(np.sqrt(area[a] * area[b] / (area[a] + area[b]) / length))
        return unlike * (1 + 3 * float(area[a] + area[b]) / total)

    queue = [(cost(a, b), a, b, 0, 0) for a, b in graph.ends.T.tolist()]
    heapq.heapify(queue)
    while queue:
        _, a, b, version_a, version_b = heapq.heappop(queue)
        if (version[a], version[b]) != (version_a, version_b):
            continue
        if len(near[a]) < len(near[b]):
            a, b = b, a
        feature[a] = (feature[a] * area[a] + feature[b] * area[b]) / (area[a] + area[b])
        area[a] += area[b]
        members[a] += members[b]
        version[a] += 1
        version[b] = -1
        del near[a][b]
        for c, (length, edge) in near[b].items():
            if c != a:
                del near[c][b]
                more = near[a].get(c, (0.0, 0.0))
                near[a][c] = near[c][a] = (length + more[0], edge + more[1])
        if seed == b:
            seed = a
        if seed == a:
            region = np.zeros(len(area), np.bool_)
            region[members[a]] = True
            yield region
        for c in near[a]:
            heapq.heappush(queue, (cost(a, c), a, c, version[a], version[c]))
