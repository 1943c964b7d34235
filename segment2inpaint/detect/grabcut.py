"""Objects at clicks and in boxes, without weights.

Many guesses on superpixels are judged by their boundary and by how the click lies in them
(``regions``); the best one is cut out pixel by pixel (GrabCut, Rother et al. 2004), and its edge
is followed at full resolution.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import BadPrompt, Bits, Box, Image, Mask, Point, Points, Prompt, box_of
from .enlarge import enlarged
from .prompts import Target, accept, components, targets
from .proposals import Seeds
from .regions import best, corrected
from .superpixels import Graph, graph

WORKING = 480  # long side of the picture that is cut, px
FINE, COARSE = 1000, 600  # superpixels round a click, round a box
SMALL = 0.4  # an object below this share of the window is looked at again, closer
ROOM = 0.75  # of the object's longer side, on each side, to look closer
MARGIN = 0.5  # of a box's longer side, on each side
BAND = 0.8  # of sqrt(area): pixels farther outside the region are not the object
CORE = 0.5  # of the greatest depth: pixels deeper in the region are the object
CLICK = 5  # radius of a click, px of the picture that is cut
BIAS = {"auto": 0.0, "object": 0.0, "part": -0.3, "whole": 0.3}


class GrabCutDetector:
    """Takes points and boxes, on the object and beside it, several objects."""

    name = "grabcut"
    takes: tuple[type, ...] = (Points, Box)

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Mask]:
        """A mask for each object. Raises ``BadPrompt``."""
        found = targets(accept(self.name, self.takes, prompts, image.shape[:2]))
        if not found:
            raise BadPrompt(f"{self.name}: only points beside the object, give one on it")
        masks = [_find(image, target) for target in found]
        return [Mask(bits) for bits in masks if bits.any()]


def _find(image: Image, target: Target) -> Bits:
    """The object: in the photo or round its box, and again in a window if it is small there."""
    size = image.shape[:2]
    photo = Box(0, 0, size[1], size[0])
    window = _round(target.box, MARGIN, size) if target.box else photo
    bits = _cut(image, target, window, None)
    found = box_of(bits)
    small = max(found.width, found.height) < SMALL * max(window.width, window.height)
    if small and target.box is None:
        closer = _round(found, ROOM, size)
        if all(map(closer.holds, target.include)):
            bits = _cut(image, target, closer, bits)
    return bits


def _round(box: Box, share: float, size: tuple[int, int]) -> Box:
    return box.grown(max(16, round(share * max(box.width, box.height))), size)


def _cut(image: Image, target: Target, window: Box, guess: Bits | None) -> Bits:
    """The object in a window, (H, W) bool of the photo's size."""
    view = _View(image, window)
    local = view.target(target)
    region = _region(view.small, local, None if guess is None else view.reduced(guess))
    cut = _pixels(view.small, region, local)
    bits = np.zeros(image.shape[:2], np.bool_)
    bits[window.slices] = enlarged(image[window.slices], cut)
    return _true_to(bits, target)


class _View:
    """A window of the photo, reduced to the working size."""

    def __init__(self, image: Image, window: Box) -> None:
        self.window = window
        scale = min(1.0, WORKING / max(window.width, window.height))
        self.size = max(2, round(window.width * scale)), max(2, round(window.height * scale))
        self.small = cv2.resize(image[window.slices], self.size, interpolation=cv2.INTER_AREA)

    def reduced(self, bits: Bits) -> Bits:
        part = bits[self.window.slices].astype(np.float32)
        small: Bits = cv2.resize(part, self.size, interpolation=cv2.INTER_AREA) > 0.5
        return small

    def target(self, target: Target) -> Target:
        """The target in px of the reduced window; clicks outside it are left out."""
        box = target.box
        return Target(
            tuple(self._at(p) for p in target.include if self.window.holds(p)),
            tuple(self._at(p) for p in target.exclude if self.window.holds(p)),
            box and self._box(box),
            target.granularity,
        )

    def _at(self, point: Point) -> Point:
        x = (point[0] - self.window.x0) * self.size[0] // self.window.width
        y = (point[1] - self.window.y0) * self.size[1] // self.window.height
        return x, y

    def _box(self, box: Box) -> Box:
        x0, y0 = self._at((box.x0, box.y0))
        x1, y1 = self._at((box.x1 - 1, box.y1 - 1))
        return Box(x0, y0, x1 + 1, y1 + 1)


def _region(small: Image, target: Target, guess: Bits | None) -> Bits:
    """The most likely object as a union of superpixels: from the first click or the box alone,
    then corrected by the other clicks, in turn."""
    pieces = graph(small, FINE if target.box is None else COARSE)
    seeds = _box_seeds(pieces, target.box) if target.box else _click_seeds(pieces, target)
    first = None if guess is None else _share(pieces, guess) > 0.5
    region = best(pieces, seeds, BIAS[target.granularity], first)
    clicks = [(p, True) for p in target.include] + [(p, False) for p in target.exclude]
    clicked = np.unique([pieces.labels[y, x] for (x, y), _ in clicks]).astype(np.intp)
    for point, on in clicks:
        region = corrected(pieces, region, point, on, clicked)
    bits: Bits = region[pieces.labels]
    return bits


def _click_seeds(pieces: Graph, target: Target) -> Seeds:
    x, y = target.include[0]
    return Seeds(int(pieces.labels[y, x]), (x, y))


def _box_seeds(pieces: Graph, box: Box) -> Seeds:
    outside = np.ones(pieces.labels.shape, np.bool_)
    outside[box.slices] = False
    middle = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    off = np.flatnonzero(_share(pieces, outside) > 0.5)
    return Seeds(off=off, ellipse=(*middle, box.width / 2, box.height / 2))


def _share(pieces: Graph, bits: Bits) -> NDArray[np.float64]:
    """How much of each superpixel is True."""
    share: NDArray[np.float64] = (
        np.bincount(pieces.labels.ravel(), bits.ravel(), len(pieces.area)) / pieces.area
    )
    return share


def _pixels(small: Image, region: Bits, target: Target) -> Bits:
    """The region cut out pixel by pixel."""
    trimap = _trimap(region, target)
    probable = (trimap == cv2.GC_PR_FGD) | (trimap == cv2.GC_PR_BGD)
    if not probable.any() or not (trimap % 2 == 1).any() or not (trimap % 2 == 0).any():
        sure: Bits = trimap % 2 == 1
        return sure
    window = box_of(trimap != cv2.GC_BGD).grown(int(BAND * np.sqrt(region.sum())) + 8, region.shape)
    part = np.ascontiguousarray(trimap[window.slices])
    if (part % 2 == 0).any():
        cv2.setRNGSeed(0)
        models = np.zeros((1, 65)), np.zeros((1, 65))
        picture = np.ascontiguousarray(small[window.slices])
        cv2.grabCut(picture, part, None, *models, 2, cv2.GC_INIT_WITH_MASK)
    cut = np.zeros_like(region)
    cut[window.slices] = part % 2 == 1
    return cut


def _trimap(region: Bits, target: Target) -> NDArray[np.uint8]:
    inside = region.astype(np.uint8)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
    away = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3)
    trimap = np.where(region, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[depth > CORE * depth.max()] = cv2.GC_FGD
    trimap[away > BAND * np.sqrt(max(int(region.sum()), 1))] = cv2.GC_BGD
    if target.box:
        outside = np.ones_like(region)
        outside[target.box.slices] = False
        trimap[outside] = cv2.GC_BGD
    for points, label in (target.include, cv2.GC_FGD), (target.exclude, cv2.GC_BGD):
        for point in points:
            cv2.circle(trimap, point, CLICK, label, -1)
    return trimap


def _true_to(bits: Bits, target: Target) -> Bits:
    """The parts that hold a click, or the main ones in a box, with the clicks themselves."""
    for x, y in target.include:
        bits[y, x] = True
    for x, y in target.exclude:
        bits[y, x] = False
    return components(bits, target.include) if target.include else bits
