"""Measures of how well a fill fits its surroundings, by the features of the click encoder.

They need neither the photo before the removal nor the truth. ``feature_similarity`` and
``window_distance`` follow published measures, but on another encoder and other windows, so their
values cannot be compared with published ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import log

import cv2
import numpy as np

from segment2inpaint.models.threads import single_blas_thread
from segment2inpaint.networks.click import CELL, ClickNetwork
from segment2inpaint.types import Alpha, BinaryMask, Box, FloatArray, Image
from segment2inpaint.verify.hole_view import view_box

FRAME_SIDE = 512  # px, long side of the window in the encoder's frame, unless another is given
HOLE_COVERAGE = 0.5  # of a cell by the hole, from which the cell is the hole's
WINDOW_CELLS, WINDOW_STEP = 6, 3  # side of a window and distance between two, in cells
MIN_CELLS = 3  # inside and outside the hole, in a window that counts
NEIGHBOURS = 3  # nearest cells outside the hole, whose mean distance counts
NOVELTY_QUANTILE = 0.9  # of the cells
VARIETY_WEIGHT = 0.5  # of the surroundings' own distances, whose logarithm is subtracted
NEGLIGIBLE_DISTANCE = 0.02  # squared, added to both before the logarithm


@dataclass(frozen=True, eq=False)
class HoleFeatures:
    """Features of a hole and of its surroundings.

    ``values`` is (h, w, C) float32, one vector of length 1 for each cell of ``CELL`` px of the
    frame. ``hole`` and ``outside`` (h, w) bool are the cells inside the hole and those without a
    pixel of it; both have a True cell, unless the hole fills the window.
    """

    values: FloatArray
    hole: BinaryMask
    outside: BinaryMask


def hole_features(
    image: Image,
    hole: BinaryMask | Alpha,
    window: Box,
    network: ClickNetwork,
    side: int = FRAME_SIDE,
) -> HoleFeatures:
    """Return the features of the hole in ``window`` and of its surroundings.

    ``image`` is (H, W, 3) uint8 RGB, the result; the hole is where ``hole`` (H, W) is above 0.
    ``side`` is the long side in px of the frame in which the encoder sees them.
    """
    box = view_box(hole, window)
    embedding = network.embed(image, box, side)
    size = embedding.letterbox.size
    height, width = (-(-length // CELL) for length in size)
    values = embedding.values[0, :, :height, :width].astype(np.float32).transpose(1, 2, 0)
    frame = np.zeros((height * CELL, width * CELL), np.float32)
    covered = (hole[box.slices] > 0).astype(np.float32)
    frame[: size[0], : size[1]] = cv2.resize(covered, size[::-1], interpolation=cv2.INTER_AREA)
    coverage = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    inside = coverage >= min(HOLE_COVERAGE, float(coverage.max()))
    return HoleFeatures(_unit(values), inside, coverage == 0)


def feature_similarity(features: HoleFeatures) -> float | None:
    """Return the cosine of the mean features inside and outside the hole, at most 1.

    Higher is better; None if the hole fills the window. After ReMOVE (Chandrasekar et al. 2024).
    """
    if not features.outside.any():
        return None
    a, b = (features.values[cells].mean(0) for cells in (features.hole, features.outside))
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def window_distance(features: HoleFeatures) -> float | None:
    """Return the mean distance, over windows, of the features inside and outside the hole.

    It is the squared distance of the two mean features, 0 to 4; lower is better. A window inside
    the hole is compared with all that is outside. None if no window holds enough of both. After
    RC-S (Li et al. 2026), whose kernel is nearly linear on vectors of length 1.
    """
    outside = features.values[features.outside]
    if not len(outside):
        return None
    distances = []
    for inner, around in _windows(features):
        reference = around if len(around) else outside
        if min(len(inner), len(reference)) >= MIN_CELLS:
            distances.append(np.square(inner.mean(0) - reference.mean(0)).sum())
    return float(np.mean(distances)) if distances else None


def _windows(features: HoleFeatures) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield the features inside and outside the hole of each window."""
    rows, columns = (
        range(0, max(1, side - WINDOW_CELLS + 1), WINDOW_STEP) for side in features.hole.shape
    )
    for y in rows:
        for x in columns:
            part = slice(y, y + WINDOW_CELLS), slice(x, x + WINDOW_CELLS)
            values = features.values[part]
            yield values[features.hole[part]], values[~features.hole[part]]


def novelty(features: HoleFeatures) -> float | None:
    """Return how far the hole's features are from the nearest ones of the surroundings.

    It is the log of the squared distance that nine of ten cells of the hole do not exceed, less
    half the log of that of the surroundings to each other: varied surroundings explain more.
    Lower is better. None if too little is outside.
    """
    inside, outside = features.values[features.hole], features.values[features.outside]
    if len(outside) <= NEIGHBOURS:
        return None
    own = _nearest_distance(outside, outside, first=1)  # each cell is its own nearest
    return _log(_nearest_distance(inside, outside)) - VARIETY_WEIGHT * _log(own)


def novel_cells(features: HoleFeatures) -> FloatArray:
    """Return how novel each cell of the hole is, (h, w) in [0, 1], 0 outside.

    1 is the squared distance of the most varied surroundings to each other, or a larger one.
    """
    cells = np.zeros(features.hole.shape, np.float32)
    inside, outside = features.values[features.hole], features.values[features.outside]
    if len(outside) > NEIGHBOURS:
        usual = float(_nearest_distances(outside, outside, first=1).max()) + NEGLIGIBLE_DISTANCE
        cells[features.hole] = np.clip(_nearest_distances(inside, outside) / usual, 0, 1)
    return cells


def _nearest_distance(rows: FloatArray, others: FloatArray, first: int = 0) -> float:
    """Return a high quantile of the rows' mean squared distances to their nearest others."""
    return float(np.quantile(_nearest_distances(rows, others, first), NOVELTY_QUANTILE))


@single_blas_thread
def _nearest_distances(rows: FloatArray, others: FloatArray, first: int = 0) -> FloatArray:
    """Return each row's mean squared distance to its ``NEIGHBOURS`` nearest others.

    The ``first`` nearest do not count.
    """
    squares: FloatArray = np.sort(2 - 2 * rows @ others.T, axis=1)
    return np.asarray(squares[:, first : first + NEIGHBOURS].mean(1))


def _log(squared_distance: float) -> float:
    return log(max(squared_distance, 0.0) + NEGLIGIBLE_DISTANCE)


def _unit(vectors: FloatArray) -> FloatArray:
    """Return vectors (..., C) scaled to length 1."""
    lengths: FloatArray = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / (lengths + np.float32(1e-6))
