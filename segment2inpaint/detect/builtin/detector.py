"""Objects at clicks and in boxes, without downloads.

Two small networks say about what is meant (``clicked``). At a click, many guesses on superpixels
are judged by that, by their boundary and by how the click lies in them (``regions``); in a box,
the first guess is its ellipse. The guess is then cut out pixel by pixel in a window round it
(``walker``), and its edge is followed at full resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

from segment2inpaint.detect.builtin.mask_upsampling import upsample_mask
from segment2inpaint.detect.builtin.random_walker import box_odds, random_walk_cut, shape_odds
from segment2inpaint.detect.builtin.region_proposals import ClickSeed
from segment2inpaint.detect.builtin.region_selection import (
    RegionCandidates,
    apply_correction,
    best_region,
    candidates,
    candidates_from_prior,
)
from segment2inpaint.detect.builtin.superpixels import SuperpixelGraph, superpixel_graph
from segment2inpaint.detect.prompts import accept, targets
from segment2inpaint.errors import BadPrompt
from segment2inpaint.masks import components_at
from segment2inpaint.networks import click
from segment2inpaint.networks.click import ClickPrediction, ObjectPrompt
from segment2inpaint.networks.onnx import FloatArray, shipped_network
from segment2inpaint.types import (
    BinaryMask,
    Box,
    Detection,
    Image,
    Point,
    Points,
    Prompt,
    bounding_box,
)

WIDE, CLOSE = 400, 200  # long side of the picture that is searched, and that is cut, px
PIECES = 600  # superpixels of the picture that is searched
ROOM = 0.4  # round a guess, on each side, of its longer side
SMALL = 0.2  # a guess below this share of the photo is made again, closer
MARGIN = 0.25  # round a box
FAR = -4.0  # log odds by place from which a pixel is not of the object
NEAR = 2.0  # log odds of each network count up to so much
TOLD, TOLD_BOX = 0.5, 1.0  # times them, beside those by place
BIAS = {"auto": 0.0, "object": 0.0, "part": -0.3, "whole": 0.3}


class BuiltinDetector:
    """Takes points and boxes, on the object and beside it, several objects."""

    name = "grabcut"
    prompt_types: tuple[type, ...] = (Points, Box)

    def prepare(self, images: Sequence[Image]) -> None:
        """Do what the first click on each photo needs, and keep it for the last few of them."""
        for image in images:
            small = _ReducedCrop(image, Box(0, 0, image.shape[1], image.shape[0]), WIDE).small
            _pieces(small.tobytes(), small.shape[:2])

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        """A mask for each object. Raises ``BadPrompt``."""
        found = targets(accept(self.name, self.prompt_types, prompts, image.shape[:2]))
        if not found:
            raise BadPrompt(f"{self.name}: only points beside the object, give one on it")
        masks = [_find(image, target) for target in found]
        return [Detection(bits) for bits in masks if bits.any()]


def _find(image: Image, target: ObjectPrompt) -> BinaryMask:
    """The object: guessed round the box or in the whole photo, then cut out in a window."""
    size = image.shape[0], image.shape[1]
    answer = _answer(image, target)
    if target.box:
        view = _ReducedCrop(image, _round(target.box, MARGIN, size), CLOSE)
        cut = _in_box(view, target, answer)
    else:
        wide, guess = _searched(image, target, answer, _start(target, answer, size))
        view = _ReducedCrop(image, _round(wide.around(guess), ROOM, size), CLOSE)
        cut = _shaped(view, view.seen(wide, guess), target, answer)
    bits = np.zeros(size, np.bool_)
    bits[view.window.slices] = upsample_mask(image[view.window.slices], cut)
    return _true_to(bits, target)


def _answer(image: Image, target: ObjectPrompt) -> ClickPrediction | None:
    """What the networks that came with the package say."""
    network, other = shipped_network("click"), shipped_network("saliency")
    if network is None:
        return None
    answer = click.predict(image, target, network)
    return click.with_saliency(image, answer, target, other) if other else answer


def _start(target: ObjectPrompt, answer: ClickPrediction | None, size: tuple[int, int]) -> Box:
    """Where a guess is looked for: in the whole photo, or round a small thing that is sure."""
    found = answer.found(target) if answer and answer.sure else None
    if found and max(found.width, found.height) < SMALL * max(size):
        return _round(found, 2 * ROOM, size)
    return Box(0, 0, size[1], size[0])


def _searched(
    image: Image, target: ObjectPrompt, answer: ClickPrediction | None, window: Box, looks: int = 3
) -> tuple[_ReducedCrop, BinaryMask]:
    """A guess at the object, and the view that it was made in: closer and closer, if small."""
    view = _ReducedCrop(image, window, WIDE)
    guess = _clicked(view, target, answer)
    found = view.around(guess)
    closer = _round(found, 2 * ROOM, image.shape[:2])
    small = max(found.width, found.height) < SMALL * max(window.width, window.height)
    if looks > 1 and small and all(map(closer.contains, target.include)):
        return _searched(image, target, answer, closer, looks - 1)
    return view, guess


def _round(box: Box, share: float, size: tuple[int, ...]) -> Box:
    return box.grown(8 + round(share * max(box.width, box.height)), (size[0], size[1]))


class _ReducedCrop:
    """A window of the photo, reduced to at most ``side`` px."""

    def __init__(self, image: Image, window: Box, side: int) -> None:
        self.window = window
        scale = min(1.0, side / max(window.width, window.height))
        self.size = max(2, round(window.width * scale)), max(2, round(window.height * scale))
        self.step = window.width / self.size[0], window.height / self.size[1]
        self.small = cv2.resize(image[window.slices], self.size, interpolation=cv2.INTER_AREA)

    def local(self, target: ObjectPrompt) -> ObjectPrompt:
        """The target in px of the reduced window; clicks outside it are left out."""
        return ObjectPrompt(
            tuple(self._at(p) for p in target.include if self.window.contains(p)),
            tuple(self._at(p) for p in target.exclude if self.window.contains(p)),
            target.box and self._box(target.box),
            target.granularity,
        )

    def around(self, bits: BinaryMask) -> Box:
        """The box in the photo round ``bits`` of the reduced window."""
        x0, y0, x1, y1 = bounding_box(bits)
        x, y = self.step
        return Box(
            self.window.x0 + int(x0 * x), self.window.y0 + int(y0 * y),
            self.window.x0 + round(x1 * x), self.window.y0 + round(y1 * y),
        )  # fmt: skip

    def seen(self, other: _ReducedCrop, bits: BinaryMask) -> BinaryMask:
        """What this view shows of ``bits``, which are of another view."""
        rows = [
            [own / its, 0.0, (0.5 * own + start - its_start) / its - 0.5]
            for own, its, start, its_start in zip(
                self.step, other.step, self.window[:2], other.window[:2], strict=True
            )
        ]
        back = np.array([rows[0], [0.0, rows[1][0], rows[1][2]]], np.float32)
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        part = cv2.warpAffine(
            bits.astype(np.float32), back, self.size, flags=how, borderMode=cv2.BORDER_REPLICATE
        )
        seen: BinaryMask = part > 0.5
        return seen

    def _at(self, point: Point) -> Point:
        x = int((point[0] - self.window.x0) / self.step[0])
        y = int((point[1] - self.window.y0) / self.step[1])
        return min(max(x, 0), self.size[0] - 1), min(max(y, 0), self.size[1] - 1)

    def _box(self, box: Box) -> Box:
        x0, y0 = self._at((box.x0, box.y0))
        x1, y1 = self._at((box.x1 - 1, box.y1 - 1))
        return Box(x0, y0, x1 + 1, y1 + 1)


def _clicked(
    view: _ReducedCrop, target: ObjectPrompt, answer: ClickPrediction | None
) -> BinaryMask:
    """The most likely object at the first click, then corrected by the other clicks, in turn."""
    local = view.local(target)
    picture = view.small.tobytes(), view.small.shape[:2]
    pieces, found = _pieces(*picture), _first(*picture, local.include[0])
    known = _known(pieces, view, answer)
    if known is not None:
        found = found.and_(candidates_from_prior(pieces, _seed(pieces, local.include[0]), known))
    region = best_region(pieces, found, BIAS[target.granularity], known)
    return _corrected(pieces, region, local)


def _known(
    pieces: SuperpixelGraph, view: _ReducedCrop, answer: ClickPrediction | None
) -> FloatArray | None:
    """How many pixels of each superpixel the network takes for the object, (K,)."""
    if answer is None:
        return None
    share = answer.likely(view.window, view.small.shape[:2])
    mass = np.bincount(pieces.labels.ravel(), share.ravel(), len(pieces.area))
    return mass.astype(np.float32)


# The last few are kept: the next click on a photo needs the same ones.
@lru_cache(maxsize=4)
def _pieces(data: bytes, size: tuple[int, int]) -> SuperpixelGraph:
    return superpixel_graph(np.frombuffer(data, np.uint8).reshape(*size, 3), PIECES)


@lru_cache(maxsize=16)
def _first(data: bytes, size: tuple[int, int], point: Point) -> RegionCandidates:
    pieces = _pieces(data, size)
    return candidates(pieces, _seed(pieces, point))


def _seed(pieces: SuperpixelGraph, point: Point) -> ClickSeed:
    x, y = point
    return ClickSeed(int(pieces.labels[y, x]), point)


def _corrected(pieces: SuperpixelGraph, region: BinaryMask, local: ObjectPrompt) -> BinaryMask:
    """A region of superpixels, (K,), after all clicks, as (h, w)."""
    clicks = [(p, True) for p in local.include] + [(p, False) for p in local.exclude]
    clicked = np.unique([pieces.labels[y, x] for (x, y), _ in clicks]).astype(np.intp)
    for point, on in clicks:
        region = apply_correction(pieces, region, point, on, clicked)
    bits: BinaryMask = region[pieces.labels]
    return bits


def _in_box(view: _ReducedCrop, target: ObjectPrompt, answer: ClickPrediction | None) -> BinaryMask:
    """The object that fills the box, then corrected by clicks."""
    local = view.local(target)
    box = local.box or Box(0, 0, *view.size)
    outside = np.ones(view.small.shape[:2], np.bool_)
    outside[box.slices] = False
    odds = box_odds(outside.shape, box) + TOLD_BOX * _odds(view, answer)
    cut = random_walk_cut(view.small, odds, outside, local.include, local.exclude)
    if not (local.include or local.exclude):
        return cut
    pieces = _pieces(view.small.tobytes(), outside.shape)
    share = np.bincount(pieces.labels.ravel(), cut.ravel(), len(pieces.area)) / pieces.area
    return _shaped(view, _corrected(pieces, share > 0.5, local) & ~outside, target, answer)


def _shaped(
    view: _ReducedCrop, guess: BinaryMask, target: ObjectPrompt, answer: ClickPrediction | None
) -> BinaryMask:
    """The object that a guess is about."""
    local, odds = view.local(target), shape_odds(guess)
    outside = odds <= FAR
    if local.box:
        inside = np.zeros_like(outside)
        inside[local.box.slices] = True
        outside |= ~inside
    odds = odds + TOLD * _odds(view, answer)
    return random_walk_cut(view.small, odds, outside, local.include, local.exclude)


def _odds(view: _ReducedCrop, answer: ClickPrediction | None) -> FloatArray | float:
    """What the network says of each pixel of a view, in log odds; nothing where it did not look."""
    if answer is None:
        return 0.0
    size = view.small.shape[:2]
    most = NEAR * (1 + (answer.backing.weight if answer.backing else 0))
    odds = np.clip(answer.odds(view.window, size), -most, most)
    odds[answer.unseen(view.window, size)] = 0
    return odds


def _true_to(bits: BinaryMask, target: ObjectPrompt) -> BinaryMask:
    """The parts that hold a click, or the main ones in a box, with the clicks themselves."""
    for x, y in target.include:
        bits[y, x] = True
    for x, y in target.exclude:
        bits[y, x] = False
    return components_at(bits, target.include) if target.include else bits
