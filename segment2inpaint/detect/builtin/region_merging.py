"""All objects of a photo without weights: superpixels merged step by step, the best regions kept.

A binary partition tree (Salembier and Garrido 2000) on the superpixel graph. A region counts as
an object by how strong its outline is and how large it is.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.detect.builtin.superpixels import SuperpixelGraph, superpixel_graph
from segment2inpaint.detect.prompts import accept, picked
from segment2inpaint.types import BinaryMask, Detection, Everything, Image, Prompt

WORKING = 480  # long side of the picture that is divided, px
CONTRAST = 15.0  # CIE76 that a difference of colour weighs as much as a mean boundary
SIZE = 0.25  # power of the smaller region's area in the cost: small ones are merged first
LEAST, MOST = 0.002, 0.6  # of the photo
LARGER = 0.35  # power of the area beside the outline's strength
ALIKE = 0.75  # IoU above which two regions are one
COUNT = 40
PIECES = 600  # superpixels
SLACK = 1.5  # px of the working picture


class RegionMergingDetector:
    """Takes everything only: numbered regions, the best first."""

    name = "regions"
    prompt_types: tuple[type, ...] = (Everything,)

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        """A mask for each region. Raises ``BadPrompt``."""
        height, width = image.shape[:2]
        accept(self.name, self.prompt_types, prompts, (height, width))
        scale = min(1.0, WORKING / max(height, width))
        size = max(2, round(width * scale)), max(2, round(height * scale))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        pieces = superpixel_graph(small, PIECES)
        found = distinct(pieces, regions(pieces))
        pick = [n for p in prompts if isinstance(p, Everything) for n in p.pick]
        slack = 0.0 if scale == 1 else SLACK / scale
        return [
            Detection(_full(region[pieces.labels], (width, height)), score, slack)
            for region, score in picked(found, pick)
        ]


Region = tuple[NDArray[np.bool_], float]


@dataclass
class _Node:
    """A region while it grows: its superpixels, mean features, boundaries by neighbour."""

    members: list[int]
    area: float
    features: NDArray[np.floating]
    near: dict[int, tuple[float, float]] = field(default_factory=dict)  # length, strength * length


def regions(pieces: SuperpixelGraph) -> list[Region]:
    """All regions (K,) of the graph that the merging went through, with a score in [0, 1)."""
    nodes = _leaves(pieces)
    total = float(pieces.area.sum())
    queue = [(_cost(nodes, a, b), a, b) for a in nodes for b in nodes[a].near if a < b]
    heapq.heapify(queue)
    gone: set[int] = set()
    found = []
    while queue:
        _, a, b = heapq.heappop(queue)
        if a in gone or b in gone:
            continue
        for node in (nodes[a], nodes[b]):
            if LEAST < node.area / total < MOST:
                found.append((node.members, _score(node, total)))
        gone |= {a, b}
        new = len(nodes)
        nodes[new] = _merged(nodes, a, b, new)
        for c in nodes[new].near:
            heapq.heappush(queue, (_cost(nodes, c, new), c, new))
    count = len(pieces.area)
    return [(np.isin(np.arange(count), members), score) for members, score in found]


def _score(node: _Node, total: float) -> float:
    length, strength = (sum(side[i] for side in node.near.values()) for i in (0, 1))
    weight = strength / length * (node.area / total) ** LARGER
    return float(weight / (1 + weight))


def distinct(pieces: SuperpixelGraph, found: Sequence[Region]) -> list[Region]:
    """The best of regions that are nearly the same, the best first."""
    kept: list[Region] = []
    for region, score in sorted(found, key=lambda one: -one[1]):
        if all(_overlap(pieces, region, other) < ALIKE for other, _ in kept):
            kept.append((region, score))
    return kept[:COUNT]


def _leaves(pieces: SuperpixelGraph) -> dict[int, _Node]:
    nodes = {
        i: _Node([i], float(pieces.area[i]), pieces.features[i]) for i in range(len(pieces.area))
    }
    for a, b, length, edge in zip(*pieces.ends, pieces.length, pieces.edge, strict=True):
        nodes[a].near[int(b)] = nodes[b].near[int(a)] = float(length), float(edge * length)
    return nodes


def _cost(nodes: dict[int, _Node], a: int, b: int) -> float:
    one, other = nodes[a], nodes[b]
    length, strength = one.near[b]
    contrast = float(np.linalg.norm(one.features - other.features)) / CONTRAST
    return float((contrast + strength / length) * min(one.area, other.area) ** SIZE)


def _merged(nodes: dict[int, _Node], a: int, b: int, new: int) -> _Node:
    """The union of two regions, also entered with its neighbours."""
    one, other = nodes[a], nodes[b]
    area = one.area + other.area
    features = (one.features * one.area + other.features * other.area) / area
    node = _Node(one.members + other.members, area, features)
    for c in (one.near.keys() | other.near.keys()) - {a, b}:
        sides = [end.near[c] for end in (one, other) if c in end.near]
        both = sum(side[0] for side in sides), sum(side[1] for side in sides)
        node.near[c] = nodes[c].near[new] = both
        for end in (a, b):
            nodes[c].near.pop(end, None)
    return node


def _overlap(pieces: SuperpixelGraph, a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float(pieces.area[a & b].sum() / pieces.area[a | b].sum())


def _full(small: BinaryMask, size: tuple[int, int]) -> BinaryMask:
    """A mask of the working picture at the photo's size (w, h)."""
    soft = cv2.resize(small.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    bits: BinaryMask = soft > 0.5
    return bits
