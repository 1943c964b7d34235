"""An object cut out pixel by pixel, where a first guess says about where it is.

GrabCut's turns (Rother et al. 2004): models of the inside and the outside, then a cut that
follows them and the edges. The models are histograms of colour and texture words, and the cut
is the random walker (Grady 2005), which is soft, so that the models are learned from how sure
each pixel is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.detect.builtin import features
from segment2inpaint.detect.builtin.features import FloatArray, IntArray
from segment2inpaint.types import BinaryMask, Box, Image, Point

START = 4.0  # times the odds, for the first guess
TURNS = 5
STEPS = 40  # of conjugate gradients, for each turn
DATA = 0.01  # what a pixel's own odds weigh beside its links of at most 1
COLOR, TEXTURE = 1.0, 0.5  # weights of the two models in the odds
SIDE, SPREAD = 4.5, 3.5  # of a colour word, CIE76
TEXTURES = 24
WEAKEST = 0.005  # link across the strongest edge
SURE = 100.0
CLICK = 2  # px round a click that are what it says


@dataclass(frozen=True, eq=False)
class _Links:
    """How strongly each pixel hangs together with the next of its row and of its column.

    Pixels are in one line, (h*w,), which is half again as quick as in rows: ``right`` (h*w - 1,)
    is 0 from the end of a row to the next, ``down`` is (h*w - w,).
    """

    right: FloatArray
    down: FloatArray

    def sum(self, values: FloatArray, total: FloatArray, spare: FloatArray) -> FloatArray:
        """Into ``total``: of each pixel's neighbours, weighted by the links."""
        right, down = self.right, self.down
        w = len(values) - len(down)
        total[0] = 0
        np.multiply(right, values[:-1], out=total[1:])
        total[:-1] += np.multiply(right, values[1:], out=spare[1:])
        total[w:] += np.multiply(down, values[:-w], out=spare[w:])
        total[:-w] += np.multiply(down, values[w:], out=spare[w:])
        return total


def random_walk_cut(
    image: Image,
    odds: FloatArray,
    outside: BinaryMask,
    include: Sequence[Point] = (),
    exclude: Sequence[Point] = (),
) -> BinaryMask:
    """(h, w): the pixels of the object.

    ``odds`` (h, w) are the log odds that a pixel belongs to it, as far as its place tells;
    ``outside`` are pixels that do not, as those round ``exclude`` clicks, (x, y), do not and
    those round ``include`` do. Where the picture tells nothing, its place alone does.
    """
    lab = features.softened(image)
    links = _links(features.lab(image))  # sharp, so that the cut lies on the edge
    models = (
        (COLOR, *features.color_words(lab, SIDE, SPREAD)),
        (TEXTURE, features.texture_words(lab[..., 0], TEXTURES), None),
    )
    inside = (1 / (1 + np.exp(-START * odds)) * ~outside).astype(np.float32)
    for _ in range(TURNS):
        evidence = odds + sum(_evidence(inside, *model) for model in models)
        on, off = (DATA * np.maximum(sign * evidence, 0) for sign in (1, -1))
        off[outside] = SURE
        for x, y in include:
            _round(on, (x, y))
            _round(off, (x, y), 0)
        for x, y in exclude:
            _round(off, (x, y))
            _round(on, (x, y), 0)
        inside = np.clip(_solved(links, on, off, inside.astype(np.float32)), 0, 1)
    cut: BinaryMask = inside > 0.5
    return cut if cut.any() else (odds > 0) & ~outside


def _round(plane: FloatArray, point: Point, value: float = SURE) -> None:
    x, y = point
    plane[max(0, y - CLICK) : y + CLICK + 1, max(0, x - CLICK) : x + CLICK + 1] = value


def _links(lab: FloatArray) -> _Links:
    x = ((lab[:, 1:] - lab[:, :-1]) ** 2).sum(axis=2)
    y = ((lab[1:] - lab[:-1]) ** 2).sum(axis=2)
    usual = (x.mean() + y.mean()) / 2 + 1e-6
    right = np.zeros(lab.shape[:2], np.float32)
    right[:, :-1] = np.exp(-x / usual) + WEAKEST
    return _Links(right.ravel()[:-1], (np.exp(-y / usual) + WEAKEST).ravel())


def _evidence(
    inside: FloatArray, weight: float, word: IntArray, near: NDArray[np.float32] | None
) -> FloatArray:
    """Log odds of each pixel by its word's share of the inside and of the outside."""
    flat = inside.ravel()
    shares = []
    for part in (flat, 1 - flat):
        used = np.bincount(word, part)
        count = used + 1 if near is None else used @ near
        share = count / max(float(count.sum()), 1e-6)
        shares.append(np.log(share + 3e-3 / len(count)))
    odds = (shares[0] - shares[1])[word].astype(np.float32)
    log: FloatArray = (np.float32(weight) * odds).reshape(inside.shape)
    return log


def _solved(links: _Links, on: FloatArray, off: FloatArray, start: FloatArray) -> FloatArray:
    """The chance that a walker from each pixel is caught inside (preconditioned CG)."""
    x, on = start.flatten(), on.ravel()
    total, spare = np.empty_like(x), np.empty_like(x)
    diagonal = links.sum(np.ones_like(x), total, spare) + on + off.ravel() + 1e-6
    rest = on - (diagonal * x - links.sum(x, total, spare))
    way = rest / diagonal
    energy = float((rest * way).sum())
    for _ in range(STEPS):
        image = diagonal * way
        image -= links.sum(way, total, spare)
        step = energy / max(float(np.multiply(way, image, out=spare).sum()), 1e-20)
        x += np.multiply(step, way, out=spare)
        rest -= np.multiply(step, image, out=image)
        scaled = np.divide(rest, diagonal, out=total)
        before, energy = energy, float(np.multiply(rest, scaled, out=spare).sum())
        way *= energy / max(before, 1e-20)
        way += scaled
    return x.reshape(start.shape)


def box_odds(size: tuple[int, int], box: Box) -> FloatArray:
    """Log odds by place in a box that fits tightly: highest in its middle, 0 on its ellipse."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    across = (2 * x - box.x0 - box.x1) / box.width
    down = (2 * y - box.y0 - box.y1) / box.height
    odds: FloatArray = (0.5 * np.clip(1 - across**2 - down**2, -3, 2)).astype(np.float32)
    return odds


def shape_odds(region: BinaryMask) -> FloatArray:
    """Log odds by place where ``region`` was guessed: 0 on its edge, less sure if it is large."""
    guess = region.astype(np.uint8)
    inside = cv2.distanceTransform(guess, cv2.DIST_L2, 3)
    depth = inside - cv2.distanceTransform(1 - guess, cv2.DIST_L2, 3)
    depth = np.clip(depth, -1e6, 1e6)  # OpenCV's distance from nothing is as large as floats go
    odds: FloatArray = np.clip(8 * depth / np.sqrt(max(int(region.sum()), 1)), -4, 2)
    return odds
