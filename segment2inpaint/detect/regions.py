"""Regions of a superpixel graph that may be the object: many ways to make them, one to judge."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import Point
from .superpixels import Floats, Graph, Ints

Regions = NDArray[np.bool_]  # (N, K): N regions of K superpixels

RADII = 0.05, 0.08, 0.12, 0.18, 0.26, 0.36  # first discs, share of the picture's scale
SHRINKS = 0.5, 0.7, 0.85, 1.0  # first ellipses, share of the box
LEVELS = 24  # thresholds on a distance
DATA = 0.15  # weight of the colour models against the boundary
STEPS = 25  # of conjugate gradients
GRADIENT = 15.0  # CIE76 that a boundary of mean strength counts as, when merging
ALIKE = 0.95  # regions that overlap more are one
RASTER = 4  # px: shapes are judged on a raster this coarse
SURE = 1e3
LEAST, MOST = 0.001, 0.6  # of the picture: other regions are not looked at


@dataclass(frozen=True, eq=False)
class Seeds:
    """What is known: superpixels on the object, superpixels that are not, and where.

    ``points``: the include clicks, x, y. ``ellipse``: centre x, y and half axes of the box.
    """

    on: Ints
    off: Ints
    points: tuple[Point, ...] = ()
    ellipse: tuple[float, float, float, float] | None = None


def best(graph: Graph, seeds: Seeds, bias: float = 0.0, first: Regions | None = None) -> Regions:
    """The (K,) region that is most likely the object.

    ``bias`` prefers large regions (above 0) or small ones; ``first`` is a guess to try too.
    """
    found = candidates(graph, seeds)
    if first is not None:
        found = _valid(graph, seeds, np.concatenate([found, first[None]]))
    found = distinct(graph, found)
    settled = _valid(graph, seeds, polish(graph, seeds, found, rounds=1), drop=False)
    same = overlap(graph, found, settled)
    every = np.concatenate([found, settled])
    score = quality(graph, seeds, every, np.concatenate([same, same]))
    score += bias * np.log(every @ graph.area / graph.area.sum() + 1e-9)
    chosen: Regions = every[int(np.argmax(score))]
    return chosen


def candidates(graph: Graph, seeds: Seeds) -> Regions:
    """Regions from geodesic distances, a hierarchy of merges, and cuts from discs or the box."""
    found: list[Regions] = [_cuts(graph, seeds, weight) for weight in (0.3, 1.0)]
    if len(seeds.on):
        for place, color in (0.02, 0.0), (0.02, 0.3), (0.1, 0.6):
            found.append(_geodesic(graph, seeds, place, color))
    if len(seeds.on) == 1 and seeds.ellipse is None:
        found += [np.array(list(_merges(graph, int(seeds.on[0]), kind))) for kind in range(3)]
    return _valid(graph, seeds, np.concatenate([f for f in found if len(f)]))


# --- how regions are made ---------------------------------------------------------------------


def _cuts(graph: Graph, seeds: Seeds, weight: float) -> Regions:
    """Cuts that start from discs round the clicks, or from ellipses in the box."""
    x, y = graph.center.T
    if seeds.ellipse is not None:
        cx, cy, a, b = seeds.ellipse
        near = ((x - cx) / a) ** 2 + ((y - cy) / b) ** 2
        sizes = np.array(SHRINKS)
    else:
        near = np.min([(x - px) ** 2 + (y - py) ** 2 for px, py in seeds.points], axis=0)
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
    pull = prior.T if isinstance(prior, np.ndarray) else prior
    for _ in range(rounds):
        on, off = graph.spread.T @ inside, graph.spread.T @ (1 - inside)
        evidence = share @ (np.log(_smoothed(on)) - np.log(_smoothed(off))) + pull
        on, off = (DATA * size * np.maximum(sign * evidence, 0) for sign in (1, -1))
        on[seeds.on] += SURE
        off[seeds.off] += SURE
        walker = _solve(links, (degree + on + off + 1e-6).astype(np.float32), on, inside)
        inside = (walker > 0.5).astype(np.float32)
    cut: Regions = inside.T > 0
    return cut


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


def _geodesic(graph: Graph, seeds: Seeds, place: float, color: float) -> Regions:
    """Regions within a distance of the clicks; with clicks beside it, relative to those.

    A step costs its boundary's strength, ``place`` a unit of way, ``color`` of the difference
    from the clicked colour.
    """
    a, b = graph.ends
    way = np.linalg.norm(graph.center[a] - graph.center[b], axis=1) / graph.scale * 25
    away = np.min([np.linalg.norm(graph.features - graph.features[k], axis=1) for k in seeds.on], 0)
    cost = graph.edge + place * way + color * np.hypot(away[a], away[b]) / 20
    distance = _distance(graph, cost, seeds.on)
    if len(seeds.off):
        other = _distance(graph, graph.edge + place * way, seeds.off)
        distance = distance / (distance + other + 1e-6)
    order = np.argsort(distance)
    share = np.cumsum(graph.area[order]) / graph.area.sum()
    last = np.minimum(np.searchsorted(share, np.geomspace(0.003, MOST, LEVELS)), len(order) - 1)
    levels: Regions = distance[None] <= distance[order[last]][:, None]
    return levels


def _distance(graph: Graph, cost: Floats, sources: Ints) -> Floats:
    """The cheapest way to each superpixel from the nearest source (Dijkstra 1959)."""
    near: list[list[tuple[int, float]]] = [[] for _ in graph.area]
    for a, b, c in zip(*graph.ends.tolist(), cost.tolist(), strict=True):
        near[a].append((b, c))
        near[b].append((a, c))
    distance = [float("inf")] * len(near)
    queue = [(0.0, int(s)) for s in sources]
    for _, s in queue:
        distance[s] = 0.0
    while queue:
        so_far, at = heapq.heappop(queue)
        if so_far > distance[at]:
            continue
        for to, c in near[at]:
            if so_far + c < distance[to]:
                distance[to] = so_far + c
                heapq.heappush(queue, (so_far + c, to))
    return np.array(distance, np.float32)


def _merges(graph: Graph, seed: int, kind: int) -> Iterator[Regions]:
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
            return unlike * float(min(area[a], area[b])) ** 0.25
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


# --- how regions are judged -------------------------------------------------------------------


def quality(graph: Graph, seeds: Seeds, regions: Regions, fixed: Floats) -> Floats:
    """(N,): how much each region looks like one whole object that was clicked in its middle.

    Good: a strong boundary; an inside that is not just one flat patch; hardly changed (``fixed``
    near 1) by a further cut. From clicks also: the click deep inside and near the centre, little
    of the picture's border. In a box: filling it from side to side.
    """
    outline, inside = _contrast(graph, regions)
    score = outline + inside / 2 + fixed / 2
    if seeds.ellipse is not None:
        return score + _tightness(graph, seeds.ellipse, regions)
    depth, offset = _centrality(graph, seeds.points[0], regions)
    border = regions @ graph.rim / graph.rim.sum()
    middle: Floats = (np.log(depth + 0.05) / 4 - offset / 2) / len(seeds.points)
    return score + middle - border


def _contrast(graph: Graph, regions: Regions) -> tuple[Floats, Floats]:
    """Mean rank of the boundary strength round a region, and within it."""
    a, b = graph.ends
    weights = np.stack([graph.length * graph.rank, graph.length], 1)
    round_it = (regions[:, a] != regions[:, b]) @ weights
    within = (regions[:, a] & regions[:, b]) @ weights + (1.5, 5.0)  # a few weak ones for all
    return round_it[:, 0] / np.maximum(round_it[:, 1], 1), within[:, 0] / within[:, 1]


def _centrality(graph: Graph, point: Point, regions: Regions) -> tuple[Floats, Floats]:
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


def _tightness(
    graph: Graph, ellipse: tuple[float, float, float, float], regions: Regions
) -> Floats:
    """Overlap (IoU) of each region's box with the given one."""
    cx, cy, a, b = ellipse
    labels = graph.labels[::RASTER, ::RASTER]
    tight = np.zeros(len(regions), np.float32)
    for i, region in enumerate(regions):
        x, y, w, h = (RASTER * v for v in cv2.boundingRect(region[labels].astype(np.uint8)))
        shared = [
            max(0.0, min(start + side, c + half) - max(start, c - half))
            for start, side, c, half in ((x, w, cx, a), (y, h, cy, b))
        ]
        both = shared[0] * shared[1]
        tight[i] = both / max(w * h + 4 * a * b - both, 1.0)
    return tight


def overlap(graph: Graph, first: Regions, second: Regions) -> Floats:
    """(N,): IoU of each region with its counterpart."""
    both = (first & second) @ graph.area
    share: Floats = both / np.maximum((first | second) @ graph.area, 1)
    return share


def distinct(graph: Graph, regions: Regions) -> Regions:
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


def _valid(graph: Graph, seeds: Seeds, regions: Regions, drop: bool = True) -> Regions:
    """Each region's parts that hold a click, holes filled, true to the seeds, of a fair size."""
    kept = np.array([_filled(graph, _connected(graph, seeds, region)) for region in regions])
    kept[:, seeds.off] = False
    kept[:, seeds.on] = True
    share = kept @ graph.area / graph.area.sum()
    fair = (share > LEAST) & (share < MOST)
    if seeds.ellipse is not None:
        fair = share > 0
    return kept[fair] if drop and fair.any() else kept


def _connected(graph: Graph, seeds: Seeds, region: Regions) -> Regions:
    """The parts of a region that hold a click; all of it without clicks."""
    if not len(seeds.on):
        return region
    a, b = graph.ends[:, region[graph.ends].all(axis=0)]
    reached = np.zeros_like(region)
    reached[seeds.on] = True
    count = 0
    while count != (count := int(reached.sum())):
        reached[b[reached[a]]] = True
        reached[a[reached[b]]] = True
    return reached


def _filled(graph: Graph, region: Regions) -> Regions:
    """The region with what it encloses."""
    labels = graph.labels[::RASTER, ::RASTER]
    canvas = np.pad(region[labels].astype(np.uint8), 1)
    cv2.floodFill(canvas, None, (0, 0), 2)
    closed = np.bincount(labels.ravel(), (canvas != 2)[1:-1, 1:-1].ravel(), len(region))
    full: Regions = region | (2 * closed > np.bincount(labels.ravel(), minlength=len(region)))
    return full
