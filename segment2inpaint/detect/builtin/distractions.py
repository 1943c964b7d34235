"""Find what could go: things and people at the photo's edge, beside its main object.

The saliency network, which is shown small parts of the photo along its edge, proposes places to
click. What the click network finds there counts if it stands out from its own surroundings too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.detect.builtin.everything import (
    batches,
    candidates_at,
    inside_frame,
)
from segment2inpaint.masks import connected_components, deepest_point
from segment2inpaint.networks.click import MASK_CELL, ClickNetwork, Embedding
from segment2inpaint.networks.onnx import Network
from segment2inpaint.networks.saliency import INPUT_SIDE, predict_saliency
from segment2inpaint.types import (
    BinaryMask,
    Box,
    Detection,
    FloatArray,
    Image,
    Point,
    bounding_box,
)

# All were chosen by looking at photos on which the click network was trained.
WINDOW_SIDES = 0.4, 0.28  # of each side of the photo, of the windows along its edge
WINDOW_STEP = 0.75  # of a window's side, from one to the next
MIN_SEED_AREA = 0.01  # of a window, of a salient part in it
MAX_DISTANCE = 0.08  # of each side of the photo, from a thing to the edge
MIN_AREA, MAX_AREA = 0.0015, 0.12  # of the photo
MIN_AGREEMENT = 0.55  # soft IoU of a thing and what is salient in its surroundings
SURROUNDINGS, MIN_SURROUNDINGS = 0.4, 0.02  # of a thing's, of the frame's long side: their width
MAIN_SHARE = 0.3  # of the largest salient part, area from which one inside belongs to it
MAX_ON_MAIN = 0.25  # of a thing, share that lies on the main object or next to it
MAIN_MARGIN = 0.02  # of the frame's long side, width of what is next to the main object
MAX_IOU = 0.5  # of two things
MIN_SELECTED_IOU = 0.7  # of a thing and what a click on it selects


@dataclass(frozen=True, eq=False)
class Distraction:
    """A thing that could go: a click (x, y) on it, and what the click selects."""

    click: Point
    detection: Detection


class Thing(NamedTuple):
    """A thing at the photo's edge: a click (x, y) on it, and its mask (h, w) in the frame."""

    click: Point
    mask: BinaryMask


@dataclass(frozen=True, eq=False)
class Scene:
    """A photo (H, W, 3) uint8 RGB and its main object, a mask (h, w) in the embedding's frame."""

    image: Image
    embedding: Embedding
    saliency: Network
    main: BinaryMask

    def box_in_photo(self, box: Box) -> Box:
        """Return a box of a mask in the photo."""
        return self.embedding.letterbox.box_to_photo(Box(*(MASK_CELL * side for side in box)))


def read_scene(image: Image, embedding: Embedding, saliency: Network) -> Scene:
    """Find the photo's main object. ``embedding`` is that of the whole photo."""
    height, width = (-(-side // MASK_CELL) for side in embedding.letterbox.size)
    probability = predict_saliency(image, embedding.letterbox.window, saliency).probability()
    main = _main_parts(cv2.resize(probability, (width, height)) > 0.5)
    margin = 2 * round(MAIN_MARGIN * max(height, width)) + 1
    grown = cv2.dilate(main, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (margin, margin)))
    return Scene(image, embedding, saliency, grown > 0)


def _main_parts(salient: BinaryMask) -> NDArray[np.uint8]:
    """Return the largest salient part, and the others that are large and not at the edge."""
    parts = list(connected_components(salient))
    largest = max((int(part.sum()) for _, part in parts), default=0)
    main, size = np.zeros(salient.shape, np.uint8), (salient.shape[0], salient.shape[1])
    for box, part in parts:
        is_large = part.sum() >= MAIN_SHARE * largest and _edge_distance(box, size) > MAX_DISTANCE
        if is_large or part.sum() == largest:
            main[box.slices] |= part
    return main


def _edge_distance(box: Box, size: tuple[int, int]) -> float:
    """Return a box's distance from the edge of a frame (h, w), as a share of the frame's side."""
    height, width = size
    return min(box.x0 / width, box.y0 / height, 1 - box.x1 / width, 1 - box.y1 / height)


def search_edge(scene: Scene, network: ClickNetwork) -> Iterator[Thing | None]:
    """Yield the things found, and None after each step, which takes some tenths of a second."""
    clicks, masks = list[Point](), list[BinaryMask]()
    for window in edge_windows(scene.embedding.letterbox.window):
        clicks += [click for click in _salient_points(scene, window) if not _is_main(scene, click)]
        yield None
    for batch in batches(clicks):
        for candidate in candidates_at(network, scene.embedding, batch):
            mask = inside_frame(scene.embedding, candidate.logits) > 0
            is_known = any(_iou(mask, other) > MAX_IOU for other in masks)
            if not is_known and _is_distraction(scene, mask):
                masks.append(mask)
                yield Thing(candidate.click, mask)
        yield None


def edge_windows(photo: Box) -> Iterator[Box]:
    """Yield windows along the photo's edge that overlap, the larger ones first."""
    for share in WINDOW_SIDES:
        width, height = (max(1, round(share * side)) for side in (photo.width, photo.height))
        steps = ceil((1 - share) / (WINDOW_STEP * share))  # from one edge to the other
        for row in range(steps + 1):
            is_edge = row in (0, steps)
            for column in range(0, steps + 1, 1 if is_edge else steps):
                x0 = (photo.width - width) * column // steps
                y0 = (photo.height - height) * row // steps
                yield Box(x0, y0, x0 + width, y0 + height)


def _salient_points(scene: Scene, window: Box) -> Iterator[Point]:
    """Yield the middle (x, y) of each part of a window that is salient in it."""
    probability = predict_saliency(scene.image, window, scene.saliency).probability()
    for box, part in connected_components(probability > 0.5):
        if part.sum() >= MIN_SEED_AREA * probability.size:
            x, y = deepest_point(part)
            yield (
                window.x0 + int((box.x0 + x + 0.5) * window.width / INPUT_SIDE),
                window.y0 + int((box.y0 + y + 0.5) * window.height / INPUT_SIDE),
            )


def _is_main(scene: Scene, click: Point) -> bool:
    x, y = scene.embedding.letterbox.point_to_input(click)
    return bool(scene.main[y // MASK_CELL, x // MASK_CELL])


def is_selected(thing: Thing, selected: BinaryMask) -> bool:
    """Return whether a click has selected the thing: ``selected`` is (H, W), of the photo."""
    height, width = thing.mask.shape
    small = cv2.resize(selected.astype(np.uint8), (width, height), interpolation=cv2.INTER_AREA)
    return _iou(thing.mask, small > 0) >= MIN_SELECTED_IOU


def _iou(one: BinaryMask, other: BinaryMask) -> float:
    return float((one & other).sum() / max((one | other).sum(), 1))


def _is_distraction(scene: Scene, mask: BinaryMask) -> bool:
    """Return whether a mask is a thing at the edge, and not the main object or a part of it."""
    box, size = bounding_box(mask), (mask.shape[0], mask.shape[1])
    return (
        MIN_AREA <= mask.mean() <= MAX_AREA
        and _edge_distance(box, size) <= MAX_DISTANCE
        and (mask & scene.main).sum() <= MAX_ON_MAIN * mask.sum()
        and _agreement(scene, mask, box) >= MIN_AGREEMENT
    )


def _agreement(scene: Scene, mask: BinaryMask, box: Box) -> float:
    """Return the soft IoU of a mask and what is salient in its surroundings."""
    size = mask.shape[0], mask.shape[1]
    width = SURROUNDINGS * max(box.width, box.height) + MIN_SURROUNDINGS * max(size)
    window = box.expand(round(width), size)
    salient = predict_saliency(scene.image, scene.box_in_photo(window), scene.saliency)
    probability = cv2.resize(salient.probability(), (window.width, window.height))
    part: FloatArray = mask[window.slices].astype(np.float32)
    return float(np.minimum(probability, part).sum() / np.maximum(probability, part).sum())
