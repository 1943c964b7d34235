"""Cut an object out pixel by pixel, starting from a guess of where it is.

The method is that of GrabCut (Rother et al. 2004): it alternates between models of the inside and
the outside and a cut that follows the models and the edges. The models here are histograms of
colour and texture words. The cut is the random walker (Grady 2006), which gives probabilities,
so that each pixel counts for the models as far as it is certain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from segment2inpaint.detect.builtin import features
from segment2inpaint.detect.builtin.features import IntArray
from segment2inpaint.detect.lab import to_lab
from segment2inpaint.types import BinaryMask, Box, FloatArray, Image, Point

FIRST_SHARPNESS = 4.0  # factor on the odds for the first inside
ITERATIONS = 5  # of models and cut
CG_STEPS = 40  # of conjugate gradients per iteration
ODDS_WEIGHT = 0.01  # of a pixel's odds, relative to its links of at most 1
COLOR_WEIGHT, TEXTURE_WEIGHT = 1.0, 0.5  # of the two models in the odds
COLOR_WORD_SIDE, COLOR_WORD_SPREAD = 4.5, 3.5  # CIE76
TEXTURE_WORDS = 24
MIN_LINK = 0.005  # across the strongest edge
FIXED_WEIGHT = 100.0  # of a pixel that is known to be inside or outside
CLICK_RADIUS = 2  # px round a click that are fixed


@dataclass(frozen=True, eq=False)
class _Links:
    """The weight of each pixel's link to the next pixel of its row and of its column.

    Pixels are in one line, (h*w,), which takes a third less time than rows. ``right`` (h*w - 1,)
    is 0 between the end of a row and the next row, ``down`` is (h*w - w,).
    """

    right: FloatArray
    down: FloatArray

    def sum(self, values: FloatArray, total: FloatArray, spare: FloatArray) -> FloatArray:
        """Return in ``total`` the sum of each pixel's neighbours, weighted by the links."""
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
    """Return the pixels of the object, (h, w).

    ``odds`` (h, w) are the log-odds that a pixel belongs to the object before its colour is
    looked at. The pixels ``outside`` (h, w) and those round ``exclude`` points, (x, y), do not
    belong to it, those round ``include`` points do. If the cut is empty, the odds alone decide.
    """
    lab = features.denoised_lab(image)
    links = _links(to_lab(image))  # not denoised, so that the cut lies on the edge
    models = (
        (COLOR_WEIGHT, *features.color_words(lab, COLOR_WORD_SIDE, COLOR_WORD_SPREAD)),
        (TEXTURE_WEIGHT, features.texture_words(lab[..., 0], TEXTURE_WORDS), None),
    )
    inside = (1 / (1 + np.exp(-FIRST_SHARPNESS * odds)) * ~outside).astype(np.float32)
    for _ in range(ITERATIONS):
        total = odds + sum(_model_odds(inside, *model) for model in models)
        on, off = (ODDS_WEIGHT * np.maximum(sign * total, 0) for sign in (1, -1))
        off[outside] = FIXED_WEIGHT
        for x, y in include:
            _fix(on, (x, y))
            _fix(off, (x, y), 0)
        for x, y in exclude:
            _fix(off, (x, y))
            _fix(on, (x, y), 0)
        inside = np.clip(_solve(links, on, off, inside.astype(np.float32)), 0, 1)
    cut: BinaryMask = inside > 0.5
    return cut if cut.any() else (odds > 0) & ~outside


def _fix(weights: FloatArray, point: Point, value: float = FIXED_WEIGHT) -> None:
    """Set the weights round a point."""
    x, y = point
    rows = slice(max(0, y - CLICK_RADIUS), y + CLICK_RADIUS + 1)
    weights[rows, max(0, x - CLICK_RADIUS) : x + CLICK_RADIUS + 1] = value


def _links(lab: FloatArray) -> _Links:
    x = ((lab[:, 1:] - lab[:, :-1]) ** 2).sum(axis=2)
    y = ((lab[1:] - lab[:-1]) ** 2).sum(axis=2)
    mean = (x.mean() + y.mean()) / 2 + 1e-6
    right = np.zeros(lab.shape[:2], np.float32)
    right[:, :-1] = np.exp(-x / mean) + MIN_LINK
    return _Links(right.ravel()[:-1], (np.exp(-y / mean) + MIN_LINK).ravel())


def _model_odds(
    inside: FloatArray, weight: float, word: IntArray, similarity: FloatArray | None
) -> FloatArray:
    """Return the log-odds of each pixel by its word's share of the inside and of the outside."""
    flat = inside.ravel()
    log_shares = []
    for part in (flat, 1 - flat):
        area = np.bincount(word, part)
        count = area + 1 if similarity is None else area @ similarity
        share = count / max(float(count.sum()), 1e-6)
        log_shares.append(np.log(share + 3e-3 / len(count)))
    odds = (log_shares[0] - log_shares[1])[word].astype(np.float32)
    weighted: FloatArray = (np.float32(weight) * odds).reshape(inside.shape)
    return weighted


def _solve(links: _Links, on: FloatArray, off: FloatArray, start: FloatArray) -> FloatArray:
    """Return the probability that a random walk from each pixel ends inside, (h, w).

    Solved by preconditioned conjugate gradients from ``start``.
    """
    x, on = start.flatten(), on.ravel()
    total, spare = np.empty_like(x), np.empty_like(x)
    diagonal = links.sum(np.ones_like(x), total, spare) + on + off.ravel() + 1e-6
    residual = on - (diagonal * x - links.sum(x, total, spare))
    direction = residual / diagonal
    energy = float((residual * direction).sum())
    for _ in range(CG_STEPS):
        product = diagonal * direction
        product -= links.sum(direction, total, spare)
        step = energy / max(float(np.multiply(direction, product, out=spare).sum()), 1e-20)
        x += np.multiply(step, direction, out=spare)
        residual -= np.multiply(step, product, out=product)
        scaled = np.divide(residual, diagonal, out=total)
        previous, energy = energy, float(np.multiply(residual, scaled, out=spare).sum())
        direction *= energy / max(previous, 1e-20)
        direction += scaled
    return x.reshape(start.shape)


def box_odds(size: tuple[int, int], box: Box) -> FloatArray:
    """Return log-odds by place, (h, w), in a tight box: highest in its middle, 0 on its ellipse."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    across = (2 * x - box.x0 - box.x1) / box.width
    down = (2 * y - box.y0 - box.y1) / box.height
    odds: FloatArray = (0.5 * np.clip(1 - across**2 - down**2, -3, 2)).astype(np.float32)
    return odds


def shape_odds(region: BinaryMask) -> FloatArray:
    """Return log-odds by place, (h, w), for a guess: 0 on its edge, flatter if it is large."""
    guess = region.astype(np.uint8)
    inside = cv2.distanceTransform(guess, cv2.DIST_L2, 3)
    depth = inside - cv2.distanceTransform(1 - guess, cv2.DIST_L2, 3)
    depth = np.clip(depth, -1e6, 1e6)  # OpenCV's distance from nothing is the largest float
    odds: FloatArray = np.clip(8 * depth / np.sqrt(max(int(region.sum()), 1)), -4, 2)
    return odds
