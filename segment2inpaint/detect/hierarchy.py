"""Superpixels merged pair by pair, most alike first, until one region is left."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .features import Ints
from .superpixels import Graph

GRADIENT = 15.0  # CIE76 that a boundary of mean strength counts as
KINDS = 3


@dataclass(frozen=True, eq=False)
class Tree:
    """K leaves and a node for each merge, the root last.

    ``parent`` (N,): a node's, itself at a root. ``order`` (K,) has the leaves so sorted that
    each node's are the ones from ``first`` to ``last``, (N,) both.
    """

    parent: Ints
    first: Ints
    last: Ints
    order: Ints

    def holding(self, leaf: int) -> NDArray[np.bool_]:
        """(M, K): the merged regions that hold a leaf, from the smallest on."""
        above = []
        while self.parent[leaf] != leaf:
            leaf = int(self.parent[leaf])
            above.append(leaf)
        regions = np.zeros((len(above), len(self.order)), np.bool_)
        for region, node in zip(regions, above, strict=True):
            region[self.order[self.first[node] : self.last[node]]] = True
        return regions


@lru_cache(maxsize=4)  # the same for every click on a photo
def trees(graph: Graph) -> tuple[Tree, ...]:
    """Hierarchies that merge in different order.

    The first merges small regions first, the second goes by Ward's criterion over the
    boundary's length, the third by the difference and lets large regions wait.
    """
    return tuple(_tree(len(graph.area), list(_merges(graph, kind))) for kind in range(KINDS))


def _tree(leaves: int, merges: list[tuple[int, int]]) -> Tree:
    """The tree of merges: of the regions known by ``a`` and ``b``, henceforth known as ``a``."""
    node = list(range(leaves))  # of the region known by a leaf's number
    parts = [[leaf] for leaf in range(leaves)]
    parent = np.arange(leaves + len(merges))
    first, last = np.zeros_like(parent), np.zeros_like(parent)
    children: list[tuple[int, int]] = []
    for new, (a, b) in enumerate(merges, leaves):
        children.append((node[a], node[b]))
        parent[[node[a], node[b]]] = new
        parts[a] += parts[b]
        parts[b] = []
        node[a] = new
    order = np.array([leaf for part in parts for leaf in part])
    first[order] = np.arange(leaves)
    last[:leaves] = first[:leaves] + 1
    for new, (a, b) in enumerate(children, leaves):
        first[new], last[new] = min(first[a], first[b]), max(last[a], last[b])
    return Tree(parent, first, last, order)


def _merges(graph: Graph, kind: int) -> Iterator[tuple[int, int]]:
    """Which regions are merged, in order; the second goes by the first one's number then."""
    total = float(graph.area.sum())
    area = graph.area.tolist()
    feature = [*graph.features.astype(float)]
    near: list[dict[int, tuple[float, float]]] = [{} for _ in area]
    for a, b, length, edge in zip(
        *graph.ends.tolist(), graph.length.tolist(), graph.edge.tolist(), strict=True
    ):
        near[a][b] = near[b][a] = (length, length * edge)
    version = [0] * len(area)

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
        version[a] += 1
        version[b] = -1
        del near[a][b]
        for c, (length, edge) in near[b].items():
            if c != a:
                del near[c][b]
                more = near[a].get(c, (0.0, 0.0))
                near[a][c] = near[c][a] = (length + more[0], edge + more[1])
        yield a, b
        for c in near[a]:
            heapq.heappush(queue, (cost(a, c), a, c, version[a], version[c]))
