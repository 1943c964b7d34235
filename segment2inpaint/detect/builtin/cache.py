"""Superpixels and region candidates of the last photos, which the next click needs again."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from segment2inpaint.detect.builtin.region_proposals import ClickSeed
from segment2inpaint.detect.builtin.region_selection import RegionCandidates, candidates
from segment2inpaint.detect.builtin.superpixels import SuperpixelGraph, superpixel_graph
from segment2inpaint.types import Image, Point

SUPERPIXELS = 600  # about, per picture


def superpixels_of(pixels: Image) -> SuperpixelGraph:
    """Return the superpixels of a picture (h, w, 3)."""
    return graph_of_bytes(pixels.tobytes(), pixels.shape[:2])


def candidates_at(pixels: Image, point: Point) -> RegionCandidates:
    """Return the regions of a picture (h, w, 3) that may be the object at a point, (x, y)."""
    return candidates_of_bytes(pixels.tobytes(), pixels.shape[:2], point)


def click_seed(graph: SuperpixelGraph, point: Point) -> ClickSeed:
    """Return the seed for a click at (x, y)."""
    x, y = point
    return ClickSeed(int(graph.labels[y, x]), point)


@lru_cache(maxsize=4)
def graph_of_bytes(data: bytes, shape: tuple[int, int]) -> SuperpixelGraph:
    """Return the superpixels of a picture given as bytes, which can be compared and hashed."""
    return superpixel_graph(np.frombuffer(data, np.uint8).reshape(*shape, 3), SUPERPIXELS)


@lru_cache(maxsize=16)
def candidates_of_bytes(data: bytes, shape: tuple[int, int], point: Point) -> RegionCandidates:
    """Return the region candidates of a picture given as bytes."""
    graph = graph_of_bytes(data, shape)
    return candidates(graph, click_seed(graph, point))
