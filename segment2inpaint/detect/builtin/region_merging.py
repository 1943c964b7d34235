"""Find all objects of a photo without weights: merge superpixels, keep the best regions.

The regions are the nodes of a binary partition tree (Salembier and Garrido 2000) on the
superpixel graph. Regions with a strong outline and a large area score best.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.detect.builtin.superpixels import SuperpixelGraph, superpixel_graph
from segment2inpaint.detect.prompts import check_for_detector, pick_by_number
from segment2inpaint.types import BinaryMask, Detection, Everything, Image, Prompt

REDUCED_SIDE = 480  # px, long side of the picture that is divided
SUPERPIXELS = 600
COLOR_SCALE = 15.0  # CIE76 that costs as much as a boundary of mean strength
COST_AREA_POWER = 0.25  # of the smaller region's area: small regions are merged first
MIN_AREA, MAX_AREA = 0.002, 0.6  # of the photo
SCORE_AREA_POWER = 0.35  # of the area, which multiplies the outline's strength
DUPLICATE_IOU = 0.75  # of two regions; from it on they count as one
MAX_REGIONS = 40
EDGE_UNCERTAINTY = 1.5  # px of the reduced picture


class RegionMergingDetector:
    """Turn ``Everything`` into numbered regions, the best first."""

    name = "regions"
    prompt_types: tuple[type, ...] = (Everything,)

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        """Return a detection for each region. Raises ``BadPrompt``."""
        height, width = image.shape[:2]
        check_for_detector(self.name, self.prompt_types, prompts, (height, width))
        scale = min(1.0, REDUCED_SIDE / max(height, width))
        size = max(2, round(width * scale)), max(2, round(height * scale))
        reduced = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        graph = superpixel_graph(reduced, SUPERPIXELS)
        found = distinct(graph, regions(graph))
        numbers = [n for p in prompts if isinstance(p, Everything) for n in p.pick]
        uncertainty = 0.0 if scale == 1 else EDGE_UNCERTAINTY / scale
        return [
            Detection(_enlarge(region[graph.labels], (width, height)), score, uncertainty)
            for region, score in pick_by_number(found, numbers)
        ]


Region = tuple[NDArray[np.bool_], float]  # superpixels (K,), score


@dataclass
class _Node:
    """A region during merging.

    ``members`` are its superpixels, ``features`` their mean; ``boundaries`` are by neighbour:
    length, and strength times length.
    """

    members: list[int]
    area: float
    features: NDArray[np.floating]
    boundaries: dict[int, tuple[float, float]] = field(default_factory=dict)


def regions(graph: SuperpixelGraph) -> list[Region]:
    """Return all regions that occur during merging, with scores in [0, 1)."""
    nodes = _leaves(graph)
    total = float(graph.area.sum())
    queue = [(_cost(nodes, a, b), a, b) for a in nodes for b in nodes[a].boundaries if a < b]
    heapq.heapify(queue)
    merged: set[int] = set()
    scored = []
    while queue:
        _, a, b = heapq.heappop(queue)
        if a in merged or b in merged:
            continue
        for node in (nodes[a], nodes[b]):
            if MIN_AREA < node.area / total < MAX_AREA:
                scored.append((node.members, _score(node, total)))
        merged |= {a, b}
        new = len(nodes)
        nodes[new] = _merge(nodes, a, b, new)
        for c in nodes[new].boundaries:
            heapq.heappush(queue, (_cost(nodes, c, new), c, new))
    count = len(graph.area)
    return [(np.isin(np.arange(count), members), score) for members, score in scored]


def _score(node: _Node, total: float) -> float:
    length, strength = (sum(side[i] for side in node.boundaries.values()) for i in (0, 1))
    weight = strength / length * (node.area / total) ** SCORE_AREA_POWER
    return float(weight / (1 + weight))


def distinct(graph: SuperpixelGraph, found: Sequence[Region]) -> list[Region]:
    """Return the best ``MAX_REGIONS`` regions without near duplicates, the best first."""
    kept: list[Region] = []
    for region, score in sorted(found, key=lambda scored: -scored[1]):
        if all(_iou(graph, region, other) < DUPLICATE_IOU for other, _ in kept):
            kept.append((region, score))
    return kept[:MAX_REGIONS]


def _leaves(graph: SuperpixelGraph) -> dict[int, _Node]:
    nodes = {i: _Node([i], float(graph.area[i]), graph.features[i]) for i in range(len(graph.area))}
    for a, b, length, edge in zip(*graph.ends, graph.length, graph.edge, strict=True):
        nodes[a].boundaries[int(b)] = nodes[b].boundaries[int(a)] = (
            float(length),
            float(edge * length),
        )
    return nodes


def _cost(nodes: dict[int, _Node], a: int, b: int) -> float:
    first, second = nodes[a], nodes[b]
    length, strength = first.boundaries[b]
    contrast = float(np.linalg.norm(first.features - second.features)) / COLOR_SCALE
    return float((contrast + strength / length) * min(first.area, second.area) ** COST_AREA_POWER)


def _merge(nodes: dict[int, _Node], a: int, b: int, new: int) -> _Node:
    """Return the union of two regions, and replace both by it in their neighbours' boundaries."""
    first, second = nodes[a], nodes[b]
    area = first.area + second.area
    features = (first.features * first.area + second.features * second.area) / area
    node = _Node(first.members + second.members, area, features)
    for c in (first.boundaries.keys() | second.boundaries.keys()) - {a, b}:
        sides = [part.boundaries[c] for part in (first, second) if c in part.boundaries]
        both = sum(side[0] for side in sides), sum(side[1] for side in sides)
        node.boundaries[c] = nodes[c].boundaries[new] = both
        for part in (a, b):
            nodes[c].boundaries.pop(part, None)
    return node


def _iou(graph: SuperpixelGraph, a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float(graph.area[a & b].sum() / graph.area[a | b].sum())


def _enlarge(mask: BinaryMask, size: tuple[int, int]) -> BinaryMask:
    """Return a mask of the reduced picture at the photo's size (w, h)."""
    coverage = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    enlarged: BinaryMask = coverage > 0.5
    return enlarged
